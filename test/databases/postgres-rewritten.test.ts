import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database, Reader } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import type { Table } from '../../src/databases/schema.ts'
import { failureOf, readAll } from '../contract/database-kit.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'

const PLAIN = `CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'one'), (2, 'two');
  CREATE TABLE other (LIKE orders INCLUDING ALL); INSERT INTO other VALUES (3, 'three')`
const PARTITIONED = `CREATE TABLE orders (id int PRIMARY KEY) PARTITION BY RANGE (id);
  CREATE TABLE orders_old PARTITION OF orders FOR VALUES FROM (1) TO (100) PARTITION BY RANGE (id);
  CREATE TABLE orders_oldest PARTITION OF orders_old FOR VALUES FROM (1) TO (50);
  CREATE TABLE orders_older PARTITION OF orders_old FOR VALUES FROM (50) TO (100);
  CREATE TABLE orders_new PARTITION OF orders FOR VALUES FROM (100) TO (200);
  CREATE TABLE archive (id int PRIMARY KEY); INSERT INTO archive VALUES (200);
  INSERT INTO orders VALUES (1), (60), (100)`

/** What is done to the table `orders`, by what the case is called: each has a schema of its own. */
const LOSING: Readonly<Record<string, readonly [before: string, change: string]>> = {
  emptied: [PLAIN, 'TRUNCATE orders'],
  'emptied and filled': [PLAIN, "BEGIN; TRUNCATE orders; INSERT INTO orders VALUES (1, 'one'), (2, 'two'); COMMIT"],
  rewritten: [PLAIN, 'ALTER TABLE orders ALTER note TYPE text USING note || now()'],
  'made anew': [PLAIN, 'DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, note text)'],
  'another, renamed': [PLAIN, 'ALTER TABLE orders RENAME TO gone; ALTER TABLE other RENAME TO orders'],
  'partly emptied': [PARTITIONED, 'TRUNCATE orders_older'],
  'less a partition': [PARTITIONED, 'ALTER TABLE orders DETACH PARTITION orders_new'],
  'less a partition made anew': [PARTITIONED, 'DROP TABLE orders_new; CREATE TABLE orders_new PARTITION OF orders DEFAULT'],
  'more by a table': [PARTITIONED, 'ALTER TABLE orders ATTACH PARTITION archive FOR VALUES FROM (200) TO (300)'],
}
const HARMLESS: typeof LOSING = {
  written: [PLAIN, 'DELETE FROM orders; INSERT INTO orders VALUES (9)'],
  wider: [PLAIN, 'ALTER TABLE orders ADD extra int DEFAULT 1; CREATE INDEX ON orders (note)'],
  'more by a partition': [
    PARTITIONED,
    'CREATE TABLE orders_next PARTITION OF orders FOR VALUES FROM (200) TO (300); INSERT INTO orders VALUES (250)',
  ],
}

describe('a table of postgres that is changed once a snapshot stands', () => {
  let server: TestPostgres
  let shop: TestDatabase
  let database: Database
  let orders: ReadonlyMap<string, Table>
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.12' })
    shop = await server.database()
    for (const [name, [before]] of Object.entries({ ...LOSING, ...HARMLESS }))
      await shop.sql(`CREATE SCHEMA "${name}"; SET search_path TO "${name}"; ${before}`)
    database = openPostgres(shop.options())
    const tables = (await database.schema()).tables.filter(({ name }) => name.name === 'orders')
    orders = new Map(tables.map((table) => [table.name.schema, table]))
  })
  afterAll(async () => {
    await database?.close()
    await server?.stop()
  })

  const tableOf = (name: string): Table => orders.get(name) ?? expect.fail(`no table in ${name}`)

  /** Does `work` with both readers of a snapshot and each table, after all of it was done since the snapshot began. */
  const afterwards = async <T>(cases: typeof LOSING, work: (reader: Reader, table: Table) => Promise<T>) =>
    await database.read(2, async (readers) => {
      const done: Record<string, T[]> = {}
      for (const [name, [, change]] of Object.entries(cases)) {
        await shop.sql(`SET search_path TO "${name}"; ${change}`)
        done[name] = await Promise.all(readers.map((reader) => work(reader, tableOf(name))))
      }
      return done
    })

  const forEach = <T>(cases: typeof LOSING, each: T): Readonly<Record<string, readonly T[]>> =>
    Object.fromEntries(Object.keys(cases).map((name) => [name, [each, each]]))

  // Its rows of that instant are gone: a reader that isn't told finds nothing, or other rows.
  it('isn’t read as it never was, by any way of reading', async () => {
    const ends = await afterwards(LOSING, async (reader, table) => {
      const ways = [
        () => readAll(reader, table),
        async () => {
          for await (const { rows } of reader.blocks?.(table, { after: ['0'], upTo: ['500'] }) ?? []) expect.fail(`${rows} rows`)
        },
        async () => reader.sum?.(table, { columns: ['id'], apart: [] }),
        async () => reader.stamps?.([table, table]),
      ]
      const ends: string[] = []
      for (const way of ways) {
        const { code, retrySafe } = await failureOf(way())
        ends.push(`${code} ${retrySafe}`)
      }
      return [...new Set(ends)].join()
    })
    expect(ends).toEqual(forEach(LOSING, 'table-rewritten true'))
  })

  it('is read as it stood where its rows still stand', async () => {
    const read = await afterwards(HARMLESS, async (reader, table) => (await readAll(reader, table)).map(([id]) => id).join())
    expect(read).toEqual({ written: ['1,2', '1,2'], wider: ['1,2', '1,2'], 'more by a partition': ['1,60,100', '1,60,100'] })
  })

  it('waits for nobody once it was read, though the snapshot goes on', async () => {
    await database.read(1, async ([reader]) => {
      await readAll(reader, tableOf('wider'))
      await shop.sql(`SET lock_timeout = '1ms'; TRUNCATE wider.orders`)
    })
  })
})
