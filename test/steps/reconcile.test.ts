import { afterEach, describe, expect, it } from 'vitest'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import type { DatabaseHost, ShopDatabase } from '../contract/database-host.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, testContext } from '../fakes/step-run.ts'
import { contents, fill, type MovingShop, movingShop } from './moving-shop.ts'

const memoryHost: DatabaseHost = {
  database: async () => new MemoryShop({ consistent: true, batchRows: 4 }),
  close: async () => undefined,
}

describe('a pass of reconcile', () => {
  let shop: MovingShop
  afterEach(() => shop?.close())

  it('asks each host for its schema once, for rules, rows and headroom together', async () => {
    const asked: string[] = []
    const counted = (side: string) => async (database: ShopDatabase) =>
      (database as MemoryShop).open({
        onCall: (operation, when) => void (when === 'before' && asked.push(`${side} ${operation}`)),
      })
    shop = await movingShop(memoryHost, { reachOld: counted('old'), reachNew: counted('new') })
    await fill(shop.old)
    for (const step of [shop.snapshot, shop.restore, shop.bump]) await perform(step, shop.run)
    await shop.old.insert('customers', { email: 'late@example.com', name: 'Late', note: null })
    asked.length = 0

    const reconcile = reconcileKind.create({}, testContext(shop.world, 'reconcile'))
    await perform(reconcile, shop.run)
    await reconcile.verify(shop.run)

    expect(asked.filter((operation) => operation.endsWith(' schema')).toSorted()).toEqual(['new schema', 'old schema'])
    expect(asked).toContain('old identities')
    const told = shop.run.events.find((event) => event.event === 'reconciled')
    expect(told).toMatchObject({ proof: { unaccounted: 0 } })
    expect((await contents(shop.new)).customers).toEqual((await contents(shop.old)).customers)
  })
})
