import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { readableColumns, type Table } from '../../src/databases/schema.ts'
import { Follower, type FollowPass } from '../../src/reconcile/follow.ts'
import type { DatabaseHost } from './database-host.ts'
import { customer, find, order, type Pair, pass, reconciler, startedPair } from './reconcile-pair.ts'

const TABLES = ['customers', 'products', 'orders', 'order_items', 'categories', 'departments', 'employees', 'words']
const HOT_MS = 31_000

/** Cheap passes on a pair of databases: what they carry, what they leave, and that the full pass has nothing to mend after them. */
export function followContract(name: string, open: () => Promise<DatabaseHost>): void {
  describe(`following the old host on ${name}`, () => {
    let host: DatabaseHost
    let pair: Pair
    let now = 0
    const clock: Clock = { now: () => now, monotonic: () => now, sleep: async () => undefined }
    let [ada, product, first] = ['', '', '']
    beforeAll(async () => {
      host = await open()
    })
    afterAll(() => host?.close())
    beforeEach(async () => {
      now = Date.UTC(2026, 10, 20)
      pair = await startedPair(host, async (old) => {
        ada = await customer(old, 'ada@example.com')
        product = await old.insert('products', { title: 'Tröja', price: '19.9900' })
        first = await order(old, ada)
        await old.insert('order_items', { order_id: first, line: '1', product_id: product, quantity: '2' })
      })
    })
    afterEach(() => pair?.close())

    const follower = (match: (table: Table) => readonly string[] = () => []): Follower =>
      new Follower({
        run: 'run-1',
        directory: pair.directory,
        source: pair.oldDatabase,
        target: pair.newDatabase,
        rules: () => (table) => ({
          mode: TABLES.includes(table.name.name.toLowerCase()) ? 'track' : 'skip',
          match: match(table),
        }),
        references: () => [],
        clock,
      })
    const passOf = async (each: Follower): Promise<FollowPass> => {
      const done = await each.pass(new AbortController().signal)
      if (done === undefined) throw new Error('There was no baseline.')
      return done
    }
    const carried = async (each: Follower): Promise<Readonly<Record<string, number>>> =>
      Object.fromEntries([...(await passOf(each)).carried].map(([table, count]) => [table.replace(/^.*\./, ''), count]))
    const item = (orderId: string, line = '1') =>
      pair.old.insert('order_items', { order_id: orderId, line, product_id: product, quantity: '3' })
    /** An order with a number of its own, as a shop's long transaction or an import brings it. */
    const orderNumbered = async (id: string): Promise<void> => {
      const table = (await pair.oldDatabase.schema()).tables.find(({ name }) => name.name.toLowerCase() === 'orders')
      if (table === undefined) throw new Error('There is no table of orders.')
      const [row = []] = await pair.oldDatabase.rowsByKey(table, [[first]])
      const key = readableColumns(table).findIndex(({ name }) => name.toLowerCase() === 'id')
      await pair.oldDatabase.transaction([table], (transaction) => transaction.insert(table, [row.with(key, id)]))
    }
    /** As the forgotten users of the story: both hosts give a customer the same number. */
    const sameNumber = async (): Promise<string> => {
      const eve = await customer(pair.new, 'eve@example.com')
      const schema = await pair.oldDatabase.schema()
      const identity = schema.identities.find(({ table }) => table.name.toLowerCase() === 'customers')
      if (identity !== undefined) await pair.oldDatabase.raiseIdentity(identity, BigInt(eve) - 1n)
      const bob = await customer(pair.old, 'bob@example.com')
      expect(bob).toBe(eve)
      return bob
    }

    it('carries a new customer with order and items, same ids, once, and the full pass has nothing left to do', async () => {
      const each = follower()
      expect(await carried(each)).toEqual({})
      const bob = await customer(pair.old, 'bob@example.com')
      const stray = await order(pair.old, bob)
      await item(stray)

      expect(await carried(each)).toEqual({ customers: 1, orders: 1, order_items: 1 })

      expect(await find(pair.new, 'orders', { id: stray })).toEqual(await find(pair.old, 'orders', { id: stray }))
      expect(await find(pair.new, 'order_items', { order_id: stray })).toMatchObject({ quantity: '3' })
      expect(await carried(each)).toEqual({})
      // A killed watch begins again and finds it there.
      expect(await carried(follower())).toEqual({})
      expect(await pass(reconciler(pair))).toEqual([])
    })

    it('asks about no table whose numbers have come to rest, and tells that the old host is quiet', async () => {
      const each = follower()
      await passOf(each)
      await order(pair.old, ada)
      expect(await passOf(each)).toMatchObject({ moved: true })
      now += HOT_MS
      expect(await passOf(each)).toMatchObject({ moved: false, seen: 0, more: false })
    })

    it('finds a row that appears behind one that it carried already', async () => {
      const each = follower()
      await passOf(each)
      const early = String(BigInt(await order(pair.old, ada)) + 5n)
      await orderNumbered(early)
      expect(await carried(each)).toEqual({ orders: 2 })
      const between = String(BigInt(early) - 2n)
      await orderNumbered(between)
      expect(await carried(each)).toEqual({ orders: 1 })
    })

    it('leaves a number that both hosts gave, and whoever refers to it, to the full pass', async () => {
      const each = follower()
      await passOf(each)
      const bob = await sameNumber()
      const stray = await order(pair.old, bob)
      await item(stray)

      expect(await passOf(each)).toMatchObject({ carried: new Map(), seen: 3, settled: 0 })

      expect(await find(pair.new, 'customers', { id: bob })).toMatchObject({ email: 'eve@example.com' })
      expect(await find(pair.new, 'orders', { id: stray })).toBeUndefined()
      expect(await reconciler(pair).parked()).toEqual([])

      await pass(reconciler(pair))
      const moved = await find(pair.new, 'customers', { email: 'bob@example.com' })
      expect(moved?.id).not.toBe(bob)
      expect(await find(pair.new, 'orders', { id: stray })).toMatchObject({ customer_id: moved?.id })
      // Now that he has another number, what he orders is for the full pass too: nothing goes to the one who has his old one.
      const later = await order(pair.old, bob)
      expect(await carried(follower())).toEqual({})
      await pass(reconciler(pair))
      expect(await find(pair.new, 'orders', { id: later })).toMatchObject({ customer_id: moved?.id })
    })

    it('does not take the number that the new host gives next, nor push its numbering on', async () => {
      const each = follower()
      await passOf(each)
      const { orders: state } = await statesOf(pair)
      const beyond = String((state?.next ?? 0n) + 7n)
      await orderNumbered(beyond)
      expect(await carried(each)).toEqual({})
      expect((await statesOf(pair)).orders?.next).toBe(state?.next)
    })

    it('carries a child in the pass after its parent, when that one comes later', async () => {
      const each = follower()
      await passOf(each)
      const bob = await sameNumber()
      const stray = await order(pair.old, bob)
      expect(await carried(each)).toEqual({})
      // The new host's row with that number goes away: nothing collides any more.
      await pair.new.remove('customers', { id: bob })
      expect(await carried(follower())).toEqual({ customers: 1, orders: 1 })
      expect(await find(pair.new, 'orders', { id: stray })).toBeDefined()
    })

    it('leaves one that is there under its natural key to be merged', async () => {
      const each = follower((table) => (table.name.name.toLowerCase() === 'customers' ? ['email'] : []))
      await passOf(each)
      await customer(pair.new, 'bob@example.com')
      const bob = await customer(pair.old, 'bob@example.com')
      await order(pair.old, bob)
      expect(await carried(each)).toEqual({})
    })

    it('leaves a row that the new host refuses, carries the others, and parks nobody', async () => {
      const each = follower()
      await passOf(each)
      await customer(pair.new, 'bob@example.com')
      await customer(pair.old, 'bob@example.com')
      const carol = await customer(pair.old, 'carol@example.com')
      expect(await passOf(each)).toMatchObject({ seen: 2, settled: 1 })
      expect(await find(pair.new, 'customers', { id: carol })).toBeDefined()
      expect(await reconciler(pair).parked()).toEqual([])
      expect(await passOf(each)).toMatchObject({ seen: 0 })
    })

    it('does not bring back what was carried and then deleted on the new host', async () => {
      const each = follower()
      await passOf(each)
      const stray = await order(pair.old, ada)
      expect(await carried(each)).toEqual({ orders: 1 })
      await pair.new.remove('orders', { id: stray })
      expect(await carried(each)).toEqual({})
      expect(await carried(follower())).toEqual({})
      expect(await find(pair.new, 'orders', { id: stray })).toBeUndefined()
    })

    it('lets a carried order live on: the full pass takes later changes of either host for what they are', async () => {
      const each = follower()
      await passOf(each)
      const stray = await order(pair.old, ada)
      await carried(each)
      await pair.new.update('orders', { id: stray }, { status: 'sent' })
      expect(await pass(reconciler(pair))).toEqual([])
      const other = await order(pair.old, ada)
      await carried(each)
      await pair.old.update('orders', { id: other }, { status: 'paid' })
      await pass(reconciler(pair))
      expect(await find(pair.new, 'orders', { id: other })).toMatchObject({ status: 'paid' })
      expect(await find(pair.new, 'orders', { id: stray })).toMatchObject({ status: 'sent' })
    })

    it('works off more than one look can read, in several passes', async () => {
      const each = follower()
      await passOf(each)
      for (let count = 0; count < 620; count += 1) await order(pair.old, ada)
      expect(await passOf(each)).toMatchObject({ seen: 500, settled: 500, more: true })
      expect(await passOf(each)).toMatchObject({ seen: 120, settled: 120, more: false })
      expect(await pair.new.rows('orders')).toHaveLength(621)
    })
  })

  const statesOf = async (pair: Pair) => {
    const schema = await pair.newDatabase.schema()
    const states = await pair.newDatabase.identities(schema)
    return Object.fromEntries(states.map((state) => [state.identity.table.name.toLowerCase(), state]))
  }
}
