import type { Connection, ResultSetHeader } from 'mysql2/promise'
import { type MysqlOptions, openMysql } from '../../src/databases/mysql/index.ts'
import {
  ALL_ABILITIES,
  type DatabaseAbilities,
  type DatabaseHost,
  type ShopDatabase,
  type Values,
} from '../contract/database-host.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import type { TestMysql, TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb } from '../servers/mysql-programs.ts'
import { createSamples, SAMPLES_AS_TEXT } from './mysql-samples.ts'

const TABLES = [
  `CREATE TABLE customers (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, email varchar(120) NOT NULL UNIQUE, name varchar(80), note longtext)`,
  `CREATE TABLE products (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, title varchar(80) NOT NULL, stock int NOT NULL DEFAULT 0 CHECK (stock >= 0),
    price decimal(12,4) NOT NULL, gross decimal(16,6) AS (price * 1.19) STORED)`,
  `CREATE TABLE orders (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, placed datetime(6) NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'open', KEY orders_of_customer (customer_id, placed DESC),
    CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id))`,
  `CREATE TABLE order_items (order_id bigint, line int, product_id int NOT NULL, quantity int NOT NULL, PRIMARY KEY (order_id, line),
    CONSTRAINT items_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
    CONSTRAINT items_product FOREIGN KEY (product_id) REFERENCES products (id))`,
  `CREATE TABLE categories (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, parent_id int, title varchar(80) NOT NULL,
    CONSTRAINT categories_parent FOREIGN KEY (parent_id) REFERENCES categories (id))`,
  'CREATE TABLE departments (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, head_id int)',
  `CREATE TABLE employees (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, department_id int NOT NULL,
    CONSTRAINT employees_department FOREIGN KEY (department_id) REFERENCES departments (id))`,
  'ALTER TABLE departments ADD CONSTRAINT departments_head FOREIGN KEY (head_id) REFERENCES employees (id)',
  'CREATE TABLE visits (page varchar(200) NOT NULL, visitor varchar(200))',
  'CREATE TABLE never_used (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, note varchar(20))',
  ...(isMariadb
    ? [
        // AUTO_INCREMENT can't count down: a sequence does.
        'CREATE SEQUENCE countdown_ids START WITH -1 INCREMENT BY -1 NOCACHE',
        'CREATE TABLE countdown (id bigint NOT NULL DEFAULT (NEXT VALUE FOR countdown_ids) PRIMARY KEY, note varchar(20))',
        'CREATE SEQUENCE invoice_numbers START WITH 1000 NOCACHE',
      ]
    : ['CREATE TABLE countdown (id bigint NOT NULL PRIMARY KEY, note varchar(20))']),
  'CREATE TABLE audit (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, what varchar(200) NOT NULL)',
  'CREATE TABLE words (word varchar(80) PRIMARY KEY, meaning varchar(20))',
]

const FURTHER = [
  `CREATE TABLE coupons (id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    code varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL UNIQUE, used int)`,
  'CREATE TABLE tokens (token char(36) NOT NULL PRIMARY KEY, note varchar(20))',
  `CREATE TABLE wide (id int NOT NULL PRIMARY KEY, ${Array.from({ length: 200 }, (_, at) => `c${at + 1} varchar(70)`).join(', ')})`,
]

const audit = (event: string, row: string): string =>
  `CREATE TRIGGER orders_${event.toLowerCase()} AFTER ${event} ON orders FOR EACH ROW INSERT INTO audit (what) VALUES (CONCAT('${event} ', ${row}.id))`

const OBJECTS = [
  `CREATE VIEW open_orders AS SELECT o.id, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = 'open'`,
  `CREATE FUNCTION orders_of(customer int) RETURNS bigint READS SQL DATA
    BEGIN DECLARE n bigint; SELECT count(*) INTO n FROM orders WHERE customer_id = customer; RETURN n; END`,
  `CREATE PROCEDURE send_all() BEGIN UPDATE orders SET status = 'sent'; END`,
  audit('INSERT', 'NEW'),
  audit('UPDATE', 'NEW'),
  audit('DELETE', 'OLD'),
]

/** MySQL has no sequences, and AUTO_INCREMENT counts upwards alone. */
export const MYSQL_ABILITIES: DatabaseAbilities = { ...ALL_ABILITIES, sequences: isMariadb, countsDown: isMariadb }

/** A SELECT of the column `seq`, 1 and up. */
export const counted = (count: number): string =>
  isMariadb
    ? `SELECT seq FROM seq_1_to_${count}`
    : `WITH RECURSIVE s (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s WHERE seq < ${count}) SELECT /*+ SET_VAR(cte_max_recursion_depth = 1000000) */ seq FROM s`

/** The contract's shop on a MariaDB server. */
export function mysqlHost(server: TestMysql): DatabaseHost {
  return {
    database: async () => {
      const closing: (() => Promise<void>)[] = []
      const made = await server.database()
      const client = await made.connect()
      client.on('error', () => undefined)
      closing.push(() => client.end())
      const close = async () => {
        for (const each of closing.splice(0)) await each()
      }
      return { ...shopOf(made, client), ...accessOf(server, made, closing), close }
    },
    close: () => server.stop(),
  }
}

