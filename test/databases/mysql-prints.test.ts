import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openMysql } from '../../src/databases/mysql/index.ts'
import { framedText } from '../../src/databases/mysql/print-sql.ts'
import type { Database, PackedPrints } from '../../src/databases/port.ts'
import { type Column, ORDINARY, type Table } from '../../src/databases/schema.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import { baselineTables } from '../../src/reconcile/baseline-file.ts'
import { packedLeaf, packLeaf, unpackLeaf } from '../../src/reconcile/baseline-leaf.ts'
import { countRows } from '../../src/steps/restore-work.ts'
import { failureOf, rowsOf } from '../contract/database-kit.ts'
import { printingOf, printingPowers, printsOf, sumOf, unpacker } from '../contract/database-prints-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, isRelease, mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { counted } from './mysql-shop.ts'

const column = (type: string, codec: string, more: Partial<Column> = {}): Column => ({
  name: 'c',
  type,
  codec,
  ...ORDINARY,
  nullable: false,
  ...more,
})

describe('the text that is hashed', () => {
  it('ends numbers with a comma, and gives texts but the last their length', () => {
    const id = column('int', 'number')
    const text = column('varchar(10)', 'text')
    expect(framedText([text, id, text])).toBe("CONCAT_WS(',', `c`, LENGTH(`c`), CAST(`c` AS BINARY), CAST(`c` AS BINARY))")
    expect(framedText([])).toBe("''")
  })

  it('tells NULL from nothing, which no number, length or digest is', () => {
    const nullable = { nullable: true }
    expect(framedText([column('int', 'number', nullable)])).toBe("CONCAT_WS(',', IFNULL(`c`, ''))")
    expect(framedText([column('varbinary(9)', 'binary', nullable)])).toBe("CONCAT_WS(',', IFNULL(LENGTH(`c`), ''), `c`)")
    expect(framedText([column('longblob', 'binary', nullable)])).toBe("CONCAT_WS(',', IFNULL(SHA2(`c`, 256), ''))")
  })

  it('takes long values, and those that the room doesn’t suffice for, by their digests', () => {
    const text = framedText(Array.from({ length: 9 }, () => column('text', 'text')))
    expect(text.match(/SHA2/g)).toHaveLength(1)
  })
})

