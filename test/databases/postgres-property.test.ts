import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Cell, Database, Row } from '../../src/databases/port.ts'
import { copySql } from '../../src/databases/postgres/copy-sql.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { decodeLine, encodeRows } from '../../src/databases/postgres/values.ts'
import { copyTable, createAll, rowsOf, tableOf } from '../contract/database-kit.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'

// PostgreSQL has no character with the number 0.
const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.replaceAll('\0', ''))
const cell = fc.option(text, { nil: null })
const bigint = (bits: bigint) => fc.bigInt({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }).map(String)
const digits = (most: number) => fc.stringMatching(new RegExp(`^-?[0-9]{1,${most}}(\\.[0-9]{1,${most}})?$`))
const day = fc.integer({ min: -1_000_000, max: 1_000_000 })
const micros = fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n })
const double = fc.double().map((value) => (Object.is(value, -0) ? '-0' : String(value)))
/** Every field by itself, up to what its bits hold. */
const interval = fc
  .tuple(bigint(32n), bigint(32n), fc.bigInt({ min: -(10n ** 18n) * 9n, max: 10n ** 18n * 9n }))
  .map(([months, days, rest]) => `${months} mons ${days} days ${rest} microseconds`)
const address = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
  fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([ip, bits]) => `${ip}/${bits}`),
)

