import { isMariadb, isRelease } from '../servers/mysql-programs.ts'

/** A type of the server's and values at its edges, as SQL expressions. */
interface Sample {
  readonly type: string
  readonly values: readonly string[]
}

const POINT = "ST_GeomFromText('POINT(1.5 -0.1)', 4326)"
const SHAPES = "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(0 0),LINESTRING(0 0,1 1),POLYGON((0 0,0 1,1 1,0 0)))')"

const onlyWhere = (has: boolean, sample: Sample): readonly Sample[] => (has ? [sample] : [])

export const samples: readonly Sample[] = [
  { type: 'tinyint', values: ['-128', '0', '127'] },
  { type: 'tinyint unsigned', values: ['0', '255'] },
  { type: 'smallint', values: ['-32768', '32767'] },
  { type: 'mediumint', values: ['-8388608', '8388607'] },
  { type: 'int', values: ['-2147483648', '2147483647'] },
  { type: 'int(6) unsigned zerofill', values: ['42', '4294967295'] },
  { type: 'bigint', values: ['-9223372036854775808', '9223372036854775807', '9007199254740993'] },
  { type: 'bigint unsigned', values: ['18446744073709551615', '0'] },
  { type: 'decimal(65,30)', values: [`${'9'.repeat(35)}.${'1'.repeat(30)}`, '-0.000000000000000000000000000001', '0'] },
  { type: 'decimal(12,4)', values: ['19.99', '-99999999.9999'] },
  { type: 'float', values: ['0.1', '3.40282e38', '1.17549e-38', '16777217', '-123456.789'] },
  { type: 'float(7,3)', values: ['1234.567', '-0.001'] },
  { type: 'double', values: ['0.1', '1.7976931348623157e308', '5e-324', '-0e0', '0.30000000000000004'] },
  { type: 'double(20,5)', values: ['123456789012.12345', '-0.00001'] },
  { type: 'bit(1)', values: ["b'1'", "b'0'"] },
  { type: 'bit(12)', values: ["b'101010101010'", "b'1'"] },
  { type: 'bit(64)', values: ['18446744073709551615', '0'] },
  { type: 'year', values: ["'1901'", "'0000'", "'2155'"] },
  { type: 'date', values: ["'0000-00-00'", "'2020-00-10'", "'9999-12-31'", "'2021-02-31'", "'1000-01-01'"] },
  { type: 'time', values: ["'-838:59:59'", "'838:59:59'", "'00:00:00'"] },
  { type: 'time(6)', values: ["'-838:59:59.999999'", "'25:00:00.000001'"] },
  { type: 'datetime', values: ["'0000-00-00 00:00:00'", "'2026-03-29 02:30:00'"] },
  { type: 'datetime(6)', values: ["'9999-12-31 23:59:59.999999'", "'0000-00-00 00:00:00.000000'"] },
  { type: 'timestamp NULL', values: ["'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'", "'2026-10-25 00:30:00'"] },
  { type: 'timestamp(6) NULL', values: ["'1970-01-01 00:00:01.000001'", "'2026-03-29 01:30:00.5'"] },
  { type: 'char(5)', values: ["''", "'ab'", "'12345'"] },
  { type: 'varchar(20)', values: ["''", "'trailing   '", "'it''s'", "'NULL'", "'\\\\N'"] },
  { type: 'varchar(200) CHARACTER SET latin1', values: ["_latin1 x'80818d8f909de9ff'", "'gr\u00fc\u00df'", "''"] },
  { type: 'varchar(50) CHARACTER SET cp1251', values: ["_cp1251 x'e4f0f3e3'", "_cp1251 x'98'"] },
  { type: 'varchar(50) CHARACTER SET sjis', values: ["_sjis x'835c955c'", "'abc'"] },
  { type: 'varchar(50) CHARACTER SET utf16', values: ["'\u{1f600} zo\u00eb'", "''"] },
  { type: 'varchar(50) CHARACTER SET ucs2', values: ["'zo\u00eb'", "_ucs2 x'd800'"] },
  { type: 'varchar(50) CHARACTER SET ascii', values: ["'plain'", "''"] },
  { type: 'char(36) CHARACTER SET ascii COLLATE ascii_bin', values: ["'6f1e0a4c-0000-0000-0000-000000000000'"] },
  { type: 'varchar(50) CHARACTER SET utf8mb3', values: ["'zo\u00eb \u20ac'"] },
  { type: 'text', values: ["'\\t\\n\\r\\\\\\b\\0\\Z'", "'\u{1f600} zo\u00eb'", "REPEAT('x', 60000)", "''", "'a\\tb\\nc'"] },
  { type: 'longtext', values: ["REPEAT('\u{1f6d2}\\n', 100000)", "''"] },
  { type: 'binary(5)', values: ["x'00ff0a095c'", "''"] },
  { type: 'varbinary(20)', values: ["x'000a0d095c4e22271a00'", "''", "x'ffff'"] },
  { type: 'blob', values: ["''", "x'5c4e'", "REPEAT(x'00ff5c0a', 10000)"] },
  { type: 'longblob', values: ["REPEAT(x'0102030a5c', 1000000)", "''"] },
  {
    type: "enum('open','','it''s','back\\\\slash','gr\u00fc\u00df')",
    values: ["'open'", "''", "'it''s'", "'back\\\\slash'", '0'],
  },
  { type: "enum('1','2','3')", values: ["'3'", '0', '2'] },
  { type: "set('a','b','c d')", values: ["''", "'a,c d'", "'b'"] },
  { type: "enum('caf\u00e9','x') CHARACTER SET latin1", values: ["'caf\u00e9'"] },
  { type: "set('caf\u00e9','x') CHARACTER SET latin1", values: ["'caf\u00e9,x'"] },
  { type: 'json', values: [`'{"b" : 1, "a":1.10, "a": null}'`, `'"\\\\u00e9"'`, isMariadb ? "'1e400'" : "'1e300'"] },
  ...onlyWhere(isRelease('mariadb', 10, 5), { type: 'inet6', values: ["'2001:db8::1'", "'::ffff:192.0.2.1'"] }),
  ...onlyWhere(isRelease('mariadb', 10, 10), { type: 'inet4', values: ["'192.0.2.1'"] }),
  ...onlyWhere(isRelease('mariadb', 10, 7), {
    type: 'uuid',
    values: ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
  }),
  ...onlyWhere(isRelease('mysql', 9, 0), { type: 'vector(3)', values: ["TO_VECTOR('[1,2.5,-0]')"] }),
  { type: 'point', values: [POINT] },
  { type: 'geometry', values: [SHAPES, POINT] },
]

