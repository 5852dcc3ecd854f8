import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { statementError } from '../../src/databases/mssql/errors.ts'
import type { Database, Reader } from '../../src/databases/port.ts'
import { openPostgres, type PostgresOptions } from '../../src/databases/postgres/index.ts'
import { fullName, type Table } from '../../src/databases/schema.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { stepsOf } from './moving-shop.ts'

const SHOP = `
  CREATE TABLE customers (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
  CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer integer NOT NULL REFERENCES customers, total numeric(12,2));
  CREATE TABLE words (id integer PRIMARY KEY, word text NOT NULL);
  CREATE TABLE small (id integer PRIMARY KEY);
  INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 200) n;
  INSERT INTO orders (customer, total) SELECT 1 + n % 200, n FROM generate_series(1, 2000) n;
  INSERT INTO words SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 40000) n;
  INSERT INTO small SELECT generate_series(1, 10)`

/** A reader that stops in the middle of `words`, its copy still running, until it may go on. */
const pausing = (reader: Reader, reached: () => void, go: Promise<void>): Reader => ({
  consistent: reader.consistent,
  async *rows(table, options) {
    for await (const batch of reader.rows(table, options)) {
      yield batch
      if (table.name.name !== 'words') continue
      reached()
      await go
    }
  },
})