/** Types and how to make a value of each from text that its input function takes. */
const columns: readonly { readonly type: string; readonly expression: string; readonly value: fc.Arbitrary<string> }[] = [
  { type: 'smallint', expression: '$::smallint', value: bigint(16n) },
  { type: 'bigint', expression: '$::bigint', value: bigint(64n) },
  { type: 'numeric', expression: '$::numeric', value: digits(60) },
  { type: 'numeric(12,4)', expression: '$::numeric / 10000', value: bigint(32n) },
  { type: 'real', expression: '$::real', value: fc.float({ noNaN: true }).map(String) },
  { type: 'double precision', expression: '$::double precision', value: fc.double().map(String) },
  { type: 'money', expression: '$::bigint::money', value: bigint(50n) },
  { type: 'boolean', expression: '$::boolean', value: fc.boolean().map(String) },
  { type: 'text', expression: '$', value: text },
  { type: 'varchar(40)', expression: 'left($, 40)', value: text },
  { type: 'char(7)', expression: 'left($, 7)', value: text },
  {
    type: 'bytea',
    expression: '$::bytea',
    value: fc.uint8Array({ maxLength: 60 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  },
  { type: 'date', expression: "date '2000-01-01' + $::int", value: day.map(String) },
  { type: 'time', expression: "time '00:00' + $::bigint * interval '1 microsecond'", value: micros.map(String) },
  { type: 'timestamp', expression: "timestamp '2000-01-01' + $::bigint * interval '1 microsecond'", value: micros.map(String) },
  {
    type: 'timestamptz',
    expression: "timestamptz '2000-01-01' + $::bigint * interval '1 microsecond'",
    value: micros.map(String),
  },
  { type: 'interval', expression: '$::interval', value: interval },
  { type: 'uuid', expression: '$::uuid', value: fc.uuid() },
  { type: 'json', expression: '$::json', value: fc.json().filter((value) => !value.includes('\\u0000')) },
  { type: 'jsonb', expression: '$::jsonb', value: fc.json().filter((value) => !/\\u(0000|d[89a-f])/i.test(value)) },
  { type: 'text[]', expression: "ARRAY[$, NULL, '']", value: text },
  { type: 'text[][]', expression: 'array_fill($, ARRAY[2, 2], ARRAY[0, -3])', value: text },
  {
    type: 'double precision[]',
    expression: "ARRAY[$::double precision, 'NaN', '-Infinity', NULL]",
    value: fc.double().map(String),
  },
  { type: 'bit varying', expression: '$::varbit', value: fc.stringMatching(/^[01]{0,70}$/) },
  { type: 'bit(9)', expression: '$::bigint::bit(9)', value: bigint(32n) },
  { type: 'inet', expression: '$::inet', value: address },
  { type: 'cidr', expression: 'network($::inet)', value: address },
  { type: 'macaddr', expression: "lpad(to_hex($::bigint & 281474976710655), 12, '0')::macaddr", value: bigint(64n) },
  { type: 'macaddr8', expression: "lpad(to_hex($::bigint), 16, '0')::macaddr8", value: bigint(64n) },
  {
    type: 'time with time zone',
    expression: "(time '00:00' + $::bigint * interval '1 microsecond')::timetz",
    value: micros.map(String),
  },
  { type: 'int8range', expression: "int8range($::bigint, NULL, '()')", value: bigint(60n) },
  {
    type: 'int8multirange',
    expression: 'int8multirange(int8range(NULL, $::bigint), int8range(9000000000000000000, NULL))',
    value: bigint(60n),
  },
  { type: 'numrange', expression: "numrange($::numeric, 'NaN')", value: digits(40) },
  { type: 'int4range', expression: "int4range(NULL, $::int, '[]')", value: day.map(String) },
  { type: 'daterange', expression: "daterange(date '2000-01-01' + $::int, 'infinity', '(]')", value: day.map(String) },
  {
    type: 'tsrange',
    expression: "tsrange('-infinity', timestamp '2000-01-01' + $::bigint * interval '1 microsecond', '()')",
    value: micros.map(String),
  },
  {
    type: 'tstzrange',
    expression: "tstzrange(timestamptz '2000-01-01' + $::bigint * interval '1 microsecond', NULL, '(]')",
    value: micros.map(String),
  },
  {
    type: 'tstzmultirange',
    expression:
      "tstzmultirange(tstzrange(NULL, '1999-01-01'), tstzrange(timestamptz '2300-01-01' + abs($::bigint) * interval '1 microsecond', NULL))",
    value: micros.map(String),
  },
  { type: 'nummultirange', expression: "nummultirange(numrange(NULL, -abs($::numeric)), numrange(1, 'NaN'))", value: digits(40) },
  {
    type: 'datemultirange',
    expression: "datemultirange(daterange('-infinity', date '2000-01-01' + $::int), daterange('9000-01-01', NULL))",
    value: day.map(String),
  },
  { type: 'int4range[]', expression: "ARRAY[int4range($::int, NULL), 'empty', NULL]", value: day.map(String) },
  { type: 'point', expression: 'point($::double precision, -0.0)', value: double },
  { type: 'line', expression: "('{' || $::double precision || ',1,0.1}')::line", value: double },
  { type: 'lseg', expression: "lseg(point(0.1, $::double precision), point('-Infinity', 2))", value: double },
  { type: 'box', expression: 'box(point($::double precision, 0.3), point(1, -2))', value: double },
  {
    type: 'box[]',
    expression: 'ARRAY[box(point($::double precision, 0.3), point(1, -2)), NULL, box(point(0, 0), point(1, 1))]',
    value: double,
  },
  { type: 'path', expression: "('[(0,1),(2,' || $::double precision || '),(0.1,5)]')::path", value: double },
  { type: 'polygon', expression: "('((0,1),(2,' || $::double precision || '),(0.1,5))')::polygon", value: double },
  { type: 'circle', expression: 'circle(point(0.1, -2), abs($::double precision))', value: double },
  { type: 'pg_lsn', expression: "'0/0'::pg_lsn + abs($::numeric)", value: bigint(62n) },
  { type: 'tsvector', expression: "to_tsvector('simple', $)", value: text },
  { type: 'tsquery', expression: "plainto_tsquery('simple', $)", value: text },
  { type: 'tsvector', expression: "setweight(to_tsvector('simple', $), 'B')", value: text },
  { type: 'tsvector', expression: "array_to_tsvector(ARRAY[coalesce('a' || $, 'b'), ''' \\'])", value: text },
  {
    type: 'tsquery',
    expression: String.raw`('''a' || replace(replace($, '\', '\\'), '''', '''''') || ''':*AB & !x <2> y')::tsquery`,
    value: text,
  },
  { type: 'xml', expression: 'xmlelement(name a, $)', value: fc.string({ unit: 'grapheme', maxLength: 30 }) },
  { type: 'jsonb[]', expression: "ARRAY[to_jsonb($), 'null', NULL]", value: text },
  { type: 'small', expression: '(1 + abs($::bigint) % 99)::small', value: bigint(40n) },
  { type: 'pair', expression: 'ROW(1, $)::pair', value: text },
  { type: 'small[]', expression: 'ARRAY[(1 + abs($::bigint) % 99)::small, NULL]', value: bigint(40n) },
  { type: 'pair[]', expression: "ARRAY[ROW(NULL, $)::pair, NULL, ROW(2, '')::pair]", value: text },
  { type: 'known', expression: 'ROW(2, $)::known', value: text },
  { type: 'words', expression: "ARRAY['', $]::words", value: text },
  {
    type: 'nest',
    expression: "ROW(ROW(3, $)::pair, ARRAY['NaN', 0.10]::numeric[], '(,5]'::int8range, 7::small, '( , )')::nest",
    value: text,
  },
  { type: 'mood', expression: "(ARRAY['sad', 'it''s \"ok\"', '😀']::mood[])[1 + abs($::bigint) % 3]", value: bigint(40n) },
  {
    type: 'mood[]',
    expression: "ARRAY[(ARRAY['sad', 'it''s \"ok\"', '😀']::mood[])[1 + abs($::bigint) % 3], NULL]",
    value: bigint(40n),
  },
]

describe('the text of COPY', () => {
  it('brings every cell back as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 3, maxLength: 3 }), { maxLength: 5 }), (rows) => {
        const lines = encodeRows(rows).toString('utf8').split('\n').slice(0, -1)
        expect(lines.map((line) => decodeLine(line, 3))).toEqual(rows)
      }),
    )
  })

  it('refuses half of a character instead of replacing it', () => {
    expect(() => encodeRows([['\ud83d']])).toThrow('lone surrogate')
  })

  it('of a page is asked for by its key', () => {
    const column = (name: string, codec: string) =>
      ({
        name,
        codec,
        type: codec,
        nullable: false,
        collation: null,
        default: null,
        computed: null,
        identity: null,
        rowversion: false,
      }) as const
    const table = {
      name: { schema: 'public', name: 'it"s' },
      columns: [column('a', 'integer'), column('b', 'text')],
      primaryKey: null,
      uniqueKeys: [],
      key: ['a', 'b'],
      triggers: [],
    }
    expect(copySql(table, { after: ['1', "o'clock"], limit: 5, ordered: true })).toBe(
      `COPY (SELECT "a", "b" FROM ONLY "public"."it""s" AS t WHERE ("a", "b") > ('1'::integer, 'o''clock'::text) ORDER BY "a", "b" LIMIT 5) TO STDOUT`,
    )
  })
})

