import { describe, expect, it } from 'vitest'
import { keyPositions, type Table } from '../../src/databases/schema.ts'
import {
  type Contract,
  changed,
  describeWhen,
  failureOf,
  fillShop,
  itWhen,
  named,
  rowOf,
  rowsOf,
  sorted,
  tableOf,
} from './database-kit.ts'
import { variantsOf } from './database-prints-kit.ts'

export function findingContract(contract: Contract): void {
  describe('finding rows by their values', () => {
    it('gives those of which the columns equal one of the values; NULL equals nothing', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const [ada, bob, zoe] = await Promise.all(customers.map((id) => rowOf(database, table, id)))
      await database.transaction([table], async (transaction) => {
        const find = async (columns: readonly string[], ...values: (readonly (string | null)[])[]) =>
          (await transaction.find(table, columns, values)).map((row) => JSON.stringify(row)).sort()
        const only = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row)).sort()
        expect(await find(['email'], ['bob@example.com'], ['zoë@example.com'], ['nobody@example.com'])).toEqual(only(bob, zoe))
        expect(await find(['email'], ['bob@example.com'], ['bob@example.com'])).toEqual(only(bob))
        expect(await find(['name', 'email'], ['Ada', 'ada@example.com'], ['Zoë 🛒', 'bob@example.com'])).toEqual(only(ada))
        expect(await find(['name'], [null])).toEqual([])
        expect(await find(['email', 'note'], ['bob@example.com', null], ['ada@example.com', ''])).toEqual(only(ada))
        expect(await find(['email'])).toEqual([])
        await transaction.insert(table, [changed(table, ada ?? [], { id: '7000', email: 'own@example.com' })])
        expect(await find(['email'], ['own@example.com'])).toHaveLength(1)
      })
    })

    it('goes by keys, numbers and times too', async () => {
      const { shop, database, schema } = await contract.shop()
      const { orders } = await fillShop(shop)
      const table = tableOf(schema, 'orders')
      const row = await rowOf(database, table, orders[0] ?? '')
      const { customer_id, placed } = named(table, row)
      const items = tableOf(schema, 'order_items')
      await database.transaction([table, items], async (transaction) => {
        expect(await transaction.find(table, ['customer_id', 'placed'], [[customer_id ?? null, placed ?? null]])).toEqual([row])
        const lines = await transaction.find(items, ['order_id'], [[orders[0] ?? null]])
        expect(lines).toHaveLength(2)
      })
    })

    it('goes by the server’s own rules: either case of letters where the column’s collation says so', async () => {
      const { shop, database, schema } = await contract.further()
      await shop.insert('coupons', { code: 'SUMMER', used: '1' })
      await shop.insert('coupons', { code: 'winter', used: null })
      const table = tableOf(schema, 'coupons')
      const found = await database.transaction([table], (transaction) => transaction.find(table, ['code'], [['Summer'], ['Win']]))
      expect(found.map((row) => named(table, row).code)).toEqual(['SUMMER'])
      const words = tableOf(schema, 'tokens')
      const token = '0a000000-0000-4000-8000-00000000000f'
      await shop.insert('tokens', { token, note: null })
      expect(await database.transaction([words], (transaction) => transaction.find(words, ['token'], [[token]]))).toHaveLength(1)
    })

    itWhen(contract.abilities.locks, 'locks them', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const release = await shop.holdLock?.('customers', { id: customers[0] ?? null })
      const failure = await failureOf(
        database.transaction([table], (transaction) => transaction.find(table, ['email'], [['ada@example.com']])),
      )
      await release?.()
      expect([failure.code, failure.retrySafe]).toEqual(['database-busy', true])
    })
  })

  describe('a row that the server numbers', () => {
    it('is inserted with all it holds but its number, which is told', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const orders = tableOf(schema, 'orders')
      const people = tableOf(schema, 'customers')
      const products = tableOf(schema, 'products')
      const countdown = tableOf(schema, 'countdown')
      await shop.insert('countdown', { note: 'first' })
      const fresh = [
        { table: people, values: { email: 'new@example.com', note: ' kept  ' } },
        { table: orders, values: { status: 'sent' } },
        { table: products, values: { title: 'Another 🛒' } },
        ...(contract.abilities.countsDown === false ? [] : [{ table: countdown, values: { note: 'second' } }]),
      ]
      for (const { table, values } of fresh) {
        const [row = []] = await rowsOf(database, table)
        const wanted = changed(table, row, values)
        const number = await database.transaction([table], (transaction) => transaction.insertNumbered(table, wanted, 'id'))
        expect(number).toMatch(/^-?\d+$/)
        const [old] = row
        expect(number).not.toBe(old)
        expect(await rowOf(database, table, number)).toEqual(changed(table, wanted, { id: number }))
        expect(await rowOf(database, table, old ?? null)).toEqual(row)
      }
      const later = await shop.insert('customers', { email: 'later@example.com', name: null, note: null })
      expect((await shop.rows('customers')).filter(({ id }) => id === later)).toHaveLength(1)
      expect(await shop.rows('customers')).toHaveLength(customers.length + 2)
    })

    it('is refused like any other when it breaks a constraint, and undone with its transaction', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const row = await rowOf(database, table, customers[0] ?? '')
      const twice = database.transaction([table], (transaction) => transaction.insertNumbered(table, row, 'id'))
      expect((await failureOf(twice)).code).toBe('database-statement-failed')
      const fault = new Error('the work failed')
      const undone = database.transaction([table], async (transaction) => {
        await transaction.insertNumbered(table, changed(table, row, { email: 'new@example.com' }), 'id')
        throw fault
      })
      await expect(undone).rejects.toBe(fault)
      expect(await shop.rows('customers')).toHaveLength(customers.length)
    })
  })

  describe('copies of a row without a key', () => {
    it('are removed as many as were asked for, and no row that differs in anything', async () => {
      const { shop, database, schema } = await contract.shop()
      const like: readonly (string | null)[] = ['ada', 'ada', 'ada', 'ADA', 'ada ', 'áda', '', '', null, null, 'a']
      for (const visitor of like) await shop.insert('visits', { page: '/', visitor })
      await shop.insert('visits', { page: '/ada', visitor: 'ada' })
      const table = tableOf(schema, 'visits')
      const remove = (values: { page: string; visitor: string | null }, count: number) => {
        const row = changed(table, [], values)
        return database.transaction([table], (transaction) => transaction.removeCopies(table, row, count))
      }
      const left = async () =>
        sorted((await shop.rows('visits')).filter(({ page }) => page === '/')).map(({ visitor }) => visitor ?? null)
      const without = (...gone: (string | null)[]) => {
        const rest = [...like]
        for (const each of gone) rest.splice(rest.indexOf(each), 1)
        return sorted(rest.map((visitor) => ({ page: '/', visitor }))).map(({ visitor }) => visitor)
      }
      expect(await remove({ page: '/', visitor: 'ada' }, 2)).toBe(2)
      expect(await left()).toEqual(without('ada', 'ada'))
      expect(await remove({ page: '/', visitor: 'ada' }, 5)).toBe(1)
      expect(await remove({ page: '/', visitor: 'ada' }, 5)).toBe(0)
      expect(await remove({ page: '/', visitor: null }, 1)).toBe(1)
      expect(await remove({ page: '/', visitor: '' }, 9)).toBe(2)
      expect(await remove({ page: '/', visitor: 'ADA' }, 0)).toBe(0)
      expect(await left()).toEqual(without('ada', 'ada', 'ada', null, '', ''))
      expect((await shop.rows('visits')).filter(({ page }) => page === '/ada')).toHaveLength(1)
    })

    describeWhen(contract.abilities.samples, 'of every type the engine has', () => {
      it('are told apart by every cell', async () => {
        const { shop, database } = await contract.empty()
        await shop.createSamples?.()
        const schema = await database.schema()
        const table = tableOf(schema, 'samples')
        const [key = ''] = table.key
        const rows = await rowsOf(database, table)
        const variants = variantsOf(table, rows, key)
        const keyAt = keyPositions(table)[0] ?? 0
        await database.transaction([table], async (transaction) => {
          for (const { row } of variants) await transaction.insert(table, [row])
          for (const { column, row } of variants) {
            const other = row.with(keyAt, '999')
            expect(await transaction.removeCopies(keyless(table), other, 9), column).toBe(0)
            expect(await transaction.removeCopies(keyless(table), row, 9), column).toBe(1)
          }
        })
        expect(await rowsOf(database, table)).toEqual(rows)
      })
    })
  })
}

/** The table as if it had no key. */
const keyless = (table: Table): Table => ({ ...table, key: [], primaryKey: null, uniqueKeys: [] })
