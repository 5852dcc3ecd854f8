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

  /** The shop, moved; the pass that `reconcile` makes is a process's own. */
  const moved = async (words: number) => {
    shop = await movingShop(memoryHost)
    await fill(shop.old, words)
    for (const step of [shop.snapshot, shop.restore, shop.bump]) await perform(step, shop.run)
  }
  const reconcile = async () => {
    const step = reconcileKind.create({}, testContext(shop.world, 'reconcile'))
    await perform(step, shop.run)
    await step.verify(shop.run)
  }

  it('asks a person, whom --yes does not replace, before it deletes what an emptied database no longer has', async () => {
    await moved(300)
    await shop.old.truncate('words')
    const before = await contents(shop.new)
    shop.run.answer = false

    await expect(reconcile()).rejects.toMatchObject({ code: 'source-looks-wrong', ending: 'waiting' })

    expect(shop.run.questions).toEqual([expect.stringContaining('300 of the 300 rows of words')])
    expect(await contents(shop.new)).toEqual(before)
    shop.run.answer = true
    await reconcile()
    expect((await contents(shop.new)).words).toEqual([])
    expect(shop.run.questions).toHaveLength(2)
    await reconcile()
    expect(shop.run.questions).toHaveLength(2)
  })

  it('asks nobody where a shop only tidies up', async () => {
    await moved(300)
    for (let word = 1; word <= 140; word += 1) await shop.old.remove('words', { word: `w${String(word).padStart(6, '0')}` })
    await reconcile()
    expect(shop.run.questions).toEqual([])
    expect((await contents(shop.new)).words).toHaveLength(160)
  })

  it('makes no other order of one whose number a database that was put back from a backup gives again', async () => {
    await moved(5)
    const late = [
      await shop.old.insert('orders', { customer_id: '1', placed: '2026-11-20 08:00:00', status: 'paid' }),
      await shop.old.insert('orders', { customer_id: '2', placed: '2026-11-20 08:01:00', status: 'paid' }),
    ]
    await reconcile()
    const carried = await contents(shop.new)
    for (const id of late) await shop.old.remove('orders', { id })
    const { identities } = await shop.oldDatabase.schema()
    const orders = identities.find(({ table }) => table.name === 'orders')
    if (orders === undefined) throw new Error('orders have no numbers')
    const first = BigInt(late[0] ?? 0)
    await shop.oldDatabase.resetIdentity(orders, { identity: orders, last: first - 1n, next: first })
    const again = await shop.old.insert('orders', { customer_id: '2', placed: '2026-11-20 09:00:00', status: 'open' })
    expect(again).toBe(late[0])
    shop.run.answer = false

    await expect(reconcile()).rejects.toMatchObject({ code: 'source-looks-wrong', ending: 'waiting' })

    expect(shop.run.questions).toEqual([expect.stringContaining(`orders.id at ${again} (before: ${late[1]})`)])
    expect(await contents(shop.new)).toEqual(carried)
    shop.run.dryRun = true
    const dry = reconcileKind.create({}, testContext(shop.world, 'reconcile'))
    await dry.plan(shop.run)
    expect(shop.run.events).toContainEqual(expect.objectContaining({ event: 'finding', code: 'source-looks-wrong' }))
  })
})
