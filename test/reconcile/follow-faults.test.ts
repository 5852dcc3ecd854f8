import { expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { MigrateError } from '../../src/base/errors.ts'
import type { Database } from '../../src/databases/port.ts'
import { Follower } from '../../src/reconcile/follow.ts'
import { customer, order, type Pair, pass, reconciler, startedPair } from '../contract/reconcile-pair.ts'
import { type MemoryShop, memoryHost } from '../fakes/memory-shop.ts'

const MOST_CALLS = 200

/** Fails the nth call, before it has an effect or after: a killed process, a lost line, an answer to a commit that never came. */
function failing(
  shop: Pair['old'],
  nth: number,
  when: 'before' | 'after',
): { readonly database: Database; hasFailed(): boolean } {
  let calls = 0
  const database = (shop as MemoryShop).open({
    onCall: (_operation, moment) => {
      if (moment !== when) return
      calls += 1
      if (calls === nth) throw new MigrateError('database-connection-lost', 'The line broke.', { retrySafe: true })
    },
  })
  return { database, hasFailed: () => calls >= nth }
}

async function bornOnOld(): Promise<Pair> {
  let ada = ''
  const pair = await startedPair(await memoryHost(), async (old) => {
    ada = await customer(old, 'ada@example.com')
    await old.insert('products', { title: 'Tröja', price: '19.9900' })
  })
  const bob = await customer(pair.old, 'bob@example.com')
  for (const buyer of [ada, bob]) {
    const stray = await order(pair.old, buyer)
    await pair.old.insert('order_items', { order_id: stray, line: '1', product_id: '1', quantity: '3' })
  }
  return pair
}

const follower = (pair: Pair, source: Database, target: Database): Follower =>
  new Follower({
    run: 'run-1',
    directory: pair.directory,
    source,
    target,
    rules: () => (table) => ({
      mode: ['customers', 'orders', 'order_items', 'products'].includes(table.name.name) ? 'track' : 'skip',
      match: [],
    }),
    references: () => [],
    clock: systemClock,
  })

it.each(['before', 'after'] as const)(
  'carries every row exactly once, whichever call of either host is cut off %s its effect, by the same process or another',
  async (when) => {
    const signal = new AbortController().signal
    for (const cut of ['old', 'new'] as const) {
      for (let nth = 1; nth <= MOST_CALLS; nth += 1) {
        const pair = await bornOnOld()
        const broken = failing(pair[cut], nth, when)
        const databases = { old: pair.oldDatabase, new: pair.newDatabase, [cut]: broken.database }
        const first = follower(pair, databases.old, databases.new)
        await first.pass(signal).catch(() => undefined)
        const wasCut = broken.hasFailed()
        const survivor = nth % 2 === 0 ? first : follower(pair, pair.oldDatabase, pair.newDatabase)
        if (wasCut) await survivor.pass(signal)
        for (const table of ['customers', 'orders', 'order_items'] as const)
          expect(await pair.new.rows(table), `${table}, ${cut} ${nth}`).toEqual(await pair.old.rows(table))
        const entries = await Promise.all(
          ['customers', 'orders', 'order_items'].map((table) => pair.newDatabase.ledgerEntries('run-1', table)),
        )
        expect(entries.map((each) => each.length)).toEqual([1, 2, 2])
        if (nth % 4 === 0) expect(await pass(reconciler(pair))).toEqual([])
        await pair.close()
        if (!wasCut) break
        expect(nth, 'calls without an end').toBeLessThan(MOST_CALLS)
      }
    }
  },
)