describe.skipIf(mysqlMissing !== null)(mysqlTitle('fingerprints on MariaDB'), () => {
  let server: TestMysql
  let other: TestMysql
  const closing: (() => Promise<unknown>)[] = []
  const open = async (made: TestMysqlDatabase): Promise<{ readonly database: Database; readonly table: Table }> => {
    const database = openMysql(made.options())
    closing.push(() => database.close())
    const [table] = (await database.schema()).tables
    if (table === undefined) throw new Error('no table')
    return { database, table }
  }
  beforeAll(async () => {
    const settings = {
      'character-set-server': 'latin1',
      'collation-server': 'latin1_german2_ci',
      'default-time-zone': '+05:00',
      'max-allowed-packet': '1M',
      'sql-mode': 'ANSI',
    }
    ;[server, other] = await Promise.all([
      startTestMysql({ host: '127.0.12.14' }),
      startTestMysql({ host: '127.0.12.15', settings }),
    ])
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(() => Promise.all([server?.stop(), other?.stop()]))

  const MIXED = `CREATE TABLE mixed (id int PRIMARY KEY, a varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci, b varchar(20) CHARACTER SET utf8mb4
    COLLATE utf8mb4_bin, c varchar(20) CHARACTER SET utf16, d varchar(20) CHARACTER SET sjis, e varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    f enum('grün','x') CHARACTER SET latin1, t timestamp NULL, u ${isRelease('mariadb', 10, 7) ? 'uuid' : 'char(36) CHARACTER SET ascii'} NULL, g float, h double)`
  const ROWS = `SET SESSION time_zone = '+00:00', sql_mode = ''; INSERT INTO mixed VALUES
    (1, 'é', 'é', 'é', 'あ', 'é', 'grün', '2026-03-29 02:30:00', '6f1e0a4c-0000-0000-0000-000000000001', 0.1, 0.1),
    (2, 'e', 'é', 'é', 'あ', 'é', 'grün', '2026-03-29 02:30:00', '6f1e0a4c-0000-0000-0000-000000000001', 0.1, 0.1),
    (3, 'é', 'é', 'é', 'ア', 'é', 'grün', '2026-03-29 02:30:00', '6f1e0a4c-0000-0000-0000-000000000001', 0.1, 0.1),
    (4, 'é', 'é', 'é', 'あ', 'é', 'grün', '2026-03-29 02:30:00', '6f1e0a4c-0000-0000-0000-000000000001', 0.1, 0.30000000000000004),
    (5, 'é', 'é', 'é', 'あ', 'é', 'grün', '2026-03-29 02:30:00', '6f1e0a4c-0000-0000-0000-000000000001', 0.1, 0.3),
    (6, NULL, 'é', 'é', 'あ', 'é', 'grün', NULL, NULL, NULL, NULL)`

  it('don’t depend on what a server or a connection is set to, and mix character sets', async () => {
    const made = [await server.database(), await other.database()]
    for (const each of made) await each.sql(`${MIXED}; ${ROWS}`)
    const [one, two] = await Promise.all(made.map(open))
    if (one === undefined || two === undefined) throw new Error('two databases are wanted')
    const method = await printingPowers(one.database).fingerprintMethod(one.table)
    expect(method).toMatch(/^mysql-sha2-1-/)
    expect(await printingPowers(two.database).fingerprintMethod(two.table)).toBe(method)
    const prints = await printsOf(one.database, one.table)
    expect(await printsOf(two.database, two.table)).toEqual(prints)
    expect(await sumOf(two.database, two.table)).toEqual(await sumOf(one.database, one.table))
    const cells = await printsOf(one.database, one.table, printingOf(one.table, { without: ['id'] }))
    expect(new Set(cells.map(({ print }) => print)).size).toBe(6)
  })

  it.each([
    ['a row that was not yet fingerprinted is changed', "UPDATE t SET note = 'other' WHERE id = 2990", true],
    ['one that was is', "UPDATE t SET note = 'other' WHERE id = 1", true],
    ['nothing is written', 'SELECT 1', false],
  ])('of a baseline tell, when it goes on after a stop, whether meanwhile %s', async (_what, sql, isWritten) => {
    const made = await server.database()
    await made.sql('CREATE TABLE t (id int PRIMARY KEY, note varchar(20) NOT NULL)')
    const values = Array.from({ length: 3000 }, (_, at) => `(${at + 1}, 'note ${at}')`)
    await made.sql(`INSERT INTO t VALUES ${values.join(', ')}`)
    const { database, table } = await open(made)
    const directory = await mkdtemp(join(tmpdir(), 'migrate-baseline-'))
    closing.push(() => rm(directory, { recursive: true }))
    const stop = new AbortController()
    const onRows = (rows: number): void => {
      if (rows >= 2000) stop.abort(new Error('stopped by the test'))
    }
    const some = takeBaseline({ directory, database, tables: [table], leafRows: 16, signal: stop.signal, onRows })
    await expect(some).rejects.toThrow('stopped by the test')
    await made.sql(sql)
    await takeBaseline({ directory, database, tables: [table], leafRows: 16 })
    const taken = (await baselineTables(directory)).get('t')
    expect(taken).toMatchObject({ rows: 3000, written: isWritten })
  })

  it('come packed also with keys beyond what a number with a sign holds', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE t (id bigint unsigned, line int, PRIMARY KEY (id, line));
      INSERT INTO t VALUES (7, -1), (7, 2), (9223372036854775807, 1), (9223372036854775808, 1), (18446744073709551615, 2)`)
    const { database, table } = await open(made)
    const expected = (await printsOf(database, table)).map((row) => packLeaf([row]))
    await database.read(1, async ([reader]) => {
      for (const [size, leaves] of [
        [1, 5],
        [2, 3],
      ] as const) {
        const packed: PackedPrints[] = []
        for await (const some of reader.packedPrints?.(table, printingOf(table), size) ?? []) packed.push(some)
        expect(packed).toHaveLength(leaves)
        if (size === 1) expect(packed.map(packedLeaf)).toEqual(expected)
        const rows = packed.flatMap((each) => unpackLeaf(packedLeaf(each)).map(({ state }) => state.print))
        expect(rows).toEqual((await printsOf(database, table)).map(({ print }) => print))
      }
    })
  })

  it('fill the room that the least server gives them without a gap', async () => {
    const create = `CREATE TABLE t (id int PRIMARY KEY, ${Array.from({ length: 9 }, (_, at) => `t${at} text CHARACTER SET latin1 NOT NULL`).join(', ')})`
    const row = `INSERT INTO t VALUES (1, ${Array.from({ length: 9 }, (_, at) => `REPEAT('${at}', 65535)`).join(', ')})`
    const made = [await server.database(), await other.database()]
    for (const each of made) await each.sql(`${create}; ${row}`)
    const [one, two] = await Promise.all(made.map(open))
    if (one === undefined || two === undefined) throw new Error('two databases are wanted')
    const prints = await printsOf(one.database, one.table)
    expect(prints[0]?.print).toMatch(/^[0-9a-f]{16}$/)
    expect(await printsOf(two.database, two.table)).toEqual(prints)
  })

  it('aren’t promised where strings may be cut off by max_allowed_packet', async () => {
    const made = await other.database()
    await made.sql('CREATE TABLE t (id int PRIMARY KEY)')
    await other.rootSql('SET GLOBAL max_allowed_packet = 524288')
    try {
      const { database, table } = await open(made)
      expect(await printingPowers(database).fingerprintMethod(table)).toBeUndefined()
    } finally {
      await other.rootSql('SET GLOBAL max_allowed_packet = 1048576')
    }
  })

  it.each([
    ['members in another order', "e enum('a','b')", "e enum('b','a')"],
    ['another character set', 'e varchar(9) CHARACTER SET latin1', 'e varchar(9) CHARACTER SET utf8mb4'],
    ['NULL allowed', 'e int NOT NULL', 'e int'],
    ['a longer type', 'e text', 'e longtext'],
  ])('are of another method with %s', async (_title, one, two) => {
    const methods: unknown[] = []
    for (const definition of [one, two]) {
      const made = await server.database()
      await made.sql(`CREATE TABLE t (id int PRIMARY KEY, ${definition})`)
      const { database, table } = await open(made)
      methods.push(await printingPowers(database).fingerprintMethod(table))
    }
    expect(new Set(methods).size).toBe(2)
  })

  it('are of one method in every UTF-8, in any collation', async () => {
    const found: unknown[] = []
    for (const collation of ['utf8mb3_general_ci', 'utf8mb4_bin', 'utf8mb4_unicode_ci']) {
      const made = await server.database()
      await made.sql(`CREATE TABLE t (id int PRIMARY KEY, s varchar(9) COLLATE ${collation}); INSERT INTO t VALUES (1, 'zoë')`)
      const { database, table } = await open(made)
      found.push([await printingPowers(database).fingerprintMethod(table), await printsOf(database, table)])
    }
    expect(found).toEqual([found[0], found[0], found[0]])
  })

  describe('and rows that are found, numbered and unpacked', () => {
    it('keeps nobody from rows that it looked at but didn’t find', async () => {
      const made = await server.database()
      await made.sql(
        "CREATE TABLE t (id int PRIMARY KEY, email varchar(40)); INSERT INTO t VALUES (1, 'a@x'), (2, 'B@x'), (3, 'c@x')",
      )
      const { database, table } = await open(made)
      await database.transaction([table], async (transaction) => {
        expect(await transaction.find(table, ['email'], [['b@x'], ['none@x']])).toEqual([['2', 'B@x']])
        await made.sql(
          "SET SESSION innodb_lock_wait_timeout = 1; UPDATE t SET email = 'new@x' WHERE id = 3; INSERT INTO t VALUES (4, 'd@x')",
        )
        const held = made.sql("SET SESSION innodb_lock_wait_timeout = 1; UPDATE t SET email = 'new@x' WHERE id = 2")
        await expect(held).rejects.toThrow(/Lock wait timeout/)
      })
    })

    it('tells numbers beyond those that JavaScript counts with', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, n int) AUTO_INCREMENT = 9223372036854775809')
      const { database, table } = await open(made)
      const number = await database.transaction([table], (transaction) => transaction.insertNumbered(table, ['1', '7'], 'id'))
      expect(number).toBe('9223372036854775809')
      expect(await rowsOf(database, table)).toEqual([[number, '7']])
    })

    it.each(['latin1', 'latin2', 'latin7', 'koi8r', 'macroman'])(
      'reads every byte of %s out of a block as the server does',
      async (charset) => {
        const made = await server.database()
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('hex')
        await made.sql(
          `CREATE TABLE t (id int PRIMARY KEY, s varchar(300) CHARACTER SET ${charset}); INSERT INTO t VALUES (1, x'${bytes}')`,
        )
        const { database, table } = await open(made)
        const blocks: Buffer[] = []
        await database.read(1, async ([reader]) => {
          for await (const block of reader.blocks?.(table) ?? []) blocks.push(block.bytes)
        })
        expect(blocks.flatMap((block) => unpacker(database)(table, block))).toEqual(await rowsOf(database, table))
      },
    )

    it('says by name which text it can’t read out of a block', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (id int PRIMARY KEY, s varchar(300) CHARACTER SET cp850)')
      const { database, table } = await open(made)
      const failure = await failureOf((async () => unpacker(database)(table, Buffer.from('1\tx\n')))())
      expect([failure.code, failure.message]).toEqual(['block-not-readable', expect.stringContaining('cp850')])
    })
  })

  it('aren’t needed to count rows: the server does, sends none of them, also without a key, and counts those of a reader’s instant', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE t (a varchar(9)); INSERT INTO t ${counted(3000)}`)
    const { database, table: t } = await open(made)
    // MySQL doesn't count them.
    const sent = async (): Promise<number> =>
      isMariadb ? Number((await server.rootSql("SHOW GLOBAL STATUS LIKE 'Rows_sent'"))[0]?.[1]) : 0
    const before = await sent()
    expect(await countRows(database, t, new AbortController().signal)).toBe(3000)
    expect((await sent()) - before).toBeLessThan(1000)
    await database.read(1, async ([reader]) => {
      expect(await reader.count?.(t)).toBe(3000)
      await made.sql("INSERT INTO t VALUES ('late')")
      expect(await reader.count?.(t)).toBe(3000)
    })
  })
})
