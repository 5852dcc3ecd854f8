import { z } from 'zod'
import { Connections } from '../../src/databases/mssql/connection.ts'
import { type MssqlOptions, openMssql } from '../../src/databases/mssql/index.ts'
import { quoteName } from '../../src/databases/mssql/names.ts'
import type { Session } from '../../src/databases/mssql/session.ts'
import type { Database } from '../../src/databases/port.ts'
import type { DatabaseHost, ShopDatabase, ShopTable, Values } from '../contract/database-host.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import type { MssqlGaps, TestMssql, TestMssqlDatabase } from '../servers/mssql.ts'
import { createSamples, samplesAsText } from './mssql-samples.ts'

const tables = (gaps: MssqlGaps): readonly string[] => [
  `CREATE TABLE customers (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_customers PRIMARY KEY, email nvarchar(120) NOT NULL CONSTRAINT uq_customers_email UNIQUE,
  name nvarchar(80) NULL, note nvarchar(max) NULL)`,
  `CREATE TABLE products (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_products PRIMARY KEY, title nvarchar(80) NOT NULL,
  stock int NOT NULL CONSTRAINT df_stock DEFAULT 0 CONSTRAINT ck_stock CHECK (stock >= 0), price decimal(12,4) NOT NULL, gross AS (price * 1.19) PERSISTED)`,
  `CREATE TABLE orders (id bigint IDENTITY(1,1) NOT NULL CONSTRAINT pk_orders PRIMARY KEY, customer_id int NOT NULL CONSTRAINT fk_orders_customers REFERENCES customers(id),
  placed datetime2(6) NOT NULL, status varchar(20) NOT NULL CONSTRAINT df_status DEFAULT 'open'${gaps.rowversion ? '' : ', version rowversion'})`,
  ...(gaps.indexNames ? [] : ['CREATE INDEX ix_orders_customer ON orders (customer_id, placed DESC) INCLUDE (status)']),
  `CREATE TABLE order_items (order_id bigint NOT NULL CONSTRAINT fk_items_orders REFERENCES orders(id) ON DELETE CASCADE, line int NOT NULL,
  product_id int NOT NULL CONSTRAINT fk_items_products REFERENCES products(id), quantity int NOT NULL, CONSTRAINT pk_order_items PRIMARY KEY (order_id, line))`,
  `CREATE TABLE categories (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_categories PRIMARY KEY, parent_id int NULL CONSTRAINT fk_categories REFERENCES categories(id), title nvarchar(80) NOT NULL)`,
  'CREATE TABLE departments (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_departments PRIMARY KEY, head_id int NULL)',
  'CREATE TABLE employees (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_employees PRIMARY KEY, department_id int NOT NULL CONSTRAINT fk_employees REFERENCES departments(id))',
  'ALTER TABLE departments ADD CONSTRAINT fk_departments FOREIGN KEY (head_id) REFERENCES employees(id)',
  'CREATE TABLE visits (page nvarchar(200) NOT NULL, visitor nvarchar(200) NULL)',
  'CREATE TABLE never_used (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_never_used PRIMARY KEY, note varchar(20) NULL)',
  'CREATE TABLE countdown (id int IDENTITY(-1,-1) NOT NULL CONSTRAINT pk_countdown PRIMARY KEY, note varchar(20) NULL)',
  'CREATE TABLE audit (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_audit PRIMARY KEY, what nvarchar(200) NOT NULL)',
  // Not varchar: a server that isn't SQL Server may keep characters there that the code page hasn't got, and sends others for them.
  // No code page of the kind that databases have holds 😀, which the contract writes as a meaning: SQL Server would keep question marks.
  'CREATE TABLE words (word nvarchar(80) NOT NULL CONSTRAINT pk_words PRIMARY KEY, meaning nvarchar(20) NULL)',
  'CREATE SEQUENCE invoice_numbers AS bigint START WITH 1000 INCREMENT BY 1',
  "CREATE VIEW open_orders AS SELECT o.id, c.email FROM dbo.orders o JOIN dbo.customers c ON c.id = o.customer_id WHERE o.status = 'open'",
  'CREATE FUNCTION orders_of(@customer int) RETURNS int AS BEGIN RETURN (SELECT COUNT(*) FROM dbo.orders WHERE customer_id = @customer) END',
  "CREATE PROCEDURE send_all AS UPDATE dbo.orders SET status = 'sent'",
  `CREATE TRIGGER orders_audit ON orders AFTER INSERT, UPDATE, DELETE AS BEGIN SET NOCOUNT ON;
  INSERT INTO dbo.audit (what) SELECT N'wrote ' + CONVERT(nvarchar(20), id) FROM inserted;
  INSERT INTO dbo.audit (what) SELECT N'removed ' + CONVERT(nvarchar(20), d.id) FROM deleted d WHERE NOT EXISTS (SELECT 1 FROM inserted i WHERE i.id = d.id);
END`,
]

