import { describe, vi } from 'vitest'
import { followContract } from '../contract/follow.ts'
import { mssqlHost } from '../databases/mssql-shop.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('mssql'), () => {
  followContract('mssql', async () => mssqlHost(await connectTestMssql()))
})