describe('rows of every type, moved from one PostgreSQL database to another', () => {
  let server: TestPostgres
  let from: TestDatabase
  let to: TestDatabase
  let source: Database
  let target: Database

  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.2' })
    from = await server.database()
    to = await server.database()
    await from.sql(`CREATE TYPE pair AS (a int, b text);
      CREATE DOMAIN known AS pair CHECK ((VALUE).a > 0); CREATE DOMAIN words AS text[] CHECK (array_length(VALUE, 1) < 9);
      CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', '😀');
      CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN small AS positive CHECK (VALUE < 100);
      CREATE TYPE nest AS (p pair, n numeric[], r int8range, s small, t text);
      CREATE TABLE samples (id int PRIMARY KEY, ${columns.map(({ type }, at) => `c${at} ${type}`).join(', ')})`)
    // Whatever the hosts have set for the accounts, values are printed and read in one way.
    for (const { owner, superuserSql } of [from, to])
      for (const setting of HOSTILE) await superuserSql(`ALTER ROLE "${owner.user}" SET ${setting}`)
    source = openPostgres(from.options())
    target = openPostgres(to.options())
    await createAll(target, await source.schema())
  })
  afterAll(async () => {
    await source.close()
    await target.close()
    await server.stop()
  })

  it('are the same by the server’s own comparison of their bytes', async () => {
    const row = fc.tuple(...columns.map(({ value }) => fc.option(value, { nil: null, freq: 8 })))
    const table = tableOf(await source.schema(), 'samples')
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 20 }), async (rows) => {
        run += 1
        await from.sql('TRUNCATE samples')
        await to.sql('TRUNCATE samples')
        await insertAll(from, rows)
        expect(await copyTable(source, target, table, `run ${run}`)).toBe(rows.length)
        expect(await to.sql(CHECKSUM)).toEqual(await from.sql(CHECKSUM))
        const read = await rowsOf(source, table)
        expect(await rowsOf(target, table)).toEqual(read)
        await update(target, read)
        expect(await to.sql(CHECKSUM)).toEqual(await from.sql(CHECKSUM))
      }),
      { numRuns: 25, endOnFailure: true },
    )
    async function update(database: Database, rows: readonly Row[]): Promise<void> {
      await to.sql(`UPDATE samples SET ${columns.map((_column, at) => `c${at} = NULL`).join(', ')}`)
      await database.transaction([table], async (transaction) => {
        for (const each of rows) await transaction.update(table, each)
      })
    }
  })
})

const HOSTILE = [
  'array_nulls = off',
  "DateStyle = 'SQL, DMY'",
  'IntervalStyle = sql_standard',
  'bytea_output = escape',
  'xmloption = document',
  "TimeZone = 'Asia/Kathmandu'",
]

const OWN_TYPES = new Set(['pair', 'small', 'pair[]', 'small[]', 'known', 'words', 'nest', 'mood', 'mood[]'])

/** `record_send` is the binary form of a row; that of the shop's own types holds their number, which each database gives anew. */
const CHECKSUM = `SELECT id, md5(record_send(ROW(${columns.flatMap(({ type }, at) => (OWN_TYPES.has(type) ? [] : [`c${at}`])).join(', ')}))), s::text
  FROM samples s ORDER BY id`

async function insertAll(database: TestDatabase, rows: readonly (readonly Cell[])[]): Promise<void> {
  const values: Cell[] = []
  const place = (value: Cell): string => `$${values.push(value)}::text`
  const lines = rows.map(
    (row, id) =>
      `(${[id, ...columns.map(({ expression }, at) => expression.replace('$', () => place(row[at] ?? null)))].join(', ')})`,
  )
  await database.sql(`INSERT INTO samples VALUES ${lines.join(', ')}`, values)
}
