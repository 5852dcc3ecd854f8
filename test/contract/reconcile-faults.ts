import { afterEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Database } from '../../src/databases/port.ts'
import type { DatabaseAbilities, DatabaseHost, ShopDatabase } from './database-host.ts'
import { customer, find, type Merging, order, type Pair, pass, reconciler, startedPair } from './reconcile-pair.ts'

const POLICIES = { products: { add: ['stock'] }, customers: { match: ['email'] } } as const

/** What goes wrong at the `at`th transaction of a database: it never begins, is in the way of another, or its answer is lost. */
type Fault = 'killed' | 'busy' | 'answer-lost'

const ERRORS: Readonly<Record<Fault, MigrateError>> = {
  killed: new MigrateError('fault', 'The process was killed here.'),
  busy: new MigrateError('database-busy', 'A deadlock: this one was chosen.', { retrySafe: true }),
  'answer-lost': new MigrateError('database-connection-lost', 'The answer to the commit was lost.', { retrySafe: false }),
}

/** The database, whose transactions fail as `faults` says by their number, the first being 1. */
function failing(
  database: Database,
  faults: ReadonlyMap<number, Fault>,
): { readonly database: Database; readonly count: () => number } {
  let transactions = 0
  const transaction: Database['transaction'] = async (tables, work) => {
    transactions += 1
    const fault = faults.get(transactions)
    if (fault === undefined) return await database.transaction(tables, work)
    if (fault === 'answer-lost') await database.transaction(tables, work)
    throw ERRORS[fault]
  }
  return {
    database: new Proxy(database, {
      get: (real, name) => {
        if (name === 'transaction') return transaction
        const value: unknown = Reflect.get(real, name, real)
        return typeof value === 'function' ? value.bind(real) : value
      },
    }),
    count: () => transactions,
  }
}