const FURTHER = [
  `CREATE TABLE coupons (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_coupons PRIMARY KEY,
  code nvarchar(40) COLLATE Latin1_General_CI_AS NOT NULL CONSTRAINT uq_coupons_code UNIQUE, used int NULL)`,
  'CREATE TABLE tokens (token uniqueidentifier NOT NULL CONSTRAINT pk_tokens PRIMARY KEY, note varchar(20) NULL)',
  `CREATE TABLE wide (id int NOT NULL CONSTRAINT pk_wide PRIMARY KEY, ${Array.from({ length: 200 }, (_, at) => `c${at + 1} nvarchar(20) NULL`).join(', ')})`,
]

interface HostOptions {
  /** Tables are loaded one by one: which of them are together goes by time, and a recording has the answer to one choice alone. */
  readonly oneByOne?: boolean
}

/** The contract's shop on a SQL Server. */
export const mssqlHost = (server: TestMssql, { oneByOne = false }: HostOptions = {}): DatabaseHost => ({
  database: async () => {
    const closing: (() => Promise<void>)[] = []
    const made = await server.database()
    const close = async (): Promise<void> => {
      for (const each of closing.splice(0)) await each()
      await made.drop()
    }
    return {
      ...shopOf(server.gaps, made),
      ...accessOf(server, made, closing, oneByOne ? loadingOneByOne : (database) => database),
      close,
    }
  },
  close: () => server.close(),
})

type Access = Pick<ShopDatabase, 'open' | 'openReadOnly' | 'openFaulty' | 'openThroughProxy' | 'holdLock'>

