import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { serverRow } from '../../src/databases/mssql/native-choice.ts'
import { backupServer } from '../../src/databases/mssql/native-server.ts'
import { holdingSql, OCCUPIED_SQL, SERVER_SQL, stateSql } from '../../src/databases/mssql/native-sql.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql, type TestMssqlDatabase } from '../servers/mssql.ts'

// A server on a busy machine takes long for the first statements of a connection.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

const NEVER = new AbortController().signal

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('what a backup asks of a server'), () => {
  let server: TestMssql
  let database: TestMssqlDatabase
  beforeAll(async () => {
    server = await connectTestMssql()
    database = await server.database()
  })
  afterAll(() => server?.close())

  it('is answered: its edition, and what the account may do', async () => {
    const [row] = await backupServer(database.options()).ask('own', SERVER_SQL)
    expect(serverRow.parse(row)).toMatchObject({ version: expect.stringMatching(/^\d+\./), engineEdition: expect.any(Number) })
  })

  it('is answered: which tables stand in the way', async () => {
    const asked = backupServer(database.options())
    expect(await asked.ask('own', OCCUPIED_SQL)).toEqual([])
    await asked.run('own', 'CREATE TABLE guestbook (id int); CREATE TABLE migrate_marks (id int)', NEVER, () => undefined)
    expect(await asked.ask('own', OCCUPIED_SQL)).toEqual([{ name: 'dbo.guestbook' }])
  })

  it('is answered: which foreign keys hold a table’s rows', async () => {
    const asked = backupServer(database.options())
    const sql = `CREATE TABLE parents (id int NOT NULL PRIMARY KEY, self int NULL CONSTRAINT fk_self REFERENCES parents (id));
CREATE TABLE children (id int NOT NULL CONSTRAINT fk_child REFERENCES parents (id) ON DELETE CASCADE)`
    await asked.run('own', sql, NEVER, () => undefined)
    const key = { schema: 'dbo', untrusted: 0 }
    expect(await asked.ask('own', holdingSql([{ schema: 'dbo', name: 'parents' }]))).toEqual([
      { ...key, table: 'parents', name: 'fk_self' },
      { ...key, table: 'children', name: 'fk_child' },
    ])
  })

  it('is answered from master, where the database can’t be opened', async () => {
    expect(await backupServer(database.options()).ask('master', stateSql(database.name))).toEqual([{ state: 'ONLINE' }])
  })

  it('hears what the server says meanwhile, and its refusals', async () => {
    const heard: string[] = []
    await backupServer(database.options()).run('own', "PRINT '10 percent processed.'", NEVER, ({ message }) =>
      heard.push(message),
    )
    expect(heard).toContain('10 percent processed.')
    await expect(
      backupServer(database.options()).run('own', 'SELECT * FROM nowhere', NEVER, () => undefined),
    ).rejects.toMatchObject({
      code: 'database-statement-failed',
    })
  })

  it('stops a statement when the run is stopped', async () => {
    const stop = new AbortController()
    const sql = `DECLARE @n int = 0; RAISERROR('now', 0, 1) WITH NOWAIT;
WHILE @n < 2000000000 SET @n = @n + 1; CREATE TABLE too_late (id int)`
    const running = backupServer(database.options()).run('own', sql, stop.signal, () => stop.abort(new Error('stopped')))
    await expect(running).rejects.toThrow('stopped')
    expect(await backupServer(database.options()).ask('own', "SELECT name FROM sys.tables WHERE name = 'too_late'")).toEqual([])
  })
})
