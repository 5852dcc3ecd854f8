import { afterEach, describe, expect, it } from 'vitest'
import { recordDecisions } from '../../src/reconcile/decisions.ts'
import type { DatabaseHost, Values } from './database-host.ts'
import {
  customer,
  decided,
  find,
  type Merging,
  order,
  type Pair,
  type Policies,
  pass,
  reconciler,
  startedPair,
} from './reconcile-pair.ts'

const key = (...cells: readonly string[]): string => JSON.stringify(cells)

/** What the playbook or a person says about rows that both hosts changed. */
export function policyContract(host: () => DatabaseHost): void {
  describe('what both hosts changed', () => {
    let pair: Pair
    afterEach(() => pair?.close())

    const shirt = async (policies: Policies): Promise<Values & { readonly id: string }> => {
      let id = ''
      pair = await startedPair(
        host(),
        async (old) => {
          id = await old.insert('products', { title: 'Tröja', stock: '100', price: '19.9900' })
        },
        { policies },
      )
      return { id }
    }

    it('counts the sales of both hosts, exactly once each, pass after pass', async () => {
      const merging: Merging = { policies: { products: { add: ['stock', 'price'] } } }
      const { id } = await shirt(merging.policies ?? {})
      await pair.old.update('products', { id }, { stock: '97', price: '20.0000' })
      await pair.new.update('products', { id }, { stock: '90', price: '19.9899' })
      const each = reconciler(pair, merging)
      const changes = await pass(each)
      expect(changes).toMatchObject([{ items: [{ action: 'merge' }] }])
      expect(await find(pair.new, 'products', { id })).toMatchObject({ stock: '87', price: '19.9999' })
      // The same change once more, as after a kill: it is done already.
      for (const change of changes) await reconciler(pair, merging).apply(change)
      expect(await find(pair.new, 'products', { id })).toMatchObject({ stock: '87' })
      expect(await pass(reconciler(pair, merging))).toEqual([])
      await pair.new.update('products', { id }, { stock: '80', title: 'Tröja, new' })
      await pair.old.update('products', { id }, { stock: '96' })
      await pass(reconciler(pair, merging))
      expect(await find(pair.new, 'products', { id })).toMatchObject({ stock: '79', price: '19.9999', title: 'Tröja, new' })
      await pair.old.update('products', { id }, { stock: '95' })
      await pass(reconciler(pair, merging))
      expect(await find(pair.new, 'products', { id })).toMatchObject({ stock: '78', title: 'Tröja, new' })
      const back: Merging = { ...merging, from: 'new' }
      await pass(reconciler(pair, back))
      expect(await find(pair.old, 'products', { id })).toMatchObject({ stock: '78', price: '19.9999', title: 'Tröja, new' })
      expect(await pass(reconciler(pair, back))).toEqual([])
      expect((await reconciler(pair, merging).prove({})).totals.unaccounted).toBe(0)
    })

    it('counts a sale that a customer makes on the new host between the plan and its carrying', async () => {
      const merging: Merging = { policies: { products: { add: ['stock'] } } }
      const { id } = await shirt(merging.policies ?? {})
      await pair.old.update('products', { id }, { stock: '99' })
      const each = reconciler(pair, merging)
      const { changes } = await each.plan({})
      await pair.new.update('products', { id }, { stock: '95' })
      for (const change of changes) await each.apply(change)
      expect(await find(pair.new, 'products', { id })).toMatchObject({ stock: '94' })
      expect(await each.parked()).toEqual([])
    })

    it('merges column by column where each host changed another one, and by the columns’ own rules', async () => {
      const merging: Merging = {
        policies: { products: { columns: { stock: 'add', price: 'new', title: 'old' } } },
      }
      const { id } = await shirt(merging.policies ?? {})
      await pair.old.update('products', { id }, { stock: '99', price: '1.0000', title: 'Tröja, old' })
      await pair.new.update('products', { id }, { stock: '98', price: '2.0000', title: 'Tröja, new' })
      await pass(reconciler(pair, merging))
      expect(await find(pair.new, 'products', { id })).toMatchObject({ stock: '97', price: '2.0000', title: 'Tröja, old' })
      await pair.old.update('products', { id }, { price: '3.0000' })
      await pass(reconciler(pair, merging))
      expect(await find(pair.new, 'products', { id })).toMatchObject({ price: '2.0000' })
      expect(await pass(reconciler(pair, merging))).toEqual([])
    })

    it('parks the whole row where one column is a person’s to decide', async () => {
      const merging: Merging = { policies: { products: { add: ['stock'], columns: { price: 'park' } } } }
      const { id } = await shirt(merging.policies ?? {})
      await pair.old.update('products', { id }, { stock: '99', price: '1.0000' })
      await pair.new.update('products', { id }, { stock: '98', price: '2.0000' })
      const each = reconciler(pair, merging)
      await pass(each)
      expect(await each.parked()).toMatchObject([{ key: key(id), reason: 'price changed on both hosts', refused: false }])
      expect(await find(pair.new, 'products', { id })).toMatchObject({ stock: '98', price: '2.0000' })
      expect(await pass(reconciler(pair, merging))).toEqual([])
    })

    it('takes the newer row by a column of its own, an older one never, and parks what is as old', async () => {
      const merging: Merging = { policies: { orders: { conflict: { newest: 'placed' } } } }
      const made: string[] = []
      pair = await startedPair(host(), async (old) => {
        const ada = await customer(old, 'ada@example.com')
        for (let at = 0; at < 3; at += 1) made.push(await order(old, ada))
      })
      const [newer = '', older = '', equal = ''] = made
      const at = (second: string) => `2026-11-21 07:00:0${second}`
      const change = async (id: string, old: string, fresh: string) => {
        await pair.old.update('orders', { id }, { placed: at(old), status: 'old' })
        await pair.new.update('orders', { id }, { placed: at(fresh), status: 'new' })
      }
      await change(newer, '2.000001', '2')
      await change(older, '1', '1.5')
      await change(equal, '3', '3')
      const each = reconciler(pair, merging)
      await pass(each)
      expect(await find(pair.new, 'orders', { id: newer })).toMatchObject({ status: 'old' })
      expect(await find(pair.new, 'orders', { id: older })).toMatchObject({ status: 'new' })
      expect(await find(pair.new, 'orders', { id: equal })).toMatchObject({ status: 'new' })
      expect((await each.parked()).map((row) => row.key)).toEqual([key(equal)])
      expect((await each.plan({})).changes).toEqual([])
      expect((await each.prove({})).totals.unaccounted).toBe(0)
    })

    it('leaves ignored columns as the new host has them', async () => {
      const merging: Merging = { policies: { customers: { ignore: ['note'] } } }
      let ada = ''
      pair = await startedPair(
        host(),
        async (old) => {
          ada = await customer(old, 'ada@example.com')
        },
        merging,
      )
      await pair.old.update('customers', { id: ada }, { note: 'seen on old' })
      await pair.new.update('customers', { id: ada }, { note: 'seen on new' })
      expect(await pass(reconciler(pair, merging))).toEqual([])
      await pair.old.update('customers', { id: ada }, { name: 'Ada L.' })
      await pass(reconciler(pair, merging))
      expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'Ada L.', note: 'seen on new' })
      expect(await pass(reconciler(pair, merging))).toEqual([])
    })

    it('adds and removes copies of rows without a key, beside those that the new host has of its own', async () => {
      pair = await startedPair(host(), async (old) => {
        for (const visitor of ['ada', 'ada', 'bob', null]) await old.insert('visits', { page: '/', visitor })
      })
      for (const visitor of ['ada', null, 'eve']) await pair.old.insert('visits', { page: '/', visitor })
      await pair.old.remove('visits', { visitor: 'bob' })
      for (const visitor of ['ada', 'zoe']) await pair.new.insert('visits', { page: '/', visitor })
      const each = reconciler(pair)
      const changes = await pass(each)
      const visitors = async (shop = pair.new) => (await shop.rows('visits')).map((row) => String(row.visitor)).sort()
      const expected = ['ada', 'ada', 'ada', 'ada', 'eve', 'null', 'null', 'zoe']
      expect(await visitors()).toEqual(expected)
      for (const change of changes) await reconciler(pair).apply(change)
      expect(await visitors()).toEqual(expected)
      expect(await pass(reconciler(pair))).toEqual([])
      const proof = await reconciler(pair).prove({})
      expect(proof.totals.unaccounted).toBe(0)
      await pass(reconciler(pair, { from: 'new' }))
      expect(await visitors(pair.old)).toEqual(expected)
      expect(await pass(reconciler(pair, { from: 'new' }))).toEqual([])
      expect((await reconciler(pair).plan({})).changes.filter((change) => change.kind !== 'number')).toEqual([])
    })

    it('explains why the sums of both hosts differ, to the last decimal', async () => {
      const merging: Merging = {
        policies: { products: { add: ['stock'], sums: ['price', 'stock'] }, order_items: { sums: ['quantity'] } },
      }
      const made: string[] = []
      pair = await startedPair(
        host(),
        async (old) => {
          for (const price of ['0.1000', '0.2000', '99999999.9999', '5.0000'])
            made.push(await old.insert('products', { title: 'Tröja', stock: '10', price }))
        },
        merging,
      )
      const [sold = '', cheaper = '', parked = ''] = made
      await pair.old.update('products', { id: sold }, { stock: '9' })
      await pair.new.update('products', { id: sold }, { stock: '7' })
      await pair.new.update('products', { id: cheaper }, { price: '0.1500' })
      await pair.old.update('products', { id: parked }, { price: '1.0000' })
      await pair.new.update('products', { id: parked }, { price: '2.0000' })
      await pair.new.insert('products', { title: 'only here', stock: '3', price: '0.0001' })
      await pair.old.insert('products', { title: 'carried', stock: '4', price: '7.7700' })
      await pass(reconciler(pair, merging))
      const proof = await reconciler(pair, merging).prove({})
      const products = [...proof.tables].find(([name]) => name.toLowerCase().endsWith('products'))?.[1]
      expect(products).toMatchObject({
        rows: 5,
        same: 1,
        kept: 1,
        inserted: 1,
        updated: 1,
        parked: 1,
        target: { rows: 6, same: 1, carried: 2, changed: 1, born: 1, conflicts: 1, unaccounted: 0 },
      })
      const [price, stock] = products?.sums ?? []
      expect(price).toEqual({
        column: 'price',
        source: '14.0700',
        target: '15.0201',
        because: { born: '0.0001', changed: '-0.0500', carried: '0.0000', setAside: '1.0000' },
        unexplained: '0.0000',
      })
      expect(stock).toMatchObject({ source: '43', target: '43', because: { born: '3', carried: '-3' }, unexplained: '0' })
      await pair.new.update('products', { id: made[3] ?? null }, { price: '4.0000' })
      const later = (await reconciler(pair, merging).prove({})).tables
      const changed = [...later].find(([name]) => name.toLowerCase().endsWith('products'))?.[1]
      expect(changed?.sums[0]).toMatchObject({ because: { changed: '-1.0500' }, unexplained: '0.0000' })
    })

    it('does as a person decided: old, new, skip; and asks again when the row has changed since', async () => {
      const made: string[] = []
      pair = await startedPair(host(), async (old) => {
        for (const name of ['a', 'b', 'c', 'd']) made.push(await customer(old, `${name}@example.com`))
      })
      for (const id of made) {
        await pair.old.update('customers', { id }, { name: 'from old' })
        await pair.new.update('customers', { id }, { name: 'from new' })
      }
      await pass(reconciler(pair))
      const parked = new Map((await reconciler(pair).parked()).map((row) => [row.key, row]))
      const [old = '', fresh = '', skip = '', late = ''] = made
      await recordDecisions(pair.directory, [
        decided(parked.get(key(old)), 'old'),
        decided(parked.get(key(fresh)), 'new'),
        decided(parked.get(key(skip)), 'skip'),
        decided(parked.get(key(late)), 'old'),
      ])
      await pair.new.update('customers', { id: late }, { name: 'changed after the decision' })
      await pass(reconciler(pair))
      const nameOf = async (id: string) => (await find(pair.new, 'customers', { id }))?.name
      expect(await Promise.all([old, fresh, skip, late].map(nameOf))).toEqual([
        'from old',
        'from new',
        'from new',
        'changed after the decision',
      ])
      expect((await reconciler(pair).parked()).map((row) => row.key)).toEqual([key(late)])
      expect(await pass(reconciler(pair))).toEqual([])
      const proof = await reconciler(pair).prove({})
      expect(proof.totals.unaccounted).toBe(0)
      const customers = [...proof.tables].find(([name]) => name.toLowerCase().endsWith('customers'))?.[1]
      expect(customers).toMatchObject({ rows: 4, updated: 1, skipped: 2, parked: 1 })
      await pair.old.update('customers', { id: skip }, { name: 'old again' })
      await pass(reconciler(pair))
      expect(await nameOf(skip)).toBe('from new')
      const there = async (id: string) => (await find(pair.old, 'customers', { id }))?.name
      expect(await there(fresh)).toBe('from old')
      await pass(reconciler(pair, { from: 'new' }))
      expect([await there(old), await there(fresh)]).toEqual(['from old', 'from new'])
      await pass(reconciler(pair))
      expect((await reconciler(pair).parked()).map((row) => row.key).sort()).toEqual([key(skip), key(late)].sort())
    })

    it('merges a parked customer into the one that is in the way, or leaves it behind, with all that belongs to it', async () => {
      pair = await startedPair(host(), async (old) => {
        await customer(old, 'ada@example.com')
      })
      const twins = new Map<string, { readonly id: string; readonly order: string; readonly there: string }>()
      for (const name of ['merged', 'left']) {
        const id = await customer(pair.old, `${name}@example.com`)
        twins.set(name, { id, order: await order(pair.old, id), there: await customer(pair.new, `${name}@example.com`) })
      }
      await pass(reconciler(pair))
      const parked = await reconciler(pair).parked()
      expect(parked).toHaveLength(4)
      const row = (id: string | undefined, table = 'customers') =>
        parked.find((each) => each.key === key(id ?? '') && each.table.toLowerCase().endsWith(table))
      const [merged, left] = [twins.get('merged'), twins.get('left')]
      expect(row(merged?.id)?.collision).toMatchObject({ key: key(merged?.there ?? '') })
      await recordDecisions(pair.directory, [
        decided(row(merged?.id), { merge: row(merged?.id)?.collision?.key ?? '' }),
        decided(row(left?.id), 'skip'),
      ])
      await pass(reconciler(pair))
      expect(await find(pair.new, 'orders', { id: merged?.order ?? null })).toMatchObject({ customer_id: merged?.there })
      expect(await find(pair.new, 'orders', { id: left?.order ?? null })).toBeUndefined()
      const [waiting, ...more] = await reconciler(pair).parked()
      expect([waiting?.key, more]).toEqual([key(left?.order ?? ''), []])
      expect(waiting?.reason).toContain(left?.id ?? '')
      await recordDecisions(pair.directory, [decided(waiting, 'skip')])
      await pass(reconciler(pair))
      expect(await reconciler(pair).parked()).toEqual([])
      expect(await pass(reconciler(pair))).toEqual([])
      const proof = await reconciler(pair).prove({})
      expect(proof.totals).toMatchObject({ unaccounted: 0 })
    })
  })
}
