import { describe } from 'vitest'
import { ALL_ABILITIES } from '../contract/database-host.ts'
import { reconcileContract } from '../contract/reconcile.ts'
import { mssqlHost } from '../databases/mssql-shop.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('mssql'), () => {
  reconcileContract('mssql', async () => mssqlHost(await connectTestMssql()), ALL_ABILITIES, 4)
})