/**
 * Statements that make the table `samples`, with a row for the first value of each type, one for the second, …, one all NULL. An
 * enum's 0, half a character and impossible dates only go in where nothing is strict.
 */
export function createSamples(): readonly string[] {
  const columns = samples.map(({ type }, at) => `c${at} ${type}`)
  const most = Math.max(...samples.map((sample) => sample.values.length))
  const rows = Array.from({ length: most + 1 }, (_none, row) => {
    const values = samples.map((sample) => sample.values[row] ?? 'NULL')
    return `INSERT INTO samples VALUES (${[row + 1, ...values].join(', ')})`
  })
  return [
    "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
    `CREATE TABLE samples (id int PRIMARY KEY, ${columns.join(', ')})`,
    ...rows,
  ]
}

/** Every row by the server's own word: each value's bytes, with what prints alike told apart. */
export const SAMPLES_AS_TEXT = `SELECT CONCAT_WS(' ', id, ${samples
  .map(({ type }, at) => `IFNULL(${sampleText(type, `c${at}`)}, 'NULL')`)
  .join(', ')}) FROM samples ORDER BY id`

function sampleText(type: string, column: string): string {
  if (/^(float|double)/.test(type)) return `CAST(${column} * 1e0 AS CHAR)`
  if (/^(enum|set)/.test(type)) return `${column} + 0`
  if (/^bit/.test(type)) return `CAST(${column} + 0 AS CHAR)`
  if (/^(text|longtext|blob|longblob)/.test(type)) return `CONCAT(OCTET_LENGTH(${column}), ':', SHA2(${column}, 256))`
  return `HEX(${column})`
}
