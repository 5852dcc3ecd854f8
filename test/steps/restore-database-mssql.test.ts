import { describe } from 'vitest'
import { mssqlHost } from '../databases/mssql-shop.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'
import { movingSuite } from './moving-suite.ts'

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('moving a database'), () => {
  movingSuite('mssql', async () => mssqlHost(await connectTestMssql()))
})
