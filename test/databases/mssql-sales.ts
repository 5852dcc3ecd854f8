/**
 * A table of every type whose rows travel as they came, each once as NOT NULL and once not, and of more rows than are read as cells: as a
 * bulk load describes them, columns that may be NULL and those that may not differ.
 */
export const SALES = 300

/** Type, and a value of it in row `n` (0 … 299), by which it differs from others. */
const COLUMNS: readonly (readonly [type: string, value: string])[] = [
  ['bit', 'n % 2'],
  ['tinyint', 'n % 256'],
  ['smallint', '-n * 109'],
  ['int', '2147483647 - n'],
  ['bigint', 'CONVERT(bigint, -9223372036854775808) + n'],
  ['decimal(9,2)', 'n * -1.25'],
  ['numeric(38,10)', 'CONVERT(numeric(38,10), 34567890123456789012345678.0123456789) - n'],
  ['money', '-922337203685477.5808 + n'],
  ['smallmoney', '214748.3647 - n'],
  ['float', 'n / 3.0E0'],
  ['real', 'CONVERT(real, n / 7.0E0)'],
  [
    'uniqueidentifier',
    "CONVERT(uniqueidentifier, '6F9619FF-8B86-D011-B42D-00C04FC9' + RIGHT('000' + CONVERT(varchar(4), n), 4))",
  ],
  ['char(7)', "CASE n % 3 WHEN 0 THEN '' WHEN 1 THEN 'é' ELSE 'seven 7' END"],
  ['varchar(20)', "CASE n % 3 WHEN 0 THEN '' WHEN 1 THEN ' é ' ELSE CONVERT(varchar(9), n) END"],
  ['varchar(max)', "REPLICATE('é ', n % 50)"],
  ['nchar(7)', "CASE n % 2 WHEN 0 THEN N'' ELSE N'é東 😀' END"],
  ['nvarchar(20)', "N'é東 😀 ' + CONVERT(nvarchar(9), n)"],
  ['nvarchar(max)', "REPLICATE(N'東 ', n % 50)"],
  ['binary(4)', 'CONVERT(binary(4), n)'],
  ['varbinary(20)', 'CONVERT(varbinary(20), n)'],
  ['varbinary(max)', 'CONVERT(varbinary(max), n)'],
  ['date', "CONVERT(date, '0001-01-' + RIGHT('0' + CONVERT(varchar(2), n % 28 + 1), 2), 23)"],
  ['time(6)', "DATEADD(second, -n, CONVERT(time(6), '23:59:59.999999'))"],
  ['datetime', "CONVERT(datetime, '1753-01-01 12:' + RIGHT('0' + CONVERT(varchar(2), n % 60), 2) + ':00.003', 121)"],
  ['smalldatetime', "DATEADD(minute, n, CONVERT(smalldatetime, '1900-01-01T00:00:00'))"],
  ['datetime2(3)', "DATEADD(second, n, CONVERT(datetime2(3), '2024-02-29T12:00:00.123'))"],
  ['datetimeoffset(6)', "DATEADD(minute, n, CONVERT(datetimeoffset(6), '2024-02-29 23:34:56.123456 -03:30', 121))"],
]

export const SALES_TABLE = `CREATE TABLE dbo.sales (id int IDENTITY(1,1) NOT NULL PRIMARY KEY, ${COLUMNS.map(
  ([type], at) => `a${at} ${type} NOT NULL, b${at} ${type} NULL`,
).join(', ')})`

const DIGITS = '(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))'

export const SALES_ROWS = `WITH numbers AS (SELECT a.n * 100 + b.n * 10 + c.n AS n FROM ${DIGITS} AS a(n) CROSS JOIN ${DIGITS} AS b(n) CROSS JOIN ${DIGITS} AS c(n) WHERE a.n < 3)
INSERT INTO dbo.sales (${COLUMNS.map((_column, at) => `a${at}, b${at}`).join(', ')})
SELECT ${COLUMNS.map(([, value], at) => `${value}, CASE WHEN n % ${2 + (at % 3)} = 0 THEN ${value} END`).join(',\n  ')} FROM numbers`
