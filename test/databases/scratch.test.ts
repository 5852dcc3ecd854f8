import { afterAll, beforeAll, describe, vi } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { databaseScratchContract } from '../contract/database-scratch.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql, type TestMssqlDatabase } from '../servers/mssql.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'

vi.setConfig({ testTimeout: 300_000 })

/** Connected and left so. */
async function staying(database: Database): Promise<{ end(): Promise<void> }> {
  await database.info()
  return { end: () => database.close() }
}

describe('a PostgreSQL server', () => {
  let server: TestPostgres
  let made: TestDatabase
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.12.61' })
    made = await server.database()
    await made.superuserSql(`ALTER ROLE ${made.owner.user} CREATEDB`)
  })
  afterAll(() => server?.stop())

  databaseScratchContract('PostgreSQL', {
    open: async () => openPostgres(made.options()),
    openPowerless: async () => openPostgres(made.options({ account: await made.readOnlyAccount() })),
    occupy: (name) => staying(openPostgres({ ...made.options(), database: name })),
  })
})

describe.skipIf(mysqlMissing !== null)(mysqlTitle('a MariaDB server'), () => {
  let server: TestMysql
  let made: TestMysqlDatabase
  const account = { user: 'maker', password: 'of-the-maker' }
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.62' })
    made = await server.database()
    await server.rootSql(`CREATE USER maker@'%' IDENTIFIED BY '${account.password}'; GRANT ALL ON *.* TO maker@'%'`)
  })
  afterAll(() => server?.stop())

  databaseScratchContract('MariaDB', {
    open: async () => openMysql(made.options({ account })),
    openPowerless: async () => openMysql(made.options()),
    occupy: (name) => staying(openMysql({ ...made.options({ account }), database: name })),
  })
})

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('a SQL Server'), () => {
  let server: TestMssql
  let made: TestMssqlDatabase
  beforeAll(async () => {
    server = await connectTestMssql()
    made = await server.database()
  })
  afterAll(async () => {
    await made?.drop()
    await server?.close()
  })

  databaseScratchContract('SQL Server', {
    open: async () => openMssql(made.options()),
    // The stand-in can't drop a database that somebody is connected to, as it knows no SET SINGLE_USER.
    occupy: async () => ({ end: async () => undefined }),
  })
})
