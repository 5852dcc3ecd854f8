import { randomBytes } from 'node:crypto'
import mssql from 'mssql'
import {
  columnsOf,
  openForBusiness,
  STORY_TABLES,
  type StoryDatabase,
  type StoryEngine,
  type StoryTable,
  type TextRow,
} from './engine.ts'

const SHOP = [
  `CREATE TABLE Customers (CustomerID int IDENTITY(1,1) NOT NULL CONSTRAINT PK_Customers PRIMARY KEY, Email nvarchar(120) NOT NULL
    CONSTRAINT UQ_Customers_Email UNIQUE, Name nvarchar(80) NOT NULL, Since datetime2(6) NOT NULL DEFAULT SYSDATETIME())`,
  `CREATE TABLE Products (ProductID int IDENTITY(1,1) NOT NULL CONSTRAINT PK_Products PRIMARY KEY, Title nvarchar(80) NOT NULL,
    Price money NOT NULL, UnitsInStock int NOT NULL CONSTRAINT CK_Stock CHECK (UnitsInStock >= 0))`,
  `CREATE TABLE Orders (OrderID int IDENTITY(10248,1) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY,
    CustomerID int NOT NULL CONSTRAINT FK_Orders_Customers REFERENCES Customers (CustomerID),
    Reference uniqueidentifier NOT NULL DEFAULT NEWID(), Total money NOT NULL, PlacedAt datetime2(6) NOT NULL DEFAULT SYSDATETIME())`,
  `CREATE TABLE OrderItems (OrderItemID bigint IDENTITY(1,1) NOT NULL CONSTRAINT PK_OrderItems PRIMARY KEY,
    OrderID int NOT NULL CONSTRAINT FK_OrderItems_Orders REFERENCES Orders (OrderID) ON DELETE CASCADE,
    ProductID int NOT NULL CONSTRAINT FK_OrderItems_Products REFERENCES Products (ProductID), Quantity smallint NOT NULL, Price money NOT NULL)`,
  'CREATE TABLE OrderLog (LogID bigint IDENTITY(1,1) NOT NULL CONSTRAINT PK_OrderLog PRIMARY KEY, OrderID int NOT NULL, What nvarchar(40) NOT NULL)',
  'CREATE TABLE Sessions (SessionID nvarchar(40) NOT NULL CONSTRAINT PK_Sessions PRIMARY KEY, Data varbinary(max) NULL)',
  'CREATE INDEX OrdersByCustomer ON Orders (CustomerID, PlacedAt DESC)',
  `CREATE TRIGGER OrderPlaced ON Orders AFTER INSERT AS BEGIN SET NOCOUNT ON;
    INSERT INTO OrderLog (OrderID, What) SELECT OrderID, N'placed' FROM inserted; END`,
  'CREATE VIEW BigOrders AS SELECT OrderID, Total FROM Orders WHERE Total > 100',
  `INSERT INTO Products (Title, Price, UnitsInStock) VALUES (N'Blank label', 19.99, 1000), (N'Größe XL', 21.5, 900)`,
  `INSERT INTO Sessions (SessionID, Data) VALUES (N's1', 0x00ff), (N's2', NULL)`,
]

const ORDER = `
  SET NOCOUNT ON; SET XACT_ABORT ON;
  BEGIN TRANSACTION;
  DECLARE @total money = CONVERT(money, @totalText);
  DECLARE @order int;
  INSERT INTO Orders (CustomerID, Total) VALUES (CONVERT(int, @customer), @total);
  SET @order = CONVERT(int, SCOPE_IDENTITY());
  INSERT INTO OrderItems (OrderID, ProductID, Quantity, Price) VALUES (@order, 1, 1, @total / 2), (@order, 2, 1, @total / 2);
  COMMIT TRANSACTION;
  SELECT CONVERT(nvarchar(40), @order) AS id`

/** How a column is read as text without loss (the style numbers of CONVERT in Microsoft's Transact-SQL reference). */
const STYLES: Readonly<Record<string, string>> = { Price: ', 2', Total: ', 2', Since: ', 121', PlacedAt: ', 121' }

