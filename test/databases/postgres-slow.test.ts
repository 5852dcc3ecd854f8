import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'

describe('a query of postgres that gives no row', () => {
  let server: TestPostgres
  let shop: TestDatabase
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.9' })
    shop = await server.database()
    await shop.sql(`CREATE TABLE stuck (id integer PRIMARY KEY); INSERT INTO stuck SELECT generate_series(1, 10);
      CREATE TABLE free (id integer PRIMARY KEY); INSERT INTO free SELECT generate_series(1, 10)`)
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
})