describe('a move that is kind to the old host', () => {
  let server: TestPostgres
  const closing: (() => Promise<void>)[] = []
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.31.7' })
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(() => server?.stop())

  const open = (made: TestDatabase, change: Parameters<TestDatabase['options']>[0]): Database => {
    const database = openPostgres(made.options(change))
    closing.push(() => database.close())
    return database
  }

  const shop = async (): Promise<TestDatabase> => {
    const made = await server.database('old')
    await made.sql(SHOP)
    return made
  }

  const folder = async (): Promise<string> => {
    const directory = await mkdtemp(join(tmpdir(), 'migrate-kind-'))
    closing.push(() => rm(directory, { recursive: true, force: true }))
    return directory
  }

  const content = (made: TestDatabase) =>
    made.superuserSql(`SELECT (SELECT count(*) || ' ' || sum(hashtext(o::text)) FROM orders o),
      (SELECT count(*) || ' ' || sum(hashtext(w::text)) FROM words w), (SELECT count(*) FROM customers), (SELECT count(*) FROM small)`)

  // The server itself holds the account to the number, and refuses a connection too many.
  it.each([1, 2, 3])('works with %i connections to each host, and never opens another', async (connections) => {
    const [old, fresh] = [await shop(), await server.database('new')]
    const account = await old.readOnlyAccount()
    await old.superuserSql(`ALTER ROLE ${account.user} CONNECTION LIMIT ${connections}`)
    await fresh.superuserSql(`ALTER ROLE ${fresh.owner.user} CONNECTION LIMIT ${connections}`)
    const world = testWorld({
      old: { database: open(old, { account, connections }), connections },
      new: { database: open(fresh, { connections }), connections },
    })
    const connect = vi.spyOn(pg.Client.prototype, 'connect')
    closing.push(async () => connect.mockRestore())
    const run = new TestRun(await folder())
    const { snapshot, restore, bump } = stepsOf(world)
    for (const step of [snapshot, restore, bump]) {
      expect((await step.check(run)).filter((finding) => finding.severity === 'error')).toEqual([])
      await perform(step, run)
      expect((await step.verify(run)).filter((finding) => finding.severity === 'error')).toEqual([])
    }
    expect(await content(fresh)).toEqual(await content(old))

    await old.sql(`INSERT INTO orders (customer, total) VALUES (7, 19.99)`)
    const reconcile = reconcileKind.create({}, testContext(world, 'reconcile'))
    await perform(reconcile, run)
    expect((await reconcile.verify(run)).filter((finding) => finding.severity === 'error')).toEqual([])
    expect(await content(fresh)).toEqual(await content(old))
    const refused = connect.mock.settledResults.filter(({ type, value }) => type === 'rejected' && /too many/.test(String(value)))
    expect(refused).toEqual([])
  })

  it('makes nobody wait while it reads: the shop writes and indexes, and holds no lock but that of a reader', async () => {
    const old = await shop()
    const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const database = open(old, { connections: 3 })
    const slow: Database = {
      ...database,
      read: (wanted, work) =>
        database.read(wanted, ([first, ...others]) =>
          work([
            pausing(first, reached.resolve, go.promise),
            ...others.map((each) => pausing(each, reached.resolve, go.promise)),
          ]),
        ),
    }
    const world = testWorld({ old: { database: slow, connections: 3 } })
    const run = new TestRun(await folder())
    const { snapshot } = stepsOf(world)
    const saved = perform(snapshot, run)
    await Promise.race([reached.promise, saved])

    const held = await old.superuserSql(`SELECT DISTINCT l.mode FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE a.application_name = 'migrate' AND l.locktype = 'relation'`)
    expect(held).toEqual([['AccessShareLock']])
    await old.sql(`SET lock_timeout = '1s'; INSERT INTO orders (customer, total) VALUES (1, 1); UPDATE words SET word = 'changed' WHERE id = 1;
      DELETE FROM small WHERE id = 1; CREATE INDEX words_word ON words (md5(word)); SELECT 1`)
    go.resolve()
    await saved

    const verified = await snapshot.verify(run)
    expect(verified).toMatchObject([{ code: 'snapshot-taken', message: expect.stringContaining('all of one moment') }])
    // What was written meanwhile isn't in it: 200 customers, 2,000 orders, 40,000 words, 10 others.
    expect(verified[0]?.message).toContain('42,210 rows')
  })

  it('says beforehand that the rows are read in one transaction, and how long about', async () => {
    const old = await shop()
    const database = open(old, {})
    const grown: Database = {
      ...database,
      sizes: async () => (await database.sizes()).map((size) => ({ ...size, bytes: 2 ** 30 })),
    }
    const world = testWorld({ old: { database: grown } })
    const findings = await stepsOf(world).snapshot.check(new TestRun(await folder()))
    expect(findings).toContainEqual(
      expect.objectContaining({
        severity: 'warning',
        code: 'snapshot-transaction-long',
        message: expect.stringMatching(/a transaction stays open on the old host.*\(about 6 min 50 s, assuming/),
      }),
    )
  })

  describe('a question that the old host doesn’t answer in its time', () => {
    const held = async (made: TestDatabase): Promise<void> => {
      const client = new pg.Client({ connectionString: made.url })
      await client.connect()
      closing.push(() => client.end())
      await client.query('BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE')
    }
    const impatient: Partial<PostgresOptions> = { statementTimeoutMs: 1000 }
    const tableOf = async (made: TestDatabase, name: string): Promise<Table> => {
      // By one who has the time.
      const found = (await open(made, {}).schema()).tables.find((table) => fullName(table.name) === `public.${name}`)
      if (found === undefined) throw new Error(`no table ${name}`)
      return found
    }

    it('is stopped on the server, and the error names it and how to give it longer', async () => {
      const old = await shop()
      const database = open(old, impatient)
      const small = await tableOf(old, 'small')
      await held(old)
      await expect(database.rowsByKey(small, [['1']])).rejects.toMatchObject({
        code: 'database-timeout',
        message: expect.stringMatching(
          /test database old_\d+ didn't answer.*\nStatement: SELECT t."id" FROM ONLY "public"."small"/,
        ),
        hint: expect.stringContaining('statementTimeout: 10m'),
        retrySafe: false,
      })
      expect(
        await old.superuserSql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'migrate' AND state = 'active'"),
      ).toEqual([])
    })

    it('doesn’t include rows that are read for longer, by somebody who takes his time', async () => {
      const old = await shop()
      const database = open(old, impatient)
      const words = await tableOf(old, 'words')
      const late = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'migrate' AND query LIKE '%COPY%' AND now() - query_start > '1.5s'`
      const rows = await database.read(1, async ([reader]) => {
        let count = 0
        for await (const batch of reader.rows(words)) {
          if (count === 0)
            await vi.waitFor(async () => expect(await old.superuserSql(late)).toHaveLength(1), {
              timeout: 30_000,
              interval: 50,
            })
          count += batch.length
        }
        return count
      })
      expect(rows).toBe(40_000)
    })

    it('is told in the same words for SQL Server, whose driver counts the time', () => {
      const timeout = Object.assign(new Error('Timeout: Request failed to complete in 120000ms'), { code: 'ETIMEOUT' })
      const where = { label: 'old database shop on old.example.com', user: 'shop', database: 'shop' }
      expect(statementError(timeout, 'SELECT a FROM b', where, true)).toMatchObject({
        code: 'database-timeout',
        message: expect.stringContaining("old database shop on old.example.com didn't answer"),
        hint: expect.stringContaining('statementTimeout: 10m'),
        retrySafe: false,
      })
    })
  })
})