/** Two databases on the server that MIGRATE_TEST_MSSQL names, dropped afterwards. */
export const mssqlStory = (serverUrl: string): StoryEngine => ({
  name: 'mssql',
  further: [
    `CREATE TABLE Addresses (AddressID int IDENTITY(1,1) NOT NULL CONSTRAINT PK_Addresses PRIMARY KEY, CustomerID int NOT NULL,
      Street nvarchar(80) NOT NULL)`,
    `CREATE TABLE Passwords (CustomerID int NOT NULL CONSTRAINT PK_Passwords PRIMARY KEY
      CONSTRAINT FK_Passwords_Customers REFERENCES Customers (CustomerID), Hash nvarchar(80) NOT NULL)`,
  ],
  // Babelfish refuses temporary tables that are created at the same moment ("tuple concurrently updated"); SQL Server doesn't.
  connections: 1,
  async start() {
    const server = new URL(serverUrl)
    const suffix = randomBytes(4).toString('hex')
    const admin = await connect(server, 'master')
    const pools: mssql.ConnectionPool[] = [admin]
    const names = [`e2e_old_${suffix}`, `e2e_new_${suffix}`] as const
    for (const name of names) await admin.request().batch(`CREATE DATABASE ${name}`)
    const login = `e2e_reader_${suffix}`
    await admin.request().batch(`CREATE LOGIN ${login} WITH PASSWORD = 'only-Looking1'`)
    const [old, fresh] = [await openShop(server, names[0], login, pools), await openShop(server, names[1], login, pools)]
    for (const statement of SHOP) await old.execute(statement)
    await old.execute(
      Object.keys(STORY_TABLES)
        .map((table) => `GRANT SELECT ON ${table} TO ${login}`)
        .join('; '),
    )
    await openForBusiness(old)
    return {
      old,
      new: fresh,
      async stop() {
        for (const pool of pools.slice(1)) await pool.close()
        for (const statement of [...names.map((name) => `DROP DATABASE ${name}`), `DROP LOGIN ${login}`]) {
          await admin
            .request()
            .batch(statement)
            .catch((error: unknown) => console.warn(`left behind on the test server: ${statement}: ${String(error)}`))
        }
        await admin.close()
      },
    }
  },
})

const connect = (server: URL, database: string): Promise<mssql.ConnectionPool> =>
  new mssql.ConnectionPool({
    server: server.hostname,
    port: Number(server.port || 1433),
    user: decodeURIComponent(server.username),
    password: decodeURIComponent(server.password),
    database,
    pool: { max: 4 },
    options: { encrypt: server.searchParams.get('encrypt') !== 'false', trustServerCertificate: true },
  }).connect()

async function openShop(server: URL, database: string, login: string, pools: mssql.ConnectionPool[]): Promise<StoryDatabase> {
  const pool = await connect(server, database)
  pools.push(pool)
  await pool.request().batch(`CREATE USER ${login} FOR LOGIN ${login}`)
  const url = new URL(server)
  url.pathname = `/${database}`
  const readOnly = new URL(url)
  readOnly.username = login
  readOnly.password = 'only-Looking1'
  const one = async (request: mssql.Request, sql: string): Promise<string> => String((await request.query(sql)).recordset[0]?.id)
  return {
    url: url.href,
    readOnlyUrl: readOnly.href,
    register: (email, name) =>
      one(
        pool.request().input('email', mssql.NVarChar, email).input('name', mssql.NVarChar, name),
        'SET NOCOUNT ON; INSERT INTO Customers (Email, Name) VALUES (@email, @name); SELECT CONVERT(nvarchar(40), CustomerID) AS id FROM Customers WHERE Email = @email',
      ),
    order: (customerId, total) =>
      one(pool.request().input('customer', mssql.NVarChar, customerId).input('totalText', mssql.NVarChar, total), ORDER),
    rows: async (table) => (await pool.request().query(selectAll(table))).recordset.map(textRow),
    insert: async (table, values) => {
      const request = pool.request()
      const names = Object.keys(values)
      for (const [at, name] of names.entries()) request.input(`p${at}`, mssql.NVarChar, values[name])
      await request.query(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map((_, at) => `@p${at}`).join(', ')})`)
    },
    tables: async () =>
      (await pool.request().query(`SELECT name FROM sys.tables ORDER BY name`)).recordset
        .map((row: { name: string }) => row.name)
        .sort(),
    execute: async (sql) => {
      await pool.request().batch(sql)
    },
  }
}

const textRow = (row: Record<string, string | Buffer | null>): TextRow =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString('hex') : value]))

const asText = (column: string): string =>
  column === 'Data' ? column : `CONVERT(nvarchar(max), ${column}${STYLES[column] ?? ''}) AS ${column}`

const selectAll = (table: StoryTable): string => `SELECT ${columnsOf(table).map(asText).join(', ')} FROM ${table}`
