import type { Session } from '../../src/databases/mssql/session.ts'
import type { MssqlGaps } from '../servers/mssql.ts'

/** A column of the table `samples`: its type, values at the type's edges as SQL, and how the server prints one without loss. */
interface Sample {
  readonly name: string
  readonly type: string
  readonly values: readonly string[]
  readonly print: string
}

const times = (text: string, count: number): string => `REPLICATE(CONVERT(nvarchar(max), N'${text}'), ${count})`

const MINUS_ZERO = 'CONVERT(float, -1) * CONVERT(float, 0)'

/** A value of each type that a sql_variant may hold; two that `=` takes for the same, and two that differ in their declaration alone. */
const variants = (gaps: MssqlGaps): readonly string[] => {
  const scale = gaps.hundredNanoseconds ? 6 : 7
  return [
    'CONVERT(bit, 1)',
    'CONVERT(tinyint, 1)',
    'CONVERT(smallint, -1)',
    'CONVERT(int, 1)',
    "CONVERT(bigint, N'9223372036854775807')",
    "CONVERT(decimal(38,10), N'-9999999999999999999999999999.9999999999')",
    "CONVERT(numeric(5,2), N'1.50')",
    "CONVERT(money, CONVERT(decimal(19,4), N'922337203685477.5807'))",
    'CONVERT(smallmoney, -19.9899)',
    "CONVERT(float, N'0.1')",
    "CONVERT(float, N'-1.7976931348623157e308')",
    "CONVERT(float, N'2.2250738585072014e-308')",
    'CONVERT(float, 0)',
    MINUS_ZERO,
    "CONVERT(real, N'0.1')",
    "CONVERT(real, N'-3.40282346e38')",
    "CONVERT(date, N'0001-01-01', 23)",
    `CONVERT(time(${scale}), N'23:59:59.123456')`,
    "CONVERT(smalldatetime, N'2079-06-06 23:59:00', 120)",
    "CONVERT(datetime, N'1753-01-01 23:59:59.997', 121)",
    `CONVERT(datetime2(${scale}), N'9999-12-31 23:59:59.123456', 121)`,
    `CONVERT(datetimeoffset(${scale}), N'2024-02-29 12:34:56.123456 -03:30', 121)`,
    "CONVERT(uniqueidentifier, N'6F9619FF-8B86-D011-B42D-00C04FC964FF')",
    "CONVERT(varchar(20), N'naïve € : ')",
    "CONVERT(varchar(20), N'Тест' COLLATE Cyrillic_General_CI_AS)",
    "CONVERT(nvarchar(20), N'Тест 東京 😀 ')",
    "CONVERT(nvarchar(20), N'Тест' COLLATE Cyrillic_General_CS_AS)",
    "CONVERT(varchar(8000), REPLICATE('ab', 4000))",
    "CONVERT(nvarchar(20), N'')",
    ...(gaps.variantLengths
      ? []
      : [
          "CONVERT(varchar(30), N'naïve € : ')",
          'CONVERT(decimal(6,2), 1.5)',
          "CONVERT(time(0), N'23:59:59')",
          "CONVERT(char(9), 'ab')",
          "CONVERT(nchar(9), N'東京')",
          'CONVERT(binary(4), 0x0102)',
          'CONVERT(varbinary(4), 0x0102)',
          'CONVERT(varbinary(4), 0x)',
        ]),
  ]
}

const printOfVariant = (name: string): string => {
  const properties = ['BaseType', 'Precision', 'Scale', 'MaxLength', 'Collation', 'TotalBytes']
  const told = properties.map((each) => `ISNULL(CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(${name}, '${each}')), N'-')`)
  const base = `SQL_VARIANT_PROPERTY(${name}, 'BaseType')`
  const value = `CASE WHEN ${base} IN (N'float', N'real') THEN CONVERT(nvarchar(20), CONVERT(bigint, CONVERT(binary(8), CONVERT(float, ${name}))))
  WHEN ${base} IN (N'money', N'smallmoney') THEN CONVERT(nvarchar(30), CONVERT(decimal(19,4), CONVERT(money, ${name})))
  WHEN ${base} IN (N'binary', N'varbinary') THEN CONVERT(nvarchar(max), CONVERT(varbinary(8000), ${name}), 1)
  WHEN ${base} = N'datetime' THEN CONVERT(nvarchar(30), CONVERT(datetime, ${name}), 126)
  ELSE CONVERT(nvarchar(max), ${name}) END`
  return `${told.join(" + N'|' + ")} + N'|' + ${value}`
}

