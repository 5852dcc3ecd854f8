import { describe, expect, it } from 'vitest'
import { insertNumberedSql } from '../../src/databases/mssql/apply.ts'
import { removeSql } from '../../src/databases/mssql/copies.ts'
import { searchSql } from '../../src/databases/mssql/find.ts'
import { parameterOf } from '../../src/databases/mssql/keys.ts'
import { NULL_BYTES } from '../../src/databases/mssql/parameters.ts'
import { type Hashing, methodOf } from '../../src/databases/mssql/print-method.ts'
import { pieceOf } from '../../src/databases/mssql/print-values.ts'
import { byPrintSql, rowText, sumSql, sumsSql } from '../../src/databases/mssql/prints.ts'
import type { Column, Table } from '../../src/databases/schema.ts'
import { column, lines, orders } from './mssql-tables.ts'

const piece = (codec: string): string => pieceOf(column('c', codec), 't.[c]').sql
const some = { columns: ['OrderID', 'Customer'], apart: [] }

describe('a value in its row’s text', () => {
  it.each([
    ['int', "ISNULL(CONVERT(nvarchar(20), t.[c]) + N',', N'N,')"],
    ['decimal(12,2)', "ISNULL(CONVERT(nvarchar(41), t.[c]) + N',', N'N,')"],
    ['money', "ISNULL(CONVERT(nvarchar(24), CONVERT(decimal(19,4), t.[c])) + N',', N'N,')"],
    ['float', "ISNULL(CONVERT(nvarchar(20), CONVERT(bigint, CONVERT(binary(8), t.[c]))) + N',', N'N,')"],
    ['real', "ISNULL(CONVERT(nvarchar(11), CONVERT(int, CONVERT(binary(4), t.[c]))) + N',', N'N,')"],
    ['date', "ISNULL(CONVERT(nvarchar(10), t.[c], 23) + N',', N'N,')"],
    ['datetimeoffset(7)', "ISNULL(CONVERT(nvarchar(34), t.[c], 121) + N',', N'N,')"],
    ['uniqueidentifier', "ISNULL(CONVERT(nvarchar(36), t.[c]) + N',', N'N,')"],
    ['nvarchar(40)', "ISNULL(CONVERT(nvarchar(5), DATALENGTH(t.[c])) + N':' + t.[c] COLLATE Latin1_General_BIN2, N'N,')"],
    [
      'varchar(40)',
      "ISNULL(CONVERT(nvarchar(5), DATALENGTH(CONVERT(nvarchar(40), t.[c]))) + N':' + CONVERT(nvarchar(40), t.[c]) COLLATE Latin1_General_BIN2, N'N,')",
    ],
  ])('of %s is %s', (codec, sql) => expect(piece(codec)).toBe(sql))

  it.each(['nvarchar(max)', 'nvarchar(1001)', 'varchar(max)', 'text', 'ntext', 'image', 'varbinary(max)', 'binary(16)'])(
    'of %s is hashed by itself, in pieces of at most 8,000 bytes',
    (codec) => {
      const sql = piece(codec)
      expect(sql).toMatch(
        /^ISNULL\(CONVERT\(nvarchar\(20\), DATALENGTH\(t\.\[c\]\)\) \+ N':' \+ CASE WHEN DATALENGTH\(t\.\[c\]\) > \d+ THEN/,
      )
      const [, most, size] = /> (\d+) THEN .*, k\.n \* (\d+) \+ 1/.exec(sql) ?? []
      const text = /char|text/.test(codec)
      expect([most, size]).toEqual(text ? ['4000', '2000'] : ['8000', '8000'])
      expect(sql).toContain(text ? 'CONVERT(nvarchar(4000), SUBSTRING(' : 'CONVERT(varbinary(8000), t.[c])')
    },
  )

  it('of a type that can’t be taken apart is hashed whole', () => {
    expect(piece('xml')).toContain("HASHBYTES('SHA2_256', CONVERT(nvarchar(max), t.[c]))")
    expect(piece('geometry')).toContain("HASHBYTES('SHA2_256', CONVERT(varbinary(max), t.[c]))")
  })
})

describe('a row’s text', () => {
  const wide = (codec: string, count: number): readonly Column[] =>
    Array.from({ length: count }, (_, at) => column(`c${at}`, codec))
  /** What every HASHBYTES of a statement is given, as far as the next. */
  const hashes = (sql: string): number => sql.split('HASHBYTES').length - 1

  it('is its values’ one after the other', () => {
    expect(rowText([column('a', 'int'), column('b', 'int')])).toBe(
      "ISNULL(CONVERT(nvarchar(20), t.[a]) + N',', N'N,') + ISNULL(CONVERT(nvarchar(20), t.[b]) + N',', N'N,')",
    )
    expect(rowText([])).toBe("N''")
  })

  it('is taken apart into groups where it could be longer than 8,000 bytes, and nothing of it is left out', () => {
    expect(hashes(rowText(wide('nvarchar(500)', 7)))).toBe(0)
    // 506 characters each: seven fit into 4,000.
    expect(hashes(rowText(wide('nvarchar(500)', 8)))).toBe(2)
    const widest = rowText(wide('nvarchar(1000)', 1000))
    // Three a group; 334 groups of 21 characters, a hundred a group; 4 groups.
    expect(hashes(widest)).toBe(334 + 4)
    for (let at = 0; at < 1000; at += 1) expect(widest).toContain(`t.[c${at}] COLLATE`)
  })
})

describe('fingerprints', () => {
  it('are added up as decimals, over a derived table', () => {
    const sql = sumSql(lines, { columns: ['OrderID'], apart: [] }, { after: ['1', 'a'], upTo: ['2', 'b'] })
    expect(sql).toContain('SELECT CONVERT(nvarchar(20), COUNT_BIG(*)), CONVERT(nvarchar(40), SUM(CONVERT(decimal(38,0), r.p)))')
    expect(sql).toMatch(/FROM \[sales ops\]\.\[Order\]\]Lines'\] AS t WHERE \[OrderID\] >= CONVERT\(int, @p0\) AND/)
    expect(sql).toContain('[OrderID] <= CONVERT(int, @p2)')
    expect(sumSql(orders, some, {})).toMatch(/AS p FROM \[dbo\]\.\[Orders\] AS t\) AS r$/)
  })

  it('of several ranges are asked for in one statement, each with its own parameters and its place', () => {
    const ranges = [{ upTo: ['1', 'a'] }, { after: ['1', 'a'], upTo: ['2', 'b'] }, { after: ['2', 'b'] }]
    const { sql, parameters } = sumsSql(lines, { columns: ['OrderID'], apart: [] }, ranges)
    const parts = sql.split('\nUNION ALL\n')
    expect(parts.map((part) => part.slice(0, 12))).toEqual(["SELECT N'0',", "SELECT N'1',", "SELECT N'2',"])
    expect(parts.map((part) => [...new Set(part.match(/@p\d+/g))].sort())).toEqual([
      ['@p0', '@p1'],
      ['@p2', '@p3', '@p4', '@p5'],
      ['@p6', '@p7'],
    ])
    expect(parameters).toHaveLength(8)
  })

  it('are looked up as constants, each once', () => {
    const sql = byPrintSql(orders, some, ['0123456789abcdef', '0123456789abcdef', '0000000000000001'])
    expect(sql).toMatch(
      / IN \(SELECT w\.p FROM \(VALUES \(CONVERT\(binary\(8\), 0x0123456789abcdef\)\), \(CONVERT\(binary\(8\), 0x0000000000000001\)\)\) AS w\(p\)\)$/,
    )
    expect(() => byPrintSql(orders, some, ["0') OR 1 = 1 --"])).toThrow(SyntaxError)
  })
})

