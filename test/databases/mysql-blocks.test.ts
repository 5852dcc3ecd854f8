import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database, KeyCells, Reader, ReadOptions } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { closedAfterEach, createAll, failureOf, rowsOf } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { createSamples, SAMPLES_AS_TEXT } from './mysql-samples.ts'
import { counted } from './mysql-shop.ts'

const WORDS = `CREATE TABLE words (word varchar(40) NOT NULL, part int NOT NULL, note text, PRIMARY KEY (word, part));
  INSERT INTO words SELECT CONCAT('w', seq MOD 50), seq, REPEAT('x\\t\\n\\\\', seq MOD 40) FROM (${counted(5000)}) AS numbers`

async function blocksOf(reader: Reader, table: Table, options?: ReadOptions): Promise<{ rows: number; bytes: Buffer[] }> {
  const result = { rows: 0, bytes: [] as Buffer[] }
  const blocks = reader.blocks?.(table, options)
  if (blocks === undefined) throw new Error('This reader has no blocks.')
  for await (const block of blocks) {
    result.rows += block.rows
    result.bytes.push(block.bytes)
  }
  return result
}

async function* given(blocks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* blocks
}

describe.skipIf(mysqlMissing !== null)(mysqlTitle('blocks of LOAD DATA’s text'), () => {
  let server: TestMysql
  const track = closedAfterEach()
  const open = (made: TestMysqlDatabase): Database => track(openMysql(made.options()))
  const tableIn = async (database: Database, name: string): Promise<Table> => {
    const found = (await database.schema()).tables.find((table) => table.name.name === name)
    if (found === undefined) throw new Error(`no table ${name}`)
    return found
  }
  const loaded = (database: Database, table: Table, blocks: readonly Buffer[], name = 'blocks'): Promise<number> =>
    database.loadBlocks?.(table, given(blocks), { run: 'copy', name }) ?? Promise.reject(new Error('no blocks'))
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.2' })
  })
  afterEach(async () => {
    await server.rootSql('SET GLOBAL local_infile = 1')
  })
  afterAll(() => server?.stop())

  const samplesOn = async (): Promise<TestMysqlDatabase> => {
    const made = await server.database()
    const connection = await made.connect()
    for (const sql of createSamples()) await connection.query(sql)
    await connection.end()
    return made
  }

  const WAYS = [
    ['by LOAD DATA', '1'],
    ['by INSERT, where the server lets no LOAD DATA LOCAL in', '0'],
  ] as const

  it.each(WAYS)(
    'bring rows over whose computed values don’t fit, as a shop that isn’t strict has them, %s',
    async (_way, localInfile) => {
      const [from, to] = [await server.database(), await server.database()]
      await from.sql(`SET sql_mode = ''; CREATE TABLE t (id int PRIMARY KEY, j text, v varchar(9), w varchar(9) CHARACTER SET latin1 AS (j) VIRTUAL,
        n tinyint AS (v) STORED, d int AS (v + 0) VIRTUAL, e date AS (STR_TO_DATE(v, '%Y')) VIRTUAL, a int AS (JSON_VALUE(j, '$.a')) STORED, KEY kw (w), KEY kd (d));
      INSERT INTO t (id, j, v) VALUES (1, '😀', '7q'), (2, '{"a":"x"}', '999'), (3, '{', ''), (4, NULL, NULL)`)
      await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
      const [source, target] = [open(from), open(to)]
      const schema = await source.schema()
      const table = await tableIn(source, 't')
      await createAll(target, schema, ['before'])
      const { bytes } = await source.read(1, ([reader]) => blocksOf(reader, table))
      expect(await loaded(target, table, bytes)).toBe(4)
      await createAll(target, schema, ['after'])
      await target.transaction([table], async (transaction) => {
        await transaction.insert(table, [['5', '[', '8r']])
        await transaction.update(table, ['2', '😀', '-999'])
      })
      await from.sql(
        `SET sql_mode = ''; INSERT INTO t (id, j, v) VALUES (5, '[', '8r'); UPDATE t SET j = '😀', v = '-999' WHERE id = 2`,
      )
      expect(await to.sql('SELECT * FROM t ORDER BY id')).toEqual(await from.sql('SELECT * FROM t ORDER BY id'))
      // What was given and doesn't fit is refused as ever.
      const given = Buffer.from('9\t{\tlonger than nine\n')
      expect((await failureOf(loaded(target, table, [given], 'long'))).message).toContain("'v'")
      const failure = await failureOf(
        target.transaction([table], (transaction) => transaction.insert(table, [['9', '{', 'longer than nine']])),
      )
      expect(failure.message).toContain("'v'")
    },
  )

  it.each(WAYS)('bring every type over as it left, %s', async (_way, localInfile) => {
    const from = await samplesOn()
    const to = await server.database()
    await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
    const [source, target] = [open(from), open(to)]
    await createAll(target, await source.schema())
    const table = await tableIn(source, 'samples')
    const { rows, bytes } = await source.read(1, ([reader]) => blocksOf(reader, table))
    expect(await loaded(target, table, bytes)).toBe(rows)
    expect(await loaded(target, table, bytes)).toBe(0)
    const expected = await from.sql(SAMPLES_AS_TEXT)
    expect(expected.length).toBe(rows)
    expect(await to.sql(SAMPLES_AS_TEXT)).toEqual(expected)
    expect(await rowsOf(target, table)).toEqual(await rowsOf(source, table))
  })

  it.each([
    ['enum', '1'],
    ['json', '1'],
    ['enum', '0'],
    ['json', '0'],
  ])('bring a row with the number 0 over as it is, beside a column of type %s (local_infile = %s)', async (type, localInfile) => {
    await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
    const [from, to] = [await server.database(), await server.database()]
    await from.sql(`CREATE TABLE threads (id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, kind ${type === 'enum' ? "enum('1', '2')" : type});
      SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO threads VALUES (0, '2'), (5, '1'), (4294967294, NULL)`)
    const [source, target] = [open(from), open(to)]
    await createAll(target, await source.schema())
    const table = await tableIn(source, 'threads')
    const { bytes } = await source.read(1, ([reader]) => blocksOf(reader, table))
    expect(await loaded(target, table, bytes)).toBe(3)
    expect(await to.sql('SELECT * FROM threads ORDER BY id')).toEqual([
      ['0', '2'],
      ['5', '1'],
      ['4294967294', null],
    ])
  })

  it.each(WAYS)(
    'bring over quotes, bytes that are no text, and rows of enums’ error values among others, %s',
    async (_way, localInfile) => {
      const [from, to] = [await server.database(), await server.database()]
      await from.sql(`CREATE TABLE \`it's ö\` (id int PRIMARY KEY, \`ä\\'\` enum('1','2','0'), b blob, l varchar(300) CHARACTER SET latin1, u varchar(40) CHARACTER SET ucs2);
      SET sql_mode = ''; INSERT IGNORE INTO \`it's ö\`
      SELECT seq, IF(seq MOD 100 < 60, 'none', seq MOD 4), CONCAT(UNHEX(SHA2(seq, 256)), x'00275c090a1a22ff', REPEAT(CHAR(seq MOD 256), 500)),
        CONCAT('it''s é', REPEAT('''', seq MOD 280)), CONCAT('å✓''\\\\', seq) FROM (${counted(2000)}) AS numbers`)
      await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
      const [source, target] = [open(from), track(openMysql({ ...to.options(), connections: 1 }))]
      await createAll(target, await source.schema())
      const table = await tableIn(source, "it's ö")
      const { bytes } = await source.read(1, ([reader]) => blocksOf(reader, table))
      const again = bytes.map((block) => Buffer.from(block))
      expect(await loaded(target, table, bytes)).toBe(2000)
      const shown = "SELECT id, `ä\\'` + 0, HEX(b), HEX(l), HEX(u) FROM `it's ö` ORDER BY id"
      expect(await to.sql(shown)).toEqual(await from.sql(shown))
      // The connection takes text for text again, and a refusal names the table as it is spelled.
      expect((await failureOf(loaded(target, table, again, 'again'))).message).toContain("it's ö")
      await target.execute("UPDATE `it's ö` SET u = 'å✓' WHERE id = 7", { run: 'copy', name: 'text' })
      expect(await to.sql("SELECT HEX(u) FROM `it's ö` WHERE id = 7")).toEqual([['00E52713']])
    },
  )

  it('are loaded in few questions where it takes INSERT', async () => {
    const to = await server.database()
    await to.sql('CREATE TABLE numbers (id int NOT NULL AUTO_INCREMENT PRIMARY KEY)')
    await server.rootSql('SET GLOBAL local_infile = 0')
    const target = open(to)
    const table = await tableIn(target, 'numbers')
    const inserts = async () => Number((await server.rootSql("SHOW GLOBAL STATUS LIKE 'Com_insert'"))[0]?.[1])
    const before = await inserts()
    const block = Buffer.from(Array.from({ length: 20_000 }, (_, id) => `${id}\n`).join(''))
    expect(await loaded(target, table, [block])).toBe(20_000)
    // The rows, and the mark of them.
    expect((await inserts()) - before).toBe(2)
    expect(await to.sql('SELECT COUNT(*), MIN(id), MAX(id) FROM numbers')).toEqual([['20000', '0', '19999']])
  })

  it('of ranges between boundaries are all rows, once each', async () => {
    const from = await server.database()
    await from.sql(WORDS)
    const source = open(from)
    const table = await tableIn(source, 'words')
    const whole = await rowsOf(source, table)
    await source.read(1, async ([reader]) => {
      const edges: KeyCells[] = []
      for (let after: KeyCells | undefined; ; ) {
        const edge: KeyCells | undefined = await reader.boundary?.(table, 700, after)
        if (edge === undefined) break
        edges.push(edge)
        after = edge
      }
      expect(edges).toEqual([699, 1399, 2099, 2799, 3499, 4199, 4899].map((at) => whole[at]?.slice(0, 2)))
      const ranges = [...edges, undefined].map((upTo, at) => ({ after: edges[at - 1], upTo }))
      let rows = 0
      const cells: unknown[] = []
      for (const { after, upTo } of ranges) {
        const range = { ...(after === undefined ? {} : { after }), ...(upTo === undefined ? {} : { upTo }) }
        rows += (await blocksOf(reader, table, range)).rows
        for await (const batch of reader.rows(table, range)) cells.push(...batch)
      }
      expect(rows).toBe(5000)
      expect(cells).toEqual(whole)
      expect(await reader.boundary?.(table, 5001)).toBeUndefined()
      expect(await reader.boundary?.(table, 5000)).toEqual(whole.at(-1)?.slice(0, 2))
    })
  })

  it('may be left midway: the reader goes on', async () => {
    const from = await server.database()
    await from.sql(
      `CREATE TABLE big (id int PRIMARY KEY, t text); INSERT INTO big SELECT seq, REPEAT("y", 2000) FROM (${counted(20000)}) AS numbers`,
    )
    const source = open(from)
    const table = await tableIn(source, 'big')
    await source.read(1, async ([reader]) => {
      for await (const block of reader.blocks?.(table) ?? []) {
        expect(block.rows).toBeGreaterThan(0)
        break
      }
      expect((await blocksOf(reader, table)).rows).toBe(20_000)
    })
  })

  it.each(WAYS)('with a row that is there already are refused whole, %s', async (_way, localInfile) => {
    await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
    const [from, to] = [await server.database(), await server.database()]
    await from.sql(WORDS)
    const [source, target] = [open(from), open(to)]
    await createAll(target, await source.schema())
    const table = await tableIn(source, 'words')
    const { bytes } = await source.read(1, ([reader]) => blocksOf(reader, table))
    await to.sql("INSERT INTO words VALUES ('w7', 7, 'there before')")
    const failure = await failureOf(loaded(target, table, bytes))
    expect(failure.code).toBe('database-statement-failed')
    expect(failure.message).toContain('w7-7')
    expect(await to.sql('SELECT word, note FROM words')).toEqual([['w7', 'there before']])
    expect((await target.marks('copy')).size).toBe(0)
  })

  it.each(WAYS)('with a value that the column can’t hold are refused whole, %s', async (_way, localInfile) => {
    await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
    const to = await server.database()
    await to.sql('CREATE TABLE small (id int PRIMARY KEY, s varchar(3), n tinyint, d date)')
    const target = open(to)
    const table = await tableIn(target, 'small')
    for (const line of [
      '2\ttoo long\t1\t2020-01-01',
      '2\tab\t1000\t2020-01-01',
      '2\tab\t1\tnonsense',
      '2\t\xff\t1\t2020-01-01',
    ]) {
      const block = Buffer.from(`1\tok\t1\t2020-01-01\n${line}\n`, 'latin1')
      expect((await failureOf(loaded(target, table, [block]))).code, line).toBe('database-statement-failed')
      expect(await to.sql('SELECT * FROM small')).toEqual([])
    }
  })

  it.each(WAYS)('pass on an error of their source, and leave nothing, %s', async (_way, localInfile) => {
    await server.rootSql(`SET GLOBAL local_infile = ${localInfile}`)
    const to = await server.database()
    await to.sql('CREATE TABLE small (id int PRIMARY KEY)')
    const target = open(to)
    const table = await tableIn(target, 'small')
    const fault = new Error('the source broke')
    async function* breaking() {
      yield Buffer.from('1\n2\n')
      throw fault
    }
    await expect(target.loadBlocks?.(table, breaking(), { run: 'copy', name: 'small' })).rejects.toBe(fault)
    expect(await to.sql('SELECT * FROM small')).toEqual([])
    expect(await loaded(target, table, [Buffer.from('1\n2\n')], 'small')).toBe(2)
  })

  it('are counted by the server’s planner once the table is analysed, and a table that is gone is told', async () => {
    const to = await server.database()
    await to.sql('CREATE TABLE numbers (id int PRIMARY KEY) STATS_PERSISTENT=1 STATS_AUTO_RECALC=0')
    const target = open(to)
    const numbers = await tableIn(target, 'numbers')
    const known = async () =>
      (
        await server.rootSql(
          `SELECT n_rows FROM mysql.innodb_table_stats WHERE database_name = '${to.name}' AND table_name = 'numbers'`,
        )
      )[0]?.[0]
    await loaded(target, numbers, [Buffer.from(Array.from({ length: 500 }, (_, id) => `${id}\n`).join(''))])
    expect(await known()).toBe('0')
    await target.analyse?.([numbers])
    expect(await known()).toBe('500')
    await to.sql('DROP TABLE numbers')
    expect((await failureOf(target.analyse?.([numbers]) ?? Promise.resolve())).message).toContain("doesn't exist")
  })
})
