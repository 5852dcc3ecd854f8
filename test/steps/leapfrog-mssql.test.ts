import { describe, vi } from 'vitest'
import { mssqlHost } from '../databases/mssql-shop.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'
import { leapfrogSuite } from './leapfrog-suite.ts'

vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('moving identities'), () => {
  leapfrogSuite('mssql', async () => mssqlHost(await connectTestMssql()))
})