describe('the method of fingerprints', () => {
  const modern: Hashing = { samples: 'ab', long: true }
  const old: Hashing = { samples: 'ab', long: false }
  const plain: Table = {
    ...orders,
    columns: [column('id', 'int'), column('note', 'varchar(max)', { collation: 'Latin1_General_CI_AS' })],
  }
  const changed = (name: string, change: Partial<Column>): Table => ({
    ...plain,
    columns: plain.columns.map((each) => (each.name === name ? { ...each, ...change } : each)),
  })

  it('is the same for old servers and new ones, long texts and bytes too', () => {
    expect(methodOf(plain, old)).toMatch(/^mssql-sha256-1-[0-9a-f]{16}$/)
    expect(methodOf(plain, old)).toBe(methodOf(plain, modern))
    expect(methodOf({ ...plain, columns: plain.columns.toReversed() }, old)).toBe(methodOf(plain, old))
    expect(methodOf(changed('id', { nullable: false, type: 'dbo.number' }), old)).toBe(methodOf(plain, old))
  })

  it('changes with all that two fingerprints’ being equal hangs on', () => {
    const others = [
      changed('id', { codec: 'bigint' }),
      changed('id', { name: 'number' }),
      changed('note', { collation: 'Latin1_General_100_CI_AS_SC_UTF8' }),
      { ...plain, columns: plain.columns.slice(0, 1) },
    ]
    const methods = [
      methodOf(plain, modern),
      methodOf(plain, { ...modern, samples: 'ac' }),
      ...others.map((each) => methodOf(each, modern)),
    ]
    expect(new Set(methods).size).toBe(6)
  })

  it('isn’t there where a server would have to hash more at once than it takes', () => {
    const table = changed('note', { codec: 'xml' })
    expect(methodOf(table, old)).toBeUndefined()
    expect(methodOf(table, modern)).toMatch(/^mssql-sha256-1-/)
  })
})

