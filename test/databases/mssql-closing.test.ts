import { expect, it } from 'vitest'
import { closeSql, openSql } from '../../src/databases/mssql/closing.ts'

// "ALTER DATABASE SET options (Transact-SQL)": <db_update_option> and <termination>; whole seconds.
it('closes a SQL Server database with a grace for what is at work, and opens it again', () => {
  expect(closeSql('shop]x', 10_000)).toBe('ALTER DATABASE [shop]]x] SET READ_ONLY WITH ROLLBACK AFTER 10 SECONDS')
  expect(closeSql('shop', 1200)).toBe('ALTER DATABASE [shop] SET READ_ONLY WITH ROLLBACK AFTER 2 SECONDS')
  expect(closeSql('shop', 0)).toBe('ALTER DATABASE [shop] SET READ_ONLY WITH ROLLBACK AFTER 1 SECONDS')
  expect(openSql('shop')).toBe('ALTER DATABASE [shop] SET READ_WRITE WITH ROLLBACK IMMEDIATE')
})
