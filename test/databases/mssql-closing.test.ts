import { describe, expect, it, vi } from 'vitest'
import { closeSql, openSql } from '../../src/databases/mssql/closing.ts'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'

vi.setConfig({ testTimeout: 300_000 })

describe('closing a SQL Server database', () => {
  // "ALTER DATABASE SET options (Transact-SQL)": <db_update_option> and <termination>; whole seconds.
  it('is one statement with a grace for what is at work, and one to open it again', () => {
    expect(closeSql('shop]x', 10_000)).toBe('ALTER DATABASE [shop]]x] SET READ_ONLY WITH ROLLBACK AFTER 10 SECONDS')
    expect(closeSql('shop', 1200)).toBe('ALTER DATABASE [shop] SET READ_ONLY WITH ROLLBACK AFTER 2 SECONDS')
    expect(closeSql('shop', 0)).toBe('ALTER DATABASE [shop] SET READ_ONLY WITH ROLLBACK AFTER 1 SECONDS')
    expect(openSql('shop')).toBe('ALTER DATABASE [shop] SET READ_WRITE WITH ROLLBACK IMMEDIATE')
  })
})

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('a SQL Server database, asked before it is closed'), () => {
  it('says how it stands and what would close it', async () => {
    const server = await connectTestMssql()
    const made = await server.database()
    const database = openMssql(made.options())
    try {
      const state = await database.closing?.look()
      expect(state).toMatchObject({ closed: false, before: 'READ_WRITE' })
      expect(state?.statement).toMatch(/^ALTER DATABASE \[.+\] SET READ_ONLY WITH ROLLBACK AFTER 10 SECONDS$/)
      // Opening what is open changes nothing.
      await database.closing?.open('READ_WRITE')
    } finally {
      await database.close()
      await made.drop()
      await server.close()
    }
  })
})
