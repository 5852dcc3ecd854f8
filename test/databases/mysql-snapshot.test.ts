import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type MysqlOptions, openMysql } from '../../src/databases/mysql/index.ts'
import { readSchema } from '../../src/databases/mysql/introspect.ts'
import { readTogether } from '../../src/databases/mysql/snapshot.ts'
import type { Database } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { readAll } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { MeddledConnections } from './mysql-meddled.ts'
import { SILENT } from './mysql-swapped.ts'

const TEN = Array.from({ length: 10 }, (_, at) => `(${at + 1})`).join(', ')

describe.skipIf(mysqlMissing !== null)(mysqlTitle('a snapshot of MariaDB by several connections'), () => {
  let server: TestMysql
  const closing: (() => unknown)[] = []
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.9' })
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(() => server?.stop())

  const shop = async (): Promise<TestMysqlDatabase> => {
    const made = await server.database()
    await made.sql('CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE u (a int PRIMARY KEY); INSERT INTO t VALUES (1)')
    return made
  }
  const openedBy = (options: MysqlOptions): Database => {
    const database = openMysql(options)
    closing.push(() => database.close())
    return database
  }
  const transactions = async () => (await server.rootSql('SELECT COUNT(*) FROM information_schema.INNODB_TRX'))[0]?.[0]

  it.each([
    ['one of them can’t begin', (sql: string, connection: number) => sql.startsWith('START') && connection === 2],
    ['writers can’t be told to go on', (sql: string) => sql.startsWith('UNLOCK')],
  ])('leaves no transaction open and no table locked when %s', async (_what, fails) => {
    const made = await shop()
    const connections = new MeddledConnections(made, async (sql, connection) => {
      if (fails(sql, connection)) throw new Error('failed by the test')
    })
    closing.push(() => connections.close())
    await expect(readTogether(connections, 3, async () => 'read')).rejects.toThrow('failed by the test')
    await expect.poll(transactions, { timeout: 20_000, interval: 20 }).toBe('0')
    await made.sql('INSERT INTO t VALUES (2)')
    expect(await Promise.all(Array.from({ length: 4 }, () => connections.tryAcquire()))).not.toContain(undefined)
  })

  it('asks for no lock on the whole server, and soon gives up one that it can’t have: writers go on beside a long query and an open transaction', async () => {
    const made = await shop()
    const [reader, writer, customer] = [await made.connect(), await made.connect(), await made.connect()]
    closing.push(...[reader, writer, customer].map((each) => () => each.destroy()))
    const asking = reader.query('SELECT SLEEP(600) FROM t').catch(() => undefined)
    await writer.query('START TRANSACTION')
    await writer.query('INSERT INTO u VALUES (1)')
    // As an account that may do everything on the server.
    const database = openedBy(made.options({ account: server.root, connections: 5 }))
    await database.info()
    await server.rootSql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")
    await database.read(3, async (readers) => {
      expect(readers.map((each) => each.consistent)).toEqual([true])
      await customer.query('INSERT INTO t VALUES (7)')
    })
    await writer.query('COMMIT')
    // A machine that is busy enough keeps it from having even a free lock in time.
    for (let seen = 0; seen < 3; ) {
      await database.read(3, async (readers) => {
        seen = readers.length
        await customer.query('INSERT INTO u SELECT MAX(a) + 1 FROM u')
      })
    }
    await server.rootSql('SET GLOBAL general_log = 0')
    const said = await server.rootSql(
      "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE argument REGEXP '^(LOCK|UNLOCK|FLUSH|KILL) ' ORDER BY event_time",
    )
    const words = said.map(([sql]) => sql?.split(' ').slice(0, 2).join(' '))
    expect([words.slice(0, 2), words.at(-1)]).toEqual([['LOCK TABLES', 'KILL QUERY'], 'UNLOCK TABLES'])
    expect(words.join()).not.toContain('FLUSH')
    await server.rootSql(`KILL ${reader.threadId}`)
    await asking
  })

  it('is one reader’s where the server has anything against the lock, as when a table went a moment ago', async () => {
    const made = await shop()
    const connections = new MeddledConnections(made, async (sql) => {
      if (sql.startsWith('LOCK')) await made.sql('DROP TABLE IF EXISTS u')
    })
    closing.push(() => connections.close())
    expect(await readTogether(connections, 3, async (readers) => readers.length)).toBe(1)
    await made.sql('INSERT INTO t VALUES (2)')
  })

  it('says in check that it locks tables for a moment, where the account may and there are connections enough', async () => {
    const made = await shop()
    const codesOf = async (connections: number, account = made.owner): Promise<readonly string[]> => {
      const database = openedBy(made.options({ account, connections }))
      return (await database.schema()).findings.map(({ code }) => code)
    }
    expect(await codesOf(3)).toEqual(['snapshot-locks-tables'])
    expect(await codesOf(2)).toEqual([])
    expect(await codesOf(4, await made.readOnlyAccount())).toEqual(['snapshot-locks-tables'])
  })

  it.each([1, 3])('goes on, with %i connections, after a query that gave no row for as long as it may', async (connections) => {
    const made = await server.database()
    await made.sql(`CREATE TABLE stuck (id int PRIMARY KEY); INSERT INTO stuck VALUES ${TEN};
      CREATE TABLE free (id int PRIMARY KEY); INSERT INTO free VALUES ${TEN}`)
    const database = openedBy(made.options({ connections }))
    const { tables } = await database.schema()
    const [free, stuck] = ['free', 'stuck'].map((name) => tables.find((each) => each.name.name === name))
    if (free === undefined || stuck === undefined) throw new Error('no tables')
    // A view in the table's place sleeps at each row.
    await made.sql('RENAME TABLE stuck TO rows_of_stuck; CREATE VIEW stuck AS SELECT id FROM rows_of_stuck WHERE SLEEP(30) = 0')
    await database.read(1, async ([reader]) => {
      const rows = async (table: Table, quietMs: number): Promise<number> => {
        let count = 0
        for await (const block of reader.blocks?.(table, { quietMs }) ?? []) count += block.rows
        return count
      }
      expect(await rows(free, 60_000)).toBe(10)
      await expect(rows(stuck, 100)).rejects.toMatchObject({ code: 'database-too-slow', retrySafe: true })
      await expect(readAll(reader, stuck, { quietMs: 100 })).rejects.toMatchObject({ code: 'database-too-slow' })
      await made.sql('INSERT INTO free VALUES (11)')
      expect(await rows(free, 60_000)).toBe(10)
      expect(await reader.boundary?.(free, 10)).toEqual(['10'])
    })
  })

  it('waits for a query that gives a row now and then, however long a batch takes', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE drops (id int PRIMARY KEY, note longtext)')
    const database = openedBy(made.options())
    const [drops] = (await database.schema()).tables
    if (drops === undefined) throw new Error('no table')
    // The server sends each row by itself: it is longer than what it gathers. A batch has 50 of them.
    await made.sql(`DROP TABLE drops; CREATE TABLE numbers (id int PRIMARY KEY);
      INSERT INTO numbers VALUES ${Array.from({ length: 55 }, (_, at) => `(${at})`).join()};
      CREATE VIEW drops AS SELECT id, REPEAT('x', 20000) AS note FROM numbers WHERE SLEEP(0.03) = 0`)
    expect(await database.read(1, ([reader]) => readAll(reader, drops, { quietMs: 600 }))).toHaveLength(55)
  })

  it('gives up a query that gives no row also where no connection is to be had for telling the server', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE stuck (id int PRIMARY KEY); INSERT INTO stuck VALUES ${TEN}`)
    const account = await made.readOnlyAccount()
    await server.rootSql(`ALTER USER '${account.user}'@'%' WITH MAX_USER_CONNECTIONS 1`)
    const database = openedBy(made.options({ account, connections: 2 }))
    const [stuck] = (await database.schema()).tables
    if (stuck === undefined) throw new Error('no table')
    await made.sql('RENAME TABLE stuck TO rows_of_stuck; CREATE VIEW stuck AS SELECT id FROM rows_of_stuck WHERE SLEEP(600) = 0')
    await database.read(1, async ([reader]) => {
      await expect(readAll(reader, stuck, { quietMs: 100 })).rejects.toMatchObject({ code: 'database-too-slow' })
    })
    const [[id] = []] = await server.rootSql(`SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '${account.user}'`)
    await server.rootSql(`KILL ${id}`)
  })

  it('loses a table that was emptied since: that may be tried again', async () => {
    const made = await shop()
    const database = openedBy(made.options())
    const [t] = (await database.schema()).tables
    if (t === undefined) throw new Error('no table')
    await database.read(1, async ([reader]) => {
      await made.sql('TRUNCATE TABLE t')
      // By what stands at the table's ends as well.
      await expect(reader.note?.([t])).rejects.toMatchObject(refused)
    })
    const read = database.read(1, async ([reader]) => {
      await made.sql('TRUNCATE TABLE t')
      await expect(readAll(reader, t)).rejects.toMatchObject(refused)
      return 'nothing'
    })
    expect(await read).toBe('nothing')
  })

  const parted = async (rows: string, partitions: string, change: string) => {
    const made = await server.database()
    await made.sql(`CREATE TABLE t (id int PRIMARY KEY) ${partitions}; INSERT INTO t VALUES ${rows};
      CREATE TABLE bare (id int PRIMARY KEY); CREATE TABLE u LIKE bare; INSERT INTO u VALUES (3);
      CREATE TABLE v LIKE bare; INSERT INTO v VALUES (3)`)
    // The server tells when a table was made to the second.
    if (change.includes('other')) await made.sql('SELECT SLEEP(1); CREATE TABLE other (id int PRIMARY KEY)')
    if (change.includes('DROP')) await made.sql('SELECT SLEEP(1)')
    const database = openedBy(made.options())
    const { tables } = await database.schema()
    const [t, v] = ['t', 'v'].map((name) => tables.find((each) => each.name.name === name))
    if (t === undefined || v === undefined) throw new Error('no tables')
    return { made, database, tables, t, v }
  }
  const refused = { code: 'table-rewritten', message: expect.stringMatching(/^t of /), retrySafe: true }

  it.each(SILENT)(
    'doesn’t count what was read of a table that %s since, and tells it from others',
    async (_what, rows, partitions, change) => {
      const { made, database, tables, t, v } = await parted(rows, partitions, change)
      const read = database.read(1, async ([reader]) => {
        await reader.note?.(tables)
        await made.sql(change)
        await readAll(reader, v)
        await reader.settle?.()
        await readAll(reader, t)
        await expect(reader.settle?.()).rejects.toMatchObject(refused)
      })
      await expect(read).rejects.toMatchObject(refused)
    },
  )

  it.each(SILENT.filter(([what]) => /name|without/.test(what)))(
    'gives nothing that was read of a table that %s meanwhile, where nobody settles',
    async (_what, rows, partitions, change) => {
      const { made, database, t, v } = await parted(rows, partitions, change)
      const read = (table: Table) =>
        database.read(1, async ([reader]) => {
          const first = await readAll(reader, t, { limit: 1 })
          await made.sql('SELECT SLEEP(0.3)')
          await readAll(reader, v)
          await made.sql(change)
          return [...first, ...(await readAll(reader, table))]
        })
      await expect(read(t)).rejects.toMatchObject(refused)
    },
  )

  it.each([
    ['InnoDB', true],
    ['InnoDB', false],
    ['MyISAM', true],
  ])('keeps nobody from changing a table that was read, beside one of %s (settled: %s)', async (engine, isSettled) => {
    const made = await shop()
    await made.sql(`CREATE TABLE z (a int PRIMARY KEY) ENGINE=${engine}`)
    const database = openedBy(made.options())
    const { tables } = await database.schema()
    const [t, u] = tables
    if (t === undefined || u === undefined) throw new Error('no tables')
    await database.read(1, async ([reader]) => {
      if (isSettled) await reader.note?.(tables)
      expect(await readAll(reader, t)).toHaveLength(1)
      if (isSettled) await reader.settle?.()
      else {
        await made.sql('SELECT SLEEP(0.3)')
        await readAll(reader, u)
      }
      await made.sql('SET SESSION lock_wait_timeout = 1; TRUNCATE TABLE t; INSERT INTO u VALUES (2)')
      expect(await readAll(reader, u)).toEqual([])
    })
  })

  it('reads the schema again when a table goes meanwhile, as a shop’s own temporary ones do', async () => {
    const made = await shop()
    const connections = new MeddledConnections(made, async (sql) => {
      if (sql.startsWith('SHOW CREATE TABLE')) await made.sql('DROP TABLE IF EXISTS u')
    })
    closing.push(() => connections.close())
    const { tables } = await connections.use((session) => readSchema(session, 1))
    expect(tables.map(({ name }) => name.name)).toEqual(['t'])
  })

  it('gives no question more than its time: rows by their keys, a boundary', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE stuck (id int PRIMARY KEY); INSERT INTO stuck VALUES ${TEN}`)
    const database = openedBy(made.options({ statementTimeoutMs: 1000 }))
    const [stuck] = (await database.schema()).tables
    if (stuck === undefined) throw new Error('no table')
    // A view in the table's place counts for hours (MySQL takes the end of a SLEEP for an answer).
    const many = Array.from({ length: 14 }, (_, at) => `rows_of_stuck AS r${at}`).join(', ')
    await made.sql(`RENAME TABLE stuck TO rows_of_stuck;
      CREATE VIEW stuck AS SELECT id FROM rows_of_stuck WHERE (SELECT COUNT(*) FROM ${many} WHERE r1.id + r2.id <> 0) > 0`)
    const printing = { columns: ['id'], apart: [] }
    for (const asked of [
      () => database.rowsByKey(stuck, [['1']]),
      () => database.printedByKey?.(stuck, printing, [['1']]),
      () => database.read(1, async ([reader]) => reader.boundary?.(stuck, 5)),
    ])
      await expect(asked()).rejects.toMatchObject({ code: 'database-timeout' })
  })
})
