import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { LENT_BYTES } from '../../src/databases/buffers.ts'
import { BlockCollector } from '../../src/databases/mysql/blocks.ts'
import { openMysql } from '../../src/databases/mysql/index.ts'
import { pieceOf } from '../../src/databases/mysql/long-row.ts'
import { CellCollector } from '../../src/databases/mysql/rows.ts'
import type { Block, Database } from '../../src/databases/port.ts'
import { type Column, ORDINARY, type Table } from '../../src/databases/schema.ts'
import { closedAfterEach, createAll, failureOf, rowsOf } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'

const column = (name: string, codec: string): Column => ({
  name,
  type: codec === 'number' ? 'int' : 'longblob',
  codec,
  ...ORDINARY,
})

/** A row as the server sends it ("Text Resultset Row"). */
function payload(values: readonly (Uint8Array | null)[]): Buffer {
  const parts = values.map((value) => {
    if (value === null) return Buffer.from([0xfb])
    if (value.length < 0xfb) return Buffer.from([value.length, ...value])
    const head = Buffer.alloc(9, 0xfe)
    head.writeBigUInt64LE(BigInt(value.length), 1)
    return Buffer.concat([head, value])
  })
  return Buffer.concat(parts)
}

const textOf = (blocks: readonly Block[]): Buffer =>
  Buffer.concat(blocks.map(({ bytes }) => Buffer.from(pieceOf(bytes)?.text ?? bytes)))

describe('a row of MySQL that comes in parts', () => {
  const columns = [column('id', 'number'), column('b', 'binary'), column('c', 'binary')]
  // Half of the bytes are such as get a backslash.
  const bytes = fc
    .uint8Array({ maxLength: 400 })
    .map((value) => value.map((byte) => (byte % 2 === 0 ? byte : ([9, 10, 92, 78][byte % 4] ?? 0))))

  it('becomes the same text wherever it was cut', () => {
    const value = fc.option(bytes, { freq: 5 })
    fc.assert(
      fc.property(value, value, fc.integer({ min: 1, max: 50 }), (b, c, size) => {
        const row = payload([Buffer.from('42'), b, c])
        const [whole, cut] = [new BlockCollector(columns), new BlockCollector(columns)]
        whole.add(row, 0, row.length)
        for (let at = 0; at < row.length; at += size)
          cut.addPart(row, at, Math.min(row.length, at + size), at + size >= row.length)
        const block = cut.take(true)
        expect(block).toMatchObject({ rows: 1 })
        expect(block?.bytes).toEqual(whole.take(true)?.bytes)
      }),
    )
  })

  it('is in pieces that fit in a lent buffer, of which none ends behind a backslash', () => {
    const value = Buffer.alloc(3 * LENT_BYTES, '\\\n')
    const row = payload([Buffer.from('42'), value, null])
    const collector = new BlockCollector(columns)
    for (let at = 0; at < row.length; at += 9973)
      collector.addPart(row, at, Math.min(row.length, at + 9973), at + 9973 >= row.length)
    const blocks: Block[] = []
    for (let block = collector.take(true); block !== undefined; block = collector.take(true)) blocks.push(block)
    expect(blocks.map(({ rows }) => rows)).toEqual([1, ...blocks.slice(1).map(() => 0)])
    expect(blocks.map(({ continues }) => continues)).toEqual([...blocks.slice(1).map(() => true), false])
    expect(Math.max(...blocks.map((block) => block.bytes.length))).toBeLessThanOrEqual(LENT_BYTES)
    for (const block of blocks) {
      const text = pieceOf(block.bytes)?.text ?? Buffer.alloc(0)
      let at = 0
      while (at < text.length) at += text[at] === 92 ? 2 : 1
      expect(at).toBe(text.length)
    }
    expect(
      textOf(blocks).equals(
        Buffer.concat([Buffer.from('42\t'), Buffer.alloc(6 * LENT_BYTES, '\\\\\\\n'), Buffer.from('\t\\N\n')]),
      ),
    ).toBe(true)
  })

  it('is refused as cells by its key and column before it is there, when no string can hold it', () => {
    const table = { name: { schema: '', name: 'files' }, columns, key: ['id'] }
    const collector = new CellCollector(columns, { ...table, primaryKey: null, uniqueKeys: [], triggers: [] })
    const beginning = Buffer.concat([payload([Buffer.from('42')]), Buffer.alloc(9, 0xfe), Buffer.alloc(70_000)])
    beginning.writeBigUInt64LE(300n * 2n ** 20n, 4)
    expect(() => collector.addPart(beginning, 0, beginning.length, false)).toThrow(
      /^The row 42 of files is too large to be read: its values, of which b is the largest, take 600 MiB as text; 512 MiB is the most/,
    )
  })
})

