import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { failureOf, readAll } from '../contract/database-kit.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { mysqlOldShops } from './mysql-old-shops.ts'
import { mysqlRights } from './mysql-rights.ts'
import { mysqlTriggers } from './mysql-triggers.ts'

const UNTIL_SLOW = `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'CREATE TABLE \`slow\`%'`

describe.skipIf(mysqlMissing !== null)(mysqlTitle('MariaDB beyond the contract'), () => {
  let server: TestMysql
  const closing: (() => Promise<unknown>)[] = []
  const open = (database: TestMysqlDatabase, change: Parameters<TestMysqlDatabase['options']>[0] = {}): Database => {
    const result = openMysql(database.options(change))
    closing.push(() => result.close())
    return result
  }
  const tableIn = async (database: Database, name: string): Promise<Table> => {
    const found = (await database.schema()).tables.find((table) => table.name.name === name)
    if (found === undefined) throw new Error(`no table ${name}`)
    return found
  }
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.5' })
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  afterAll(() => server?.stop())

  describe('a statement under a mark, though DDL commits by itself', () => {
    it('is done once by two who do it at the same time', async () => {
      const made = await server.database()
      const [one, two] = [open(made), open(made)]
      const mark = { run: 'r', name: 'table t' }
      await one.execute('CREATE TABLE `other` (a int)', { run: 'r', name: 'other' })
      const sql = 'CREATE TABLE `t` (a int PRIMARY KEY) SELECT 1 AS a, SLEEP(0.3) AS s'
      await Promise.all([one.execute(sql, mark), two.execute(sql, mark)])
      expect(await made.sql('SELECT a FROM t')).toEqual([['1']])
    })

    it('whose line was cut while the server was at it is found done, not done twice', async () => {
      const made = await server.database()
      const proxy = await startFaultProxy(server, { listen: server.host })
      closing.push(() => proxy.close())
      const cut = open(made, { host: proxy.host, port: proxy.port })
      const mark = { run: 'r', name: 'table slow' }
      await cut.execute('CREATE TABLE `first` (a int)', { run: 'r', name: 'first' })
      const working = failureOf(cut.execute('CREATE TABLE `slow` (a int PRIMARY KEY) SELECT 1 AS a, SLEEP(1) AS s', mark))
      for (let seen = '0'; seen === '0'; ) seen = (await server.rootSql(UNTIL_SLOW))[0]?.[0] ?? '0'
      proxy.cut(0)
      expect((await working).code).toBe('database-connection-lost')
      const again = open(made)
      await again.execute('CREATE TABLE `slow` (a int PRIMARY KEY) SELECT 1 AS a', mark)
      expect(await made.sql('SELECT a FROM slow')).toEqual([['1']])
      expect(await again.marks('r')).toEqual(new Set(['first', 'table slow']))
      await again.retract('DROP TABLE IF EXISTS `slow`', mark)
      expect(await again.marks('r')).toEqual(new Set(['first']))
    })

    it.each([
      ['after the statement', true],
      ['before the statement', false],
    ])('that a kill left begun, %s, is judged by the object that it makes', async (_when, isThere) => {
      const made = await server.database()
      const database = open(made)
      await made.sql('CREATE TABLE t (a int NOT NULL, b int)')
      await database.execute('ALTER TABLE `t` ADD KEY `kb` (`b`), ADD UNIQUE KEY `ka` (`a`)', { run: 'r', name: 'indexes t' })
      await made.sql(`UPDATE migrate_marks SET probe = '{"kind":"index","name":"kb","table":"t"}'`)
      if (!isThere) await made.sql('ALTER TABLE t DROP KEY kb, DROP KEY ka')
      expect(await database.marks('r')).toEqual(new Set(isThere ? ['indexes t'] : []))
      await database.execute('ALTER TABLE `t` ADD KEY `kb` (`b`), ADD UNIQUE KEY `ka` (`a`)', { run: 'r', name: 'indexes t' })
      expect((await made.sql('SHOW INDEX FROM t')).map((row) => row[2])).toEqual(['ka', 'kb'])
      expect(await made.sql('SELECT COUNT(*) FROM migrate_marks WHERE probe IS NULL')).toEqual([['1']])
    })

    it('that adds foreign keys finds rows without a parent, and leaves none of the keys', async () => {
      const made = await server.database()
      await made.sql(
        'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int, q int, KEY (p), KEY (q)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1, 1), (2, 1, 7), (3, NULL, 1)',
      )
      const database = open(made)
      const sql =
        'SET SESSION foreign_key_checks = 0;\nALTER TABLE `c` ADD CONSTRAINT `f1` FOREIGN KEY (`p`) REFERENCES `p` (`id`), ADD CONSTRAINT `f2` FOREIGN KEY (`q`) REFERENCES `p` (`id`)'
      const mark = { run: 'r', name: 'foreign key c.f1, f2' }
      const failure = await failureOf(database.execute(sql, mark))
      expect([failure.code, failure.message]).toEqual([
        'database-statement-failed',
        expect.stringContaining('f2: c (q) holds ["7"]'),
      ])
      expect((await made.sql('SHOW CREATE TABLE c'))[0]?.[1]).not.toContain('FOREIGN')
      expect(await database.marks('r')).toEqual(new Set())
      await made.sql('DELETE FROM c WHERE q = 7')
      await database.execute(sql, mark)
      await expect(made.sql('INSERT INTO c VALUES (9, 9, NULL)')).rejects.toThrow('foreign key constraint fails')
      expect(await database.runStatements(['SELECT @@foreign_key_checks'])).toEqual([1])
    })
  })

  mysqlTriggers(() => server, open)

  mysqlRights(() => server, open)

  mysqlOldShops(() => server, open)

  describe('rows without a parent, written while nobody looked', () => {
    it('are named by foreign key before the new host refuses it; so is a parent that isn’t there', async () => {
      const made = await server.database()
      await made.sql(
        `CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO p VALUES (1, 1); SET foreign_key_checks = 0;
         CREATE TABLE c (id int PRIMARY KEY, a int, b int, g int, CONSTRAINT fk_p FOREIGN KEY (a, b) REFERENCES p (a, b), CONSTRAINT fk_gone FOREIGN KEY (g) REFERENCES gone (id));
         INSERT INTO c VALUES (1, 1, 1, NULL), (2, 1, 7, NULL), (3, NULL, 7, NULL); DROP TABLE gone`,
      )
      const database = open(made)
      const schema = await database.schema()
      expect(schema.findings.filter(({ severity }) => severity === 'error')).toMatchObject([
        { code: 'foreign-key-broken', message: expect.stringContaining('fk_gone of c refers to the table gone') },
      ])
      const found = (await database.orphans?.(schema)) ?? []
      expect(found).toMatchObject([
        {
          severity: 'error',
          code: 'rows-without-parent',
          message: expect.stringContaining('a, b holds 1, 7, which no row of p'),
        },
      ])
      const listed = /SELECT [^;]+/.exec(found[0]?.hint ?? '')?.[0] ?? ''
      expect(await made.sql(listed)).toEqual([['2', '1', '7', null]])
      expect(await database.orphans?.({ ...schema, tables: schema.tables.filter(({ name }) => name.name !== 'c') })).toEqual([])
      await made.sql('INSERT INTO p VALUES (1, 7)')
      expect(await database.orphans?.(schema)).toEqual([])
    })
  })

  describe('a host that is careful with its server', () => {
    it('and gives the account two connections of the four that the playbook allows is asked by two', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)')
      await server.rootSql(`ALTER USER '${made.owner.user}'@'%' WITH MAX_USER_CONNECTIONS 2`)
      const database = open(made)
      const asked = await Promise.all(Array.from({ length: 8 }, () => database.sizes()))
      expect(new Set(asked.map((sizes) => sizes.length))).toEqual(new Set([1]))
      expect((await database.schema()).findings).toContainEqual(
        expect.objectContaining({ severity: 'warning', code: 'connections-limited' }),
      )
      const table = await tableIn(database, 't')
      const rows = await database.read(3, ([reader]) => readAll(reader, table))
      expect(rows).toEqual([['1'], ['2']])
    })

    it('and ends a question is told of as such: that can be tried again', async () => {
      const made = await server.database()
      await made.sql('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)')
      const asking = failureOf(open(made).runStatements(['SELECT id FROM t WHERE SLEEP(60) = 0']))
      const theirs = `SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '${made.name}' AND INFO LIKE '%SLEEP(60)%'`
      await expect.poll(() => server.rootSql(theirs), { timeout: 30_000, interval: 20 }).toHaveLength(1)
      await server.rootSql(`KILL QUERY ${(await server.rootSql(theirs))[0]?.[0]}`)
      expect(await asking).toMatchObject({ code: 'database-query-ended', retrySafe: true })
    })
  })

  describe('text keys', () => {
    it('that the server takes for the same are told apart, and never written over', async () => {
      const made = await server.database()
      await made.sql(
        "CREATE TABLE w (w varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n int); INSERT INTO w VALUES ('Ann', 1)",
      )
      const database = open(made)
      const w = await tableIn(database, 'w')
      expect(await database.rowsByKey(w, [['ann'], ['Ann ']])).toEqual([])
      await database.transaction([w], (transaction) => transaction.delete(w, [['ANN']]))
      expect((await failureOf(database.transaction([w], (transaction) => transaction.update(w, ['ann', '2'])))).code).toBe(
        'row-missing',
      )
      expect((await failureOf(database.transaction([w], (transaction) => transaction.insert(w, [['ANN', '2']])))).code).toBe(
        'database-statement-failed',
      )
      expect(await made.sql('SELECT * FROM w')).toEqual([['Ann', '1']])
    })
  })

  it.skipIf(!isMariadb)('lets a sequence stand at its end, as where it gave its last number, and no further', async () => {
    const made = await server.database()
    await made.sql('CREATE SEQUENCE s MAXVALUE 5')
    const database = open(made)
    const [identity] = (await database.schema()).identities
    if (identity === undefined) throw new Error('no identity')
    expect((await failureOf(database.raiseIdentity(identity, 6n))).code).toBe('identity-out-of-range')
    await database.raiseIdentity(identity, 5n)
    await expect(made.sql('SELECT NEXTVAL(s)')).rejects.toThrow('has run out')
  })

  it('tells a server that takes no changes', async () => {
    const made = await server.database()
    await server.rootSql('SET GLOBAL read_only = 1')
    closing.push(() => server.rootSql('SET GLOBAL read_only = 0'))
    expect((await failureOf(open(made).execute('CREATE TABLE `t` (a int)', { run: 'r', name: 't' }))).code).toBe(
      'database-read-only',
    )
  })
})
