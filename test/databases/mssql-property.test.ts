import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { quoteName } from '../../src/databases/mssql/names.ts'
import type { Parameter } from '../../src/databases/mssql/parameters.ts'
import type { Session } from '../../src/databases/mssql/session.ts'
import type { Database, Row } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { copyTable, createAll, rowsOf, tableOf } from '../contract/database-kit.ts'
import { printingOf, printsOf, sumOf } from '../contract/database-prints-kit.ts'
import {
  connectTestMssql,
  MSSQL_URL,
  type MssqlGaps,
  mssqlTitle,
  type TestMssql,
  type TestMssqlDatabase,
} from '../servers/mssql.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

const integer = (bits: bigint) => fc.bigInt({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }).map(String)
const digits = (whole: number, fraction: number) =>
  fc.stringMatching(new RegExp(`^-?(0|[1-9][0-9]{0,${whole - 1}})(\\.[0-9]{1,${fraction}})?$`))
// A server's characters: all but half ones, and the number 0, which not every server that speaks the protocol keeps.
const text = (most: number) => fc.string({ unit: 'binary', maxLength: most }).map((value) => value.replaceAll('\0', ''))
const latin = (most: number) => fc.string({ unit: fc.constantFrom(...' abcXYZ019_%\'"äöüßéçñÅ€‰œ\t\n'), maxLength: most })
const hex = (most: number) => fc.uint8Array({ maxLength: most }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const seconds = fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }).map(String)

interface Sample {
  readonly type: string
  /** The value made of the text `$`. */
  readonly expression: string
  readonly value: fc.Arbitrary<string>
  readonly bytes?: true
}

