import { describe, vi } from 'vitest'
import { ALL_ABILITIES, databaseContract } from '../contract/database.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'
import { mssqlHost } from './mssql-shop.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

// No two sessions of SQL Server share a snapshot: there is one consistent reader, or several plain ones.
const abilities = { ...ALL_ABILITIES, consistentReads: false }

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('mssql'), () => {
  databaseContract('mssql', async () => mssqlHost(await connectTestMssql()), abilities)
})
