import { describe, expect, it } from 'vitest'
import { updateSql } from '../../src/databases/mssql/apply.ts'
import { removeSql } from '../../src/databases/mssql/copies.ts'
import { searchSql } from '../../src/databases/mssql/find.ts'
import { insertValuesSql } from '../../src/databases/mssql/insert.ts'
import { oversizeSql } from '../../src/databases/mssql/oversize.ts'
import { pieceOf } from '../../src/databases/mssql/print-values.ts'
import { decoderOf, selectExpression } from '../../src/databases/mssql/values.ts'
import { arriving, arrivingAmong, byForms, formOf } from '../../src/databases/mssql/variants.ts'
import type { Row } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { column } from './mssql-tables.ts'

const odd = column('Odd', 'sql_variant')
const settings: Table = {
  name: { schema: 'dbo', name: 'Settings' },
  columns: [column('id', 'int', { nullable: false }), odd],
  primaryKey: null,
  uniqueKeys: [],
  key: ['id'],
  triggers: [],
}

/** What a cell of this form, sent as @p0, is turned into. */
const written = (cell: string): string => arriving(odd, '@p0', cell)

describe('a value of sql_variant', () => {
  // Every base type of "SQL_VARIANT_PROPERTY (Transact-SQL)", Arguments, BaseType.
  it.each([
    ['bit:1', 'CONVERT(bit, SUBSTRING(@p0, 5, 16000))'],
    ['tinyint:1', 'CONVERT(tinyint, SUBSTRING(@p0, 9, 16000))'],
    ['smallint:1', 'CONVERT(smallint, SUBSTRING(@p0, 10, 16000))'],
    ['int:1', 'CONVERT(int, SUBSTRING(@p0, 5, 16000))'],
    ['bigint:1', 'CONVERT(bigint, SUBSTRING(@p0, 8, 16000))'],
    ['decimal(5,2):1.50', 'CONVERT(decimal(5,2), SUBSTRING(@p0, 14, 16000))'],
    ['numeric(38,0):1', 'CONVERT(numeric(38,0), SUBSTRING(@p0, 15, 16000))'],
    ['money:1.0000', 'CONVERT(money, CONVERT(decimal(19,4), SUBSTRING(@p0, 7, 16000)))'],
    ['smallmoney:1.0000', 'CONVERT(smallmoney, CONVERT(decimal(19,4), SUBSTRING(@p0, 12, 16000)))'],
    ['date:2024-02-29', 'CONVERT(date, SUBSTRING(@p0, 6, 16000), 23)'],
    ['time(0):23:59:59.0000000', 'CONVERT(time(0), SUBSTRING(@p0, 9, 16000), 121)'],
    ['smalldatetime:2079-06-06 23:59:00', 'CONVERT(smalldatetime, SUBSTRING(@p0, 15, 16000), 120)'],
    ['datetime:2024-02-29 12:34:56.003', 'CONVERT(datetime, SUBSTRING(@p0, 10, 16000), 121)'],
    ['datetime2(3):2024-02-29 12:34:56.1230000', 'CONVERT(datetime2(3), SUBSTRING(@p0, 14, 16000), 121)'],
    ['datetimeoffset(7):2024-02-29 12:34:56.1234567 -03:30', 'CONVERT(datetimeoffset(7), SUBSTRING(@p0, 19, 16000), 121)'],
    ['uniqueidentifier:6F9619FF-…', 'CONVERT(uniqueidentifier, SUBSTRING(@p0, 18, 16000))'],
    ['char(5) Latin1_General_CI_AS:ab   ', 'CONVERT(char(5), SUBSTRING(@p0, 30, 16000) COLLATE Latin1_General_CI_AS)'],
    ['varchar(40) Thai_CI_AS:a:b', 'CONVERT(varchar(40), SUBSTRING(@p0, 24, 16000) COLLATE Thai_CI_AS)'],
    ['nchar(5) Thai_CI_AS:東京   ', 'CONVERT(nchar(5), SUBSTRING(@p0, 21, 16000) COLLATE Thai_CI_AS)'],
    ['nvarchar(4000) Thai_CI_AS:', 'CONVERT(nvarchar(4000), SUBSTRING(@p0, 27, 16000) COLLATE Thai_CI_AS)'],
    ['binary(4):01020000', 'CONVERT(binary(4), SUBSTRING(@p0, 11, 16000), 2)'],
    ['varbinary(8000):', 'CONVERT(varbinary(8000), SUBSTRING(@p0, 17, 16000), 2)'],
  ])('%s gets its very type back', (cell, sql) => expect(written(cell)).toBe(`CONVERT(sql_variant, ${sql})`))

  it('of float and real is made of its bits by steps that round nothing', () => {
    for (const [name, value] of [
      ['float', 0.1],
      ['float', -1.7976931348623157e308],
      ['float', 2.2250738585072014e-308],
      ['float', 5e-324],
      ['float', -0],
      ['real', Math.fround(0.1)],
      ['real', -3.4028234663852886e38],
      ['real', 1.1754943508222875e-38],
      ['real', 0],
    ] as const) {
      const sql = written(`${name}:${bitsOf(name, value)}`)
      expect(sql).toContain(name === 'real' ? 'CONVERT(sql_variant, CONVERT(real, ' : 'CONVERT(sql_variant, CASE')
      expect(arithmetic(sql, bitsOf(name, value))).toBe(value)
    }
  })

  it.each([
    'xml:<a/>',
    'varchar(8001) Thai_CI_AS:a',
    'varchar(5):a',
    'int(4):1',
    'int Thai_CI_AS:1',
    'decimal(39,2):1',
    'decimal:1',
    'varchar(5) x]; DROP TABLE t --:a',
    'int) ; DROP TABLE t --:1',
    'nothing',
    '',
  ])('is refused when its type is "%s"', (cell) => {
    expect(() => formOf(cell)).toThrow(expect.objectContaining({ code: 'variant-type-unknown' }))
    expect(() => decoderOf(odd)(cell)).toThrow(/skip|sql_variant/)
  })

  it('is read with its type, precision, scale, length and collation', () => {
    const sql = selectExpression(odd, 't.[Odd]')
    for (const name of ['BaseType', 'Precision', 'Scale', 'MaxLength', 'Collation'])
      expect(sql).toContain(`SQL_VARIANT_PROPERTY(t.[Odd], '${name}')`)
    expect(sql).toContain('CONVERT(nvarchar(max), CONVERT(varbinary(8000), t.[Odd]), 2)')
    expect(sql).toContain('CONVERT(bigint, CONVERT(binary(8), CONVERT(float, t.[Odd])))')
    expect(decoderOf(odd)(null)).toBeNull()
    expect(decoderOf(odd)('int:1')).toBe('int:1')
  })

  it('is hashed in pieces that HASHBYTES takes on every release', () => {
    const sql = pieceOf(odd, 't.[Odd]').sql
    expect(sql).not.toMatch(/HASHBYTES\('SHA2_256', CONVERT\(nvarchar\(max\)/)
    expect(sql.match(/HASHBYTES\('SHA2_256', CONVERT\((?:nvarchar\(4000\)|varbinary\(8000\)), /g)).toHaveLength(3)
  })

  it('is NULL only where it is NULL', () => {
    expect(arriving(odd, '@p0', null)).toBe('CONVERT(sql_variant, @p0)')
    expect(arrivingAmong(odd, 'v.c1', [])).toBe('CONVERT(sql_variant, CONVERT(int, v.c1))')
    const form = formOf('int:1')
    if (form === undefined) throw new Error('no form')
    expect(
      arrivingAmong(odd, 'v.c1', [form]),
    ).toBe(`CASE WHEN LEFT(v.c1, 4) COLLATE Latin1_General_BIN2 = N'int:' THEN CONVERT(sql_variant, CONVERT(int, SUBSTRING(v.c1, 5, 16000)))
 ELSE CONVERT(sql_variant, CONVERT(int, v.c1)) END`)
  })

  it('is never too large to be read', () => {
    const table = { ...settings, columns: [...settings.columns, column('big', 'varbinary(max)')] }
    expect(oversizeSql(table)).not.toContain('Odd')
  })
})

describe('statements about a sql_variant', () => {
  const int = 'CONVERT(sql_variant, CONVERT(int, SUBSTRING(@p1, 5, 16000)))'
  it('make one of each parameter', () => {
    expect(insertValuesSql(settings, [['1', 'int:7']])).toContain(
      `SELECT CONVERT(int, v.c0), v.c1 FROM (VALUES (@p0, ${int})) AS v`,
    )
    expect(updateSql(settings, ['1', 'bit:1'])?.sql).toContain(
      'SET [Odd] = CONVERT(sql_variant, CONVERT(bit, SUBSTRING(@p0, 5, 16000)))',
    )
    expect(searchSql(settings, { columns: [settings.columns[0] ?? odd, odd], values: [['1', 'int:7']] })).toContain(
      `(VALUES (@p0, ${int})) AS v(c0, c1) WHERE t.[id] = CONVERT(int, v.c0) AND t.[Odd] = v.c1)`,
    )
  })

  it('tell copies apart by type and value', () => {
    const { sql, parameters } = removeSql({ ...settings, key: [] }, ['1', 'int:7'], 1)
    expect(sql).toMatch(/SQL_VARIANT_PROPERTY\(\[Odd\], 'BaseType'\)[\s\S]* COLLATE Latin1_General_BIN2 = @p1 AND DATALENGTH\(/)
    expect(parameters).toEqual(['1', 'int:7'])
  })

  it('load rows in parts of at most 100 types and one collation, each row once', () => {
    const texts = Array.from({ length: 150 }, (_, at) => `varchar(${at + 1}) Thai_CI_AS:x`)
    const mixed = texts.flatMap((text, at) => [text, `varchar(9) ${at % 2 === 0 ? 'Thai' : 'Greek'}_CI_AS:y`, null, 'int:1'])
    const rows: readonly Row[] = mixed.map((cell, at) => [String(at), cell])
    for (const anyOrder of [true, false]) {
      const parts = [...byForms(settings.columns, rows, anyOrder)]
      expect(parts.flatMap((part) => part.rows).toSorted((a, b) => Number(a[0]) - Number(b[0]))).toEqual(rows)
      if (anyOrder) expect(parts.length).toBeLessThan(6)
      else expect(parts.flatMap((part) => part.rows)).toEqual(rows)
      for (const { rows: part, forms } of parts) {
        const known = forms.get(odd) ?? []
        expect(known.length).toBeLessThanOrEqual(100)
        expect(new Set(known.flatMap((form) => form.collation ?? [])).size).toBeLessThanOrEqual(1)
        const prefixes = known.map((form) => form.prefix)
        for (const [, cell = null] of part) if (cell !== null) expect(prefixes).toContain(formOf(cell)?.prefix)
      }
    }
    expect([...byForms(settings.columns.slice(0, 1), rows)]).toHaveLength(1)
  })
})

function bitsOf(name: 'float' | 'real', value: number): string {
  const bytes = Buffer.alloc(8)
  if (name === 'real') {
    bytes.writeFloatBE(value)
    return String(bytes.readInt32BE(0))
  }
  bytes.writeDoubleBE(value)
  return String(bytes.readBigInt64BE(0))
}

/** The arithmetic that the statement says, with the numbers that stand in it: IEEE 754's here and there. */
function arithmetic(sql: string, bits: string): number {
  const [exponents = '', one = '', bias = ''] =
    /& CONVERT\(\w+, (\d+)\)\) \/ CONVERT\(\w+, (\d+)\)\) - (\d+)\)/.exec(sql)?.slice(1) ?? []
  expect(sql).toContain(` & CONVERT(${sql.includes('CONVERT(real') ? 'int' : 'bigint'}, ${BigInt(one) - 1n}))`)
  expect(sql).toContain(`POWER(CONVERT(float, 2), ${1 - Number(bias)})`)
  const exponent = Number((BigInt(bits) & BigInt(exponents)) / BigInt(one))
  const fraction = Number(BigInt(bits) & (BigInt(one) - 1n)) / Number(one)
  const sign = BigInt(bits) < 0n ? -1 : 1
  return sign * (exponent === 0 ? fraction * 2 ** (1 - Number(bias)) : (1 + fraction) * 2 ** (exponent - Number(bias)))
}