/** Types, and how to make a value of each from text. */
const samples = (gaps: MssqlGaps): readonly Sample[] => {
  const scale = gaps.hundredNanoseconds ? 6 : 7
  const fraction = fc.integer({ min: 0, max: 10 ** scale - 1 }).map((part) => String(part).padStart(scale, '0'))
  const clock = fc
    .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 59 }), fraction)
    .map(([hour, minute, second, part]) => `${two(hour)}:${two(minute)}:${two(second)}.${part}`)
  const moment = fc
    .tuple(fc.integer({ min: 1, max: 9998 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }), clock)
    .map(([year, month, day, time]) => `${String(year).padStart(4, '0')}-${two(month)}-${two(day)} ${time}`)
  const zone = fc.tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 59 }))
  return [
    { type: 'bit', expression: 'CONVERT(bit, $)', value: fc.constantFrom('0', '1') },
    { type: 'tinyint', expression: 'CONVERT(tinyint, $)', value: fc.integer({ min: 0, max: 255 }).map(String) },
    { type: 'smallint', expression: 'CONVERT(smallint, $)', value: integer(16n) },
    { type: 'int', expression: 'CONVERT(int, $)', value: integer(32n) },
    { type: 'bigint', expression: 'CONVERT(bigint, $)', value: integer(64n) },
    { type: 'decimal(38,10)', expression: 'CONVERT(decimal(38,10), $)', value: digits(28, 10) },
    { type: 'numeric(5,2)', expression: 'CONVERT(numeric(5,2), $)', value: digits(3, 2) },
    { type: 'money', expression: 'CONVERT(money, CONVERT(decimal(19,4), $))', value: digits(14, 4) },
    { type: 'smallmoney', expression: 'CONVERT(smallmoney, CONVERT(decimal(10,4), $))', value: digits(5, 4) },
    {
      type: 'float',
      expression: 'CONVERT(float, $)',
      value: fc.double({ noNaN: true, noDefaultInfinity: true }).filter(isNormal).map(String),
    },
    {
      type: 'real',
      expression: 'CONVERT(real, $)',
      value: fc.float({ noNaN: true, noDefaultInfinity: true }).filter(isNormal).map(String),
    },
    { type: 'date', expression: 'CONVERT(date, $, 23)', value: moment.map((value) => value.slice(0, 10)) },
    { type: `time(${scale})`, expression: `CONVERT(time(${scale}), $)`, value: clock },
    {
      type: 'datetime',
      expression: "DATEADD(second, CONVERT(int, $), CONVERT(datetime, '2000-01-01 00:00:00.003', 121))",
      value: seconds,
    },
    {
      type: 'smalldatetime',
      expression: "DATEADD(minute, CONVERT(int, $), CONVERT(smalldatetime, '2000-01-01'))",
      value: fc.integer({ min: -40_000_000, max: 40_000_000 }).map(String),
    },
    { type: `datetime2(${scale})`, expression: `CONVERT(datetime2(${scale}), $, 121)`, value: moment },
    { type: 'datetime2(3)', expression: 'CONVERT(datetime2(3), $, 121)', value: moment.map((value) => value.slice(0, 23)) },
    {
      type: `datetimeoffset(${scale})`,
      expression: `CONVERT(datetimeoffset(${scale}), $, 121)`,
      value: fc.tuple(moment, zone).map(([value, [sign, hour, minute]]) => `${value} ${sign}${two(hour)}:${two(minute)}`),
    },
    { type: 'char(7)', expression: '$', value: latin(7) },
    { type: 'varchar(40)', expression: '$', value: latin(40) },
    { type: 'varchar(max)', expression: '$', value: latin(40) },
    { type: 'nchar(7)', expression: '$', value: fc.string({ maxLength: 7 }) },
    { type: 'nvarchar(80)', expression: '$', value: text(40) },
    { type: 'nvarchar(max)', expression: '$', value: text(60) },
    { type: 'binary(5)', expression: '$', value: hex(5), bytes: true },
    { type: 'varbinary(40)', expression: '$', value: hex(40), bytes: true },
    { type: 'varbinary(max)', expression: '$', value: hex(60), bytes: true },
    { type: 'text', expression: '$', value: latin(40) },
    { type: 'ntext', expression: '$', value: text(40) },
    { type: 'image', expression: '$', value: hex(40), bytes: true },
    {
      type: 'sql_variant',
      // A text in which the type stands first; each type's values as above.
      expression: `CASE LEFT($, 1) WHEN N'a' THEN CONVERT(sql_variant, CONVERT(bigint, SUBSTRING($, 2, 100)))
  WHEN N'b' THEN CONVERT(sql_variant, CONVERT(numeric(38,10), SUBSTRING($, 2, 100))) WHEN N'c' THEN CONVERT(sql_variant, CONVERT(float, SUBSTRING($, 2, 100)))
  WHEN N'd' THEN CONVERT(sql_variant, CONVERT(real, SUBSTRING($, 2, 100))) WHEN N'e' THEN CONVERT(sql_variant, CONVERT(datetime2(${scale}), SUBSTRING($, 2, 100), 121))
  WHEN N'f' THEN CONVERT(sql_variant, CONVERT(nvarchar(80), SUBSTRING($, 2, 100))) WHEN N'g' THEN CONVERT(sql_variant, CONVERT(varchar(40), SUBSTRING($, 2, 100))) END`,
      value: fc.oneof(
        integer(64n).map((each) => `a${each}`),
        // A server that tells no precision makes one up, for 0 a different one each time.
        digits(28, 10)
          .filter((each) => !gaps.variantLengths || Number(each) !== 0)
          .map((each) => `b${each}`),
        fc
          .double({ noNaN: true, noDefaultInfinity: true })
          .filter(isNormal)
          .map((each) => `c${each}`),
        fc
          .float({ noNaN: true, noDefaultInfinity: true })
          .filter(isNormal)
          .map((each) => `d${each}`),
        moment.map((each) => `e${each}`),
        text(40).map((each) => `f${each}`),
        latin(40).map((each) => `g${each}`),
      ),
    },
    { type: 'uniqueidentifier', expression: 'CONVERT(uniqueidentifier, $)', value: fc.uuid() },
    {
      type: 'xml',
      expression: 'CONVERT(xml, $, 1)',
      value: latin(30).map((value) => `<a b="${value.replaceAll(/["\t\n]/g, '_')}"> ${value} </a>`),
    },
  ]
}