export function faultContract(host: () => DatabaseHost, abilities: DatabaseAbilities): void {
  describe('a pass that is cut off', () => {
    let pair: Pair
    afterEach(() => pair?.close())

    /** A bit of everything: collisions, twins, counters, deletions, lines, circles, rows without a key. */
    const busyShop = async (): Promise<void> => {
      const made = { product: '', gone: '' }
      pair = await startedPair(
        host(),
        async (old) => {
          made.product = await old.insert('products', { title: 'Tröja', stock: '100', price: '19.9900' })
          made.gone = await customer(old, 'gone@example.com')
          await order(old, await customer(old, 'ada@example.com'))
        },
        { headroom: 0n, policies: POLICIES },
      )
      const buy = async (shop: ShopDatabase, email: string) => {
        // Nobody orders on both hosts within the same microsecond.
        const placed = await order(shop, await customer(shop, email), `2026-11-2${shop === pair.old ? 1 : 2} 07:00:00`)
        await shop.insert('order_items', { order_id: placed, line: '1', product_id: made.product, quantity: '1' })
      }
      for (const email of ['bob@example.com', 'twin@example.com']) await buy(pair.old, email)
      for (const email of ['twin@example.com', 'eve@example.com']) await buy(pair.new, email)
      await pair.old.update('products', { id: made.product }, { stock: '98' })
      await pair.new.update('products', { id: made.product }, { stock: '98' })
      await pair.old.remove('customers', { id: made.gone })
      for (const shop of [pair.old, pair.new]) {
        const parent = await shop.insert('categories', { parent_id: null, title: shop === pair.old ? 'old' : 'new' })
        await shop.update('categories', { id: parent }, { parent_id: parent })
        await shop.insert('visits', { page: '/', visitor: 'ada' })
      }
    }

    /** What must be there in the end, whatever went wrong: numbers that were given anew are told by what belongs to them. */
    const outcome = async () => {
      const customers = await pair.new.rows('customers')
      const orders = await pair.new.rows('orders')
      const items = await pair.new.rows('order_items')
      const categories = await pair.new.rows('categories')
      return {
        orders: customers
          .map(({ id, email }) => {
            const own = orders.filter((row) => row.customer_id === id)
            return `${email} ${own.length} ${items.filter((row) => own.some((each) => each.id === row.order_id)).length}`
          })
          .sort(),
        stock: (await pair.new.rows('products')).map((row) => row.stock),
        categories: categories.map((row) => `${row.title} ${row.parent_id === row.id}`).sort(),
        visits: (await pair.new.rows('visits')).length,
      }
    }

    const EXPECTED = {
      orders: ['ada@example.com 1 0', 'bob@example.com 1 1', 'eve@example.com 1 1', 'twin@example.com 2 2'],
      stock: ['96'],
      categories: ['new true', 'old true'],
      visits: 2,
    }

    const merging = (fresh?: Database): Merging => ({ policies: POLICIES, ...(fresh ? { fresh } : {}) })

    /** Passes until nothing is left, each by a process of its own; the first ones through the failing database. */
    const untilDone = async (fresh: Database): Promise<void> => {
      try {
        await pass(reconciler(pair, merging(fresh)))
      } catch (error) {
        expect(Object.values(ERRORS)).toContain(error)
      }
      await pass(reconciler(pair, merging()))
      expect(await reconciler(pair, merging()).parked()).toEqual([])
      expect(await outcome()).toEqual(EXPECTED)
      expect(await pass(reconciler(pair, merging()))).toEqual([])
      expect((await reconciler(pair, merging()).prove({})).totals.unaccounted).toBe(0)
    }

    it('comes to the same end when it is killed between any two transactions, or the answer to any commit is lost', async () => {
      await busyShop()
      const whole = failing(pair.newDatabase, new Map())
      await untilDone(whole.database)
      const transactions = whole.count()
      expect(transactions).toBeGreaterThan(5)
      await pair.close()
      const all = Array.from({ length: transactions }, (_, index) => index + 1)
      // Every one where a pair costs nothing; three where it is a real server.
      const tried = abilities.network ? [2, Math.ceil(transactions / 2), transactions - 1] : all
      for (const fault of ['killed', 'answer-lost'] as const) {
        for (const at of tried) {
          await busyShop()
          await untilDone(failing(pair.newDatabase, new Map([[at, fault]])).database)
          await pair.close()
        }
      }
    })

    it('tries again by itself when customers were in its way, and finds what a lost answer hid, within one pass', async () => {
      await busyShop()
      const faults = new Map<number, Fault>([1, 2, 4, 6, 9].map((at, index) => [at, index % 2 === 0 ? 'busy' : 'answer-lost']))
      const each = reconciler(pair, merging(failing(pair.newDatabase, faults).database))
      await pass(each)
      expect(await each.parked()).toEqual([])
      expect(await outcome()).toEqual(EXPECTED)
      expect([...each.counts].find(([name]) => name.toLowerCase().endsWith('customers'))?.[1]).toMatchObject({
        remapped: 1,
        merged: 1,
        deleted: 1,
      })
      expect(await pass(reconciler(pair, merging()))).toEqual([])
    })

    it.skipIf(!abilities.network)('goes on where a real connection was cut, wherever that was', async () => {
      const cuts = [3000, 20_000, 60_000]
      await busyShop()
      const through = await pair.new.openThroughProxy?.()
      if (through === undefined) throw new Error('the shop has no proxy')
      try {
        for (const bytes of cuts) {
          through.cut(bytes)
          try {
            await pass(reconciler(pair, merging(through.database)))
          } catch (error) {
            expect(error).toBeInstanceOf(MigrateError)
          }
          through.mend()
        }
      } finally {
        await through.database.close()
      }
      await untilDone(pair.newDatabase)
    })

    it('overwrites nobody while customers go on buying on both hosts', async () => {
      await busyShop()
      const [first] = await pair.new.rows('products')
      const product = first?.id ?? ''
      const sold = { old: 0, fresh: 0 }
      const bought: string[] = []
      let done = false
      const customers = async (shop: ShopDatabase, side: 'old' | 'fresh') => {
        for (let at = 0; !done && at < 12; at += 1) {
          const id = await customer(shop, `${side}${at}@example.com`)
          await order(shop, id, `2026-11-2${side === 'old' ? 3 : 4} 07:00:00`)
          if (side === 'fresh') bought.push(id)
          const stock = BigInt((await shop.rows('products'))[0]?.stock ?? 0)
          // On the new host the merge writes the stock too: only the old host's is changed by reading it first.
          if (side === 'old') {
            await shop.update('products', { id: product }, { stock: String(stock - 1n) })
            sold.old += 1
          }
        }
      }
      const shopping = [customers(pair.old, 'old'), customers(pair.new, 'fresh')]
      for (let at = 0; at < 3; at += 1) await pass(reconciler(pair, merging()))
      done = true
      await Promise.all(shopping)
      for (let at = 0; at < 2; at += 1) await pass(reconciler(pair, merging()))
      const each = reconciler(pair, merging())
      expect(await each.parked()).toEqual([])
      expect((await each.plan({})).changes).toEqual([])
      for (const [index, id] of bought.entries())
        expect(await find(pair.new, 'customers', { id })).toMatchObject({ email: `fresh${index}@example.com` })
      expect((await pair.new.rows('products')).map((row) => row.stock)).toEqual([String(96 - sold.old)])
      const [there, here] = await Promise.all([pair.old.rows('orders'), pair.new.rows('orders')])
      expect(here).toHaveLength(there.length + bought.length + 2)
    })
  })
}