/** Without that power of it. */
const loadingOneByOne = (database: Database): Database =>
  new Proxy(database, {
    get: (target, name) => {
      const value: unknown = name === 'loadTogether' ? undefined : Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

function accessOf(
  server: TestMssql,
  made: TestMssqlDatabase,
  closing: (() => Promise<void>)[],
  powers: (database: Database) => Database,
): Access {
  return {
    open: (options = {}) => powers(openMssql(made.options(options))),
    openReadOnly: async () => openMssql(made.options({ account: await made.readOnlyAccount() })),
    openFaulty: async (fault) => {
      const change: Readonly<Record<typeof fault, Partial<MssqlOptions>>> = {
        'wrong-password': {},
        unreachable: { port: await closedPort(server.host) },
        'missing-database': { database: 'no_such_database' },
      }
      const password = fault === 'wrong-password' ? 'Certainly-not-1-password' : made.owner.password
      return { database: openMssql(made.options({ account: { ...made.owner, password }, ...change[fault] })), secret: password }
    },
    openThroughProxy: async () => {
      const proxy = await startFaultProxy(server)
      closing.push(() => proxy.close())
      return { database: openMssql(made.options({ host: proxy.host, port: proxy.port })), cut: proxy.cut, mend: proxy.mend }
    },
    holdLock: async (table, key) => {
      const connections = new Connections({ ...made.options(), connections: 2 })
      const locked = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      const held = connections.use((session) =>
        session.transaction(false, async () => {
          const { where, values } = condition(key)
          await session.query(`SELECT 1 AS held FROM ${table} WITH (UPDLOCK, ROWLOCK, HOLDLOCK) WHERE ${where}`, values)
          locked.resolve()
          await released.promise
        }),
      )
      await Promise.race([locked.promise, held])
      return async () => {
        released.resolve()
        await held
        await connections.close()
      }
    },
  }
}

/** A port that nobody listens on. */
async function closedPort(host: string): Promise<number> {
  const proxy = await startFaultProxy({ host, port: 1 })
  await proxy.close()
  return proxy.port
}

function condition(key: Values, from = 0): { readonly where: string; readonly values: (string | null)[] } {
  const names = Object.keys(key)
  return {
    where: names.map((name, at) => `${quoteName(name)} = @p${from + at}`).join(' AND '),
    values: names.map((name) => key[name] ?? null),
  }
}

function shopOf(gaps: MssqlGaps, made: TestMssqlDatabase): Omit<ShopDatabase, keyof Access | 'close'> {
  const run = async (sql: string, values: readonly (string | null)[] = []): Promise<void> => {
    await made.use((session) => session.query(sql, values))
  }
  return {
    createShop: async () => {
      for (const sql of tables(gaps)) await made.use((session) => session.batch(sql))
    },
    createFurther: async () => {
      for (const sql of FURTHER) await made.use((session) => session.batch(sql))
    },
    createTens: () =>
      run('CREATE TABLE tens (id int IDENTITY(10,10) NOT NULL CONSTRAINT pk_tens PRIMARY KEY, note varchar(20) NULL)'),
    insert: (table, values) => made.use((session) => insertRow(session, table, values)),
    insertWords: (count) =>
      run(`WITH ten AS (SELECT n FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS v(n)),
many AS (SELECT TOP (${count}) ROW_NUMBER() OVER (ORDER BY a.n) AS n FROM ten a CROSS JOIN ten b CROSS JOIN ten c CROSS JOIN ten d CROSS JOIN ten e)
INSERT INTO words (word, meaning) SELECT N'w' + RIGHT(N'000000' + CONVERT(nvarchar(6), n), 6), CONVERT(nvarchar(6), n) FROM many`),
    update: (table, key, values) => {
      const names = Object.keys(values)
      const { where, values: keyValues } = condition(key, names.length)
      const sets = names.map((name, at) => `${quoteName(name)} = @p${at}`).join(', ')
      return run(`UPDATE ${table} SET ${sets} WHERE ${where}`, [...names.map((name) => values[name] ?? null), ...keyValues])
    },
    remove: (table, key) => {
      const { where, values } = condition(key)
      return run(`DELETE FROM ${table} WHERE ${where}`, values)
    },
    truncate: (table) => run(`TRUNCATE TABLE ${table}`),
    rows: (table) => made.use((session) => allRows(session, table)),
    nextInvoice: () =>
      made.use(async (session) =>
        String((await session.query('SELECT CONVERT(nvarchar(20), NEXT VALUE FOR dbo.invoice_numbers) AS n')).rows[0]?.[0]),
      ),
    tables: () =>
      made.use(async (session) =>
        (await session.query('SELECT LOWER(name) AS name FROM sys.tables WHERE is_ms_shipped = 0 ORDER BY 1')).rows.map(
          ([name]) => String(name),
        ),
      ),
    createSamples: () => made.use((session) => createSamples(session, gaps)),
    samples: () => made.use(async (session) => (await session.query(samplesAsText())).rows.map((row) => JSON.stringify(row))),
    statements: { send: "UPDATE orders SET status = 'sent'", broken: 'UPDATE orders SET no_such_column = 1' },
  }
}

async function insertRow(session: Session, table: ShopTable, values: Values): Promise<string> {
  const names = Object.keys(values)
  const places = names.map((_name, at) => `@p${at}`)
  const sql = `INSERT INTO ${table} (${names.map(quoteName).join(', ')}) VALUES (${places.join(', ')}); SELECT CONVERT(nvarchar(40), SCOPE_IDENTITY()) AS id`
  const { rows } = await session.query(
    sql,
    names.map((name) => values[name] ?? null),
  )
  // A server may give the value of an earlier statement's table for one that has no identity.
  const identified = await session.query('SELECT name FROM sys.columns WHERE object_id = OBJECT_ID(@p0) AND is_identity = 1', [
    table,
  ])
  return identified.rows.length > 0 ? String(rows.at(-1)?.[0] ?? '') : ''
}

const columnRow = z.object({ name: z.string(), type: z.string() })

async function allRows(session: Session, table: ShopTable): Promise<readonly Values[]> {
  const columns = await session.ask(
    columnRow,
    `SELECT c.name AS [name], ty.name AS [type] FROM sys.columns c JOIN sys.types ty ON ty.user_type_id = c.user_type_id
WHERE c.object_id = OBJECT_ID(@p0) AND ty.name <> N'timestamp' ORDER BY c.column_id`,
    [table],
  )
  const list = columns.map(
    ({ name, type }) => `CONVERT(nvarchar(max), ${quoteName(name)}${type === 'datetime2' ? ', 121' : ''}) AS ${quoteName(name)}`,
  )
  const { rows } = await session.query(`SELECT ${list.join(', ')} FROM ${table}`)
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at] === null ? null : String(row[at])])))
}
