import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database, Row } from '../../src/databases/port.ts'
import { isBinary } from '../../src/databases/postgres/binary.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import type { Schema, Table } from '../../src/databases/schema.ts'
import { blocksOf, moveBlocks } from '../contract/database-blocks-kit.ts'
import { createAll, rowsOf } from '../contract/database-kit.ts'
import { unpacker } from '../contract/database-prints-kit.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import { samples } from './postgres-samples.ts'

const TYPES = new Set(
  'smallint|integer|bigint|numeric|numeric(5,-2)|numeric(3,5)|numeric(19,4)|real|double precision|boolean|text|varchar(20)|char(5)|bytea|date|time|time(3)|timestamp|timestamp with time zone|timestamp(3) with time zone|uuid|json|jsonb|oid'.split(
    '|',
  ),
)
const binary = samples.filter(({ type }) => TYPES.has(type))

const byText = (a: Row, b: Row): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

describe('tables that are copied in the binary format', () => {
  let server: TestPostgres
  let from: TestDatabase
  let to: TestDatabase
  let source: Database
  let target: Database

  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.4' })
    from = await server.database()
    to = await server.database()
    const most = Math.max(...binary.map(({ values }) => values.length))
    const rows = Array.from({ length: most + 1 }, (_none, row) =>
      [row + 1, ...binary.map(({ values }) => values[row] ?? 'NULL')].join(', '),
    )
    await from.sql(`CREATE TABLE edges (id integer PRIMARY KEY, ${binary.map(({ type }, at) => `c${at} ${type}`).join(', ')});
      ${rows.map((row) => `INSERT INTO edges VALUES (${row});`).join('\n')}
      CREATE TABLE nothing (id integer PRIMARY KEY, note text); CREATE TABLE arrays (id integer PRIMARY KEY, many integer[]);
      CREATE DOMAIN positive AS integer CHECK (VALUE > 0); CREATE TABLE own (id positive);
      CREATE TABLE random (id bigint PRIMARY KEY, n numeric, d double precision, r real, t text, b bytea, m timestamp, z timestamptz, j date, o time)`)
    source = openPostgres(from.options())
    target = openPostgres(to.options())
    await createAll(target, await source.schema())
  })
  afterAll(async () => {
    await source.close()
    await target.close()
    await server.stop()
  })

  const tableOf = (schema: Schema, name: string): Table => {
    const table = schema.tables.find((each) => each.name.name === name)
    if (table === undefined) throw new Error(`no ${name}`)
    return table
  }
  const contents = async (database: TestDatabase, table: string) =>
    database.sql(`SELECT whole::text, md5(record_send(whole)) FROM ${table} AS whole ORDER BY id`)

  it('arrive with values at the edges of every type, and are unpacked as the server prints them', async () => {
    const table = tableOf(await source.schema(), 'edges')
    expect(new Set(binary.map(({ type }) => type))).toEqual(TYPES)
    expect(isBinary(table)).toBe(true)
    const blocks = await blocksOf(source, table)
    expect(await moveBlocks(source, target, table)).toBe(blocks.reduce((rows, block) => rows + block.rows, 0))
    expect(await contents(to, 'edges')).toEqual(await contents(from, 'edges'))
    const unpacked = blocks.flatMap(({ bytes }) => unpacker(source)(table, bytes))
    expect(unpacked.toSorted(byText)).toEqual((await rowsOf(source, table)).toSorted(byText))
  })

  it('arrive empty when they are', async () => {
    const table = tableOf(await source.schema(), 'nothing')
    expect(await blocksOf(source, table)).toEqual([])
    expect(await moveBlocks(source, target, table)).toBe(0)
  })

  it('are none with a column whose bytes mean something in their own database only', async () => {
    const schema = await source.schema()
    expect(isBinary(tableOf(schema, 'arrays'))).toBe(false)
    expect(isBinary(tableOf(schema, 'own'))).toBe(false)
    await from.sql("INSERT INTO arrays VALUES (1, '{1,NULL}')")
    expect(await moveBlocks(source, target, tableOf(schema, 'arrays'))).toBe(1)
    expect(await contents(to, 'arrays')).toEqual(await contents(from, 'arrays'))
  })

  it('arrive with any values, and are unpacked as the server prints them', async () => {
    const table = tableOf(await source.schema(), 'random')
    const micros = fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n })
    const row = fc.record({
      n: fc.stringMatching(/^-?[0-9]{1,50}(\.[0-9]{1,50})?$/),
      d: fc.double({ noNaN: true }),
      r: fc.float({ noNaN: true }),
      t: fc.string({ unit: 'binary', maxLength: 30 }).map((text) => text.replaceAll('\0', '')),
      b: fc.uint8Array({ maxLength: 30 }),
      m: micros,
      j: fc.integer({ min: -2_400_000, max: 100_000_000 }),
      o: fc.bigInt({ min: 0n, max: 86_400_000_000n }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), async (rows) => {
        await from.sql('TRUNCATE random')
        await to.sql(`TRUNCATE random; DELETE FROM migrate_marks WHERE name = 'random'`)
        for (const [id, { n, d, r, t, b, m, j, o }] of rows.entries())
          await from.sql(
            `INSERT INTO random VALUES ($1, $2::numeric, $3::text::double precision, $4::text::real, $5, $6::bytea,
             timestamp '2000-01-01' + $7::bigint * interval '1 microsecond', timestamptz '2000-01-01' + $7::bigint * interval '1 microsecond',
             date '2000-01-01' + $8::int, CASE WHEN $9::bigint = 86400000000 THEN time '24:00' ELSE time '00:00' + $9::bigint * interval '1 microsecond' END)`,
            [String(id), n, spelled(d), spelled(r), t, `\\x${Buffer.from(b).toString('hex')}`, String(m), String(j), String(o)],
          )
        expect(await moveBlocks(source, target, table)).toBe(rows.length)
        expect(await contents(to, 'random')).toEqual(await contents(from, 'random'))
        const unpacked = (await blocksOf(source, table)).flatMap(({ bytes }) => unpacker(source)(table, bytes))
        expect(unpacked.map(inNumbers).toSorted(byText)).toEqual((await rowsOf(source, table)).map(inNumbers).toSorted(byText))
      }),
      { numRuns: 8 },
    )
  })
})

const spelled = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

/** A double may have two shortest texts; which of them is printed says nothing. */
const inNumbers = (row: Row): Row => row.map((cell, at) => (at === 2 || at === 3 ? spelled(Math.fround(Number(cell))) : cell))
