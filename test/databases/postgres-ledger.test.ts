import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { tableOf } from '../contract/database-kit.ts'
import { startTestPostgres, type TestPostgres, UNTIL_SOMEBODY_WAITS } from '../servers/postgres.ts'
import { carriedInto } from './carried-into.ts'
import { namesOfTheShop } from './postgres-names.ts'
import { outgrownChecks } from './postgres-outgrown.ts'
import { behindPoolers } from './postgres-poolers.ts'

describe('PostgreSQL’s ledger', () => {
  let server: TestPostgres
  beforeAll(async () => {
    server = await startTestPostgres({ host: '127.0.11.10' })
  })
  afterAll(() => server?.stop())

  namesOfTheShop(() => server)

  outgrownChecks(() => server)
  behindPoolers(() => server)

  // Two processes of one run, about copies of a row without a key: no row is there that could be locked.
  it('has whoever asks what was carried into a table wait for another who has asked', async () => {
    const made = await server.database()
    await made.sql('CREATE TABLE visits (page text)')
    const database = openPostgres(made.options())
    try {
      const visits = tableOf(await database.schema(), 'visits')
      const carried = carriedInto('public.visits')
      const { run, table, sourceKey } = carried
      const asked = (of: string) => database.transaction([visits], (transaction) => transaction.carried(run, of, [sourceKey]))
      let second = asked('public.others')
      await database.transaction([visits], async (transaction) => {
        expect(await transaction.carried(run, table, [sourceKey])).toEqual([])
        expect(await asked('public.others')).toEqual([])
        second = asked(table)
        await Promise.race([second, made.sql(UNTIL_SOMEBODY_WAITS)])
        await transaction.ledger([carried])
      })
      expect(await second).toEqual([carried])
    } finally {
      await database.close()
    }
  })
})
