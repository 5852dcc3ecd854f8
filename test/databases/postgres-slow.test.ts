import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { startDelayProxy } from '../servers/delay-proxy.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { ENDERS, expectEndedOnServer } from './ended-reading.ts'

describe('a query of postgres that gives no row', () => {
  let server: TestPostgres
  let shop: TestDatabase
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.9' })
    shop = await server.database()
    await shop.sql(`CREATE TABLE stuck (id integer PRIMARY KEY); INSERT INTO stuck SELECT generate_series(1, 10);
      CREATE TABLE free (id integer PRIMARY KEY); INSERT INTO free SELECT generate_series(1, 10)`)
    // A view in a table's place, which sleeps at each row for longer than a test may take.
    await shop.sql(`CREATE TABLE asleep (id integer PRIMARY KEY)`)
  })
  afterAll(() => server?.stop())

  it('for as long as it may is cancelled, and the reader goes on within its snapshot', async () => {
    const database = openPostgres(shop.options())
    const { tables } = await database.schema()
    const [free, stuck] = [tables.find((each) => each.name.name === 'free'), tables.find((each) => each.name.name === 'stuck')]
    if (free === undefined || stuck === undefined) throw new Error('no tables')
    // A view in the table's place sleeps at each row.
    await shop.sql(`ALTER TABLE stuck RENAME TO stuck_rows;
      CREATE VIEW stuck AS SELECT id FROM stuck_rows WHERE pg_sleep(30) IS NOT NULL`)
    try {
      await database.read(1, async ([reader]) => {
        const rows = async (table: typeof free, quietMs: number): Promise<number> => {
          let count = 0
          for await (const block of reader.blocks?.(table, { quietMs }) ?? []) count += block.rows
          return count
        }
        expect(await rows(free, 60_000)).toBe(10)
        await expect(rows(stuck, 100)).rejects.toMatchObject({ code: 'database-too-slow', retrySafe: true })
        await shop.sql('INSERT INTO free VALUES (11)')
        expect(await rows(free, 60_000)).toBe(10)
        expect(await reader.boundary?.(free, 10)).toEqual(['10'])
      })
    } finally {
      await database.close()
    }
  })

  it('for as long as a block takes, but gives one now and then, is waited for', async () => {
    const database = openPostgres(shop.options())
    await shop.sql('CREATE TABLE drops (id integer PRIMARY KEY, note text)')
    const drops = (await database.schema()).tables.find((each) => each.name.name === 'drops')
    if (drops === undefined) throw new Error('no table')
    // The server sends each row by itself: it is longer than what it gathers. A block has 28.
    await shop.sql(`DROP TABLE drops; CREATE VIEW drops AS SELECT id, repeat('x', 9000) AS note FROM generate_series(1, 60) AS id
      WHERE pg_sleep(0.03) IS NOT NULL`)
    try {
      await database.read(1, async ([reader]) => {
        let count = 0
        for await (const { rows } of reader.blocks?.(drops, { quietMs: 600 }) ?? []) count += rows
        expect(count).toBe(60)
      })
    } finally {
      await database.close()
      await shop.sql('DROP VIEW drops')
    }
  })

  it('but gathers statistics may take its time, as whatever is done to a new host', async () => {
    await shop.sql(`CREATE FUNCTION slowly(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_catalog.pg_sleep(0.2); RETURN $1; END';
      CREATE TABLE computed (id integer PRIMARY KEY); CREATE INDEX ON computed (slowly(id)); INSERT INTO computed VALUES (1), (2)`)
    const [patient, database] = [openPostgres(shop.options()), openPostgres(shop.options({ statementTimeoutMs: 300 }))]
    try {
      const computed = (await patient.schema()).tables.filter(({ name }) => name.name === 'computed')
      await database.analyse?.(computed)
      expect(await shop.sql("SELECT reltuples::text FROM pg_class WHERE relname = 'computed'")).toEqual([['2']])
    } finally {
      for (const each of [patient, database]) await each.close()
      await shop.sql('DROP TABLE computed; DROP FUNCTION slowly')
    }
  })

  // Far away, as an old host is: whoever doesn't wait until the server knows has left long before it does.
  it.each(ENDERS)('ends on the server before %s has ended the call', async (what) => {
    const near = openPostgres(shop.options())
    const line = await startDelayProxy(server, { roundTripMs: 100 })
    const database = openPostgres(shop.options({ host: line.host, port: line.port }))
    const asleep = (await near.schema()).tables.find((each) => each.name.name === 'asleep')
    if (asleep === undefined) throw new Error('no table')
    await shop.sql(`ALTER TABLE asleep RENAME TO asleep_rows; INSERT INTO asleep_rows VALUES (1);
      CREATE VIEW asleep AS SELECT id FROM asleep_rows WHERE pg_sleep(3600) IS NOT NULL`)
    const working = async (): Promise<number> =>
      (
        await shop.superuserSql(
          "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%\"asleep\"%' AND pid <> pg_backend_pid()",
        )
      ).length
    try {
      await expectEndedOnServer(what, {
        database,
        read: async (reader, options) => {
          for await (const block of reader.blocks?.(asleep, options) ?? []) throw new Error(`${block.rows} rows came`)
        },
        atWork: working,
      })
    } finally {
      await shop.sql('DROP VIEW asleep; DROP TABLE asleep_rows; CREATE TABLE asleep (id integer PRIMARY KEY)')
      for (const each of [near, database, line]) await each.close()
    }
  })
})
