import { afterEach, describe, expect, it } from 'vitest'
import { layoutOf } from '../../src/databases/layout.ts'
import { fullName } from '../../src/databases/schema.ts'
import { recordDecisions } from '../../src/reconcile/decisions.ts'
import { summary } from '../../src/reconcile/plan-summary.ts'
import type { DatabaseHost, ShopDatabase, ShopTable } from './database-host.ts'
import {
  customer,
  decided,
  find,
  type Merging,
  order,
  type Pair,
  pass,
  playbookReference,
  RUN,
  reconciler,
  type Starting,
  startedPair,
} from './reconcile-pair.ts'

const key = (...cells: readonly string[]): string => JSON.stringify(cells)

/** Rows that got the same key on both hosts, or are the same thing under two keys. */
export function collisionContract(host: () => DatabaseHost): void {
  describe('the same number on both hosts', () => {
    let pair: Pair
    afterEach(() => pair?.close())

    /** The users forgotten: both hosts go on with the same numbers. */
    const forgotten = async (starting: Starting = {}): Promise<{ ada: string; product: string }> => {
      const made = { ada: '', product: '' }
      pair = await startedPair(
        host(),
        async (old) => {
          made.ada = await customer(old, 'ada@example.com')
          await order(old, made.ada)
          made.product = await old.insert('products', { title: 'Tröja', price: '19.9900' })
        },
        { headroom: 0n, ...starting },
      )
      return made
    }

    const bought = async (shop: ShopDatabase, email: string, product: string): Promise<{ id: string; order: string }> => {
      const id = await customer(shop, email)
      const placed = await order(shop, id)
      await shop.insert('order_items', { order_id: placed, line: '1', product_id: product, quantity: '2' })
      return { id, order: placed }
    }

    const ordersOf = async (shop: ShopDatabase, email: string) => {
      const id = (await find(shop, 'customers', { email }))?.id ?? ''
      const orders = (await shop.rows('orders')).filter((row) => row.customer_id === id)
      const items = (await shop.rows('order_items')).filter((row) => orders.some((each) => each.id === row.order_id))
      return { id, orders: orders.length, items: items.map((row) => row.quantity) }
    }

    const ledger = async (table: ShopTable) => {
      const { tables } = await layoutOf(pair.newDatabase)
      const { name } = tables.find((each) => each.name.name.toLowerCase() === table) ?? { name: { schema: '', name: table } }
      return await pair.newDatabase.ledgerEntries(RUN, fullName(name))
    }

    it('gives the old host’s customers and orders fresh numbers, and everything that refers to them goes along', async () => {
      const { product } = await forgotten()
      const bob = await bought(pair.old, 'bob@example.com', product)
      const eve = await bought(pair.new, 'eve@example.com', product)
      expect([eve.id, eve.order]).toEqual([bob.id, bob.order])
      const each = reconciler(pair)
      await pass(each)
      expect(await each.parked()).toEqual([])
      expect(await ordersOf(pair.new, 'eve@example.com')).toMatchObject({ id: eve.id, orders: 1, items: ['2'] })
      const moved = await ordersOf(pair.new, 'bob@example.com')
      expect(moved).toMatchObject({ orders: 1, items: ['2'] })
      expect(moved.id).not.toBe(bob.id)
      expect(await ledger('customers')).toMatchObject([{ sourceKey: key(bob.id), targetKey: key(moved.id), action: 'remapped' }])
      expect(await ledger('order_items')).toMatchObject([{ sourceKey: key(bob.order, '1'), action: 'remapped' }])
      expect((await each.prove({})).totals.unaccounted).toBe(0)
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it('keeps later changes of the old host with the renumbered row, and the other customer’s alone', async () => {
      const { product } = await forgotten()
      const bob = await bought(pair.old, 'bob@example.com', product)
      const eve = await bought(pair.new, 'eve@example.com', product)
      await pass(reconciler(pair))
      await pair.old.update('customers', { id: bob.id }, { name: 'Bob, renamed' })
      await pair.old.update('orders', { id: bob.order }, { status: 'paid' })
      const second = await order(pair.old, bob.id)
      await pass(reconciler(pair))
      expect(await find(pair.new, 'customers', { email: 'bob@example.com' })).toMatchObject({ name: 'Bob, renamed' })
      expect(await find(pair.new, 'customers', { id: eve.id })).toMatchObject({ email: 'eve@example.com' })
      expect(await ordersOf(pair.new, 'bob@example.com')).toMatchObject({ orders: 2 })
      expect(await find(pair.new, 'orders', { id: eve.order })).toMatchObject({ status: 'open' })
      await pair.old.remove('order_items', { order_id: bob.order, line: '1' })
      await pair.old.remove('orders', { id: bob.order })
      await pair.old.remove('orders', { id: second })
      await pass(reconciler(pair))
      expect(await ordersOf(pair.new, 'bob@example.com')).toMatchObject({ orders: 0 })
      expect(await ordersOf(pair.new, 'eve@example.com')).toMatchObject({ orders: 1, items: ['2'] })
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it('goes back after a rollback without doubling anything, the other host’s rows renumbered there', async () => {
      const { product } = await forgotten()
      const bob = await bought(pair.old, 'bob@example.com', product)
      await bought(pair.new, 'eve@example.com', product)
      await pass(reconciler(pair))
      await pair.new.update('customers', { email: 'bob@example.com' }, { name: 'Bob on the new host' })
      const back = reconciler(pair, { from: 'new' })
      await pass(back)
      expect(await back.parked()).toEqual([])
      expect(await pair.old.rows('customers')).toHaveLength(3)
      expect(await find(pair.old, 'customers', { id: bob.id })).toMatchObject({
        email: 'bob@example.com',
        name: 'Bob on the new host',
      })
      expect(await ordersOf(pair.old, 'eve@example.com')).toMatchObject({ orders: 1, items: ['2'] })
      expect(await ordersOf(pair.old, 'bob@example.com')).toMatchObject({ orders: 1, items: ['2'] })
      expect(await pass(reconciler(pair, { from: 'new' }))).toEqual([])
      const forward = await reconciler(pair).plan({})
      expect(forward.changes.filter((change) => change.kind !== 'number')).toEqual([])
      expect(forward.proof.totals.unaccounted).toBe(0)
    })

    it('leaves no number of either host to be given again', async () => {
      const { product } = await forgotten()
      for (const email of ['b@example.com', 'c@example.com']) await bought(pair.old, email, product)
      await bought(pair.new, 'e@example.com', product)
      await pass(reconciler(pair))
      const ids = [...(await pair.old.rows('customers')), ...(await pair.new.rows('customers'))].map((row) => BigInt(row.id ?? 0))
      const next = BigInt(await customer(pair.new, 'next@example.com'))
      expect(ids.every((id) => id < next)).toBe(true)
      expect(ids.length).toBe(3 + 4)
    })

    it('renumbers circles and self-references', async () => {
      await forgotten()
      for (const shop of [pair.old, pair.new]) {
        const name = shop === pair.old ? 'old' : 'new'
        const parent = await shop.insert('categories', { parent_id: null, title: `parent, ${name}` })
        const child = await shop.insert('categories', { parent_id: parent, title: `child, ${name}` })
        await shop.update('categories', { id: parent }, { parent_id: child })
        const own = await shop.insert('categories', { parent_id: null, title: `own, ${name}` })
        await shop.update('categories', { id: own }, { parent_id: own })
        const department = await shop.insert('departments', { head_id: null })
        await shop.update(
          'departments',
          { id: department },
          { head_id: await shop.insert('employees', { department_id: department }) },
        )
      }
      const before = await pair.new.rows('categories')
      await pass(reconciler(pair))
      expect(await reconciler(pair).parked()).toEqual([])
      for (const row of before) expect(await find(pair.new, 'categories', { id: row.id ?? null })).toEqual(row)
      for (const name of ['old', 'new']) {
        const titled = async (title: string) => await find(pair.new, 'categories', { title: `${title}, ${name}` })
        const [parent, child, own] = [await titled('parent'), await titled('child'), await titled('own')]
        expect([parent?.parent_id, child?.parent_id, own?.parent_id]).toEqual([child?.id, parent?.id, own?.id])
      }
      const employees = await pair.new.rows('employees')
      expect(employees).toHaveLength(2)
      for (const { id, head_id: head } of await pair.new.rows('departments'))
        expect(employees.find((row) => row.id === head)?.department_id).toBe(id)
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it('makes one customer of two who registered with the same e-mail address, with the orders of both', async () => {
      const policies = { customers: { match: ['email'] } } as const
      const { product } = await forgotten({ policies })
      await bought(pair.new, 'eve@example.com', product)
      const eve = await bought(pair.new, 'twin@example.com', product)
      const bob = await bought(pair.old, 'twin@example.com', product)
      expect(bob.id).not.toBe(eve.id)
      const each = reconciler(pair, { policies })
      expect(summary(await pass(each))).toContainEqual(expect.objectContaining({ action: 'match', rows: 1, examples: [bob.id] }))
      expect(await each.parked()).toEqual([])
      expect(await ordersOf(pair.new, 'twin@example.com')).toEqual({ id: eve.id, orders: 2, items: ['2', '2'] })
      expect((await pair.new.rows('customers')).filter((row) => row.email === 'twin@example.com')).toHaveLength(1)
      expect(await ledger('customers')).toMatchObject([{ sourceKey: key(bob.id), targetKey: key(eve.id), action: 'merged' }])
      expect((await each.prove({})).totals.unaccounted).toBe(0)
      await order(pair.old, bob.id)
      await pass(reconciler(pair, { policies }))
      expect(await ordersOf(pair.new, 'twin@example.com')).toMatchObject({ orders: 3 })
      expect(await pass(reconciler(pair, { policies }))).toEqual([])
      const back = reconciler(pair, { policies, from: 'new' })
      await pass(back)
      expect((await pair.old.rows('customers')).filter((row) => row.email === 'twin@example.com')).toHaveLength(1)
      expect(await ordersOf(pair.old, 'twin@example.com')).toMatchObject({ id: bob.id, orders: 3 })
    })

    it('merges in place where number and e-mail address are the same, the newer name by policy', async () => {
      const policies = { customers: { match: ['email'], conflict: 'old' } } as const
      await forgotten({ policies })
      const [old, fresh] = [await customer(pair.old, 'twin@example.com'), await customer(pair.new, 'twin@example.com')]
      expect(old).toBe(fresh)
      await pair.old.update('customers', { id: old }, { name: 'as on old' })
      await pass(reconciler(pair, { policies }))
      expect(await find(pair.new, 'customers', { id: fresh })).toMatchObject({ email: 'twin@example.com', name: 'as on old' })
      expect(await pass(reconciler(pair, { policies }))).toEqual([])
    })

    it('finds the same thing by the server’s own rules: a coupon in another case of letters', async () => {
      const merging: Merging & Starting = { policies: { coupons: { match: ['code'] } }, further: true, headroom: 500n }
      await forgotten(merging)
      await pair.old.insert('coupons', { code: 'Summer', used: '1' })
      await pair.new.insert('coupons', { code: 'SUMMER', used: '5' })
      await pair.old.insert('coupons', { code: 'winter', used: null })
      const each = reconciler(pair, merging)
      await pass(each)
      expect(await each.parked()).toEqual([])
      const codes = (await pair.new.rows('coupons')).map((row) => [row.code, row.used]).sort()
      expect(codes).toEqual([
        ['SUMMER', '5'],
        ['winter', null],
      ])
      expect(await pass(reconciler(pair, merging))).toEqual([])
    })

    it('parks what a unique key of the new host keeps out, names it, and hints at match', async () => {
      await forgotten({ further: true, headroom: 500n })
      const mine = await pair.old.insert('coupons', { code: 'Summer', used: null })
      const theirs = await pair.new.insert('coupons', { code: 'SUMMER', used: null })
      const each = reconciler(pair)
      await pass(each)
      const [parked, ...others] = await each.parked()
      expect(others).toEqual([])
      expect(parked).toMatchObject({ key: key(mine), refused: true, born: true, collision: { key: key(theirs) } })
      expect(parked?.reason).toContain('Summer')
      expect(parked?.reason).toContain('match: [code]')
      expect(parked?.baseNote).toBe('It was born after the snapshot.')
      expect((await each.plan({})).changes).toEqual([])
      expect((await each.prove({})).totals.unaccounted).toBe(0)
    })

    it('frees a unique value before it is used again: deleted and registered anew', async () => {
      const { product } = await forgotten({ headroom: 1000n })
      const carol = await customer(pair.old, 'carol@example.com')
      await pass(reconciler(pair))
      await pair.old.remove('customers', { id: carol })
      const again = await bought(pair.old, 'carol@example.com', product)
      await pass(reconciler(pair))
      expect(await reconciler(pair).parked()).toEqual([])
      expect(await ordersOf(pair.new, 'carol@example.com')).toMatchObject({ id: again.id, orders: 1 })
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it('never gives an order to a stranger: it waits with its parked customer', async () => {
      await forgotten({ headroom: 1000n })
      await pair.new.insert('words', { word: 'Tröja', meaning: 'jumper' })
      await pair.old.insert('words', { word: 'Tröja', meaning: 'sweater' })
      const references = playbookReference(['products', 'title'], ['words', 'word'])
      const knitted = await pair.old.insert('products', { title: 'Tröja', price: '1.0000' })
      const each = reconciler(pair, { references })
      await pass(each)
      const parked = await each.parked()
      expect(parked.map((row) => [row.table.split('.').at(-1)?.toLowerCase(), row.key]).sort()).toEqual([
        ['products', key(knitted)],
        ['words', key('Tröja')],
      ])
      expect(await find(pair.new, 'words', { word: 'Tröja' })).toMatchObject({ meaning: 'jumper' })
      expect((await each.prove({})).totals.unaccounted).toBe(0)
      const word = parked.find((row) => row.table.toLowerCase().endsWith('words'))
      expect(word?.key).toBe(key('Tröja'))
      await recordDecisions(pair.directory, [decided(word, 'old')])
      await pass(reconciler(pair, { references }))
      expect(await reconciler(pair).parked()).toEqual([])
      expect(await find(pair.new, 'words', { word: 'Tröja' })).toMatchObject({ meaning: 'sweater' })
      expect(await find(pair.new, 'products', { id: knitted })).toMatchObject({ title: 'Tröja' })
      expect(await pass(reconciler(pair, { references }))).toEqual([])
      // Deleted there: what is born on the old host and belongs to it has nothing to belong to, though no server would say so.
      await pair.new.remove('words', { word: 'Tröja' })
      const second = await pair.old.insert('products', { title: 'Tröja', price: '2.0000' })
      const nowhere = await pair.old.insert('products', { title: 'no such word', price: '3.0000' })
      await pass(reconciler(pair, { references }))
      const waiting = await reconciler(pair, { references }).parked()
      expect(waiting).toMatchObject([{ key: key(second), born: true }])
      expect(await find(pair.new, 'products', { id: second })).toBeUndefined()
      expect(await find(pair.new, 'products', { id: nowhere })).toBeDefined()
    })
  })
}
