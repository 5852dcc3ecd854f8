import { describe, expect, it } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { failureOf } from '../contract/database-kit.ts'
import { mssqlSuite } from '../servers/mssql-suite.ts'

const suite = mssqlSuite('databases')

// Whatever else is recorded, this never was: the number is made up here.
describe.runIf(suite.recorded && process.env.MIGRATE_TEST_MSSQL === undefined)('a recording of a SQL Server', () => {
  it('that is stale says so, with what was asked and how to record it anew', async () => {
    const server = await suite.connect()
    const made = await server.database()
    const database = openMssql(made.options())
    try {
      const failure = await failureOf(database.runStatements(['SELECT 740817263 AS never_recorded']))
      expect(failure.message).toContain('is stale')
      expect(failure.message).toContain('MIGRATE_TEST_MSSQL_RECORD=1 MIGRATE_TEST_MSSQL=')
      expect(failure.message).toContain('no answer to statement BEGIN TRANSACTION')
    } finally {
      await database.close()
      await server.close()
    }
  })
})
