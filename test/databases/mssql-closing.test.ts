import { describe, expect, it, vi } from 'vitest'
import { closeSql, openSql } from '../../src/databases/mssql/closing.ts'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { type DataFile, fullFiles } from '../../src/databases/mssql/refusal.ts'
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

describe('a SQL Server database whose files may not grow for ever', () => {
  const file = (more: Partial<DataFile>): DataFile => ({ size: '1280', most: '1280', growth: '128', used: '640', ...more })

  // "sys.database_files": pages of 8 KiB, -1 for no limit; a growth of 0 for none.
  it('is full when what it uses comes to what it may have', () => {
    expect(fullFiles([file({})])).toBeUndefined()
    expect(fullFiles([file({ used: '1279' })])).toBe('its data files are full: 9.99 MiB of the 10.0 MiB that they may have')
    expect(fullFiles([file({ used: '1279' }), file({})])).toBeUndefined()
    expect(fullFiles([file({ used: '1280', most: '-1' })])).toBeUndefined()
    expect(fullFiles([file({ used: '1280', most: '-1', growth: '0' })])).toMatch(/are full/)
    expect(fullFiles([file({ used: null })])).toBeUndefined()
    expect(fullFiles([])).toBeUndefined()
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
