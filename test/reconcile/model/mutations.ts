import { randomInt } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { layoutOf } from '../../../src/databases/layout.ts'
import { fullName, type Table } from '../../../src/databases/schema.ts'
import { compareTables } from '../../../src/reconcile/compare.ts'
import { printingFor } from '../../../src/reconcile/printing.ts'
import type { Proof } from '../../../src/reconcile/proof.ts'
import type { DatabaseHost, ShopDatabase, ShopTable } from '../../contract/database-host.ts'
import { customer, order, type Pair, pass, reconciler, startedPair } from '../../contract/reconcile-pair.ts'
import { first, LIES, lying } from './lies.ts'

/** What goes wrong with rows behind everybody's back: a row as it must be named afterwards, and how to do it. */
interface Mutation {
  readonly title: string
  readonly table: ShopTable
  do(shop: ShopDatabase): Promise<readonly string[]>
}

const key = (...cells: readonly (string | null | undefined)[]): string => JSON.stringify(cells)

const MUTATIONS: readonly Mutation[] = [
  {
    title: 'a byte of one cell flipped',
    table: 'customers',
    async do(shop) {
      const { id, name } = await first(shop, 'customers', 2)
      await shop.update('customers', { id: id ?? '' }, { name: `${name?.slice(0, -1)}~` })
      return [key(id)]
    },
  },
  {
    title: 'NULL become an empty text',
    table: 'customers',
    async do(shop) {
      const { id } = await first(shop, 'customers', 1)
      await shop.update('customers', { id: id ?? '' }, { note: '' })
      return [key(id)]
    },
  },
  {
    title: 'a ten-thousandth of a price lost',
    table: 'products',
    async do(shop) {
      const { id } = await first(shop, 'products')
      await shop.update('products', { id: id ?? '' }, { price: '19.9899' })
      return [key(id)]
    },
  },
  {
    title: 'a microsecond lost',
    table: 'orders',
    async do(shop) {
      const { id } = await first(shop, 'orders', -1)
      await shop.update('orders', { id: id ?? '' }, { placed: '2026-11-20 07:00:00.000000' })
      return [key(id)]
    },
  },
  {
    title: 'a row dropped',
    table: 'order_items',
    async do(shop) {
      const { order_id } = await first(shop, 'order_items')
      await shop.remove('order_items', { order_id: order_id ?? '', line: '1' })
      return [key(order_id, '1')]
    },
  },
  {
    title: 'the contents of two rows swapped',
    table: 'orders',
    async do(shop) {
      const [one, other] = [await first(shop, 'orders'), await first(shop, 'orders', 1)]
      await shop.update('orders', { id: one.id ?? '' }, { customer_id: other.customer_id ?? '' })
      await shop.update('orders', { id: other.id ?? '' }, { customer_id: one.customer_id ?? '' })
      return [key(one.id), key(other.id)]
    },
  },
  {
    title: 'a row of a table without a key doubled',
    table: 'visits',
    async do(shop) {
      await shop.insert('visits', { page: '/', visitor: null })
      return ['#']
    },
  },
  {
    title: 'a row of a table without a key dropped',
    table: 'visits',
    async do(shop) {
      await shop.remove('visits', { page: '/shirts' })
      return ['#']
    },
  },
]

/** A shop with some rows of each kind; then strays on the old host, carried over: some rows are the baseline's, some the ledger's. */
async function quietPair(host: DatabaseHost): Promise<Pair> {
  const pair = await startedPair(host, async (old) => {
    const product = await old.insert('products', { title: 'Tröja', price: '19.9900' })
    for (const who of ['ada', 'bob', 'eve']) {
      const placed = await order(old, await customer(old, `${who}@example.com`))
      await old.insert('order_items', { order_id: placed, line: '1', product_id: product, quantity: '2' })
    }
    for (const page of ['/', '/', '/shirts']) await old.insert('visits', { page, visitor: null })
  })
  const stray = await customer(pair.old, 'stray@example.com')
  await order(pair.old, stray)
  await pair.old.insert('visits', { page: '/', visitor: 'stray' })
  await pass(reconciler(pair))
  expect(await pass(reconciler(pair))).toEqual([])
  return pair
}

