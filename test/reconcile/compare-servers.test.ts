import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import type { Table } from '../../src/databases/schema.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import { startTestMysql } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { compared, type Found, withFolder } from './compare-kit.ts'

interface Server {
  /** An empty database of it, and how to write to it. */
  database(): Promise<{ readonly database: Database; sql(text: string): Promise<unknown> }>
  stop(): Promise<void>
}

interface Engine {
  readonly start: () => Promise<Server>
  /** Two collations of one column type that sort in different orders. */
  readonly collations: readonly [old: string, fresh: string]
  /** Makes a table `copy` like this one, so late that the server can tell when. */
  readonly copySql: (table: string) => string
}

const ROWS = 6000
/** Texts that no two collations sort alike, all different by any of them. */
const BEGINNINGS = ['a', 'B', 'c', 'ä', 'Z', '_', 'é', '9', 'z z', '-']
const keyOf = (at: number): string => `${BEGINNINGS[at % BEGINNINGS.length] ?? ''}${at}`

const texts = Array.from({ length: ROWS }, (_, at) => `('${keyOf(at)}', 'note ${at}')`).join(', ')
const numbers = Array.from({ length: ROWS }, (_, at) => `(${at - 20}, 'note ${at}', ${at % 9})`).join(', ')
const visits = Array.from({ length: ROWS }, (_, at) => `('/${at % 50}', ${at % 3 === 0 ? 'NULL' : "'ada'"})`).join(', ')

const tables = (collation: string): string => `
  CREATE TABLE texts (word varchar(60) COLLATE ${collation} PRIMARY KEY, note varchar(40));
  CREATE TABLE numbers (id integer PRIMARY KEY, note varchar(40), stock integer);
  CREATE TABLE visits (page varchar(60) NOT NULL, visitor varchar(40));
  INSERT INTO texts (word, note) VALUES ${texts};
  INSERT INTO numbers (id, note, stock) VALUES ${numbers};
  INSERT INTO visits (page, visitor) VALUES ${visits}`

const engines: Readonly<Record<string, Engine>> = {
  postgres: {
    start: async () => {
      const server = await startTestPostgres({ host: '127.0.13.41' })
      return {
        database: async () => {
          const made = await server.database()
          return { database: openPostgres(made.options({ connections: 2 })), sql: (text) => made.sql(text) }
        },
        stop: () => server.stop(),
      }
    },
    collations: ['"C"', '"und-x-icu"'],
    copySql: (table) => `CREATE TABLE copy (LIKE ${table} INCLUDING ALL)`,
  },
  mysql: {
    start: async () => {
      const server = await startTestMysql({ host: '127.0.13.42' })
      return {
        database: async () => {
          const made = await server.database()
          return { database: openMysql(made.options({ connections: 2 })), sql: (text) => made.sql(text) }
        },
        stop: () => server.stop(),
      }
    },
    collations: ['utf8mb4_bin', 'utf8mb4_unicode_ci'],
    copySql: (table) => `SELECT SLEEP(1); CREATE TABLE copy LIKE ${table}`,
  },
}

const keysOf = (result: Found): Readonly<Record<string, string>> =>
  Object.fromEntries(result.rows.map(({ key, difference }) => [key, difference]))

describe.each([
  ['mysql', mysqlTitle('two hosts of MySQL'), mysqlMissing !== null],
  ['postgres', 'two hosts of PostgreSQL', false],
] as const)('comparing on %s', (name, title, missing) => {
  describe.skipIf(missing)(title, () => comparing(name))
})

