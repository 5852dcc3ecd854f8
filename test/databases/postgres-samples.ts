import { postgresRelease } from '../servers/postgres.ts'

/** A type of PostgreSQL and values at its edges, as SQL expressions. */
interface Sample {
  readonly type: string
  readonly values: readonly string[]
  /** The release that it came with. */
  readonly since?: number
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`

const all: readonly Sample[] = [
  { type: 'smallint', values: ['-32768', '0', '32767'] },
  { type: 'integer', values: ['-2147483648', '2147483647'] },
  { type: 'bigint', values: ['-9223372036854775808', '9223372036854775807', '9007199254740993'] },
  { type: 'numeric', values: ["'NaN'", '0.00', '-0.000000000000000000000000000001', `${'9'.repeat(120)}.${'1'.repeat(80)}`] },
  { type: 'numeric', values: ["'Infinity'", "'-Infinity'", '1e-16383', `1${'0'.repeat(131_071)}`], since: 14 },
  { type: 'numeric(5,-2)', values: ['12300', '-9999900'], since: 15 },
  { type: 'numeric(3,5)', values: ['0.00999'], since: 15 },
  { type: 'numeric(19,4)', values: ['19.99', '-922337203685477.5808', '922337203685477.5807'] },
  { type: 'real', values: ["'-Infinity'", '0.1', '3.4028235e38', '1.17549435e-38', "'NaN'"] },
  { type: 'double precision', values: ["'Infinity'", '0.1', '1.7976931348623157e308', '5e-324', "'-0'", '0.30000000000000004'] },
  { type: 'money', values: ["'-92233720368547758.08'::text::money", '19.99', '0.01'] },
  { type: 'boolean', values: ['true', 'false'] },
  { type: 'text', values: ["''", "'  '", "E'\\t\\n\\r\\\\\\b\\f\\v'", "'\\N'", text('😀 zoë'), "repeat('x', 100000)"] },
  { type: 'varchar(20)', values: ["''", "'trailing   '", text("it's")] },
  { type: 'char(5)', values: ["''", "'ab'", "'12345'"] },
  { type: '"char"', values: ["'a'", "''"] },
  { type: 'name', values: ["'a name'"] },
  { type: 'bytea', values: ["''", "'\\x00'", "'\\x5c6e0a0d09ff00'", "decode(repeat('00ff5c', 10000), 'hex')"] },
  { type: 'date', values: ["'4713-01-01 BC'", "'5874897-12-31'", "'infinity'", "'2024-02-29'"] },
  { type: 'time', values: ["'00:00:00'", "'24:00:00'", "'23:59:59.999999'"] },
  { type: 'time(3)', values: ["'12:34:56.789'"] },
  { type: 'time with time zone', values: ["'00:00:00+15:59'", "'23:59:59.999999-15:59'"] },
  {
    type: 'timestamp',
    values: ["'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59.999999'", "'-infinity'", "'2026-03-29 02:30:00.000001'"],
  },
  { type: 'timestamp with time zone', values: ["'2026-10-25 02:30:00.123456+02'", "'infinity'", "'0001-01-01 00:00:00 BC'"] },
  { type: 'timestamp(3) with time zone', values: ["'2026-10-25 02:30:00.123+00'"] },
  { type: 'interval', values: ["'-178000000 years'", "'1 month -1 day 00:00:00.000001'", "'-1 mon +2 days -03:04:05.6'"] },
  { type: 'uuid', values: ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"] },
  { type: 'json', values: [`'{"b" : 1, "a":1.10, "a": null}'`, `'" "'`, "'1e400'"] },
  { type: 'jsonb', values: [`'{"b": 1.10, "a": [null, "\\u00e9\\\\"]}'`, "'null'", "'123456789012345678901234567890.5'"] },
  { type: 'xml', values: ['\'<a b="c">\n x &amp; y </a>\'', "'text only'"] },
  { type: 'inet', values: ["'192.0.2.1/24'", "'2001:db8::1'"] },
  { type: 'cidr', values: ["'192.0.2.0/24'"] },
  { type: 'macaddr', values: ["'08:00:2b:01:02:03'"] },
  { type: 'bit(5)', values: ["B'10101'"] },
  { type: 'bit varying', values: ["B''", "B'1'"] },
  { type: 'point', values: ["'(1.5,-0.1)'"] },
  { type: 'polygon', values: ["'((0,0),(1,1),(0.1,2))'"] },
  { type: 'tsvector', values: ["'''it''''s'':3A fat:2'"] },
  { type: 'tsquery', values: ["'fat & !rat:AB'"] },
  { type: 'int4range', values: ["'empty'", "'[1,5)'", "'(,)'"] },
  { type: 'tstzrange', values: [`'["2026-01-01 00:00:00+00",infinity)'`] },
  { type: 'integer[]', values: ["'{}'", "'{1,NULL,-3}'", "'[0:1]={7,8}'", "'{{1,2},{3,4}}'"] },
  { type: 'text[]', values: [`'{"",NULL,"NULL","a,b","q\\"\\\\","{}"," "}'`] },
  { type: 'numeric(10,2)[]', values: ["'{0.10,NaN}'"] },
  { type: 'pair', values: [`'(1,"x,""y""\\\\")'`, "'(,)'", `'(2,"")'`] },
  { type: 'mood', values: ["'so so'", "'it''s'"] },
  { type: 'mood[]', values: [`'{"so so",happy}'`] },
  { type: 'positive', values: ['1', '2147483647'] },
  { type: 'small', values: ['1', '99'] },
  { type: 'small[]', values: ["'{1,NULL,99}'"] },
  { type: 'nest', values: [`'("(1,""x"")","{""(2,y)"",NULL}","{happy}",7)'`, "'(,,,)'"] },
  { type: 'nest[]', values: ["ARRAY[ROW(ROW(1, '{,}'), ARRAY[]::pair[], ARRAY[]::mood[], 5)::nest, NULL]"] },
  { type: 'bit(1)', values: ["B'1'", "B'0'"] },
  { type: 'bit varying(64)', values: ["B''", "repeat('10', 32)::varbit"] },
  { type: 'bit(3)[]', values: ["ARRAY[B'101', NULL]"] },
  { type: 'macaddr8', values: ["'08:00:2b:01:02:03:04:05'"] },
  { type: 'inet[]', values: ["'{10.0.0.1/8,::/0,NULL}'"] },
  { type: 'line', values: ["'{1,-1,0.1}'"] },
  { type: 'lseg', values: ["'[(0,0),(1e-300,-1e300)]'"] },
  { type: 'box', values: ["'(2,2),(1,1)'"] },
  { type: 'path', values: ["'((0,0),(1,1))'", "'[(0,0),(1.1,NaN)]'"] },
  { type: 'circle', values: ["'<(0.1,-0),3>'"] },
  { type: 'box[]', values: ["'{(2,2),(1,1);(3,3),(2,2)}'"] },
  { type: 'real[]', values: ["'{NaN,Infinity,-Infinity,-0,0.1,NULL}'"] },
  { type: 'double precision[]', values: ["'[-2:0]={NaN,5e-324,0.30000000000000004}'"] },
  { type: 'text[][]', values: ['\'[0:1][5:6]={{a,NULL},{"","NULL"}}\''] },
  { type: 'timestamp with time zone[]', values: ['\'{infinity,-infinity,"0001-01-01 00:00:00 BC"}\''] },
  { type: 'bytea[]', values: ["ARRAY['\\x00', '\\x5c22'::bytea, NULL]"] },
  { type: 'char(3)[]', values: ['\'{a,"bc ",NULL}\''] },
  { type: 'money[]', values: ["ARRAY['-0.01'::text::money, NULL]"] },
  { type: 'jsonb[]', values: [`ARRAY['{"a": "\\\\ \\""}', 'null'::jsonb, NULL]`] },
  { type: 'int8range', values: ["'[-9223372036854775808,9223372036854775806]'", "'(,5)'"] },
  { type: 'numrange', values: ["'(0.1,NaN]'", "'[-Infinity,)'"], since: 14 },
  { type: 'daterange', values: ["'[4713-01-01 BC,infinity)'"] },
  { type: 'int4multirange', values: ["'{}'", "'{[1,3),[5,)}'"], since: 14 },
  { type: 'tsmultirange', values: [`'{["2026-01-01 00:00:00","2026-01-02 00:00:00"),(infinity,)}'`], since: 14 },
  { type: 'words', values: [`'["a,b","c\\"d")'`, "'(,)'"] },
  { type: 'words[]', values: [`'{"[a,b)",empty}'`] },
  { type: 'int4range[]', values: ['\'{empty,"[1,5)",NULL}\''] },
  { type: 'txid_snapshot', values: ["'10:20:10,14,15'"] },
  { type: 'pg_snapshot', values: ["'10:20:10,14,15'"], since: 13 },
  { type: 'xid8', values: ["'18446744073709551615'"], since: 13 },
  { type: 'tid', values: ["'(4294967295,65535)'"] },
  { type: 'oidvector', values: ["'1 2 4294967295'"] },
  { type: 'jsonpath', values: [`'strict $."a b"[*] ? (@ > 1)'`] },
  { type: 'interval second(3)', values: ["'1.2345'"] },
  { type: 'interval[]', values: ["'{178000000 years,-1 mon}'"] },
  { type: 'xml[]', values: ["ARRAY['<a/>'::xml, NULL]"] },
  { type: 'uuid[]', values: ["'{00000000-0000-0000-0000-000000000000}'"] },
  { type: 'oid', values: ['4294967295'] },
  { type: 'pg_lsn', values: ["'16/B374D848'"] },
]

export const samples: readonly Sample[] = all.filter(({ since = 0 }) => postgresRelease >= since)

const TYPES = `CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('so so', 'happy', 'it''s');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE DOMAIN small AS positive CHECK (VALUE < 100); CREATE TYPE nest AS (p pair, many pair[], m mood[], s small);
  CREATE TYPE words AS RANGE (SUBTYPE = text, COLLATION = "C");`

/** Statements that make the table `samples`, with a row for the first value of each type, one for the second, …, one all NULL. */
export function createSamples(): string {
  const columns = samples.map(({ type }, at) => `c${at} ${type}`)
  const most = Math.max(...samples.map((sample) => sample.values.length))
  const rows = Array.from({ length: most + 1 }, (_none, row) => {
    const values = samples.map((sample) => sample.values[row] ?? 'NULL')
    return `INSERT INTO samples VALUES (${[row + 1, ...values].join(', ')});`
  })
  return `${TYPES} CREATE TABLE samples (id integer PRIMARY KEY, ${columns.join(', ')}); ${rows.join('\n')}`
}

/** Every row as the server prints it, binary forms of what could look equal and not be, included. */
export const SAMPLES_AS_TEXT = `SELECT s::text || coalesce(float8send(c${samples.findIndex((each) => each.type === 'double precision')})::text, '')
  FROM samples s ORDER BY id`
