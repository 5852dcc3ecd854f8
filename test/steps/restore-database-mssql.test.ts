import { describe, vi } from 'vitest'
import { mssqlHost } from '../databases/mssql-shop.ts'
import { mssqlSuite } from '../servers/mssql-suite.ts'
import { movingSuite } from './moving-suite.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

const suite = mssqlSuite('restore')
const server = suite.skipped ? undefined : await suite.connect()

describe.skipIf(suite.skipped)(suite.title('moving a database'), () => {
  movingSuite('mssql', async () => mssqlHost(server ?? (await suite.connect()), { oneByOne: suite.recorded }), {
    sequences: server?.gaps.sequences === false,
    // How far one connection comes before another one fails goes by time, and a recording has the answers to one course alone.
    connections: suite.recorded ? 1 : undefined,
  })
})
