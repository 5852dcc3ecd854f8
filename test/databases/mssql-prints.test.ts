import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import type { Database, Row } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { named, rowsOf } from '../contract/database-kit.ts'
import { byKey, printingOf, printingPowers, printsOf } from '../contract/database-prints-kit.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql, type TestMssqlDatabase } from '../servers/mssql.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const TABLES = [
  `CREATE TABLE long_values (id int NOT NULL CONSTRAINT pk_long PRIMARY KEY, unicode nvarchar(max) NULL, plain varchar(max) NULL,
  bytes varbinary(max) NULL, old_text text NULL, old_ntext ntext NULL, old_image image NULL, middling nvarchar(2000) NULL)`,
  'CREATE TABLE people (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_people PRIMARY KEY, email varchar(40) NOT NULL, born date NULL, photo varbinary(max) NULL)',
  'CREATE SEQUENCE tickets AS int START WITH 7',
  'CREATE TABLE tickets_sold (id int NOT NULL CONSTRAINT df_tickets DEFAULT NEXT VALUE FOR tickets CONSTRAINT pk_tickets PRIMARY KEY, seat nvarchar(10) NULL)',
  "CREATE TRIGGER people_noticed ON people AFTER INSERT AS BEGIN SET NOCOUNT ON; INSERT INTO tickets_sold (seat) SELECT N'trigger' FROM inserted END",
  'CREATE TABLE notes (what nvarchar(20) NULL, moment datetimeoffset(6) NULL, size float NULL, note text NULL)',
]

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('SQL Server’s fingerprints'), () => {
  let server: TestMssql
  let made: TestMssqlDatabase
  let database: Database
  let tables: ReadonlyMap<string, Table>

  beforeAll(async () => {
    server = await connectTestMssql()
    made = await server.database()
    for (const sql of TABLES) await made.use((session) => session.batch(sql))
    database = openMssql(made.options())
    tables = new Map((await database.schema()).tables.map((table) => [table.name.name.toLowerCase(), table]))
  })
  afterAll(async () => {
    await database?.close()
    await server?.close()
  })

  const tableNamed = (name: string): Table => {
    const table = tables.get(name)
    if (table === undefined) throw new Error(`no table ${name}`)
    return table
  }

  /** Fingerprints of these values in one column of `long_values`, each in a row of its own. */
  const printsIn = async (name: string, values: readonly (string | null)[]): Promise<readonly (string | undefined)[]> => {
    const table = tableNamed('long_values')
    await made.use((session) => session.batch('DELETE FROM long_values'))
    await database.transaction([table], async (transaction) => {
      for (const [at, value] of values.entries())
        await transaction.insert(table, [rowWith(table, { id: String(at), [name]: value })])
    })
    const prints = byKey(await printsOf(database, table, printingOf(table, { without: ['id'] })))
    return values.map((_value, at) => prints.get(JSON.stringify([String(at)])))
  }

  // Lengths around the borders of what is hashed whole and of the pieces; the last differs from the next to last by swapped pieces.
  const texts = (letter: string): readonly (string | null)[] => {
    const of = (length: number): string => letter.repeat(length)
    const lengths = [0, 1, 999, 1333, 1334, 1999, 2000, 2001, 3999, 4000, 4001, 5999, 6000, 6001, 12_000]
    return [
      null,
      ...lengths.map(of),
      `${of(6000)}b`,
      `b${of(6000)}`,
      `${of(5999)}b${of(1)}`,
      `${of(2000)}${'c'.repeat(2000)}${of(4000)}`,
      `${of(4000)}${'c'.repeat(2000)}${of(2000)}`,
    ]
  }

  it.each([
    ['unicode', 'é'],
    ['unicode', '東'],
    ['unicode', '😀'],
    ['plain', 'a'],
    ['old_text', 'a'],
    ['old_ntext', '東'],
  ])('of long text in %s (%s) differ wherever the text does, and only there', async (name, letter) => {
    const values = texts(letter)
    const prints = await printsIn(name, [...values, ...values])
    expect(new Set(prints).size).toBe(values.length)
    expect(prints.slice(0, values.length)).toEqual(prints.slice(values.length))
  })

  it('of a text of middling length do too', async () => {
    const values = texts('a').filter((each) => each === null || each.length <= 2000)
    expect(new Set(await printsIn('middling', values)).size).toBe(values.length)
  })

  it.each(['bytes', 'old_image'])('of long bytes in %s differ wherever the bytes do', async (name) => {
    const of = (length: number): string => '00'.repeat(length)
    const lengths = [0, 1, 7999, 8000, 8001, 15_999, 16_000, 16_001, 40_000]
    const values = [
      null,
      ...lengths.map(of),
      `${of(16_000)}01${of(100)}`,
      `01${of(16_100)}`,
      `${of(8000)}${'11'.repeat(8000)}${of(8000)}`,
      `${of(16_000)}${'11'.repeat(8000)}`,
    ]
    const prints = await printsIn(name, [...values, ...values])
    expect(new Set(prints).size).toBe(values.length)
    expect(prints.slice(0, values.length)).toEqual(prints.slice(values.length))
  })

  it('are what their text’s hash is, so that any server of the method makes the same', async () => {
    const table = tableNamed('people')
    const email = 'ada@example.com'
    await made.use((session) => session.query('INSERT INTO people (email, born) VALUES (@p0, @p1)', [email, '1815-12-10']))
    const [print] = await printsOf(database, table, { columns: ['email', 'born'], apart: [] })
    // A server that keeps text as UTF-8 hashes it so, and counts its bytes so.
    const expected = (['utf8', 'utf16le'] as const).map((encoding) =>
      createHash('sha256')
        .update(Buffer.from(`${Buffer.byteLength(email, encoding)}:${email}1815-12-10,`, encoding))
        .digest('hex')
        .slice(0, 16),
    )
    expect(expected).toContain(print?.print)
    await made.use((session) => session.batch('DELETE FROM people; DELETE FROM tickets_sold'))
  })

  it('have one method for tables of one make, and another for others', async () => {
    const { fingerprintMethod } = printingPowers(database)
    const methods = await Promise.all([...tables.values()].map((table) => fingerprintMethod(table)))
    expect(new Set(methods).size).toBe(tables.size)
    for (const method of methods) expect(method).toMatch(/^mssql-sha256-1-[0-9a-f]{16}$/)
  })

  it('numbers are told where a trigger and a sequence stand in the way', async () => {
    const people = tableNamed('people')
    const sold = tableNamed('tickets_sold')
    const row = rowWith(people, { id: '4711', email: 'eve@example.com', photo: 'ff00' })
    const number = await database.transaction([sold], (transaction) => transaction.insertNumbered(people, row, 'id'))
    const noticed = await rowsOf(database, sold)
    expect(noticed.map((each) => named(sold, each).seat)).toEqual(['trigger'])
    expect(await database.rowsByKey(people, [[number]])).toEqual([row.with(0, number)])
    const ticket = rowWith(sold, { id: '1', seat: 'A 1' })
    const second = await database.transaction([sold], (transaction) => transaction.insertNumbered(sold, ticket, 'id'))
    expect(await database.rowsByKey(sold, [[second]])).toEqual([ticket.with(0, second)])
    expect(second).not.toBe('1')
  })

  it('rows are found by columns that no index leads to, each once, many values at a time', async () => {
    const people = tableNamed('people')
    await made.use((session) => session.batch('DELETE FROM people'))
    const rows = Array.from({ length: 900 }, (_, at) =>
      rowWith(people, {
        id: String(9000 + at),
        email: `Person${at % 850}@example.com`,
        born: at % 7 === 0 ? null : '2000-01-01',
      }),
    )
    await database.transaction([people], async (transaction) => {
      await transaction.insert(people, rows)
      const values = Array.from({ length: 1000 }, (_, at) => [`Person${at}@example.com`])
      const found = await transaction.find(people, ['email'], values)
      expect(found.map((row) => JSON.stringify(row)).sort()).toEqual(rows.map((row) => JSON.stringify(row)).sort())
      const born = values.map(([email = '']) => [email, '2000-01-01'])
      expect(await transaction.find(people, ['email', 'born'], born)).toHaveLength(rows.filter((row) => row[2] !== null).length)
      // Longer than the column, and its beginning the same as a value that is there.
      expect(await transaction.find(people, ['email'], [[`Person1@example.com${' '.repeat(30)}x`]])).toEqual([])
    })
  })

  it('copies in a table without a key are found by many values, as often as they are there', async () => {
    const notes = tableNamed('notes')
    const row = (what: string): Row => rowWith(notes, { what })
    await database.transaction([notes], async (transaction) => {
      await transaction.insert(notes, [row('double'), row('double'), row('single')])
      const values = [['double'], ...Array.from({ length: 998 }, (_, at) => [`other ${at}`]), ['double']]
      expect(await transaction.find(notes, ['what'], values)).toEqual([row('double'), row('double')])
    })
  })

  it('copies are told apart by what the server takes for equal', async () => {
    const notes = tableNamed('notes')
    await made.use((session) => session.batch('DELETE FROM notes'))
    const like = [
      { what: 'a', moment: '2024-01-01 12:00:00.000000 +00:00', size: '0', note: 'x' },
      { what: 'a ', moment: '2024-01-01 12:00:00.000000 +00:00', size: '0', note: 'x' },
      { what: 'a', moment: '2024-01-01 13:00:00.000000 +01:00', size: '0', note: 'x' },
      { what: 'a', moment: '2024-01-01 12:00:00.000000 +00:00', size: '0.1', note: 'x' },
      { what: 'a', moment: '2024-01-01 12:00:00.000000 +00:00', size: '0', note: 'x ' },
    ].map((values) => rowWith(notes, values))
    await database.transaction([notes], (transaction) => transaction.insert(notes, [...like, ...like]))
    const there = await rowsOf(database, notes)
    const different = [...new Set(there.map((row) => JSON.stringify(row)))].map((text): Row => JSON.parse(text))
    expect(different).toHaveLength(like.length)
    await database.transaction([notes], async (transaction) => {
      for (const [at, row] of different.entries())
        expect(await transaction.removeCopies(notes, row, at === 0 ? 1 : 5)).toBe(at === 0 ? 1 : 2)
    })
    expect(await rowsOf(database, notes)).toEqual([different[0]])
  })
})

const rowWith = (table: Table, values: Readonly<Record<string, string | null>>): Row =>
  table.columns.map((column) => values[column.name] ?? null)
