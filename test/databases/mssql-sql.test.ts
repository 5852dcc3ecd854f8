import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { orphanSql, updateSql } from '../../src/databases/mssql/apply.ts'
import { dateTimeParts, daysSinceYearOne } from '../../src/databases/mssql/dates.ts'
import { insertValuesSql } from '../../src/databases/mssql/insert.ts'
import { identityOf } from '../../src/databases/mssql/introspect-columns.ts'
import { cacheOf } from '../../src/databases/mssql/jumps.ts'
import { afterCondition, keyColumns, keyCondition, rowsPerStatement, upToCondition } from '../../src/databases/mssql/keys.ts'
import { stageSql } from '../../src/databases/mssql/load.ts'
import { ledgerSql } from '../../src/databases/mssql/marks.ts'
import { quoteName, quoteTable, quoteText } from '../../src/databases/mssql/names.ts'
import { boundarySql, pageSql, rowShape } from '../../src/databases/mssql/paging.ts'
import { travelsRaw } from '../../src/databases/mssql/raw-tables.ts'
import {
  cellOf,
  decoderOf,
  floatText,
  isCarried,
  selectExpression,
  wireOf,
  wireValue,
  writeExpression,
} from '../../src/databases/mssql/values.ts'
import { column, lines, orders } from './mssql-tables.ts'

describe('names in SQL', () => {
  it('are quoted with brackets, the closing one doubled', () => {
    expect(quoteName('a]b [c] "d"')).toBe('[a]]b [c]] "d"]')
    expect(quoteTable(lines.name)).toBe("[sales ops].[Order]]Lines']")
    expect(quoteText("it's [a]")).toBe("N'it''s [a]'")
  })
})

describe('values', () => {
  const selected = (codec: string): string => selectExpression(column('c', codec), '[c]')
  it.each([
    ['bigint', '[c]'],
    ['bit', '[c]'],
    ['decimal(38,10)', 'CONVERT(nvarchar(41), [c])'],
    ['decimal(16,2)', 'CONVERT(nvarchar(41), [c])'],
    ['numeric(15,2)', '[c]'],
    ['money', 'CONVERT(nvarchar(24), CONVERT(decimal(19,4), [c]))'],
    ['smallmoney', 'CONVERT(nvarchar(24), CONVERT(decimal(10,4), [c]))'],
    ['float', '[c]'],
    ['date', '[c]'],
    ['time(7)', '[c]'],
    ['smalldatetime', '[c]'],
    ['datetime', '[c]'],
    ['datetime2(7)', '[c]'],
    ['datetimeoffset(7)', 'CONVERT(nvarchar(34), [c], 121)'],
    ['varchar(50)', 'CONVERT(nvarchar(50), [c])'],
    ['varchar(8000)', 'CONVERT(nvarchar(max), [c])'],
    ['nvarchar(max)', '[c]'],
    ['text', 'CONVERT(nvarchar(max), [c])'],
    ['image', 'CONVERT(varbinary(max), [c])'],
    ['uniqueidentifier', 'CONVERT(nvarchar(36), [c])'],
    ['xml', 'CONVERT(nvarchar(max), [c])'],
    ['ntext', 'CONVERT(nvarchar(max), [c])'],
    ['hierarchyid', 'CONVERT(varbinary(max), [c])'],
    ['geometry', 'CONVERT(varbinary(max), [c])'],
    ['geography', 'CONVERT(varbinary(max), [c])'],
  ])('of %s are read as %s', (codec, sql) => expect(selected(codec)).toBe(sql))

  it('of text are left to the assignment, which refuses what is too long where CONVERT would cut it', () => {
    expect(writeExpression(column('c', 'varchar(5)'), '@p0')).toBe('@p0')
    expect(writeExpression(column('c', 'nvarchar(5)'), '@p0')).toBe('@p0')
  })

  it('are converted on their way back with the style they were read with', () => {
    expect(writeExpression(column('c', 'datetime2(7)'), 'v')).toBe('CONVERT(datetime2(7), v, 121)')
    expect(writeExpression(column('c', 'money'), 'v')).toBe('CONVERT(money, CONVERT(decimal(19,4), v))')
    expect(writeExpression(column('c', 'xml'), 'v')).toBe('CONVERT(xml, v, 1)')
  })

  // "CAST and CONVERT (Transact-SQL)", UDT: of their own bytes, which hold a shape's reference system too.
  it.each(['hierarchyid', 'geometry', 'geography'])('of %s travel as their bytes, and are compared as what they are', (codec) => {
    const each = column('c', codec)
    expect(wireOf(each)).toEqual({ kind: 'binary', length: 'max' })
    expect(writeExpression(each, '@p0')).toBe(`CONVERT(${codec}, @p0)`)
    expect(stageSql([each])).toBe('CREATE TABLE #migrate_stage (c0 varbinary(max) NULL)')
    expect(decoderOf(each)(Buffer.from('58', 'hex'))).toBe('58')
    expect(travelsRaw({ ...orders, columns: [...orders.columns, each] })).toBe(false)
    expect(keyCondition([each], [['58']])).toContain(`CONVERT(${codec}, @p0)`)
  })

  it('of float are the shortest text of their eight bytes', () => {
    for (const value of [0.1, 1.7976931348623157e308, 5e-324, 0.30000000000000004, 16777217])
      expect(Number(floatText(value))).toBe(value)
    expect(floatText(-0)).toBe('-0')
    expect(floatText(Math.fround(0.1))).toBe('0.10000000149011612')
  })

  it('of bytes are hexadecimal', () => {
    expect(cellOf(Buffer.from([0, 255, 16]))).toBe('00ff10')
    expect(wireValue('00ff10', wireOf(column('c', 'varbinary(max)')))).toEqual(Buffer.from([0, 255, 16]))
    expect(wireValue('', wireOf(column('c', 'binary(4)')))).toEqual(Buffer.alloc(0))
    expect(wireValue(null, wireOf(column('c', 'image')))).toBeNull()
  })

  it('of a type that would lose something are refused by name', () => {
    expect(isCarried('vector')).toBe(false)
    expect(() => selectExpression(column('Odd', 'vector'), '[Odd]')).toThrow(/Odd.*vector/)
    expect(() => cellOf(new Date())).toThrow(MigrateError)
  })
})

