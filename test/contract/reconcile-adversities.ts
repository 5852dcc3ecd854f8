import { afterEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { recordDecisions } from '../../src/reconcile/decisions.ts'
import type { DatabaseAbilities, DatabaseHost } from './database-host.ts'
import {
  applyAll,
  customer,
  decided,
  find,
  type Merging,
  order,
  type Pair,
  pass,
  playbookReference,
  reconciler,
  startedPair,
} from './reconcile-pair.ts'

/**
 * What an unlucky or a hurried shop runs into: a clock that is set back, a person's answer about a number that two rows have. What no server has a part in is tried where a pair costs nothing.
 */
export function adversityContract(host: () => DatabaseHost, abilities: DatabaseAbilities): void {
  describe('when luck runs out', () => {
    let pair: Pair
    afterEach(() => pair?.close())

    it.skipIf(abilities.network)('counts a sale once, and carries later changes, though the clock was set back', async () => {
      let now = Date.UTC(2026, 10, 20, 7)
      const clock: Clock = { now: () => now, monotonic: () => performance.now(), sleep: async () => undefined }
      const merging: Merging = { policies: { products: { add: ['stock'] } }, clock }
      const made = { shirt: '', ada: '' }
      pair = await startedPair(
        host(),
        async (old) => {
          made.shirt = await old.insert('products', { title: 'Tröja', stock: '100', price: '19.9900' })
          made.ada = await customer(old, 'ada@example.com')
        },
        { policies: merging.policies ?? {} },
      )
      const stock = async (shop = pair.new) => (await find(shop, 'products', { id: made.shirt }))?.stock
      for (const [left, name] of [
        ['99', 'first'],
        ['98', 'second'],
      ] as const) {
        await pair.old.update('products', { id: made.shirt }, { stock: left })
        await pair.old.update('customers', { id: made.ada }, { name })
        await pass(reconciler(pair, merging))
        expect([await stock(), (await find(pair.new, 'customers', { id: made.ada }))?.name]).toEqual([left, name])
        now -= 3_600_000
      }
      await pair.new.update('customers', { id: made.ada }, { name: 'on new' })
      expect(await pass(reconciler(pair, merging))).toEqual([])
      expect(await stock()).toBe('98')
      await pair.new.update('products', { id: made.shirt }, { stock: '90' })
      await pass(reconciler(pair, { ...merging, from: 'new' }))
      expect([await stock(pair.old), await stock()]).toEqual(['90', '90'])
      expect(await pass(reconciler(pair, { ...merging, from: 'new' }))).toEqual([])
    })

    describe.skipIf(abilities.network)('a person’s answer about a number that another row has, too', () => {
      /** Bob's number is Eve's on the new host, his e-mail address that of a third; his order's number is that of Eve's order. */
      const strangers = async () => {
        pair = await startedPair(host(), async (old) => void (await order(old, await customer(old, 'ada@example.com'))), {
          headroom: 0n,
        })
        const bob = await customer(pair.old, 'bob@example.com')
        const bobs = await order(pair.old, bob, '2026-11-21 07:00:00')
        const eve = await customer(pair.new, 'eve@example.com')
        const eves = await order(pair.new, eve, '2026-11-22 07:00:00')
        const third = await customer(pair.new, 'bob@example.com')
        expect([eve, eves]).toEqual([bob, bobs])
        await pass(reconciler(pair))
        const parked = await reconciler(pair).parked()
        const row = (table: string) => parked.find((each) => each.table.toLowerCase().endsWith(table))
        expect(parked).toHaveLength(2)
        const evesOwn = async () => ({
          email: (await find(pair.new, 'customers', { id: eve }))?.email,
          orders: (await pair.new.rows('orders'))
            .filter((each) => each.customer_id === eve)
            .map((each) => each.placed?.slice(0, 10)),
        })
        return { third, evesOwn, customer: row('customers'), order: row('orders') }
      }
      const EVES = { email: 'eve@example.com', orders: ['2026-11-22'] }

      it.each([
        ['the order alone is to be the old host’s', undefined, 'old'],
        ['the order alone is to be the new host’s', undefined, 'new'],
        ['the customer alone is to be the new host’s', 'new', undefined],
        ['both are to be the old host’s', 'old', 'old'],
        ['both are to be the new host’s', 'new', 'new'],
      ] as const)('never touches that one, nor gives it anything: %s', async (_what, ofCustomer, ofOrder) => {
        const made = await strangers()
        const answers = [[made.customer, ofCustomer] as const, [made.order, ofOrder] as const]
        await recordDecisions(
          pair.directory,
          answers.flatMap(([row, take]) => (take === undefined ? [] : [decided(row, take)])),
        )
        for (let at = 0; at < 2; at += 1) {
          await pass(reconciler(pair))
          expect(await made.evesOwn()).toEqual(EVES)
        }
        const last = reconciler(pair)
        await pass(last)
        expect((await last.prove({})).totals.unaccounted).toBe(0)
        expect((await last.plan({})).changes).toEqual([])
      })

      it('carries the customer with a fresh number, and the order with him, once room was made for his address', async () => {
        const made = await strangers()
        await pair.new.update('customers', { id: made.third }, { email: 'third@example.com' })
        await recordDecisions(pair.directory, [decided(made.customer, 'old'), decided(made.order, 'old')])
        await pass(reconciler(pair))
        expect(await made.evesOwn()).toEqual(EVES)
        const bob = await find(pair.new, 'customers', { email: 'bob@example.com' })
        expect((await pair.new.rows('orders')).filter((row) => row.customer_id === bob?.id)).toHaveLength(1)
        expect(await reconciler(pair).parked()).toEqual([])
        expect(await pass(reconciler(pair))).toEqual([])
      })
    })

    it.skipIf(abilities.network)('asks again where a customer has changed the other row since a person decided', async () => {
      pair = await startedPair(host(), async (old) => void (await customer(old, 'ada@example.com')))
      await pair.old.insert('words', { word: 'shirt', meaning: 'on old' })
      await pair.new.insert('words', { word: 'shirt', meaning: 'on new' })
      await pass(reconciler(pair))
      const [row] = await reconciler(pair).parked()
      await recordDecisions(pair.directory, [decided(row, 'old')])
      await pair.new.update('words', { word: 'shirt' }, { meaning: 'changed since' })
      await pass(reconciler(pair))
      expect(await find(pair.new, 'words', { word: 'shirt' })).toMatchObject({ meaning: 'changed since' })
      expect(await reconciler(pair).parked()).toMatchObject([{ key: row?.key, targetRow: { meaning: 'changed since' } }])
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it.skipIf(abilities.network)(
      'leaves what a customer changes between the plan of a decided row and its carrying',
      async () => {
        let ada = ''
        pair = await startedPair(host(), async (old) => {
          ada = await customer(old, 'ada@example.com')
        })
        await pair.old.update('customers', { id: ada }, { name: 'on old' })
        await pair.new.update('customers', { id: ada }, { name: 'on new' })
        await pass(reconciler(pair))
        const [row] = await reconciler(pair).parked()
        await recordDecisions(pair.directory, [decided(row, 'old')])
        const each = reconciler(pair)
        const { changes } = await each.plan({})
        await pair.new.update('customers', { id: ada }, { name: 'just now' })
        await applyAll(each, changes)
        expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'just now' })
        await pass(reconciler(pair))
        expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'just now' })
        expect(await reconciler(pair).parked()).toMatchObject([{ targetRow: { name: 'just now' } }])
      },
    )

    // An importer that empties a table and fills it anew.
    it('removes nothing that a table lacked when it was looked at, and has again by now', async () => {
      pair = await startedPair(host(), async (old) => {
        await old.insertWords(3)
        for (const page of ['/', '/', '/shop']) await old.insert('visits', { page, visitor: 'ada' })
      })
      const contents = () => Promise.all((['words', 'visits'] as const).map((table) => pair.new.rows(table)))
      const before = await contents()
      for (const table of ['words', 'visits'] as const) await pair.old.truncate(table)
      const each = reconciler(pair)
      const { changes, deletions } = await each.plan({})
      expect([...deletions.values()]).toEqual([3, 3])
      await pair.old.insertWords(3)
      for (const page of ['/', '/', '/shop']) await pair.old.insert('visits', { page, visitor: 'ada' })
      await applyAll(each, changes)
      expect(await contents()).toEqual(before)
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it.skipIf(abilities.network)('leaves a row without a key behind when a person says so, on both ways', async () => {
      const references = playbookReference(['visits', 'visitor'], ['words', 'word'])
      pair = await startedPair(host(), async (old) => void (await customer(old, 'ada@example.com')))
      await pair.old.insert('words', { word: 'ada', meaning: 'on old' })
      await pair.new.insert('words', { word: 'ada', meaning: 'on new' })
      await pair.old.insert('visits', { page: '/', visitor: 'ada' })
      await pass(reconciler(pair, { references }))
      const parked = await reconciler(pair, { references }).parked()
      expect(parked.map(({ table }) => table.split('.').at(-1)?.toLowerCase()).sort()).toEqual(['visits', 'words'])
      await recordDecisions(
        pair.directory,
        parked.map((row) => decided(row, 'skip')),
      )
      await pass(reconciler(pair, { references }))
      expect(await reconciler(pair, { references }).parked()).toEqual([])
      expect(await pair.new.rows('visits')).toEqual([])
      expect(await pass(reconciler(pair, { references }))).toEqual([])
      expect((await reconciler(pair, { references }).prove({})).totals.unaccounted).toBe(0)
      await pass(reconciler(pair, { references, from: 'new' }))
      expect(await pair.old.rows('visits')).toHaveLength(1)
      expect(await pass(reconciler(pair, { references, from: 'new' }))).toEqual([])
    })

    // A shop's own update, on both hosts, while both take orders.
    it.skipIf(!abilities.network)(
      'goes on where a column was added on both hosts, takes it along, and overwrites nobody’s',
      async () => {
        let ada = ''
        pair = await startedPair(host(), async (old) => {
          ada = await customer(old, 'ada@example.com')
        })
        for (const database of [pair.oldDatabase, pair.newDatabase])
          await database.runStatements(['ALTER TABLE customers ADD vat varchar(20)'])
        await pair.new.update('customers', { id: ada }, { vat: 'new' })
        await pair.old.update('customers', { id: ada }, { name: 'Ada L.', vat: 'old' })
        const bob = await pair.old.insert('customers', { email: 'bob@example.com', name: 'Bob', note: null, vat: 'SE1' })
        const each = reconciler(pair)
        await pass(each)
        expect(await find(pair.new, 'customers', { id: ada })).toMatchObject({ name: 'Ada L.', vat: 'new' })
        expect(await find(pair.new, 'customers', { id: bob })).toMatchObject({ name: 'Bob', vat: 'SE1' })
        expect([await each.parked(), (await each.uncompared()).map((name) => name.split('.').at(-1))]).toEqual([[], ['vat']])
        expect((await each.prove({})).totals.unaccounted).toBe(0)
        expect(await pass(reconciler(pair))).toEqual([])
      },
    )

    it.skipIf(abilities.network)('carries back that a row is gone which had won on the way there', async () => {
      const policies = { orders: { conflict: { newest: 'placed' } } } as const
      const made = { both: '' }
      pair = await startedPair(host(), async (old) => {
        made.both = await order(old, await customer(old, 'ada@example.com'))
      })
      await pair.old.update('orders', { id: made.both }, { placed: '2026-11-21 07:00:00' })
      await pair.new.update('orders', { id: made.both }, { placed: '2026-11-22 07:00:00' })
      await pass(reconciler(pair, { policies }))
      await pair.new.remove('orders', { id: made.both })
      const back = reconciler(pair, { policies, from: 'new' })
      await pass(back)
      expect(await back.parked()).toEqual([])
      expect(await pair.old.rows('orders')).toEqual([])
    })

    it('loses no row whose key changed in nothing but the case of its letters', async () => {
      pair = await startedPair(host(), async (old) => void (await old.insert('words', { word: 'shirt', meaning: 'garment' })))
      await pair.old.remove('words', { word: 'shirt' })
      await pair.old.insert('words', { word: 'SHIRT', meaning: 'garment' })
      await pass(reconciler(pair))
      const words = async () => (await pair.new.rows('words')).map((row) => row.word)
      expect([...(await words()), ...(await reconciler(pair).parked())].length).toBeGreaterThan(0)
      await pass(reconciler(pair))
      expect(await words()).toEqual(['SHIRT'])
      expect(await reconciler(pair).parked()).toEqual([])
    })
  })
}
