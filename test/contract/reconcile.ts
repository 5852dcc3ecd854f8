import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { DatabaseAbilities, DatabaseHost } from './database-host.ts'
import { adversityContract } from './reconcile-adversities.ts'
import { collisionContract } from './reconcile-collisions.ts'
import { faultContract } from './reconcile-faults.ts'
import { deed, keepsPromises } from './reconcile-histories.ts'
import { customer, find, order, type Pair, pass, playbookReference, reconciler, startedPair } from './reconcile-pair.ts'
import { policyContract } from './reconcile-policies.ts'
import { processesContract } from './reconcile-processes.ts'

/** The merge on a real pair of databases (or a fake one): what a shop does on both hosts, and what must be there afterwards. */
export function reconcileContract(
  name: string,
  open: () => Promise<DatabaseHost>,
  abilities: DatabaseAbilities,
  histories: number,
): void {
  describe(`reconcile on ${name}`, () => {
    let host: DatabaseHost
    let pair: Pair
    beforeAll(async () => {
      host = await open()
    })
    afterAll(() => host?.close())
    afterEach(() => pair?.close())

    const shopWithOrders = async (): Promise<{ ada: string; first: string; product: string }> => {
      const made = { ada: '', first: '', product: '' }
      pair = await startedPair(host, async (old) => {
        made.ada = await customer(old, 'ada@example.com')
        made.product = await old.insert('products', { title: 'Tröja', price: '19.9900' })
        made.first = await order(old, made.ada)
        await old.insert('order_items', { order_id: made.first, line: '1', product_id: made.product, quantity: '2' })
      })
      return made
    }

    it('finds nothing to do when nobody bought anything', async () => {
      await shopWithOrders()
      // A pass is made every few minutes: it asks a server for no more of its schema than it needs.
      const hosts = [pair.oldDatabase, pair.newDatabase].filter((each) => each.layout !== undefined)
      const asked = hosts.map((each) => vi.spyOn(each, 'schema'))
      expect(await pass(reconciler(pair))).toEqual([])
      for (const each of asked) expect(each).not.toHaveBeenCalled()
    })

    it('carries a new customer with order and items, same ids, parents first, and nothing the second time; reading is all it does on the old host', async () => {
      const { product } = await shopWithOrders()
      const reader = await pair.old.openReadOnly?.()
      const old = reader ?? pair.oldDatabase
      const bob = await customer(pair.old, 'bob@example.com')
      const stray = await order(pair.old, bob)
      await pair.old.insert('order_items', { order_id: stray, line: '1', product_id: product, quantity: '3' })
      const newborn = await customer(pair.new, 'eve@example.com')
      expect(BigInt(newborn)).toBeGreaterThan(BigInt(bob))
      const each = reconciler(pair, { old })
      expect(await pass(each)).toHaveLength(3)
      expect(await find(pair.new, 'orders', { id: stray })).toEqual(await find(pair.old, 'orders', { id: stray }))
      expect(await find(pair.new, 'customers', { id: bob })).toMatchObject({ email: 'bob@example.com' })
      expect(await find(pair.new, 'order_items', { order_id: stray })).toMatchObject({ quantity: '3' })
      const proof = await each.prove({})
      expect(proof.totals.unaccounted).toBe(0)
      expect(proof.totals.rows).toBe(proof.totals.accounted)
      expect(await pass(reconciler(pair, { old }))).toEqual([])
      await reader?.close()
    })

    it('carries changes and deletions of the old host alone, and leaves those of the new host alone', async () => {
      const { ada, first } = await shopWithOrders()
      const carol = await customer(pair.old, 'carol@example.com')
      await pass(reconciler(pair))
      await pair.old.update('orders', { id: first }, { status: 'paid' })
      await pair.new.update('customers', { id: ada }, { name: 'Ada Lovelace' })
      await pair.old.remove('customers', { id: carol })
      await pass(reconciler(pair))
      expect(await find(pair.new, 'orders', { id: first })).toMatchObject({ status: 'paid' })
      expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'Ada Lovelace' })
      expect(await find(pair.new, 'customers', { id: carol })).toBeUndefined()
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it('lets a carried order live on: changed on the new host afterwards, it is no conflict', async () => {
      const { ada } = await shopWithOrders()
      const stray = await order(pair.old, ada)
      await pass(reconciler(pair))
      await pair.new.update('orders', { id: stray }, { status: 'sent' })
      expect(await pass(reconciler(pair))).toEqual([])
      await pair.old.update('orders', { id: stray }, { status: 'paid' })
      await pass(reconciler(pair))
      expect(await find(pair.new, 'orders', { id: stray })).toMatchObject({ status: 'sent' })
      expect(await reconciler(pair).parked()).toMatchObject([{ key: JSON.stringify([stray]), refused: false }])
    })

    it('parks what both hosts changed, with both versions, and overwrites neither', async () => {
      const { ada } = await shopWithOrders()
      await pair.old.update('customers', { id: ada }, { name: 'Ada, old host' })
      await pair.new.update('customers', { id: ada }, { name: 'Ada, new host' })
      const each = reconciler(pair)
      await pass(each)
      const [parked, ...others] = await each.parked()
      expect(others).toEqual([])
      expect(parked?.sourceRow).toMatchObject({ name: 'Ada, old host' })
      expect(parked?.targetRow).toMatchObject({ name: 'Ada, new host' })
      expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'Ada, new host' })
      expect((await each.prove({})).totals.unaccounted).toBe(0)
      expect(await pass(reconciler(pair))).toEqual([])
      await pair.new.update('customers', { id: ada }, { name: 'Ada, old host' })
      await pass(reconciler(pair))
      expect(await reconciler(pair).parked()).toEqual([])
    })

    it("decides a conflict by the playbook's policy", async () => {
      const { ada } = await shopWithOrders()
      await pair.old.update('customers', { id: ada }, { name: 'old wins' })
      await pair.new.update('customers', { id: ada }, { name: 'new loses' })
      await pass(reconciler(pair, { policies: { customers: { conflict: 'old' } } }))
      expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'old wins' })
      await pair.old.update('customers', { id: ada }, { name: 'late' })
      await pair.new.update('customers', { id: ada }, { name: 'stays' })
      const each = reconciler(pair, { policies: { customers: { conflict: 'new' } } })
      expect(await pass(each)).toEqual([])
      expect((await each.prove({})).totals.unaccounted).toBe(0)
      expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'stays' })
    })

    it('parks a customer who registered on both hosts, with everything that refers to the refused row; carries the rest', async () => {
      const { ada } = await shopWithOrders()
      const twin = await customer(pair.old, 'twin@example.com')
      const twinOrder = await order(pair.old, twin)
      const fine = await order(pair.old, ada)
      await customer(pair.new, 'twin@example.com')
      const each = reconciler(pair)
      await pass(each)
      const parked = await each.parked()
      expect(parked.map((row) => [row.table.split('.').at(-1), row.key, row.refused])).toEqual([
        ['customers', JSON.stringify([twin]), true],
        ['orders', JSON.stringify([twinOrder]), true],
      ])
      expect(await find(pair.new, 'orders', { id: fine })).toBeDefined()
      expect((await each.plan({})).changes).toEqual([])
      await pair.new.update('customers', { email: 'twin@example.com' }, { email: 'twin+new@example.com' })
      await pass(reconciler(pair))
      expect(await find(pair.new, 'orders', { id: twinOrder })).toMatchObject({ customer_id: twin })
      expect(await reconciler(pair).parked()).toEqual([])
    })

    it('never lets a carried deletion take an order of the new host with it', async () => {
      const { product } = await shopWithOrders()
      const carol = await customer(pair.old, 'carol@example.com')
      await pass(reconciler(pair))
      const bought = await order(pair.new, carol)
      await pair.new.insert('order_items', { order_id: bought, line: '1', product_id: product, quantity: '1' })
      await pair.old.remove('customers', { id: carol })
      const each = reconciler(pair)
      await pass(each)
      expect(await find(pair.new, 'customers', { id: carol })).toBeDefined()
      expect(await find(pair.new, 'orders', { id: bought })).toBeDefined()
      expect(await each.parked()).toMatchObject([{ key: JSON.stringify([carol]) }])
    })

    it('keeps what a row belongs to that has to stay, also where only the playbook knows of it', async () => {
      const references = playbookReference(['words', 'meaning'], ['words', 'word'])
      await shopWithOrders()
      await pair.old.insert('words', { word: 'garment', meaning: null })
      await pair.old.insert('words', { word: 'shirt', meaning: 'garment' })
      await pair.old.insert('words', { word: 'hat', meaning: 'garment' })
      await pass(reconciler(pair, { references }))
      await pair.new.insert('words', { word: 'tee', meaning: 'shirt' })
      for (const word of ['garment', 'shirt', 'hat']) await pair.old.remove('words', { word })
      const each = reconciler(pair, { references })
      await pass(each)
      expect((await pair.new.rows('words')).map(({ word }) => word).sort()).toEqual(['garment', 'shirt', 'tee'])
      expect(await find(pair.new, 'words', { word: 'shirt' })).toMatchObject({ meaning: 'garment' })
      expect((await each.parked()).map((row) => row.key).sort()).toEqual(['["garment"]', '["shirt"]'])
      expect(await pass(each)).toEqual([])
    })

    it('carries circles and self-references', async () => {
      await shopWithOrders()
      const parent = await pair.old.insert('categories', { parent_id: null, title: 'Shirts' })
      const child = await pair.old.insert('categories', { parent_id: parent, title: 'Kids' })
      await pair.old.update('categories', { id: parent }, { parent_id: child })
      const department = await pair.old.insert('departments', { head_id: null })
      const head = await pair.old.insert('employees', { department_id: department })
      await pair.old.update('departments', { id: department }, { head_id: head })
      await pass(reconciler(pair))
      expect(await find(pair.new, 'categories', { id: parent })).toMatchObject({ parent_id: child })
      expect(await find(pair.new, 'departments', { id: department })).toMatchObject({ head_id: head })
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it('parks a row that a customer changes on the new host between plan and apply', async () => {
      const { ada } = await shopWithOrders()
      await pair.old.update('customers', { id: ada }, { name: 'from old' })
      const each = reconciler(pair)
      const { changes } = await each.plan({})
      await pair.new.update('customers', { id: ada }, { name: 'just now' })
      for (const change of changes) await each.apply(change)
      expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'just now' })
      expect(await each.parked()).toHaveLength(1)
    })

    it.skipIf(!abilities.triggers)('fires no trigger for carried rows', async () => {
      const { ada } = await shopWithOrders()
      const before = (await pair.new.rows('audit')).length
      await order(pair.old, ada)
      await pass(reconciler(pair))
      expect(await pair.new.rows('audit')).toHaveLength(before)
    })

    collisionContract(() => host)
    adversityContract(() => host, abilities)
    processesContract(() => host, abilities)
    policyContract(() => host)
    faultContract(() => host, abilities)

    it(`keeps the promises over ${histories} random histories, cut off and resumed at random`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(deed, { minLength: 1, maxLength: 14 }),
          fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
          (deeds, cuts) => keepsPromises(host, deeds, cuts),
        ),
        { numRuns: histories },
      )
    })
  })
}
