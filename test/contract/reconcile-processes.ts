import { afterEach, describe, expect, it } from 'vitest'
import type { DatabaseAbilities, DatabaseHost } from './database-host.ts'
import { applyAll, customer, find, type Merging, order, type Pair, pass, reconciler, startedPair } from './reconcile-pair.ts'

/** Two processes at one run. What no server has a part in is tried where a pair costs nothing. */
export function processesContract(host: () => DatabaseHost, abilities: DatabaseAbilities): void {
  describe('two processes of one run', () => {
    let pair: Pair
    afterEach(() => pair?.close())

    // A run's folder that was copied, or a process that slept while another one took it over.
    it('does nothing twice when two processes of one run have planned before either writes', async () => {
      const policies = { products: { add: ['stock'] } } as const
      const made = { shirt: '', ada: '', stray: '' }
      pair = await startedPair(
        host(),
        async (old) => {
          made.ada = await customer(old, 'ada@example.com')
          await order(old, made.ada)
          made.shirt = await old.insert('products', { title: 'Tröja', stock: '100', price: '19.9900' })
        },
        { policies, headroom: 0n },
      )
      // The same number on both hosts, and one that only the old host has; a counter; a row without a key.
      await order(pair.old, made.ada, '2026-11-21 07:00:00')
      await order(pair.new, made.ada, '2026-11-22 07:00:00')
      made.stray = await order(pair.old, made.ada, '2026-11-23 07:00:00')
      await pair.old.update('products', { id: made.shirt }, { stock: '97' })
      await pair.new.update('products', { id: made.shirt }, { stock: '98' })
      await pair.old.insert('visits', { page: '/', visitor: 'ada' })
      const [one, other] = [reconciler(pair, { policies }), reconciler(pair, { policies })]
      const plans = [await one.plan({}), await other.plan({})] as const
      const first = applyAll(one, plans[0].changes)
      // Where there are locks, both at the same time: whatever comes first, it must come to the same end.
      if (!abilities.network) await first
      if (!abilities.network) await pair.new.update('orders', { id: made.stray }, { status: 'sent' })
      await Promise.all([first, applyAll(other, plans[1].changes)])
      if (abilities.network) await pair.new.update('orders', { id: made.stray }, { status: 'sent' })

      expect((await pair.new.rows('orders')).map((row) => row.placed?.slice(8, 10)).sort()).toEqual(['20', '21', '22', '23'])
      expect(await find(pair.new, 'orders', { id: made.stray })).toMatchObject({ status: 'sent' })
      expect(await find(pair.new, 'products', { id: made.shirt })).toMatchObject({ stock: '95' })
      expect(await pair.new.rows('visits')).toHaveLength(1)
      expect(await reconciler(pair, { policies }).parked()).toEqual([])
      expect(await pass(reconciler(pair, { policies }))).toEqual([])
    })

    describe.skipIf(abilities.network)('of two processes that have planned alike, the second', () => {
      const oneThenTheOther = async (merging: Merging, between: () => Promise<void>): Promise<void> => {
        const [one, other] = [reconciler(pair, merging), reconciler(pair, merging)]
        const plans = [await one.plan({}), await other.plan({})] as const
        await applyAll(one, plans[0].changes)
        await between()
        await applyAll(other, plans[1].changes)
      }

      it('leaves what became one by its natural key as a customer has changed it since', async () => {
        const policies = { customers: { match: ['email'], conflict: 'old' } } as const
        pair = await startedPair(host(), async (old) => void (await customer(old, 'ada@example.com')), { policies })
        const name = async () => (await find(pair.new, 'customers', { email: 'bob@example.com' }))?.name
        await pair.old.insert('customers', { email: 'bob@example.com', name: 'on old', note: null })
        await pair.new.insert('customers', { email: 'bob@example.com', name: 'on new', note: null })
        await oneThenTheOther({ policies }, async () => {
          expect(await name()).toBe('on old')
          await pair.new.update('customers', { email: 'bob@example.com' }, { name: 'changed since' })
        })
        expect(await name()).toBe('changed since')
        expect(await pass(reconciler(pair, { policies }))).toEqual([])
      })

      it('carries no order again that got a fresh number since its own had been given before', async () => {
        let ada = ''
        const days = async () => (await pair.new.rows('orders')).map((row) => row.placed?.slice(8, 10)).sort()
        pair = await startedPair(
          host(),
          async (old) => {
            ada = await customer(old, 'ada@example.com')
            await order(old, ada)
          },
          { headroom: 0n },
        )
        await order(pair.old, ada, '2026-11-21 07:00:00')
        await order(pair.new, ada, '2026-11-22 07:00:00')
        await pass(reconciler(pair))
        const moved = (await pair.new.rows('orders')).find((row) => row.placed?.startsWith('2026-11-21'))?.id ?? ''
        await pair.new.remove('orders', { id: moved })
        expect(await order(pair.old, ada, '2026-11-23 07:00:00')).toBe(moved)
        await oneThenTheOther({}, async () => expect(await days()).toEqual(['20', '22', '23']))
        expect(await days()).toEqual(['20', '22', '23'])
        expect(await pass(reconciler(pair))).toEqual([])
      })
    })
  })
}
