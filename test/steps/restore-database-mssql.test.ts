import { describe, vi } from 'vitest'
import { mssqlHost } from '../databases/mssql-shop.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'
import { movingSuite } from './moving-suite.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

const server = MSSQL_URL === undefined ? undefined : await connectTestMssql()

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('moving a database'), () => {
  movingSuite('mssql', async () => mssqlHost(server ?? (await connectTestMssql())), {
    sequences: server?.gaps.sequences === false,
  })
})
