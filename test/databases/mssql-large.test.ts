import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Meter } from '../bench/databases/measure.ts'
import type { Move } from '../bench/databases/move.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql, type TestMssqlDatabase } from '../servers/mssql.ts'

vi.setConfig({ testTimeout: 600_000, hookTimeout: 300_000 })

/** What everything is held to, whatever the size of the data (design.md, "Memory and speed"). */
const MOST_MEMORY = 512 * 2 ** 20

const CREATE = `CREATE TABLE scans (id int NOT NULL PRIMARY KEY, name nvarchar(40) NULL, scan varbinary(max) NULL, words nvarchar(max) NULL)`
/** Values of some MiB, each other than the one before it. */
const insertSql = (id: number, mib: number): string =>
  `INSERT INTO scans SELECT ${id}, N'n', CONVERT(varbinary(max), REPLICATE(CONVERT(varchar(max), '0123456789abcde${id}'), ${mib} * 65536)), REPLICATE(CONVERT(nvarchar(max), N'${id} é東 '), ${mib} * 32768)`
const PRINTS = `SELECT id, DATALENGTH(scan), HASHBYTES('SHA2_256', scan), DATALENGTH(words), HASHBYTES('SHA2_256', words) FROM scans ORDER BY id`

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('values of SQL Server that are larger than memory is for'), () => {
  let server: TestMssql
  let from: TestMssqlDatabase
  let to: TestMssqlDatabase
  let folder: string
  beforeAll(async () => {
    server = await connectTestMssql()
    from = await server.database()
    to = await server.database()
    folder = await mkdtemp(join(tmpdir(), 'migrate-large-'))
  })
  afterAll(async () => {
    await server?.close()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  const place = ({ name, owner }: TestMssqlDatabase): Move['old'] => ({
    host: server.host,
    port: server.port,
    database: name,
    ...owner,
  })

  it('of 200 MiB in one row arrive to the byte within the memory that everything is held to', async () => {
    await from.use(async (session) => {
      await session.batch(CREATE)
      for (const [id, mib] of [100, 1, 4].entries()) await session.batch(insertSql(id, mib))
    })
    const move: Move = { adapter: 'mssql', old: place(from), new: place(to), folder, baseline: false }
    const meter = new Meter()
    await meter.run({
      file: process.execPath,
      args: [fileURLToPath(new URL('../bench/databases/move.ts', import.meta.url))],
      env: { MOVE: JSON.stringify(move) },
    })
    const prints = (database: TestMssqlDatabase) => database.use(async (session) => (await session.batch(PRINTS)).rows)
    expect(await prints(to)).toEqual(await prints(from))
    expect(meter.peakBytes).toBeGreaterThan(0)
    expect(meter.peakBytes).toBeLessThan(MOST_MEMORY)
  })
})