describe('decimals of up to 15 digits', () => {
  it('come back to the last digit from the number that the driver makes of them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 15 }),
        fc.nat({ max: 15 }),
        fc.bigInt({ min: 0n, max: 10n ** 15n - 1n }),
        fc.boolean(),
        (precision, place, digits, minus) => {
          const scale = Math.min(place, precision)
          const units = digits % 10n ** BigInt(precision)
          const sign = minus && units > 0n ? '-' : ''
          const text = String(units).padStart(scale + 1, '0')
          const expected = scale === 0 ? `${sign}${units}` : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
          // As the driver computes it: sign · units / 10^scale.
          const driver = ((minus ? -1 : 1) * Number(units)) / 10 ** scale
          expect(decoderOf(column('c', `decimal(${precision},${scale})`))(driver)).toBe(expected)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('dates and times as the driver gives them', () => {
  /** As tedious reads time and datetime2. */
  const precise = (iso: string, hundredNanoseconds: number): Date =>
    Object.assign(new Date(iso), { nanosecondsDelta: hundredNanoseconds / 1e7 })
  const cell = (codec: string, value: unknown): unknown => decoderOf(column('c', codec))(value)

  it.each([
    ['date', new Date('0001-01-01T00:00:00Z'), '0001-01-01'],
    ['date', new Date('9999-12-31T00:00:00Z'), '9999-12-31'],
    ['smalldatetime', new Date('2079-06-06T23:59:00Z'), '2079-06-06 23:59:00'],
    ['datetime', new Date('1753-01-01T00:00:00.003Z'), '1753-01-01 00:00:00.003'],
    ['datetime', new Date('9999-12-31T23:59:59.997Z'), '9999-12-31 23:59:59.997'],
    ['datetime2(0)', precise('0001-01-01T00:00:00Z', 0), '0001-01-01 00:00:00'],
    ['datetime2(3)', precise('2024-02-29T12:34:56.789Z', 0), '2024-02-29 12:34:56.789'],
    ['datetime2(5)', precise('2024-02-29T12:34:56.789Z', 1200), '2024-02-29 12:34:56.78912'],
    ['datetime2(7)', precise('9999-12-31T23:59:59.999Z', 9999), '9999-12-31 23:59:59.9999999'],
    ['time(0)', precise('1970-01-01T23:59:59Z', 0), '23:59:59'],
    ['time(7)', precise('1970-01-01T00:00:00.000Z', 1), '00:00:00.0000001'],
    ['date', null, null],
  ])('of %s are the text that the server would print', (codec, value, expected) => {
    expect(cell(codec, value)).toBe(expected)
  })

  it('are written as the days and 300ths of a second that they were', () => {
    expect([daysSinceYearOne('0001-01-01'), daysSinceYearOne('1900-01-01'), daysSinceYearOne('9999-12-31')]).toEqual([
      0, 693_595, 3_652_058,
    ])
    for (let days = 0; days <= 3_652_058; days += 97) {
      const day = new Date(Date.UTC(2000, 0, 1) + (days - 730_119) * 86_400_000)
      expect(daysSinceYearOne(day.toISOString())).toBe(days)
    }
    expect(dateTimeParts('1753-01-01 00:00:00.003')).toEqual({ days: -53_690, ticks: 1 })
    expect(dateTimeParts('9999-12-31 23:59:59.997')).toEqual({ days: 2_958_463, ticks: 25_919_999 })
  })

  it('keep every hundred nanoseconds', () => {
    for (let below = 0; below < 10_000; below += 1)
      expect(cell('time(7)', precise('1970-01-01T12:00:00.500Z', below))).toBe(`12:00:00.500${String(below).padStart(4, '0')}`)
  })

  it('of datetime are its 300ths of a second, rounded as the server rounds them', () => {
    const endings = new Set<string>()
    for (let tick = 0; tick < 300; tick += 1) {
      const text = String(cell('datetime', new Date(Math.round((tick * 10) / 3))))
      endings.add(text.at(-1) ?? '')
      // The server's way back: the nearest 300th.
      expect(Math.round((Number(text.slice(-3)) * 3) / 10)).toBe(tick)
    }
    expect(endings).toEqual(new Set(['0', '3', '7']))
  })
})

describe('reading', () => {
  it('goes page by page along the key, the server comparing', () => {
    expect(pageSql(orders, rowShape(orders), 500, { after: false, upTo: false })).toBe(
      'SELECT TOP (500) t.[OrderID], CONVERT(nvarchar(20), t.[Customer]), CONVERT(nvarchar(24), CONVERT(decimal(19,4), t.[Total])), t.[Photo] FROM [dbo].[Orders] AS t ORDER BY [OrderID]',
    )
    expect(pageSql(orders, rowShape(orders), 500, { after: true, upTo: false })).toContain(
      ' WHERE [OrderID] > CONVERT(int, @p0) ORDER BY',
    )
  })

  it('follows a key of several columns from the right place', () => {
    expect(pageSql(orders, rowShape(orders), 500, { after: true, upTo: true })).toContain(
      ' WHERE [OrderID] > CONVERT(int, @p0) AND [OrderID] <= CONVERT(int, @p1) ORDER BY',
    )
    expect(upToCondition(keyColumns(lines), 2)).toBe(
      '[OrderID] <= CONVERT(int, @p2) AND (([OrderID] < CONVERT(int, @p2)) OR ([OrderID] = CONVERT(int, @p2) AND [Line] <= CONVERT(uniqueidentifier, @p3)))',
    )
    expect(boundarySql(lines, 1000, true)).toMatch(/ ORDER BY \[OrderID\], \[Line\] OFFSET 999 ROWS FETCH NEXT 1 ROWS ONLY$/)
    expect(afterCondition(keyColumns(lines))).toBe(
      '[OrderID] >= CONVERT(int, @p0) AND (([OrderID] > CONVERT(int, @p0)) OR ([OrderID] = CONVERT(int, @p0) AND [Line] > CONVERT(uniqueidentifier, @p1)))',
    )
  })

  it('finds rows by their keys', () => {
    expect(keyCondition(keyColumns(orders), [['1'], ['2']])).toBe('[OrderID] IN (CONVERT(int, @p0), CONVERT(int, @p1))')
    expect(keyCondition(keyColumns(lines), [[], []])).toBe(
      '([OrderID] = CONVERT(int, @p0) AND [Line] = CONVERT(uniqueidentifier, @p1)) OR ([OrderID] = CONVERT(int, @p2) AND [Line] = CONVERT(uniqueidentifier, @p3))',
    )
  })

  it('compares text of a code page in the column’s own collation, so that no character is lost', () => {
    const table = { ...orders, key: ['Customer'] }
    expect(keyCondition(keyColumns(table), [['a']])).toBe(
      '[Customer] IN (CONVERT(varchar(8000), @p0 COLLATE Latin1_General_CI_AS))',
    )
  })

  it('stays below the server’s 2,100 parameters', () => {
    expect(rowsPerStatement(1)).toBe(500)
    expect(rowsPerStatement(7) * 7).toBeLessThanOrEqual(2000)
    expect(rowsPerStatement(5000)).toBe(1)
  })
})

describe('writing', () => {
  it('keeps identity values, leaves computed columns and rowversion to the server, and counts', () => {
    expect(insertValuesSql(orders, [[], []])).toBe(
      `SET IDENTITY_INSERT [dbo].[Orders] ON;
INSERT INTO [dbo].[Orders] ([OrderID], [Customer], [Total], [Photo]) SELECT CONVERT(int, v.c0), v.c1, CONVERT(money, CONVERT(decimal(19,4), v.c2)), v.c3 FROM (VALUES (@p0, @p1, @p2, @p3), (@p4, @p5, @p6, @p7)) AS v(c0, c1, c2, c3);
SELECT @@ROWCOUNT AS affected;
SET IDENTITY_INSERT [dbo].[Orders] OFF`,
    )
  })

  it('updates all but the key and the identity', () => {
    expect(updateSql(orders, [])?.sql).toBe(
      `UPDATE [dbo].[Orders] SET [Customer] = @p0, [Total] = CONVERT(money, CONVERT(decimal(19,4), @p1)), [Photo] = @p2 WHERE [OrderID] IN (CONVERT(int, @p3));
SELECT @@ROWCOUNT AS affected`,
    )
    expect(updateSql({ ...lines, columns: lines.columns.slice(0, 2) }, [])).toBeNull()
  })

  it('stages what the driver writes without loss in its own kind of type, the rest as text and bytes', () => {
    expect(stageSql(orders.columns.slice(0, 4))).toBe(
      'CREATE TABLE #migrate_stage (c0 int NULL, c1 nvarchar(20) NULL, c2 decimal(38,4) NULL, c3 varbinary(max) NULL)',
    )
  })

  it('removes rows without a parent, not those with none to miss', () => {
    const rule = { child: lines.name, columns: ['OrderID'], parent: orders.name, parentColumns: ['OrderID'] }
    expect(orphanSql(rule)).toBe(
      `DELETE c FROM [sales ops].[Order]]Lines'] AS c
WHERE c.[OrderID] IS NOT NULL AND NOT EXISTS (SELECT 1 FROM [dbo].[Orders] AS p WHERE p.[OrderID] = c.[OrderID]);
SELECT @@ROWCOUNT AS affected`,
    )
  })
})

describe('what a restart may skip', () => {
  const row = { type: 'int', base: 'int', identity: true, seed: '1', increment: '1', precision: 10, name: 'id' } as const
  const jump = (cached: boolean) => identityOf({ schema: 'dbo', name: 'Orders' }, row, cached)?.jump

  it('is what an identity’s cache holds, and nothing where the database has none', () => {
    expect([jump(cacheOf([])), jump(cacheOf([{ value: '1' }])), jump(cacheOf([{ value: '0' }]))]).toEqual(['1000', '1000', '0'])
  })
})

describe('the ledger', () => {
  it('is written in one statement, numbered in the order of its entries', () => {
    expect(ledgerSql('[dbo].[migrate_ledger]', 2)).toBe(
      `INSERT INTO [dbo].[migrate_ledger] (run, table_name, source_key, target_key, action, source_state, target_state, at) SELECT run, table_name, source_key, target_key, action, source_state, target_state, at FROM (VALUES (0, @p0, @p1, @p2, @p3, @p4, @p5, @p6, @p7), (1, @p8, @p9, @p10, @p11, @p12, @p13, @p14, @p15)) AS v(place, run, table_name, source_key, target_key, action, source_state, target_state, at) ORDER BY place`,
    )
  })
})
