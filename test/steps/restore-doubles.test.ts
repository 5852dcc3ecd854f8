import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DatabaseHost } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { contents, fill, movingShop, stepsOf } from './moving-shop.ts'

describe('a snapshot of several moments', () => {
  let host: DatabaseHost
  beforeAll(async () => {
    host = postgresHost(await startTestPostgres({ host: '127.0.31.16' }))
  })
  afterAll(() => host?.close())

  it('whose rows have twice what none ever had at once is refused with the way out, which is one', async () => {
    let alive = false
    const shop = await movingShop(host, {
      effects: async (name, effect) => {
        const result = await effect()
        if (name === 'append to snapshot manifest: session' && !alive) throw new Error('the process was killed')
        return result
      },
    })
    await fill(shop.old)
    await expect(perform(shop.snapshot, shop.run)).rejects.toThrow('killed')
    alive = true
    const { runStatements } = shop.oldDatabase
    await runStatements([
      'ALTER TABLE customers DROP CONSTRAINT customers_email_key',
      "INSERT INTO customers (email) VALUES ('ada@example.com')",
    ])
    const saved = await perform(shop.snapshot, shop.run)
    const planned = await shop.restore.plan(shop.run)
    await expect(perform(shop.restore, shop.run)).rejects.toMatchObject({
      code: 'database-statement-failed',
      message: expect.stringContaining('ada@example.com'),
      hint: expect.stringMatching(/several moments.*migrate rollback PLAYBOOK, then {2}migrate run PLAYBOOK/),
    })

    await runStatements(['DELETE FROM customers WHERE id > 2', 'ALTER TABLE customers ADD UNIQUE (email)'])
    await takeBack(shop.restore, planned, shop.run)
    await takeBack(shop.snapshot, saved, shop.run)
    const again = stepsOf(shop.world)
    await perform(again.snapshot, shop.run)
    await perform(again.restore, shop.run)
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
    await shop.close()
  })
})
