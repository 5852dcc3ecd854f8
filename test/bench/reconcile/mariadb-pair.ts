import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import mysql, { type Connection } from 'mysql2/promise'
import type { Place } from '../databases/engine.ts'
import { mariadbBench } from '../databases/mariadb.ts'
import type { Command } from '../databases/measure.ts'
import type { BenchPair, Customer, Peer } from './pair.ts'

/** As a server is set that replicates: pt-table-checksum's own way of reaching the second host. */
const settings = (id: number): readonly string[] => [
  `--server-id=${id}`,
  '--innodb-buffer-pool-size=2G',
  '--binlog-format=STATEMENT',
]
const LOGGED = ['--log-bin=binlog']
/** Ids from here on are the new host's own. */
const NEW_HOST_IDS = 2_000_000_000

const connect = ({ host, port, user, password, database }: Place): Promise<Connection> =>
  mysql.createConnection({ host, port, user, password, database, multipleStatements: true, rowsAsArray: true })

/** Runs statements on a connection of its own that writes no binary log; the last one's rows. */
async function sql(place: Place, text: string): Promise<readonly (readonly unknown[])[]> {
  const connection = await connect(place)
  try {
    await connection.query('SET SESSION sql_log_bin = 0')
    const [answer] = await connection.query(text)
    return Array.isArray(answer) ? (answer as unknown[][]) : []
  } finally {
    await connection.end()
  }
}