const samples = (gaps: MssqlGaps): readonly Sample[] => {
  // A server that keeps microseconds rounds the seventh digit away before anybody could copy it.
  const fraction = gaps.hundredNanoseconds ? '123456' : '1234567'
  const last = gaps.hundredNanoseconds ? '999999' : '9999999'
  const scale = gaps.hundredNanoseconds ? 6 : 7
  return [
    { name: 'bits', type: 'bit', values: ['0', '1'], print: 'CONVERT(nvarchar(1), bits)' },
    { name: 'tiny', type: 'tinyint', values: ['0', '255'], print: 'CONVERT(nvarchar(3), tiny)' },
    { name: 'small', type: 'smallint', values: ['-32768', '32767'], print: 'CONVERT(nvarchar(6), small)' },
    { name: 'ints', type: 'int', values: ['-2147483648', '2147483647'], print: 'CONVERT(nvarchar(11), ints)' },
    {
      name: 'big',
      type: 'bigint',
      values: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
      print: 'CONVERT(nvarchar(20), big)',
    },
    {
      name: 'exact',
      type: 'decimal(38,10)',
      values: [
        "CONVERT(decimal(38,10), N'9999999999999999999999999999.9999999999')",
        "CONVERT(decimal(38,10), N'-9999999999999999999999999999.9999999999')",
        '0.0000000001',
        '19.99',
      ],
      print: 'CONVERT(nvarchar(41), exact)',
    },
    {
      name: 'whole',
      type: 'numeric(38,0)',
      values: ["CONVERT(numeric(38,0), N'99999999999999999999999999999999999999')", '-1'],
      print: 'CONVERT(nvarchar(40), whole)',
    },
    {
      name: 'price',
      type: 'money',
      values: [
        "CONVERT(money, CONVERT(decimal(19,4), N'922337203685477.5807'))",
        "CONVERT(money, CONVERT(decimal(19,4), N'-922337203685477.5808'))",
        '19.99',
        '0.0001',
      ],
      print: 'CONVERT(nvarchar(24), CONVERT(decimal(19,4), price))',
    },
    {
      name: 'coin',
      type: 'smallmoney',
      values: ['-214748.3648', '214748.3647', '19.99'],
      print: 'CONVERT(nvarchar(24), CONVERT(decimal(10,4), coin))',
    },
    {
      name: 'double_',
      type: 'float',
      values: ['1.7976931348623157e308', '0.1', '-2.2250738585072014e-308', '1e-7', '0.30000000000000004e0', MINUS_ZERO],
      print: 'CONVERT(bigint, CONVERT(binary(8), double_))',
    },
    {
      name: 'single_',
      type: 'real',
      values: ['3.40282346e38', '0.1', '-1.17549435e-38', '16777217', MINUS_ZERO],
      print: 'CONVERT(int, CONVERT(binary(4), single_))',
    },
    {
      name: 'days',
      type: 'date',
      values: ["'0001-01-01'", "'9999-12-31'", "'2024-02-29'"],
      print: 'CONVERT(nvarchar(10), days, 23)',
    },
    {
      name: 'clock',
      type: `time(${scale})`,
      values: [`'23:59:59.${last}'`, "'00:00:00'", `'12:34:56.${fraction}'`],
      print: 'CONVERT(nvarchar(16), clock, 121)',
    },
    { name: 'clock0', type: 'time(0)', values: ["'23:59:59'"], print: 'CONVERT(nvarchar(16), clock0, 121)' },
    {
      name: 'moment',
      type: 'datetime',
      values: [
        "'1753-01-01T00:00:00.000'",
        "'9999-12-31T23:59:59.997'",
        "'2024-02-29T12:34:56.003'",
        "'2024-02-29T12:34:56.007'",
      ],
      print: 'CONVERT(nvarchar(23), moment, 121)',
    },
    {
      name: 'minute_',
      type: 'smalldatetime',
      values: ["'1900-01-01T00:00:00'", "'2079-06-06T23:59:00'"],
      print: 'CONVERT(nvarchar(19), minute_, 120)',
    },
    {
      name: 'precise',
      type: `datetime2(${scale})`,
      values: [`'9999-12-31T23:59:59.${last}'`, "'0001-01-01T00:00:00'", `'2024-02-29T12:34:56.${fraction}'`],
      print: 'CONVERT(nvarchar(27), precise, 121)',
    },
    {
      name: 'precise3',
      type: 'datetime2(3)',
      values: ["'2024-02-29T12:34:56.789'"],
      print: 'CONVERT(nvarchar(27), precise3, 121)',
    },
    {
      name: 'zoned',
      type: `datetimeoffset(${scale})`,
      values: [
        `'2024-02-29T12:34:56.${fraction}+05:30'`,
        "'2024-10-27T02:30:00-03:00'",
        "'2024-02-29T12:34:56+14:00'",
        "'2024-02-29T12:34:56-14:00'",
      ],
      print: 'CONVERT(nvarchar(34), zoned, 121)',
    },
    { name: 'fixed', type: 'char(5)', values: ["'ab'", "''", "'12345'"], print: 'CONVERT(nvarchar(5), fixed)' },
    {
      name: 'short_',
      type: 'varchar(20)',
      values: ["'trailing   '", "''", "'it''s'", "N'naïve €'"],
      print: 'CONVERT(nvarchar(20), short_)',
    },
    {
      name: 'cyrillic',
      type: 'varchar(20) COLLATE Cyrillic_General_CI_AS',
      values: ["N'Тест'"],
      print: 'CONVERT(nvarchar(20), cyrillic)',
    },
    { name: 'long_', type: 'varchar(max)', values: [times('x', 100_000), "''"], print: 'CONVERT(nvarchar(max), long_)' },
    { name: 'nfixed', type: 'nchar(5)', values: ["N'東京'", "N''"], print: 'nfixed' },
    {
      name: 'nshort',
      type: 'nvarchar(40)',
      values: ["N'trailing   '", "N''", "N'Тест 東京 naïve 😀'", "N'NULL'"],
      print: 'nshort',
    },
    { name: 'nlong', type: 'nvarchar(max)', values: [times('東', 100_000), "N''"], print: 'nlong' },
    { name: 'old_text', type: 'text', values: ["'old text'"], print: 'CONVERT(nvarchar(max), old_text)' },
    { name: 'old_ntext', type: 'ntext', values: ["N'東京'"], print: 'CONVERT(nvarchar(max), old_ntext)' },
    { name: 'old_image', type: 'image', values: ['0x00FF10'], print: 'CONVERT(varbinary(max), old_image)' },
    { name: 'bytes4', type: 'binary(4)', values: ['0x0102', '0x00000000'], print: 'CONVERT(varbinary(4), bytes4)' },
    { name: 'bytes_', type: 'varbinary(20)', values: ['0x', '0x00', '0xFFFE00'], print: 'bytes_' },
    {
      name: 'picture',
      type: 'varbinary(max)',
      values: [`CONVERT(varbinary(max), ${times('0123456789abcdef', 200_000)})`, '0x'],
      print: "HASHBYTES('SHA2_256', picture)",
    },
    {
      name: 'guid',
      type: 'uniqueidentifier',
      values: ["'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "'00000000-0000-0000-0000-000000000000'"],
      print: 'CONVERT(nvarchar(36), guid)',
    },
    {
      name: 'markup',
      type: 'xml',
      values: ['CONVERT(xml, N\'<a b="c">x &amp; y <b/> 東京</a>\', 1)', "CONVERT(xml, N'text only', 1)"],
      print: 'CONVERT(nvarchar(max), markup)',
    },
    { name: 'odd', type: 'sql_variant', values: variants(gaps), print: printOfVariant('odd') },
  ]
}

let printed = ''

/** Makes the table and one row for each value, the other columns NULL; and a row of NULLs. */
export async function createSamples(session: Session, gaps: MssqlGaps): Promise<void> {
  const all = samples(gaps)
  await session.batch(
    `CREATE TABLE samples (id int NOT NULL CONSTRAINT pk_samples PRIMARY KEY, ${all.map(({ name, type }) => `${name} ${type} NULL`).join(', ')})`,
  )
  let id = 1
  for (const { name, values } of all) {
    for (const value of values) {
      await session.batch(`INSERT INTO samples (id, ${name}) VALUES (${id}, ${value})`)
      id += 1
    }
  }
  await session.batch(`INSERT INTO samples (id) VALUES (${id})`)
  printed = `SELECT id, ${all.map(({ print }) => print).join(', ')} FROM samples ORDER BY id`
}

/** The query that prints every row. */
export const samplesAsText = (): string => printed
