import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { debianPostgres } from '../../../src/demo/postgres-server.ts'
import type { Place } from '../databases/engine.ts'
import { postgresBench } from '../databases/postgres.ts'
import type { BenchPair, Customer, Peer } from './pair.ts'

/** Ids from here on are the new host's own. */
const NEW_HOST_IDS = 2_000_000_000

async function connect({ host, port, user, password, database }: Place): Promise<Client> {
  const client = new Client({ host, port, user, password, database })
  await client.connect()
  return client
}

async function sql(place: Place, text: string): Promise<readonly (readonly unknown[])[]> {
  const client = await connect(place)
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

/** Two of Debian's PostgreSQL with `rows` orders each; `undefined` where it isn't installed. */
export async function postgresPair(rows: number): Promise<BenchPair | undefined> {
  const [from, to] = [await postgresBench(), await postgresBench()]
  const binaries = debianPostgres()
  if (from === undefined || to === undefined || binaries === undefined) return undefined
  const stop = async (): Promise<void> => void (await Promise.all([from.stop(), to.stop()]))
  try {
    const [old, fresh] = [await from.create(), await to.create()]
    await Promise.all([from.fill(old, 'narrow', rows), to.fill(fresh, 'narrow', rows)])
    await sql(fresh, `ALTER TABLE narrow ALTER COLUMN id RESTART WITH ${NEW_HOST_IDS}`)
    await sql(old, `ALTER TABLE narrow ALTER COLUMN id RESTART WITH ${rows + 1}`)
    let before = 0
    return {
      name: from.name,
      adapter: 'postgres',
      pids: [from.pid ?? 0, to.pid ?? 0],
      old,
      new: fresh,
      peers: [dump(binaries)],
      strays: async (count) => {
        const changed = Math.floor(count / 10)
        await sql(
          old,
          `INSERT INTO narrow (customer_id, placed, total, status)
           SELECT n % 500000, timestamp '2026-11-01' + n * interval '1 second', (n % 1000) / 10.0, 'open' FROM generate_series(1, ${count - changed}) AS n`,
        )
        await sql(
          old,
          `UPDATE narrow SET total = total + 1 FROM generate_series(1, ${changed}) AS n
           WHERE id = 1 + (n::bigint * ${Math.max(1, Math.floor(rows / Math.max(1, changed)))} + ${before}) % ${rows}`,
        )
        before += count
      },
      warm: async () => void (await Promise.all([old, fresh].map((place) => sql(place, 'SELECT sum(total) FROM narrow')))),
      customer: () => customer(fresh, rows),
      alike: () => alike(old, fresh),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function alike(old: Place, fresh: Place): Promise<void> {
  const question = `SELECT count(*), sum(total), sum(id) FROM narrow WHERE id < ${NEW_HOST_IDS}`
  const [one, other] = await Promise.all([sql(old, question), sql(fresh, question)])
  if (String(one) !== String(other)) throw new Error(`the hosts differ after reconciling: ${String(one)} and ${String(other)}`)
}

async function customer(place: Place, rows: number): Promise<Customer> {
  const client = await connect(place)
  const [[backend] = []] = (await client.query<[number]>({ text: 'SELECT pg_backend_pid()', rowMode: 'array' })).rows
  let turn = Number(backend) * 7919
  return {
    order: async () => {
      turn += 104_729
      await client.query('BEGIN')
      const born = `INSERT INTO narrow (customer_id, placed, total, status) VALUES (${turn % 500_000}, now(), 19.90, 'open') RETURNING id`
      const [[id] = []] = (await client.query<[string]>({ text: born, rowMode: 'array' })).rows
      await client.query(`SELECT sum(total) FROM narrow WHERE customer_id = ${turn % 500_000}`)
      await client.query(`UPDATE narrow SET status = 'paid' WHERE id IN (${String(id)}, ${1 + (turn % rows)})`)
      await client.query('COMMIT')
    },
    close: () => client.end(),
  }
}

/** A row a line, in the order in which they lie: that of the key unless rows were changed. */
const dump = (binaries: string): Peer => ({
  name: 'pg_dump of both, diff',
  missing: null,
  compare: async ({ run, old, new: fresh, folder }) => {
    const files = [join(folder, 'old.sql'), join(folder, 'new.sql')]
    const dumps = [old, fresh].map(({ host, port, user, password, database }, at) =>
      run({
        file: join(binaries, 'pg_dump'),
        args: ['-a', '-t', 'narrow', '-f', files[at] ?? '', '-d', `postgres://${user}:${password}@${host}:${port}/${database}`],
      }),
    )
    await Promise.all(dumps)
    await run({ file: '/bin/sh', args: ['-c', 'diff --speed-large-files "$@"; [ "$?" -lt 2 ]', 'sh', ...files] })
    return (await stat(files[0] ?? '')).size
  },
})