describe.skipIf(mysqlMissing !== null)(mysqlTitle('large rows, moved from one MariaDB database to another'), () => {
  let server: TestMysql
  const track = closedAfterEach()
  const open = (made: TestMysqlDatabase): Database => track(openMysql(made.options()))
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.10' })
  })
  afterEach(async () => {
    await server.rootSql('SET GLOBAL local_infile = 1, GLOBAL max_allowed_packet = 16777216')
  })
  afterAll(() => server?.stop())

  const FILES = `CREATE TABLE files (id int PRIMARY KEY, kind enum('a','b'), b longblob, t longtext CHARACTER SET latin1, n int);
    INSERT INTO files VALUES ${Array.from({ length: 1000 }, (_, at) => `(${at + 1}, 'b', REPEAT('x', ${10 * at}), 'short', NULL)`).join(', ')}`
  const SHOWN = 'SELECT id, kind + 0, LENGTH(b), SHA2(b, 256), SHA2(t, 256), n FROM files ORDER BY id'

  const shop = async (rows: string) => {
    const [from, to] = [await server.database(), await server.database()]
    await from.sql(FILES)
    await server.rootSql('SET GLOBAL max_allowed_packet = 134217728')
    await from.sql(rows)
    await server.rootSql('SET GLOBAL max_allowed_packet = 16777216')
    const source = open(from)
    const schema = await source.schema()
    const [table] = schema.tables
    if (table === undefined) throw new Error('no table')
    await createAll(open(to), schema)
    return { from, to, source, schema, table }
  }
  const blocksOf = async (source: Database, table: Table): Promise<readonly Block[]> =>
    await source.read(1, async ([reader]) => {
      const blocks: Block[] = []
      for await (const block of reader.blocks?.(table) ?? []) blocks.push({ ...block, bytes: Buffer.from(block.bytes) })
      return blocks
    })
  async function* bytesOf(blocks: readonly Block[]): AsyncGenerator<Buffer> {
    for (const { bytes } of blocks) yield Buffer.from(bytes)
  }

  it.each([
    ['by LOAD DATA', '1'],
    ['by INSERT, where the server lets no LOAD DATA LOCAL in', '0'],
  ])('arrive as they left, in pieces, %s', async (_way, localInfile) => {
    const { from, to, source, table } = await shop(`INSERT INTO files VALUES
      (-1, NULL, REPEAT(x'00ff5c0a09414e', 300000), REPEAT('gr\u00fc\\t\\\\', 200000), 7), (500000, 'a', REPEAT(x'5c', 400000), NULL, 7), (7000, 'a', NULL, REPEAT('\u00e9', 600000), 8)`)
    await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
    const target = open(to)
    const blocks = await blocksOf(source, table)
    expect(Math.max(...blocks.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(LENT_BYTES)
    expect(blocks.some(({ continues }) => continues === true)).toBe(true)
    expect(blocks.reduce((rows, block) => rows + block.rows, 0)).toBe(1003)
    expect(await target.loadBlocks?.(table, bytesOf(blocks), { run: 'r', name: 'files' })).toBe(1003)
    expect(await to.sql(SHOWN)).toEqual(await from.sql(SHOWN))
    const whole = blocks.flatMap(({ bytes }) => source.unpackBlock?.(table, Buffer.from(bytes)) ?? [])
    const short = (await rowsOf(source, table)).filter(([id]) => Number(id) > 0 && Number(id) <= 1000)
    expect(whole.filter(([id]) => short.some(([other]) => other === id))).toEqual(short)
  })

  // 16,777,215 bytes fill a packet of the protocol, and an empty one comes behind it.
  it.each([16_777_206, 18_000_000])('of more bytes than the server takes at once: %i', async (length) => {
    const { from, to, source, table } = await shop(
      `DELETE FROM files; INSERT INTO files VALUES (1, NULL, REPEAT('x', ${length}), NULL, NULL)`,
    )
    const target = open(to)
    const blocks = await blocksOf(source, table)
    expect(await target.loadBlocks?.(table, bytesOf(blocks), { run: 'r', name: 'files' })).toBe(1)
    expect(await to.sql(SHOWN)).toEqual(await from.sql(SHOWN))
  })

  it('are named by check where the new server can’t take them at all, or not again when they change', async () => {
    const { from, to, source, schema, table } = await shop(
      `INSERT INTO files VALUES (7000, 'a', REPEAT('\\t', 9000000), NULL, 8)`,
    )
    await from.sql('ANALYZE TABLE files')
    const found = async () => {
      const target = open(to)
      const findings = (await source.oversize?.(schema, await target.rowLimits?.())) ?? []
      return findings.map(({ severity, code, message }) => [severity, code, message])
    }
    const largest = 'its values, of which b is the largest, take 17.2 MiB'
    expect(await found()).toEqual([
      [
        'warning',
        'row-too-large-to-carry',
        expect.stringContaining(
          `The row 7000 of files is copied in pieces, but couldn't be carried if it changed after the snapshot: ${largest}`,
        ),
      ],
    ])
    await server.rootSql('SET GLOBAL local_infile = 0')
    expect(await found()).toEqual([
      ['error', 'row-too-large', expect.stringContaining(`The row 7000 of files is too large for the new server: ${largest}`)],
    ])
    const load = open(to).loadBlocks?.(table, bytesOf(await blocksOf(source, table)), { run: 'r', name: 'files' })
    expect((await failureOf(load ?? Promise.resolve())).code).toBe('value-too-large')
    expect(await to.sql('SELECT COUNT(*) FROM files')).toEqual([['0']])
    await server.rootSql('SET GLOBAL max_allowed_packet = 67108864')
    expect(await found()).toEqual([])
  })
})
