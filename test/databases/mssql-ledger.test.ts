import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openMssql } from '../../src/databases/mssql/index.ts'
import { tableOf } from '../contract/database-kit.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle, type TestMssql } from '../servers/mssql.ts'
import { carriedInto } from './carried-into.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('SQL Server’s ledger'), () => {
  let server: TestMssql
  beforeAll(async () => {
    server = await connectTestMssql()
  })
  afterAll(() => server?.close())

  // Two processes of one run, about copies of a row without a key: no row is there that could be locked.
  it('has whoever asks what was carried into a table wait for another who has asked', async () => {
    const made = await server.database()
    const database = openMssql(made.options())
    try {
      await made.use((session) => session.batch('CREATE TABLE dbo.visits (page nvarchar(20))'))
      const visits = tableOf(await database.schema(), 'visits')
      const carried = carriedInto('dbo.visits')
      const { run, table, sourceKey } = carried
      const asked = (of: string) => database.transaction([visits], (transaction) => transaction.carried(run, of, [sourceKey]))
      await asked(table)
      let second = asked('dbo.others')
      let hasEnded = false
      await database.transaction([visits], async (transaction) => {
        expect(await transaction.carried(run, table, [sourceKey])).toEqual([])
        second = asked(table).finally(() => {
          hasEnded = true
        })
        // About another table others ask and are told meanwhile.
        for (let time = 0; time < 10; time += 1) expect(await asked('dbo.others')).toEqual([])
        expect(hasEnded).toBe(false)
        await transaction.ledger([carried])
      })
      expect(await second).toEqual([carried])
    } finally {
      await database.close()
      await made.drop()
    }
  })
})