/** Everything that differs, as `table key`. */
async function differing(pair: Pair, proof: Proof): Promise<readonly string[]> {
  const [from, to] = [await layoutOf(pair.oldDatabase), await layoutOf(pair.newDatabase)]
  const tables = to.tables.filter((table) => proof.tables.has(fullName(table.name)))
  const pairs = tables.flatMap((table): (readonly [Table, Table])[] => {
    const source = from.tables.find((each) => each.name.name === table.name.name)
    return source === undefined ? [] : [[source, table]]
  })
  const found: string[] = []
  await compareTables(
    {
      directory: pair.directory,
      run: 'run-1',
      source: pair.oldDatabase,
      target: pair.newDatabase,
      printingOf: (table) => printingFor(table, { ignore: [] }),
    },
    pairs,
    ({ table, differences, copies }) => {
      for (const row of differences()) found.push(`${table.name.name} ${row.key}`)
      for (const each of copies()) if (each.base !== each.target || each.base !== each.source) found.push(`${table.name.name} #`)
    },
  )
  return found.sort()
}

const proofOf = async (pair: Pair): Promise<Proof> => reconciler(pair).prove({})

const tallyOf = (proof: Proof, table: ShopTable) =>
  [...proof.tables].find(([name]) => name.split('.').at(-1)?.toLowerCase() === table)?.[1]

/**
 * A proof that can't be fooled: whatever is done to the rows of either host, it is found and named. `sides`: each is done on both hosts in turn,
 * or, where a server takes seconds for it, on one of them by chance.
 */
export function mutationsAreFound(name: string, open: () => Promise<DatabaseHost>, sides: 'both' | 'one'): void {
  const onNew = MUTATIONS.filter(() => sides === 'both' || randomInt(2) === 0)
  const onOld = sides === 'both' ? MUTATIONS : MUTATIONS.filter((each) => !onNew.includes(each))
  describe(`the proof on ${name}`, () => {
    let host: DatabaseHost
    let pair: Pair
    beforeAll(async () => {
      host = await open()
    })
    afterAll(() => host?.close())
    afterEach(() => pair?.close())

    it.each(onNew)('finds $title on the new host', async ({ table, do: mutate }) => {
      pair = await quietPair(host)
      const before = await proofOf(pair)
      expect(await differing(pair, before)).toEqual([])
      const keys = await mutate(pair.new)
      const after = await proofOf(pair)
      expect(await differing(pair, after)).toEqual(keys.map((each) => `${table} ${each}`))
      const [was, is] = [tallyOf(before, table), tallyOf(after, table)]
      expect(is, 'the proof of the table says that something has changed').not.toEqual(was)
      expect((is?.same ?? 0) + (is?.inserted ?? 0)).toBeLessThan(
        (was?.same ?? 0) + (was?.inserted ?? 0) + (table === 'visits' ? 1 : 0),
      )
      for (const [other, tally] of after.tables)
        if (other.split('.').at(-1)?.toLowerCase() !== table) expect(tally).toEqual(before.tables.get(other))
    })

    it.each(onOld)('finds $title on the old host after it was last read', async ({ table, do: mutate }) => {
      pair = await quietPair(host)
      const keys = await mutate(pair.old)
      const { changes, proof } = await reconciler(pair).plan({})
      const planned = changes.flatMap((change) => (change.kind === 'carry' ? change.items : []))
      const named = planned.map((item) => `${item.table.split('.').at(-1)} ${item.key.startsWith('["#') ? '#' : item.key}`)
      expect([...new Set(named)].sort()).toEqual(keys.map((each) => `${table} ${each}`).sort())
      expect(await differing(pair, proof)).toEqual(keys.map((each) => `${table} ${each}`).sort())
      await pass(reconciler(pair))
      expect(await reconciler(pair).parked()).toEqual([])
      expect((await proofOf(pair)).totals.unaccounted).toBe(0)
      expect(await differing(pair, proof)).toEqual([])
    })

    it.each(LIES)('catches a server that $title', async ({ table, method, lie, prepare }) => {
      pair = await quietPair(host)
      await prepare(pair)
      const before = await everything(pair.new)
      // Copies of a row without a key are counted: a customer may have inserted another one, so that is tried again.
      const lied = lying(pair.newDatabase, method, lie, table === 'visits')
      const merged = pass(reconciler(pair, { fresh: lied.database }))
      await expect(merged).rejects.toMatchObject({ code: 'row-written-differs' })
      expect(await everything(pair.new), 'nothing of the batch was kept').toEqual(before)
      expect(lied.told()).toBe(true)
    })
  })
}

const everything = async (shop: ShopDatabase): Promise<unknown> =>
  Promise.all(
    (['customers', 'orders', 'order_items', 'visits'] as const).map(async (table) =>
      (await shop.rows(table)).map((row) => JSON.stringify(row)).sort(),
    ),
  )
