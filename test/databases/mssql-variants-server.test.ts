import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { copyTable, createAll, rowsOf } from '../contract/database-kit.ts'
import { printingOf, printsOf } from '../contract/database-prints-kit.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql } from '../servers/mssql.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('sql_variant on a server'), () => {
  let server: TestMssql
  let source: Database
  let target: Database
  let table: Table
  let compare: () => Promise<readonly (readonly unknown[])[]>

  beforeAll(async () => {
    server = await connectTestMssql()
    const from = await server.database()
    const to = await server.database()
    const values = [...ANY, ...(server.gaps.variantLengths ? [] : DECLARED)]
    await from.use((session) => session.batch('CREATE TABLE settings (id int NOT NULL PRIMARY KEY, odd sql_variant NULL)'))
    for (const [id, value] of values.entries())
      await from.use((session) => session.batch(`INSERT INTO settings VALUES (${id}, ${value})`))
    source = openMssql(from.options())
    target = openMssql(to.options())
    const schema = await source.schema()
    await createAll(target, schema)
    const [made] = schema.tables
    if (made === undefined) throw new Error('no table')
    table = made
    compare = () =>
      to.use(async (session) => {
        const of = (name: string): string => `[${name}].dbo.settings`
        const told = ['BaseType', 'Precision', 'Scale', 'MaxLength', 'Collation', 'TotalBytes'].map(
          (name) =>
            `ISNULL(CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(x.odd, '${name}')), N'-') = ISNULL(CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(y.odd, '${name}')), N'-')`,
        )
        const { rows } = await session.query(`SELECT x.id FROM ${of(from.name)} x LEFT JOIN ${of(to.name)} y ON y.id = x.id
  AND ${told.join(' AND ')} AND (x.odd = y.odd OR (x.odd IS NULL AND y.odd IS NULL)) AND ISNULL(DATALENGTH(x.odd), -1) = ISNULL(DATALENGTH(y.odd), -1)
WHERE y.id IS NULL`)
        return rows
      })
  })
  afterAll(async () => {
    await source?.close()
    await target?.close()
    await server?.close()
  })

  it('arrives by a load, an insert and an update with its type and value, by the server’s own comparison', async () => {
    const rows = await rowsOf(source, table)
    expect(new Set(rows.map((row) => row[1])).size).toBe(rows.length)
    await copyTable(source, target, table, 'load')
    expect(await compare()).toEqual([])
    const odds = new Map(rows.map((row) => [row[0], row[1] ?? null]))
    await target.transaction([table], async (transaction) => {
      // Each row gets the value of another, and then its own.
      for (const [at, row] of rows.entries()) await transaction.update(table, [row[0] ?? null, rows.at(at - 1)?.[1] ?? null])
    })
    expect((await compare()).length).toBeGreaterThan(rows.length / 2)
    await target.transaction([table], async (transaction) => {
      for (const row of rows) await transaction.update(table, row)
    })
    expect(await compare()).toEqual([])
    await target.transaction([table], async (transaction) => {
      await transaction.delete(
        table,
        rows.map((row) => [row[0] ?? null]),
      )
      await transaction.insert(table, rows)
    })
    expect(await compare()).toEqual([])
    expect((await rowsOf(target, table)).every((row) => odds.get(row[0] ?? null) === row[1])).toBe(true)
  })

  it('has fingerprints that tell 1 of int from 1 of bigint, and a text from the same in another collation', async () => {
    const what = printingOf(table, { without: ['id'] })
    const prints = await printsOf(source, table, what)
    expect(new Set(prints.map(({ print }) => print)).size).toBe(prints.length)
    expect(await printsOf(target, table, what)).toEqual(prints)
  })

  it('is found by the server’s own equality', async () => {
    const rows = await rowsOf(target, table)
    const one = rows.filter((row) => /^(?:bit|int|bigint|tinyint):1$/.test(row[1] ?? ''))
    await target.transaction([table], async (transaction) => {
      const found = await transaction.find(table, ['odd'], [['int:1']])
      expect(found).toEqual(expect.arrayContaining([...one]))
    })
  })
})

const ANY = [
  'NULL',
  'CONVERT(bit, 1)',
  'CONVERT(tinyint, 1)',
  'CONVERT(int, 1)',
  'CONVERT(bigint, 1)',
  "CONVERT(numeric(5,2), N'1.50')",
  'CONVERT(money, 1)',
  'CONVERT(float, 1)',
  'CONVERT(real, 1)',
  "CONVERT(float, N'-2.2250738585072014e-308')",
  "CONVERT(varchar(9), 'a')",
  "CONVERT(varchar(9), 'a ')",
  "CONVERT(varchar(9), '')",
  "CONVERT(nvarchar(9), N'a')",
  "CONVERT(nvarchar(9), N'a' COLLATE Cyrillic_General_CI_AS)",
  "CONVERT(nvarchar(9), N'a' COLLATE Cyrillic_General_CS_AS)",
  "CONVERT(nvarchar(4000), REPLICATE(N'東', 4000))",
  "CONVERT(varchar(8000), REPLICATE('x', 8000))",
  "CONVERT(datetime2(6), N'2024-02-29 12:34:56.123456')",
  "CONVERT(datetime, N'2024-02-29 12:34:56.123', 121)",
]
/** What a server that tells no lengths can't keep apart. */
const DECLARED = [
  "CONVERT(varchar(10), 'a')",
  "CONVERT(char(9), 'a')",
  'CONVERT(binary(9), 0x01)',
  'CONVERT(varbinary(9), 0x01)',
  'CONVERT(decimal(6,2), 1.5)',
  "CONVERT(datetime2(7), N'2024-02-29 12:34:56.123456')",
]