function comparing(name: string): void {
  let server: Server | undefined
  const engine = engines[name]
  beforeAll(async () => {
    server = await engine?.start()
  })
  afterAll(() => server?.stop())

  const pair = async (collations: readonly [string, string], work: (each: Pair) => Promise<void>): Promise<void> => {
    if (server === undefined) throw new Error(`${name} has not been started`)
    const [old, fresh] = [await server.database(), await server.database()]
    try {
      await old.sql(tables(collations[0]))
      await fresh.sql(tables(collations[1]))
      const [from, to] = [await old.database.schema(), await fresh.database.schema()]
      await withFolder(async (directory) => {
        await takeBaseline({ directory, database: fresh.database, peer: old.database, tables: to.tables, leafRows: 100 })
        const among = (all: readonly Table[], table: string): Table => {
          const found = all.find((each) => each.name.name === table)
          if (found === undefined) throw new Error(`there is no table ${table}`)
          return found
        }
        const meet: Pair['meet'] = (table, happens) =>
          compared({
            source: happens === undefined ? old.database : meddled(old.database, happens),
            target: fresh.database,
            sourceTable: among(from.tables, table),
            table: among(to.tables, table),
            directory,
          })
        await work({ old: old.sql, fresh: fresh.sql, meet })
      })
    } finally {
      await Promise.all([old.database.close(), fresh.database.close()])
    }
  }

  it('reads nothing of what nobody changed, and little of what somebody did', async () => {
    await pair([engine?.collations[0] ?? '', engine?.collations[0] ?? ''], async ({ meet, old, fresh }) => {
      for (const table of ['texts', 'numbers', 'visits']) {
        const result = await meet(table)
        expect(result, table).toMatchObject({ sourceRows: ROWS, targetRows: ROWS, same: ROWS, rows: [], copies: [] })
        expect([result.read.source.rows, result.read.target.rows], table).toEqual([0, 0])
      }
      await old("UPDATE numbers SET note = 'paid' WHERE id = 1000")
      await old('DELETE FROM numbers WHERE id = -20')
      await old("INSERT INTO numbers VALUES (-100, 'early', 1), (99999, 'late', 1)")
      await fresh("UPDATE numbers SET note = 'NOTE 2020' WHERE id = 2000")
      const result = await meet('numbers')
      expect(keysOf(result)).toEqual({
        '["1000"]': 'update',
        '["-20"]': 'delete',
        '["-100"]': 'insert',
        '["99999"]': 'insert',
        '["2000"]': 'kept',
      })
      expect(result.read.source.rows).toBeLessThan(400)
      expect(result.read.target.rows).toBeLessThan(400)
    })
  })

  it('finds the same where the two hosts sort and compare texts in different ways', async () => {
    await pair(engine?.collations ?? ['', ''], async ({ meet, old, fresh }) => {
      expect(await meet('texts')).toMatchObject({ sourceRows: ROWS, targetRows: ROWS, same: ROWS, rows: [] })
      await old(`UPDATE texts SET note = 'changed' WHERE word = '${keyOf(1003)}'`)
      await old(`DELETE FROM texts WHERE word IN ('${keyOf(4)}', '${keyOf(2005)}')`)
      await old("INSERT INTO texts VALUES ('ÄÄ', 'born'), ('zz last', 'born')")
      await fresh(`UPDATE texts SET note = 'note 3003 ' WHERE word = '${keyOf(3003)}'`)
      await fresh(`DELETE FROM texts WHERE word = '${keyOf(17)}'`)
      const result = await meet('texts')
      expect(keysOf(result)).toEqual({
        [JSON.stringify([keyOf(1003)])]: 'update',
        [JSON.stringify([keyOf(4)])]: 'delete',
        [JSON.stringify([keyOf(2005)])]: 'delete',
        '["ÄÄ"]': 'insert',
        '["zz last"]': 'insert',
        [JSON.stringify([keyOf(3003)])]: 'kept',
        [JSON.stringify([keyOf(17)])]: 'kept',
      })
      expect(result.same).toBe(ROWS - 5)
    })
  })

  // To a reader of an earlier moment, the rows that the copy got since aren't there.
  it('takes no row for gone of a table that is swapped for a copy while it is read, with a key and without', async () => {
    await pair([engine?.collations[0] ?? '', engine?.collations[0] ?? ''], async ({ meet, old }) => {
      for (const table of ['numbers', 'visits']) {
        const half = `INSERT INTO copy SELECT * FROM ${table} ORDER BY 1, 2 LIMIT 3000`
        await old(`${engine?.copySql(table)}; ${half}`)
        let readings = 0
        const result = await meet(table, async () => {
          readings += 1
          if (readings > 1) return
          await old(`${half} OFFSET 3000`)
          await old(`ALTER TABLE ${table} RENAME TO former; ALTER TABLE copy RENAME TO ${table}; DROP TABLE former`)
        })
        expect(readings, table).toBeGreaterThan(1)
        expect(result, table).toMatchObject({ sourceRows: ROWS, same: ROWS, rows: [], copies: [] })
      }
    })
  })

  it('gives up a table that is swapped each time that it is read, by its name', async () => {
    await pair([engine?.collations[0] ?? '', engine?.collations[0] ?? ''], async ({ meet, old }) => {
      const swap = () => old('TRUNCATE TABLE numbers')
      const refused = { code: 'table-rewritten', message: expect.stringContaining('numbers of the'), retrySafe: true }
      await expect(meet('numbers', swap)).rejects.toMatchObject(refused)
    })
  })

  it('counts copies where there is no key', async () => {
    await pair([engine?.collations[0] ?? '', engine?.collations[0] ?? ''], async ({ meet, old, fresh }) => {
      await old("INSERT INTO visits VALUES ('/1', 'ada'), ('/new', NULL)")
      await fresh("INSERT INTO visits VALUES ('/new', '')")
      const { copies, sourceRows, same } = await meet('visits')
      expect(copies.map(({ base, source, target }) => [source - base, target - base]).sort()).toEqual([
        [0, 1],
        [1, 0],
        [1, 0],
      ])
      expect(sourceRows).toBe(ROWS + 2)
      expect(same).toBeLessThan(ROWS)
    })
  })
}

/** The database, to which something happens each time that a reading of it has begun. */
const meddled = (database: Database, happens: () => Promise<unknown>): Database =>
  new Proxy(database, {
    get: (real, name) => {
      if (name === 'read') {
        const read: Database['read'] = (connections, work) =>
          real.read(connections, async (readers) => {
            await happens()
            return await work(readers)
          })
        return read
      }
      const value: unknown = Reflect.get(real, name, real)
      return typeof value === 'function' ? value.bind(real) : value
    },
  })

interface Pair {
  readonly old: (text: string) => Promise<unknown>
  readonly fresh: (text: string) => Promise<unknown>
  /** `happens`: what is done once a reading of the old host has begun. */
  readonly meet: (table: string, happens?: () => Promise<unknown>) => Promise<Found>
}