/** Two of Debian's MariaDB with `rows` orders each, the new one replicating from the old one; `undefined` where it isn't installed. */
export async function mariadbPair(rows: number): Promise<BenchPair | undefined> {
  const [from, to] = [await mariadbBench([...settings(1), ...LOGGED]), await mariadbBench(settings(2))]
  if (from === undefined || to === undefined) return undefined
  const stop = async (): Promise<void> => void (await Promise.all([from.stop(), to.stop()]))
  try {
    const [old, fresh] = [await from.create(), await to.create()]
    await Promise.all([from.fill(old, 'narrow', rows), to.fill(fresh, 'narrow', rows)])
    await sql(fresh, `ALTER TABLE narrow AUTO_INCREMENT = ${NEW_HOST_IDS}`)
    await replicate(old, fresh)
    const strays = { next: 0 }
    return {
      name: from.name,
      adapter: 'mysql',
      pids: [from.pid ?? 0, to.pid ?? 0],
      old,
      new: fresh,
      peers: [checksum, sync, dump],
      strays: async (count) => {
        await sql(old, straysSql(count, rows, strays.next))
        strays.next += count
      },
      warm: async () => void (await Promise.all([old, fresh].map((place) => sql(place, 'SELECT SUM(total) FROM narrow')))),
      customer: () => customer(fresh, rows),
      alike: () => alike(old, fresh),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The tables are there already on both: only what pt-table-checksum writes is replicated, its own strays aside. */
async function replicate(old: Place, fresh: Place): Promise<void> {
  const [[file, position] = []] = await sql(old, 'SHOW MASTER STATUS')
  const master = `MASTER_HOST='${old.host}', MASTER_PORT=${old.port}, MASTER_USER='${old.user}', MASTER_PASSWORD='${old.password}'`
  await sql(
    fresh,
    `CHANGE MASTER TO ${master}, MASTER_LOG_FILE='${String(file)}', MASTER_LOG_POS=${String(position)}, MASTER_CONNECT_RETRY=1; START SLAVE`,
  )
  // Both hosts' databases have the same name, so that what is replicated finds its table.
  if (old.database !== fresh.database) throw new Error('the two databases must have one name')
}

function straysSql(count: number, rows: number, before: number): string {
  const changed = Math.floor(count / 10)
  const born = count - changed
  const statements: string[] = []
  if (born > 0) {
    statements.push(`INSERT INTO narrow (customer_id, placed, total, status)
      SELECT seq % 500000, '2026-11-01' + INTERVAL seq SECOND, (seq % 1000) / 10, 'open' FROM seq_1_to_${born}`)
  }
  if (changed > 0) {
    const step = Math.max(1, Math.floor(rows / changed))
    statements.push(`UPDATE narrow JOIN seq_1_to_${changed} AS s ON narrow.id = 1 + (s.seq * ${step} + ${before}) % ${rows}
      SET narrow.total = narrow.total + 1`)
  }
  return statements.length === 0 ? 'SELECT 1' : statements.join('; ')
}

async function alike(old: Place, fresh: Place): Promise<void> {
  const question = `SELECT COUNT(*), SUM(total), SUM(id) FROM narrow WHERE id < ${NEW_HOST_IDS}`
  const [one, other] = await Promise.all([sql(old, question), sql(fresh, question)])
  if (String(one) !== String(other)) throw new Error(`the hosts differ after reconciling: ${String(one)} and ${String(other)}`)
}

async function customer(place: Place, rows: number): Promise<Customer> {
  const connection = await connect(place)
  let turn = connection.threadId * 7919
  return {
    order: async () => {
      turn += 104_729
      await connection.query('START TRANSACTION')
      await connection.query(
        `INSERT INTO narrow (customer_id, placed, total, status) VALUES (${turn % 500_000}, NOW(3), 19.90, 'open')`,
      )
      await connection.query(`SELECT SUM(total) FROM narrow WHERE customer_id = ${turn % 500_000}`)
      await connection.query(`UPDATE narrow SET status = 'paid' WHERE id = LAST_INSERT_ID() OR id = ${1 + (turn % rows)}`)
      await connection.query('COMMIT')
    },
    close: () => connection.end(),
  }
}

const CHECKSUM = '/usr/bin/pt-table-checksum'
const SYNC = '/usr/bin/pt-table-sync'

/** Percona's tools end with 16 or 2 where rows differ: that is what they were asked. */
const tolerant = (file: string, code: number, args: readonly string[]): Command => ({
  file: '/bin/sh',
  args: ['-c', `"$@"; code=$?; [ "$code" -eq 0 ] || [ "$code" -eq ${code} ]`, 'sh', file, ...args],
})

const dsn = ({ host, port, user, password }: Place, more = ''): string => `h=${host},P=${port},u=${user},p=${password}${more}`

/** By the replica, as it is meant to be used; it is told where that is. */
const checksum: Peer = {
  name: 'pt-table-checksum',
  missing: existsSync(CHECKSUM) ? null : 'percona-toolkit is not installed',
  compare: async ({ run, old, new: fresh }) => {
    const connection = await connect(old)
    try {
      await connection.query(`CREATE DATABASE IF NOT EXISTS percona;
        CREATE TABLE IF NOT EXISTS percona.dsns (id int PRIMARY KEY, parent_id int, dsn varchar(255) NOT NULL);
        REPLACE INTO percona.dsns VALUES (1, NULL, '${dsn(fresh)}')`)
    } finally {
      await connection.end()
    }
    const how = ['--no-version-check', '--recursion-method', `dsn=${dsn(old, ',D=percona,t=dsns')}`, '--quiet']
    const what = [
      '--databases',
      old.database,
      '--tables',
      'narrow',
      '--replicate',
      'percona.checksums',
      '--create-replicate-table',
    ]
    await run(tolerant(CHECKSUM, 16, [...how, ...what, dsn(old)]))
    return undefined
  },
}

/** Both hosts compared directly; what it would do is printed, not done. */
const sync: Peer = {
  name: 'pt-table-sync --print',
  missing: existsSync(SYNC) ? null : 'percona-toolkit is not installed',
  compare: async ({ run, old, new: fresh }) => {
    const table = `,D=${old.database},t=narrow`
    await run(tolerant(SYNC, 2, ['--no-version-check', '--print', '--no-check-slave', dsn(old, table), dsn(fresh, table)]))
    return undefined
  },
}

const DUMP = '/usr/bin/mariadb-dump'

/** A row a line, in the order of the key. */
const dump: Peer = {
  name: 'mariadb-dump of both, diff',
  missing: existsSync(DUMP) ? null : 'mariadb-client is not installed',
  compare: async ({ run, old, new: fresh, folder }) => {
    const files = [join(folder, 'old.sql'), join(folder, 'new.sql')]
    const dumps = [old, fresh].map(({ host, port, user, password, database }, at) =>
      run({
        file: DUMP,
        args: [
          ...['--no-defaults', '-h', host, '-P', String(port), '-u', user, '--single-transaction', '--quick', '--compact'],
          ...['--no-create-info', '--skip-extended-insert', '--order-by-primary', '-r', files[at] ?? '', database, 'narrow'],
        ],
        env: { MYSQL_PWD: password },
      }),
    )
    await Promise.all(dumps)
    await run(tolerant('/usr/bin/diff', 1, ['--speed-large-files', ...files]))
    return (await stat(files[0] ?? '')).size
  },
}
