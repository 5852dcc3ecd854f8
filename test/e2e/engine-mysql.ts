import mysql, { type Pool, type ResultSetHeader } from 'mysql2/promise'
import { runSql, startTestMysql, type TestMysql } from '../servers/mysql.ts'
import { isRelease, newPrograms, READ_ROUTINES } from '../servers/mysql-programs.ts'
import { columnsOf, openForBusiness, type StoryDatabase, type StoryEngine, type TextRow } from './engine.ts'

const SHOP = [
  `CREATE TABLE Customers (CustomerID int NOT NULL AUTO_INCREMENT PRIMARY KEY, Email varchar(120) NOT NULL UNIQUE,
    Name varchar(80) NOT NULL, Since datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))`,
  `CREATE TABLE Products (ProductID int NOT NULL AUTO_INCREMENT PRIMARY KEY, Title varchar(80) NOT NULL, Price decimal(19,4) NOT NULL,
    UnitsInStock int NOT NULL CHECK (UnitsInStock >= 0))`,
  `CREATE TABLE Orders (OrderID int NOT NULL AUTO_INCREMENT PRIMARY KEY, CustomerID int NOT NULL,
    Reference ${isRelease('mariadb', 10, 7) ? 'uuid' : 'char(36)'} NOT NULL DEFAULT (uuid()), Total decimal(19,4) NOT NULL, PlacedAt datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY OrdersByCustomer (CustomerID, PlacedAt DESC),
    CONSTRAINT FK_Orders_Customers FOREIGN KEY (CustomerID) REFERENCES Customers (CustomerID)) AUTO_INCREMENT = 10248`,
  `CREATE TABLE OrderItems (OrderItemID bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, OrderID int NOT NULL, ProductID int NOT NULL,
    Quantity smallint NOT NULL, Price decimal(19,4) NOT NULL,
    CONSTRAINT FK_OrderItems_Orders FOREIGN KEY (OrderID) REFERENCES Orders (OrderID) ON DELETE CASCADE,
    CONSTRAINT FK_OrderItems_Products FOREIGN KEY (ProductID) REFERENCES Products (ProductID))`,
  'CREATE TABLE OrderLog (LogID bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, OrderID int NOT NULL, What varchar(40) NOT NULL)',
  'CREATE TABLE Sessions (SessionID varchar(40) NOT NULL PRIMARY KEY, Data blob)',
  `CREATE TRIGGER OrderPlaced AFTER INSERT ON Orders FOR EACH ROW INSERT INTO OrderLog (OrderID, What) VALUES (NEW.OrderID, 'placed')`,
  'CREATE VIEW BigOrders AS SELECT * FROM Orders WHERE Total > 100',
  `INSERT INTO Products (Title, Price, UnitsInStock) VALUES ('Blank label', 19.99, 1000), ('Größe XL', 21.5, 900)`,
  `INSERT INTO Sessions VALUES ('s1', x'00ff'), ('s2', NULL)`,
]

/** Two private servers, one per host. */
export const mysqlStory: StoryEngine = {
  name: 'mysql',
  further: [
    'CREATE TABLE Addresses (AddressID int NOT NULL AUTO_INCREMENT PRIMARY KEY, CustomerID int NOT NULL, Street varchar(80) NOT NULL)',
    `CREATE TABLE Passwords (CustomerID int NOT NULL PRIMARY KEY, Hash varchar(80) NOT NULL,
      CONSTRAINT FK_Passwords_Customers FOREIGN KEY (CustomerID) REFERENCES Customers (CustomerID))`,
  ],
  async start() {
    const servers = await Promise.all([
      startTestMysql({ host: '127.0.33.1' }),
      startTestMysql({ host: '127.0.33.2', programs: newPrograms }),
    ])
    const pools: Pool[] = []
    const [old, fresh] = await Promise.all(servers.map((server) => openShop(server, pools)))
    if (old === undefined || fresh === undefined) throw new Error('no servers')
    for (const sql of SHOP) await old.execute(sql)
    await openForBusiness(old)
    return {
      old,
      new: fresh,
      async stop() {
        await Promise.all(pools.map((pool) => pool.end()))
        await Promise.all(servers.map((each) => each.stop()))
      },
    }
  },
}

async function openShop(server: TestMysql, pools: Pool[]): Promise<StoryDatabase> {
  const { host, port, root } = server
  const owner = { user: 'shop', password: 'p@ss/word' }
  await server.rootSql(`CREATE DATABASE shop; CREATE USER 'shop'@'%' IDENTIFIED BY '${owner.password}'; GRANT ALL ON shop.* TO 'shop'@'%';
    CREATE USER 'reader'@'%' IDENTIFIED BY 'only-looking'; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON shop.* TO 'reader'@'%';
    GRANT ${READ_ROUTINES} TO 'reader'@'%'`)
  const urlOf = (user: string, password: string): string =>
    `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/shop`
  const text = { rowsAsArray: false, charset: 'utf8mb4', typeCast: (field: { string(): string | null }) => field.string() }
  const pool = mysql.createPool({ host, port, ...owner, database: 'shop', connectionLimit: 8, ...text })
  pools.push(pool)
  const rows = async (sql: string): Promise<readonly TextRow[]> => (await pool.query(sql))[0] as TextRow[]
  return {
    url: urlOf(owner.user, owner.password),
    readOnlyUrl: urlOf('reader', 'only-looking'),
    superuserUrl: urlOf(root.user, root.password),
    register: async (email, name) => {
      const [made] = await pool.query<ResultSetHeader>('INSERT INTO Customers (Email, Name) VALUES (?, ?)', [email, name])
      return String(made.insertId)
    },
    order: (customerId, total) => placeOrder(pool, customerId, total),
    rows: (table) => rows(`SELECT ${columnsOf(table).join(', ')} FROM ${table}`),
    insert: async (table, values) => {
      const names = Object.keys(values)
      await pool.query(
        `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
        Object.values(values),
      )
    },
    tables: async () => {
      const found = await runSql(
        { host, port, ...root, database: 'shop' },
        `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' AND TABLE_TYPE = 'BASE TABLE' ORDER BY 1`,
      )
      return found.map(([name]) => name ?? '')
    },
    execute: async (sql) => {
      await pool.query(sql)
    },
  }
}

async function placeOrder(pool: Pool, customerId: string, total: string): Promise<string> {
  const connection = await pool.getConnection()
  try {
    await connection.beginTransaction()
    const [order] = await connection.query<ResultSetHeader>('INSERT INTO Orders (CustomerID, Total) VALUES (?, ?)', [
      customerId,
      total,
    ])
    await connection.query(
      'INSERT INTO OrderItems (OrderID, ProductID, Quantity, Price) VALUES (?, 1, 1, ? / 2), (?, 2, 1, ? / 2)',
      [order.insertId, total, order.insertId, total],
    )
    await connection.commit()
    return String(order.insertId)
  } catch (error) {
    await connection.rollback()
    throw error
  } finally {
    connection.release()
  }
}
