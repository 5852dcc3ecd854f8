import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Effects } from '../../src/run/step.ts'
import type { DatabaseHost } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { contents, fill, type MovingOptions, type MovingShop, movingShop, stepsOf } from './moving-shop.ts'

/** As the runner does: once more after an error that says that this is safe. */
const again = <T>(work: () => Promise<T>): Promise<T> =>
  work().catch((error: unknown) => {
    if (error instanceof MigrateError && error.retrySafe) return work()
    throw error
  })

describe('a table of the old host that, while the database is saved,', () => {
  let host: DatabaseHost
  let shop: MovingShop
  beforeAll(async () => {
    host = postgresHost(await startTestPostgres({ host: '127.0.31.14' }))
  })
  afterAll(() => host?.close())
  afterEach(() => shop?.close())

  /** Somebody changes the old host once the readers of the snapshot stand, before the first row. */
  async function changing(sql: string, deaths = 0, tables: MovingOptions['tables'] = {}): Promise<void> {
    let changed = false
    let left = deaths
    const effects: Effects = async (name, effect) => {
      if (name === 'append to snapshot manifest: session' && !changed) {
        changed = true
        await shop.oldDatabase.runStatements([sql])
      }
      if (name === 'append to snapshot manifest: complete' && left > 0) {
        left -= 1
        throw new Error('the process was killed')
      }
      return effect()
    }
    shop = await movingShop(host, { effects, tables })
    await fill(shop.old)
  }

  it.each([
    ['gets a column, which the rows lack that were saved', 'ALTER TABLE customers ADD COLUMN vat text'],
    // To a reader of an earlier instant the table is empty then.
    [
      'is rewritten for another type, and looks empty',
      'ALTER TABLE customers ALTER COLUMN note TYPE bytea USING convert_to(note, $$UTF8$$)',
    ],
  ])('%s: the snapshot never becomes whole', async (_what, sql) => {
    await changing(sql)
    const refused = {
      code: 'schema-changed',
      message: expect.stringContaining('customers'),
      hint: expect.stringContaining('migrate rollback PLAYBOOK'),
    }
    await expect(again(() => perform(shop.snapshot, shop.run))).rejects.toMatchObject(refused)
    await expect(perform(stepsOf(shop.world).snapshot, shop.run)).rejects.toMatchObject(refused)
    await expect(shop.restore.plan(shop.run)).rejects.toMatchObject({ code: 'snapshot-missing' })
  })

  // To a reader of an earlier instant it is empty, and what refers to its rows isn't.
  it('is emptied: its rows aren’t saved as none, but all is read again as it stands', async () => {
    await changing('TRUNCATE customers CASCADE')
    await expect(perform(shop.snapshot, shop.run)).rejects.toMatchObject({ code: 'table-rewritten', retrySafe: true })
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
  })

  it('gets a column, but is left empty anyway: the snapshot is whole', async () => {
    await changing('ALTER TABLE customers ADD COLUMN vat text', 0, { customers: { mode: 'skip' } })
    await perform(shop.snapshot, shop.run)
    expect(await shop.snapshot.plan(shop.run)).toEqual([])
  })

  it('goes once its rows are saved: what was killed is gone on with', async () => {
    let left = 1
    const effects: Effects = async (name, effect) => {
      if (name === 'append to snapshot manifest: complete' && left > 0) {
        left -= 1
        await shop.oldDatabase.runStatements(['DROP TABLE plugin_temporary'])
        throw new Error('the process was killed')
      }
      return effect()
    }
    shop = await movingShop(host, { effects })
    await fill(shop.old)
    await shop.oldDatabase.runStatements(['CREATE TABLE plugin_temporary (id integer PRIMARY KEY)'])
    await expect(perform(shop.snapshot, shop.run)).rejects.toThrow('killed')
    await perform(stepsOf(shop.world).snapshot, shop.run)
    await perform(shop.restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
  })

  it('comes to be: what else was saved is whole, also after a kill, and the new table is for reconcile to name', async () => {
    await changing('CREATE TABLE vat (id integer PRIMARY KEY)', 1)
    await expect(perform(shop.snapshot, shop.run)).rejects.toThrow('killed')
    await perform(stepsOf(shop.world).snapshot, shop.run)
    await perform(shop.restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
  })
})
