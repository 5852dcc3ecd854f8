import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database, Row } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { copyTable, createAll, rowsOf } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, isRelease, mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'

const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => value.isWellFormed())
const bytes = fc.uint8Array({ maxLength: 60 }).map((value) => Buffer.from(value).toString('hex'))
const bigint = (min: bigint, max: bigint) => fc.bigInt({ min, max }).map(String)
const digits = (most: number) => fc.stringMatching(new RegExp(`^-?[0-9]{1,${most}}(\\.[0-9]{1,${most}})?$`))
const micros = bigint(-(10n ** 15n), 10n ** 15n)
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? '-0' : String(value)))
const float = fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? '-0' : String(value)))

const twoDigits = (value: number, length = 2): string => String(value).padStart(length, '0')
/** Zero dates, those with a month or day of 0, and impossible ones such as 31 February among them. */
const anyDate = fc
  .tuple(
    fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 9999 })),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 31 }),
  )
  .map(([year, month, day]) => `${twoDigits(year, 4)}-${twoDigits(month)}-${twoDigits(day)}`)
const anyDatetime = fc
  .tuple(anyDate, fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 999 }))
  .map(([date, hour, minute, ms]) => `${date} ${twoDigits(hour)}:${twoDigits(minute)}:59.${twoDigits(ms, 3)}`)

/** Geometries as "Well-Known Text". */
const place = fc.tuple(number, number).map((pair) => pair.join(' '))
const listOf = (item: fc.Arbitrary<string>, minLength = 1) =>
  fc.array(item, { minLength, maxLength: 4 }).map((items) => `(${items.join(', ')})`)
const line = listOf(place, 2)
const ring = fc
  .tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 1, max: 99 }))
  .map(([x, y, size]) => `(${x} ${y}, ${x + size} ${y}, ${x + size} ${y + size}, ${x} ${y})`)
const shapes = {
  point: place.map((value) => `POINT(${value})`),
  linestring: line.map((value) => `LINESTRING${value}`),
  polygon: listOf(ring).map((value) => `POLYGON${value}`),
  multipoint: listOf(place).map((value) => `MULTIPOINT${value}`),
  multilinestring: listOf(line).map((value) => `MULTILINESTRING${value}`),
  multipolygon: listOf(listOf(ring)).map((value) => `MULTIPOLYGON${value}`),
}
const shape = fc.oneof(...Object.values(shapes))
const collection = listOf(shape).map((value) => `GEOMETRYCOLLECTION${value}`)
/** MySQL holds the earth's own to degrees. */
const SRID = isMariadb ? 4326 : 0
const geometry = (type: string, value: fc.Arbitrary<string>): Column => ({
  type,
  expression: `ST_GeomFromText(?, ${SRID})`,
  value,
})

/** Types, the expression that makes a value of each from text, and how it is shown to the last bit. */
interface Column {
  readonly type: string
  readonly expression: string
  readonly value: fc.Arbitrary<string>
  readonly shown?: string
}

const columns: readonly Column[] = [
  { type: 'bigint', expression: '?', value: bigint(-(2n ** 63n), 2n ** 63n - 1n) },
  { type: 'bigint unsigned', expression: '?', value: bigint(0n, 2n ** 64n - 1n) },
  { type: 'decimal(65,30)', expression: '?', value: digits(30) },
  { type: 'decimal(12,4)', expression: '? / 10000', value: bigint(-(2n ** 31n), 2n ** 31n) },
  { type: 'double', expression: '?', value: number, shown: 'CAST($ AS CHAR)' },
  // A float and the double that it is are equal only when no bit differs.
  { type: 'float', expression: '?', value: float, shown: 'CAST($ * 1e0 AS CHAR)' },
  { type: 'double(20,6)', expression: '?', value: fc.integer({ min: -1e9, max: 1e9 }).map((value) => String(value / 1000)) },
  { type: 'bit(23)', expression: 'CAST(? AS unsigned)', value: bigint(0n, 2n ** 23n - 1n), shown: '$ + 0' },
  { type: 'year', expression: '?', value: fc.integer({ min: 1901, max: 2155 }).map(String) },
  { type: 'date', expression: `'2000-01-01' + INTERVAL ? DAY`, value: fc.integer({ min: -300_000, max: 2_000_000 }).map(String) },
  { type: 'time(6)', expression: 'SEC_TO_TIME(? / 1000000)', value: bigint(-3_020_399_000_000n, 3_020_399_000_000n) },
  { type: 'datetime(6)', expression: "'2000-01-01 00:00:00' + INTERVAL ? MICROSECOND", value: micros },
  {
    type: 'timestamp(6) NULL',
    expression: "'2000-01-01 00:00:00' + INTERVAL ? MICROSECOND",
    value: bigint(-(10n ** 14n), 10n ** 15n),
  },
  { type: 'char(7)', expression: 'LEFT(?, 7)', value: text },
  { type: 'varchar(40)', expression: 'LEFT(?, 40)', value: text },
  { type: 'text', expression: '?', value: text },
  { type: 'varchar(60) CHARACTER SET latin1', expression: 'CONVERT(UNHEX(?) USING latin1)', value: bytes },
  { type: 'varchar(60) CHARACTER SET cp1250', expression: 'CONVERT(UNHEX(?) USING cp1250)', value: bytes },
  { type: 'varchar(60) CHARACTER SET utf16', expression: 'LEFT(?, 40)', value: text },
  { type: 'varchar(60) CHARACTER SET gbk', expression: 'CONVERT(? USING gbk)', value: fc.string({ maxLength: 20 }) },
  { type: 'varbinary(60)', expression: 'UNHEX(?)', value: bytes },
  { type: 'binary(9)', expression: 'LEFT(UNHEX(?), 9)', value: bytes },
  { type: 'longblob', expression: 'UNHEX(?)', value: bytes },
  {
    type: "enum('a','','b c','\\\\')",
    expression: 'CAST(? AS unsigned)',
    value: fc.integer({ min: 0, max: 4 }).map(String),
    shown: '$ + 0',
  },
  {
    type: "set('x','y','\\'z')",
    expression: 'CAST(? AS unsigned)',
    value: fc.integer({ min: 0, max: 7 }).map(String),
    shown: '$ + 0',
  },
  { type: 'json', expression: '?', value: fc.json() },
  ...(isRelease('mariadb', 10, 7) ? [{ type: 'uuid', expression: '?', value: fc.uuid() }] : []),
  ...(isRelease('mariadb', 10, 5)
    ? [{ type: 'inet6', expression: '?', value: fc.ipV6().filter((value) => !value.includes('.')) }]
    : []),
  ...Object.entries({ tinyint: 7n, smallint: 15n, mediumint: 23n, int: 31n }).flatMap(([type, bits]): readonly Column[] => {
    const half = 2n ** bits
    return [
      { type, expression: '?', value: bigint(-half, half - 1n) },
      { type: `${type} unsigned`, expression: '?', value: bigint(0n, 2n * half - 1n) },
    ]
  }),
  { type: 'date', expression: '?', value: anyDate },
  { type: 'datetime(3)', expression: '?', value: anyDatetime },
  ...Object.entries(shapes).map(([type, value]) => geometry(type, value)),
  geometry('geometrycollection', collection),
  geometry('geometry', fc.oneof(shape, collection)),
]

