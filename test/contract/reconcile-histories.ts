import fc from 'fast-check'
import { expect } from 'vitest'
import type { DatabaseHost, ShopDatabase, ShopTable, Values } from './database-host.ts'
import { customer, find, order, pass, reconciler, startedPair } from './reconcile-pair.ts'

type Side = 'old' | 'new'
const side = fc.constantFrom<Side>('old', 'new')
const index = fc.nat(3)
/** What may happen on one of the two hosts; indexes choose among the rows that are there. */
export const deed = fc.oneof(
  fc.record({ what: fc.constant('register' as const), side, index }),
  fc.record({ what: fc.constant('order' as const), side, index }),
  fc.record({ what: fc.constant('rename' as const), side, index, value: fc.constantFrom('x', 'y', '', 'ß 👕 ') }),
  fc.record({ what: fc.constant('pay' as const), side, index, value: fc.constantFrom('paid', 'sent') }),
  fc.record({ what: fc.constant('cancel' as const), side, index }),
  fc.record({ what: fc.constant('leave' as const), side, index }),
)
type Deed = typeof deed extends fc.Arbitrary<infer D> ? D : never

async function perform(shop: ShopDatabase, each: Deed): Promise<void> {
  const pick = (rows: readonly Values[]): string | undefined =>
    rows.map((row) => row.id ?? '').sort()[each.index % Math.max(rows.length, 1)]
  if (each.what === 'register') {
    const email = `twin${each.index}@example.com`
    if ((await find(shop, 'customers', { email })) === undefined) await customer(shop, email)
    return
  }
  if (each.what === 'pay' || each.what === 'cancel') {
    const id = pick(await shop.rows('orders'))
    if (id === undefined) return
    if (each.what === 'pay') await shop.update('orders', { id }, { status: each.value })
    else await shop.remove('orders', { id })
    return
  }
  const id = pick(await shop.rows('customers'))
  if (id === undefined) return
  if (each.what === 'order') await order(shop, id)
  else if (each.what === 'rename') await shop.update('customers', { id }, { name: each.value })
  else if ((await find(shop, 'orders', { customer_id: id })) === undefined) await shop.remove('customers', { id })
}

type Content = ReadonlyMap<string, string>
const content = async (shop: ShopDatabase, table: ShopTable): Promise<Content> =>
  new Map((await shop.rows(table)).map(({ id, ...rest }) => [id ?? '', JSON.stringify(Object.entries(rest).sort())]))

/** One history, and then an oracle that shares no code with the product: three maps and the rules of design.md. */
export async function keepsPromises(host: DatabaseHost, deeds: readonly Deed[], cuts: readonly boolean[]): Promise<void> {
  const pair = await startedPair(host, async (old) => {
    for (const email of ['a@example.com', 'b@example.com', 'c@example.com']) await order(old, await customer(old, email))
  })
  try {
    const tables = ['customers', 'orders'] as const
    const base = await Promise.all(tables.map((table) => content(pair.new, table)))
    for (const each of deeds) await perform(pair[each.side], each)
    const old = await Promise.all(tables.map((table) => content(pair.old, table)))
    const before = await Promise.all(tables.map((table) => content(pair.new, table)))
    for (const cut of [...cuts, false]) {
      const { changes } = await reconciler(pair).plan({})
      const some = cut ? changes.slice(0, 1) : changes
      const each = reconciler(pair)
      for (const change of some) await each.apply(change)
      if (cut) for (const change of some) await reconciler(pair).apply(change)
    }
    const parked = new Set(
      (await reconciler(pair).parked()).map((row) => `${row.table.split('.').at(-1)?.toLowerCase()} ${row.key}`),
    )
    const after = await Promise.all(tables.map((table) => content(pair.new, table)))
    tables.forEach((table, at) => {
      const [b, o, n, a] = [base[at], old[at], before[at], after[at]].map((map) => map ?? new Map<string, string>())
      for (const id of new Set([...(b?.keys() ?? []), ...(o?.keys() ?? []), ...(n?.keys() ?? [])])) {
        const [was, onOld, onNew, now] = [b?.get(id), o?.get(id), n?.get(id), a?.get(id)]
        const isParked = parked.has(`${table} ${JSON.stringify([id])}`)
        const story = `${table} ${id}: base ${was}, old ${onOld}, new ${onNew}, now ${now}, parked ${isParked}`
        if (onOld === was || onOld === onNew) expect(now, story).toBe(onNew)
        else if (onNew === was) expect(now === onOld || (isParked && now === onNew), story).toBe(true)
        else expect(now === onNew && isParked, story).toBe(true)
      }
    })
    const last = reconciler(pair)
    await pass(last)
    expect((await last.plan({})).changes).toEqual([])
    expect((await last.prove({})).totals.unaccounted).toBe(0)
    expect(await Promise.all(tables.map((table) => content(pair.new, table)))).toEqual(after)
  } finally {
    await pair.close()
  }
}
