import { describe, vi } from 'vitest'
import { ALL_ABILITIES } from '../contract/database-host.ts'
import { reconcileContract } from '../contract/reconcile.ts'
import { mssqlHost } from '../databases/mssql-shop.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('mssql'), () => {
  reconcileContract('mssql', async () => mssqlHost(await connectTestMssql()), ALL_ABILITIES, 4)
})