const two = (value: number): string => String(value).padStart(2, '0')
/** SQL Server has no numbers below the smallest normal ones; a zero with a sign isn't made of text everywhere. */
const isNormal = (value: number): boolean => !Object.is(value, -0) && (value === 0 || Math.abs(value) > 1.2e-38)

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('rows of every type, moved from one SQL Server database to another'), () => {
  let server: TestMssql
  let from: TestMssqlDatabase
  let to: TestMssqlDatabase
  let source: Database
  let target: Database
  let table: Table
  let columns: readonly Sample[]

  beforeAll(async () => {
    server = await connectTestMssql()
    columns = samples(server.gaps)
    from = await server.database()
    to = await server.database()
    await from.use((session) =>
      session.batch(
        `CREATE TABLE samples (id int NOT NULL CONSTRAINT pk_samples PRIMARY KEY, ${columns.map(({ type }, at) => `c${at} ${type} NULL`).join(', ')})`,
      ),
    )
    source = openMssql(from.options())
    target = openMssql(to.options())
    const schema = await source.schema()
    await createAll(target, schema)
    table = tableOf(schema, 'samples')
  })
  afterAll(async () => {
    await source?.close()
    await target?.close()
    await server?.close()
  })

  it('are the same by the server’s own comparison', async () => {
    const row = fc.tuple(...columns.map(({ value }) => fc.option(value, { nil: null, freq: 8 })))
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 20 }), async (rows) => {
        run += 1
        await from.use((session) => session.batch('DELETE FROM samples'))
        await to.use((session) => session.batch('DELETE FROM samples'))
        await from.use((session) => insertAll(session, columns, rows))
        expect(await copyTable(source, target, table, `run ${run}`)).toBe(rows.length)
        expect(await differing()).toBe(0)
        const read = await rowsOf(source, table)
        expect(await rowsOf(target, table)).toEqual(read)
        await expectPrints(read)
        await to.use((session) => session.batch(`UPDATE samples SET ${columns.map((_column, at) => `c${at} = NULL`).join(', ')}`))
        await target.transaction([table], async (transaction) => {
          for (const each of read) await transaction.update(table, each)
        })
        expect(await differing()).toBe(0)
      }),
      { numRuns: 15, seed: 20_261_126, endOnFailure: true },
    )
  })

  /** Fingerprints are the same on both sides, and two rows have the same one exactly when all their cells are. */
  const expectPrints = async (rows: readonly Row[]): Promise<void> => {
    const what = printingOf(table, { without: ['id'] })
    const prints = await printsOf(source, table, what)
    expect(await printsOf(target, table, what)).toEqual(prints)
    expect(await sumOf(target, table)).toEqual(await sumOf(source, table))
    const cells = rows.map((row) => JSON.stringify(row.slice(1)))
    expect(prints.map(({ print }) => prints.findIndex((each) => each.print === print))).toEqual(
      cells.map((text) => cells.indexOf(text)),
    )
  }

  /** Rows that only one side has, text compared code by code and by its length, since trailing blanks don't count otherwise. */
  const differing = (): Promise<number> =>
    to.use(async (session) => {
      const cells = columns.map(({ type }, at) => comparable(`c${at}`, type)).join(', ')
      const rows = (name: string): string => `SELECT id, ${cells} FROM ${quoteName(name)}.dbo.samples`
      const only = (one: string, other: string): string => `SELECT * FROM (${rows(one)} EXCEPT ${rows(other)}) x`
      const result = await session.query(only(from.name, to.name))
      const back = await session.query(only(to.name, from.name))
      return result.rows.length + back.rows.length
    })
})

/** What can't be compared, as what it was replaced by. */
const REPLACED: Readonly<Record<string, string>> = { text: 'varchar(max)', ntext: 'nvarchar(max)', image: 'varbinary(max)' }

function comparable(name: string, type: string): string {
  const at = name.slice(1)
  const replaced = REPLACED[type]
  if (replaced !== undefined) {
    const value = `CONVERT(${replaced}, ${name})`
    return `${value}${type === 'image' ? '' : ' COLLATE Latin1_General_BIN2'} AS x${at}, DATALENGTH(${name}) AS l${at}`
  }
  if (type === 'xml') return `CONVERT(nvarchar(max), ${name}) COLLATE Latin1_General_BIN2 AS x${at}`
  if (/char/.test(type)) return `${name} COLLATE Latin1_General_BIN2 AS x${at}, DATALENGTH(${name}) AS l${at}`
  if (type === 'sql_variant')
    return `${name}, DATALENGTH(${name}) AS l${at}, CONVERT(nvarchar(20), SQL_VARIANT_PROPERTY(${name}, 'BaseType')) AS b${at}`
  if (/binary/.test(type)) return `${name}, DATALENGTH(${name}) AS l${at}`
  return name
}

async function insertAll(
  session: Session,
  columns: readonly Sample[],
  rows: readonly (readonly (string | null)[])[],
): Promise<void> {
  const parameters: Parameter[] = []
  const lines = rows.map((row, id) => {
    const values = columns.map(({ expression, bytes }, at) => {
      const cell = row[at] ?? null
      if (cell === null) return 'NULL'
      const place = `@p${parameters.push(bytes ? Buffer.from(cell, 'latin1') : cell) - 1}`
      return expression.replaceAll('$', place)
    })
    return `(${[id, ...values].join(', ')})`
  })
  // Each row by itself: of rows in one VALUES each column's values become one type.
  await session.query(lines.map((line) => `INSERT INTO samples VALUES ${line}`).join(';\n'), parameters)
}
