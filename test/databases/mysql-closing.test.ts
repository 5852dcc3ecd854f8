import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { schemaSql, triggerName } from '../../src/databases/mysql/closing.ts'
import { openMysql } from '../../src/databases/mysql/index.ts'
import { type ClosingShop, databaseClosingContract } from '../contract/database-closing.ts'
import { startTestMysql, type TestMysql } from '../servers/mysql.ts'
import { isRelease, mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'

/** Closed as a schema by the server itself, in its own words; by triggers elsewhere. */
const hasReadOnly = isRelease('mysql', 8, 0)
const REFUSED = hasReadOnly ? 'is in read only mode' : 'This shop has moved to its new host'

const LONG = 'a_table_with_a_name_that_is_as_long_as_a_name_may_be_on_mariadb_'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('a MariaDB database'), () => {
  let server: TestMysql
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.34' })
  })
  afterAll(() => server?.stop())

  databaseClosingContract('MariaDB', async (): Promise<ClosingShop> => {
    const made = await server.database()
    // One of the old kind, whose rows no transaction protects, and one whose name leaves no room.
    await made.sql(`CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, note text);
      CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, note text) ENGINE=MyISAM;
      CREATE TABLE ${LONG} (id int AUTO_INCREMENT PRIMARY KEY)`)
    const buy = "INSERT INTO orders (note) VALUES ('x')"
    return {
      open: () => openMysql(made.options()),
      openPowerless: async () => {
        const account = { user: `looker_${made.name}`, password: 'of-the-looker' }
        await server.rootSql(
          `CREATE USER ${account.user}@'%' IDENTIFIED BY '${account.password}'; GRANT SELECT ON ${made.name}.* TO ${account.user}@'%'`,
        )
        return openMysql(made.options({ account }))
      },
      buy: async () => void (await made.sql(buy)),
      bought: async () => Number((await made.sql('SELECT count(*) FROM orders'))[0]?.[0]),
      keep: async () => {
        const connection = await made.connect()
        return {
          begin: async () => void (await connection.query(`START TRANSACTION; ${buy}`)),
          commit: async () => void (await connection.query('COMMIT')),
          buy: async () => void (await connection.query(buy)),
          end: async () => connection.destroy(),
        }
      },
    }
  })

  it('refuses every way to write a row, in each of its tables, and says why', async () => {
    const made = await server.database()
    await made.sql(`CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock VALUES (1, 5);
      CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, note text) ENGINE=MyISAM; CREATE TABLE ${LONG} (id int PRIMARY KEY)`)
    const database = openMysql(made.options())
    try {
      await database.closing?.close(0)
      for (const sql of [
        'UPDATE stock SET n = 4',
        'DELETE FROM stock',
        'REPLACE INTO stock VALUES (1, 4)',
        'INSERT INTO stock VALUES (1, 4) ON DUPLICATE KEY UPDATE n = 4',
        "INSERT INTO log (note) VALUES ('x')",
        `INSERT INTO ${LONG} VALUES (1)`,
      ])
        await expect(made.sql(sql), sql).rejects.toThrow(REFUSED)
      expect(await made.sql('SELECT n FROM stock')).toEqual([['5']])
    } finally {
      await database.close()
    }
  })

  it.skipIf(hasReadOnly)('goes on closing where it was cut off', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)')
    const database = openMysql(made.options())
    try {
      await database.closing?.close(0)
      await made.sql(`DROP TRIGGER ${triggerName('b', 'UPDATE')}`)
      expect(await database.closing?.look()).toMatchObject({ closed: false })
      await database.closing?.close(0)
      expect(await database.closing?.look()).toMatchObject({ closed: true })
      await database.closing?.open('')
      expect(await made.sql('SHOW TRIGGERS')).toEqual([])
    } finally {
      await database.close()
    }
  })

  it('says when the whole server takes no rows', async () => {
    const made = await server.database()
    const database = openMysql(made.options())
    try {
      expect(await database.refusesRows?.()).toBeUndefined()
      await server.rootSql('SET GLOBAL read_only = 1')
      expect(await database.refusesRows?.()).toBe('its server is read_only')
    } finally {
      await server.rootSql('SET GLOBAL read_only = 0')
      await database.close()
    }
  })
})

describe('closing on MySQL since 8.0.22', () => {
  it('is one statement for the schema', () => {
    expect(schemaSql('my`shop', 1)).toBe('ALTER SCHEMA `my``shop` READ ONLY = 1')
    expect(schemaSql('shop', 0)).toBe('ALTER SCHEMA `shop` READ ONLY = 0')
  })
})