type Access = Pick<ShopDatabase, 'open' | 'openReadOnly' | 'openFaulty' | 'openThroughProxy' | 'holdLock'>

function accessOf(server: TestMysql, made: TestMysqlDatabase, closing: (() => Promise<void>)[]): Access {
  return {
    open: (options = {}) => openMysql(made.options(options)),
    openReadOnly: async () => openMysql(made.options({ account: await made.readOnlyAccount() })),
    openFaulty: async (fault) => {
      const change: Readonly<Record<typeof fault, Partial<MysqlOptions>>> = {
        'wrong-password': {},
        unreachable: { port: await closedPort(server.host) },
        'missing-database': { database: 'no_such_database' },
      }
      const password = fault === 'wrong-password' ? 'certainly-not-the-password' : made.owner.password
      return {
        database: openMysql(made.options({ account: { ...made.owner, password }, ...change[fault] })),
        secret: password,
      }
    },
    openThroughProxy: async () => {
      const proxy = await startFaultProxy(server, { listen: server.host })
      closing.push(() => proxy.close())
      return { database: openMysql(made.options({ host: proxy.host, port: proxy.port })), cut: proxy.cut, mend: proxy.mend }
    },
    holdLock: async (table, key) => {
      const client = await made.connect()
      const { where, values } = condition(key)
      await client.query('START TRANSACTION')
      await client.query(`SELECT 1 FROM ${table} WHERE ${where} FOR UPDATE`, values)
      return async () => client.end()
    },
  }
}

/** A port that nobody listens on. */
async function closedPort(host: string): Promise<number> {
  const proxy = await startFaultProxy({ host, port: 1 }, { listen: host })
  await proxy.close()
  return proxy.port
}

function condition(key: Values): { readonly where: string; readonly values: (string | null)[] } {
  const names = Object.keys(key)
  return {
    where: names.map((name) => `${name} = ?`).join(' AND '),
    values: names.map((name) => key[name] ?? null),
  }
}

function shopOf(made: TestMysqlDatabase, client: Connection): Omit<ShopDatabase, keyof Access> {
  const rows = async (sql: string): Promise<readonly Values[]> => {
    const [answer] = await client.query({ sql, rowsAsArray: false })
    return answer as Values[]
  }
  return {
    createShop: async () => {
      for (const sql of [...TABLES, ...OBJECTS]) await client.query(sql)
    },
    createFurther: async () => {
      for (const sql of FURTHER) await client.query(sql)
    },
    insert: async (table, values) => {
      const names = Object.keys(values)
      const sql = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`
      const given = names.map((name) => values[name] ?? null)
      if (table !== 'countdown') {
        const [header] = await client.query<ResultSetHeader>(sql, given)
        return header.insertId === 0 ? '' : String(header.insertId)
      }
      if (isMariadb) {
        const [answer] = await client.query(`${sql} RETURNING id`, given)
        return String((answer as string[][])[0]?.[0])
      }
      const [[lowest] = []] = await made.sql('SELECT LEAST(IFNULL(MIN(id), 0), 0) - 1 FROM countdown')
      await client.query('INSERT INTO countdown (id, note) VALUES (?, ?)', [lowest ?? '-1', values.note ?? null])
      return lowest ?? ''
    },
    insertWords: async (count) => {
      await client.query(`INSERT INTO words SELECT CONCAT('w', LPAD(seq, 6, '0')), seq FROM (${counted(count)}) AS numbers`)
    },
    update: async (table, key, values) => {
      const names = Object.keys(values)
      const { where, values: keyValues } = condition(key)
      const sets = names.map((name) => `${name} = ?`).join(', ')
      await client.query(`UPDATE ${table} SET ${sets} WHERE ${where}`, [
        ...names.map((name) => values[name] ?? null),
        ...keyValues,
      ])
    },
    remove: async (table, key) => {
      const { where, values } = condition(key)
      await client.query(`DELETE FROM ${table} WHERE ${where}`, values)
    },
    truncate: async (table) => {
      await client.query(`TRUNCATE ${table}`)
    },
    rows: (table) => rows(`SELECT * FROM ${table}`),
    nextInvoice: async () => (await rows('SELECT NEXTVAL(invoice_numbers) AS n'))[0]?.n ?? '',
    tables: async () => {
      const found = await made.rootSql(
        `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY 1`,
      )
      return found.map(([name]) => name ?? '')
    },
    createSamples: async () => {
      for (const sql of createSamples()) await client.query(sql)
    },
    samples: async () => (await rows(SAMPLES_AS_TEXT)).map((row) => Object.values(row)[0] ?? ''),
    statements: {
      send: `UPDATE orders SET status = 'sent'`,
      broken: 'UPDATE orders SET no_such_column = 1',
    },
  }
}
