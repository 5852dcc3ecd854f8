import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { underStop } from '../../src/base/stop.ts'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql, type TestMssqlDatabase } from '../servers/mssql.ts'

const DIGITS = '(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))'
/** Counted in seconds, not more: a server that doesn't look at an attention meanwhile goes on with it after its connection is gone. */
const LONG = `SELECT COUNT_BIG(*) FROM ${Array.from({ length: 8 }, (_, at) => `${DIGITS} AS d${at}(n)`).join(' CROSS JOIN ')}`

const ASKED = new Error('stopped, as asked')

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('a SQL Server that is at work when it is told to stop'), () => {
  let server: TestMssql
  let made: TestMssqlDatabase
  beforeAll(async () => {
    server = await connectTestMssql()
    made = await server.database()
    await made.use((session) => session.batch('CREATE TABLE worked (id int NOT NULL PRIMARY KEY)'))
  })
  afterAll(async () => {
    await made?.drop()
    await server?.close()
  })

  it('ends the statement, by an attention or by leaving, rolls back what was before it, and goes on', async () => {
    const database = openMssql(made.options())
    await database.info()
    const stop = new AbortController()
    const work = underStop(stop.signal, () => database.runStatements(['INSERT INTO worked (id) VALUES (1)', LONG]))
    const ended = expect(work).rejects.toBe(ASKED)
    await untilWorking(made)
    stop.abort(ASKED)
    await ended
    const count = await made.use(async (session) => (await session.query('SELECT COUNT(*) FROM worked')).rows[0]?.[0])
    expect(Number(count)).toBe(0)
    expect((await database.info()).engine).toBe('mssql')
    await database.close()
  })

  it('is left alone when it has fallen silent', async () => {
    const proxy = await startFaultProxy(server)
    const database = openMssql(made.options({ host: proxy.host, port: proxy.port }))
    await database.info()
    const silent = proxy.freeze(1)
    const stop = new AbortController()
    const ended = expect(underStop(stop.signal, () => database.schema())).rejects.toBe(ASKED)
    await silent
    stop.abort(ASKED)
    await ended
    await database.close()
    await proxy.close()
  })
})

/** The server is at work in this database for a session other than the one that asks. */
async function untilWorking(made: TestMssqlDatabase): Promise<void> {
  const sql = `SELECT COUNT(*) FROM sys.sysprocesses WHERE dbid = DB_ID() AND spid <> @@SPID
    AND status IN ('running', 'runnable', 'suspended', 'active') AND cmd LIKE 'SELECT%'`
  await expect
    .poll(() => made.use(async (session) => Number((await session.query(sql)).rows[0]?.[0])), { timeout: 60_000, interval: 50 })
    .toBeGreaterThan(0)
}