describe.skipIf(mysqlMissing !== null)(mysqlTitle('rows of every type, moved from one MariaDB database to another'), () => {
  let server: TestMysql
  let from: TestMysqlDatabase
  let to: TestMysqlDatabase
  let source: Database
  let target: Database
  /** Of the same database, by the one connection that it made while the server let no LOAD DATA LOCAL in. */
  let inserting: Database
  let table: Table

  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.3', settings: { 'local-infile': '1' } })
    from = await server.database()
    to = await server.database()
    await from.sql(`CREATE TABLE samples (id int PRIMARY KEY, ${columns.map(({ type }, at) => `c${at} ${type}`).join(', ')})`)
    source = openMysql(from.options())
    target = openMysql(to.options())
    inserting = openMysql({ ...to.options(), connections: 1 })
    await server.rootSql('SET GLOBAL local_infile = 0')
    await inserting.schema()
    await server.rootSql('SET GLOBAL local_infile = 1')
    const schema = await source.schema()
    await createAll(target, schema)
    const [found] = schema.tables
    if (found === undefined) throw new Error('no table')
    table = found
  })
  afterAll(async () => {
    await source?.close()
    await target?.close()
    await inserting?.close()
    await server?.stop()
  })

  const row = fc.tuple(...columns.map(({ value }) => fc.option(value, { nil: null, freq: 8 })))
  const some = fc.array(row, { minLength: 1, maxLength: 20 })

  it('are the same by the server’s own word, by load, by blocks (LOAD DATA, INSERT) and by update', async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(some, async (rows) => {
        run += 1
        await from.sql('TRUNCATE samples')
        await insertAll(from, rows)
        const expected = await from.sql(SHOWN)
        const read = await rowsOf(source, table)
        for (const way of [byLoad, byBlocks(target), byBlocks(inserting), byUpdate]) {
          await to.sql('TRUNCATE samples')
          await way(`run ${run}`, read)
          expect(await to.sql(SHOWN)).toEqual(expected)
          expect(await rowsOf(target, table)).toEqual(read)
        }
      }),
      { numRuns: 20 },
    )
  })

  const byLoad = async (name: string): Promise<void> => {
    await copyTable(source, target, table, name)
  }

  const byBlocks =
    (into: Database) =>
    async (name: string): Promise<void> => {
      const blocks: Buffer[] = []
      await source.read(1, async ([reader]) => {
        for await (const { bytes: each } of reader.blocks?.(table) ?? []) blocks.push(each)
      })
      await into.loadBlocks?.(table, once(blocks), { run: into === target ? 'blocks' : 'inserts', name })
    }

  const byUpdate = async (_name: string, read: readonly Row[]): Promise<void> => {
    await to.sql(`INSERT INTO samples (id) VALUES ${read.map(([id]) => `(${id})`).join(', ')}`)
    await target.transaction([table], async (transaction) => {
      for (const each of read) await transaction.update(table, each)
    })
  }
})

async function* once<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

const SHOWN = `SELECT CONCAT_WS(' ', id, ${columns
  .map(({ shown = 'HEX($)' }, at) => `IFNULL(${shown.replaceAll('$', `c${at}`)}, 'NULL')`)
  .join(', ')}) FROM samples ORDER BY id`

/** As a shop that isn't strict does it. */
async function insertAll(database: TestMysqlDatabase, rows: readonly Row[]): Promise<void> {
  const connection = await database.connect()
  await connection.query("SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
  for (const [id, row] of rows.entries()) {
    const values = columns.map((column) => column.expression)
    await connection.query(`INSERT INTO samples VALUES (${id}, ${values.join(', ')})`, [...row])
  }
  await connection.end()
}