describe('changes of rows', () => {
  it('look for values of columns without an index as for a table, by the columns’ own collations', () => {
    const table: Table = {
      ...orders,
      columns: [...orders.columns, column('Email', 'nvarchar(80)', { collation: 'Latin1_General_CI_AS' })],
    }
    const columns = [column('Customer', 'varchar(20)', { collation: 'Latin1_General_CI_AS' }), ...table.columns.slice(-1)]
    expect(
      searchSql(table, {
        columns,
        values: [
          ['a', 'b'],
          ['c', 'd'],
        ],
      }),
    ).toBe(
      `SELECT t.[OrderID] FROM [dbo].[Orders] AS t
WHERE EXISTS (SELECT 1 FROM (VALUES (@p0, @p1), (@p2, @p3)) AS v(c0, c1) WHERE t.[Customer] = CONVERT(varchar(8000), v.c0 COLLATE Latin1_General_CI_AS) AND t.[Email] = v.c1 COLLATE Latin1_General_CI_AS)`,
    )
  })

  it('tell the number by way of a table variable, which triggers and sequences don’t mind', () => {
    const [numbered] = orders.columns
    if (numbered === undefined) throw new Error('no column')
    expect(insertNumberedSql(orders, [], numbered).sql).toBe(
      `DECLARE @numbered TABLE (number int);
INSERT INTO [dbo].[Orders] ([Customer], [Total], [Photo]) OUTPUT inserted.[OrderID] INTO @numbered VALUES (@p0, CONVERT(money, CONVERT(decimal(19,4), @p1)), @p2);
SELECT CONVERT(nvarchar(40), number) AS number FROM @numbered`,
    )
    expect(insertNumberedSql({ ...orders, columns: [numbered] }, [], numbered).sql).toContain(
      'INSERT INTO [dbo].[Orders] OUTPUT inserted.[OrderID] INTO @numbered DEFAULT VALUES;',
    )
  })

  it('remove copies by what their cells are, not by what the server takes for equal', () => {
    const table: Table = {
      ...orders,
      columns: ['int', 'varchar(20)', 'float', 'varbinary(9)', 'datetimeoffset(7)', 'xml', 'text'].map((codec, at) =>
        column(`c${at}`, codec),
      ),
    }
    const { sql, parameters } = removeSql(table, ['1', 'a ', '-0', '00ff', '2024-01-01 00:00:00.0000000 +01:00', null, 'x'], 3)
    const text = (read: string, place: number): string =>
      `${read} COLLATE Latin1_General_BIN2 = @p${place} AND DATALENGTH(${read}) = DATALENGTH(@p${place})`
    expect(sql).toBe(
      `DELETE TOP (3) FROM [dbo].[Orders] WHERE [c0] = CONVERT(int, @p0) AND ${text('CONVERT(nvarchar(20), [c1])', 1)} AND CONVERT(binary(8), [c2]) = @p2 AND [c3] = @p3 AND DATALENGTH([c3]) = DATALENGTH(@p3) AND ${text('CONVERT(nvarchar(34), [c4], 121)', 4)} AND [c5] IS NULL AND ${text('CONVERT(nvarchar(max), [c6])', 5)};
SELECT @@ROWCOUNT AS affected`,
    )
    expect(parameters).toEqual([
      '1',
      'a ',
      Buffer.from('8000000000000000', 'hex'),
      Buffer.from('00ff', 'hex'),
      '2024-01-01 00:00:00.0000000 +01:00',
      'x',
    ])
  })

  it('send NULL among bytes as bytes', () => {
    expect(parameterOf(column('c', 'varbinary(max)'), null)).toBe(NULL_BYTES)
    expect(parameterOf(column('c', 'image'), undefined)).toBe(NULL_BYTES)
    expect(parameterOf(column('c', 'nvarchar(9)'), null)).toBeNull()
  })

  it('send float and real as the number, so that no text has to be read', () => {
    expect(parameterOf(column('c', 'float'), '0.30000000000000004')).toBe(0.30000000000000004)
    expect(parameterOf(column('c', 'real'), '-0')).toBe(-0)
    expect(parameterOf(column('c', 'float'), null)).toBeNull()
  })
})
