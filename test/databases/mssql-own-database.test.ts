import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { quoteName } from '../../src/databases/mssql/names.ts'
import { SERVER_SQL } from '../../src/databases/mssql/native-sql.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'

vi.setConfig({ testTimeout: 300_000 })

const FOLDER = new URL('../../src/databases/mssql/', import.meta.url)

describe('the open database', () => {
  // "DB_ID (Transact-SQL)", remarks; "HAS_PERMS_BY_NAME (Transact-SQL)", securable.
  it('is looked for by its name, since its number may be another on Azure SQL, and the name is quoted where it is parted at dots', () => {
    const sources = readdirSync(FOLDER).map((file) => readFileSync(new URL(file, FOLDER), 'utf8'))
    const questions = sources.flatMap((source) => source.match(/FROM sys\.databases d WHERE .*?(?=[`)])/g) ?? [])
    expect(questions.length).toBeGreaterThan(4)
    expect(questions.filter((sql) => !sql.includes('THIS_DATABASE') && !sql.includes('d.name = '))).toEqual([])
    expect(sources.filter((source) => /database_id = DB_ID\(|HAS_PERMS_BY_NAME\(DB_NAME\(/.test(source))).toEqual([])
    expect(SERVER_SQL).toContain('FROM sys.databases d WHERE d.name = DB_NAME()) = SUSER_SID()')
    expect(SERVER_SQL).toContain("HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'BACKUP DATABASE')")
  })
})

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('a SQL Server database with a dot in its name'), () => {
  it('is known, and its owner is found to have every right', async () => {
    const server = await connectTestMssql()
    const made = await server.database()
    const name = `${made.name}.odd name`
    await made.use((session) => session.batch(`CREATE DATABASE ${quoteName(name)}`))
    const database = openMssql(made.options({ database: name }))
    try {
      expect((await database.info()).database).toBe(name)
      expect(await database.missingRights('write')).toEqual([])
      expect(await database.closing?.missing()).toEqual([])
      expect(await database.closing?.look()).toMatchObject({ closed: false })
    } finally {
      await database.close()
      await expect
        .poll(
          () =>
            made.use((session) =>
              session.batch(`DROP DATABASE ${quoteName(name)}`).then(
                () => true,
                () => false,
              ),
            ),
          { timeout: 30_000 },
        )
        .toBe(true)
      await made.drop()
      await server.close()
    }
  })
})
