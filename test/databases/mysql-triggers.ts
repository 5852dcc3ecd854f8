import { describe, expect, it } from 'vitest'
import { Connections } from '../../src/databases/mysql/connection.ts'
import { readTriggers, replaceLocked, type Trigger, triggerSql } from '../../src/databases/mysql/triggers.ts'
import { quoteText } from '../../src/databases/mysql/values.ts'
import type { Database, Row } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { failureOf } from '../contract/database-kit.ts'
import type { TestMysql, TestMysqlDatabase } from '../servers/mysql.ts'

/** A table's triggers while rows are carried. */
export function mysqlTriggers(server: () => TestMysql, open: (made: TestMysqlDatabase) => Database): void {
  describe('a table’s triggers', () => {
    const SHOP = `CREATE TABLE log (what varchar(40)); CREATE TABLE orders (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, total int);
      CREATE TRIGGER first BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = NEW.total + 1;
      CREATE TRIGGER second BEFORE INSERT ON orders FOR EACH ROW BEGIN INSERT INTO log VALUES (CONCAT('in ', NEW.total)); END -- the end`
    const definitions = (made: TestMysqlDatabase) =>
      made.sql(
        // MySQL keeps the semicolon behind one that was made among others, and none behind one made by itself.
        "SELECT TRIGGER_NAME, ACTION_ORDER, TRIM(TRAILING ';' FROM ACTION_STATEMENT), DEFINER, SQL_MODE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1",
      )
    const tableIn = async (database: Database, name: string): Promise<Table> => {
      const found = (await database.schema()).tables.find((table) => table.name.name === name)
      if (found === undefined) throw new Error(`no table ${name}`)
      return found
    }
    const row = (id: string, total: string): Row => [id, total]

    it('fire for customers while rows are carried in silence, and are as before when all is done', async () => {
      const made = await server().database()
      await made.sql(SHOP)
      const before = await definitions(made)
      const database = open(made)
      const orders = await tableIn(database, 'orders')
      await database.transaction([orders], async (transaction) => {
        await transaction.insert(orders, [row('100', '5')])
        await made.sql('INSERT INTO orders (total) VALUES (7)')
      })
      expect(await made.sql('SELECT total FROM orders ORDER BY total')).toEqual([['5'], ['8']])
      expect(await made.sql('SELECT what FROM log')).toEqual([['in 8']])
      expect((await database.schema()).objects).toEqual((await open(made).schema()).objects)
      expect(await definitions(made)).not.toEqual(before)
      await database.close()
      expect(await definitions(made)).toEqual(before)
    })

    it('that can only be dropped and made anew stand again after a kill in between', async () => {
      const made = await server().database()
      await made.sql(SHOP)
      const before = await definitions(made)
      const connections = new Connections(made.options())
      await connections.use(async (session) => {
        const [first, second] = await readTriggers(session)
        if (first === undefined || second === undefined) throw new Error('no triggers')
        const sql = (trigger: Trigger): string => triggerSql(trigger)
        for (const at of [0, 1]) {
          await replaceLocked(session, [first, second], at, false)
          expect(await definitions(made), 'in their order').toEqual(before)
        }
        // The kill: dropped, kept in the table, and not made again.
        await session.query('DROP TRIGGER second')
        await session.query(`INSERT INTO migrate_triggers VALUES ('second', ${quoteText(sql(second))})`)
        // What was tried before it went does nothing, and goes as well.
        await session.query(
          'CREATE TRIGGER migrate_trial_1 BEFORE INSERT ON log FOR EACH ROW BEGIN IF FALSE THEN SET NEW.what = 1; END IF; END',
        )
        expect((await readTriggers(session)).map(({ name }) => name)).toEqual(['first'])
      })
      connections.close()
      const database = open(made)
      const log = await tableIn(database, 'log')
      await database.transaction([log], async (transaction) => transaction.insert(log, [['x']]))
      expect(await definitions(made)).toEqual(before)
      expect(await made.sql('SELECT COUNT(*) FROM migrate_triggers')).toEqual([['0']])
    })

    it('that can only be dropped stays where what would take its place is refused', async () => {
      const made = await server().database()
      await made.sql(SHOP)
      await made.rootSql('CREATE TRIGGER theirs BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = 0')
      const before = await definitions(made)
      const connections = new Connections(made.options())
      await connections.use(async (session) => {
        const triggers = (await readTriggers(session)).filter(({ timing }) => timing === 'BEFORE')
        const at = triggers.findIndex(({ name }) => name === 'theirs')
        expect((await failureOf(replaceLocked(session, triggers, at, true))).code).toBe('database-permission-denied')
      })
      expect(await definitions(made)).toEqual(before)
      connections.close()
      expect(await definitions(made)).toEqual(before)
    })

    it('that a killed process left guarded work for everybody, until the next one takes the guard off', async () => {
      const made = await server().database()
      await made.sql(SHOP)
      const before = await definitions(made)
      // A killed process closes nothing; this one is closed when all is over.
      const killed = open(made)
      const orders = await tableIn(killed, 'orders')
      await killed.transaction([orders], (transaction) => transaction.insert(orders, [row('100', '5')]))
      const threads = await server().rootSql(
        `SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '${made.name}' AND USER = '${made.owner.user}'`,
      )
      for (const [id] of threads) await server().rootSql(`KILL ${id}`)
      const guarded = await definitions(made)
      expect(guarded).not.toEqual(before)
      await made.sql('INSERT INTO orders (total) VALUES (7)')
      expect(await made.sql('SELECT what FROM log')).toEqual([['in 8']])
      const next = open(made)
      await next.transaction([orders], (transaction) => transaction.insert(orders, [row('200', '5')]))
      await next.close()
      expect(await definitions(made)).toEqual(before)
      expect(await made.sql('SELECT total FROM orders WHERE id >= 100 AND id <> 101 ORDER BY id')).toEqual([['5'], ['5']])
    })
  })
}
