import { describe, expect, it } from 'vitest'
import type { LedgerEntry, Row } from '../../src/databases/port.ts'
import {
  type Contract,
  changed,
  describeWhen,
  failureOf,
  fillShop,
  itWhen,
  rowOf,
  rowsOf,
  sorted,
  tableOf,
} from './database-kit.ts'

export function transactionContract(contract: Contract): void {
  describe('a transaction', () => {
    it('inserts with the identity given, updates, deletes', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const [, bob = '', zoe = ''] = customers
      const row = await rowOf(database, table, bob)
      await database.transaction([table], async (transaction) => {
        await transaction.insert(table, [changed(table, row, { id: '7000', email: 'new@example.com', name: '', note: null })])
        await transaction.update(table, changed(table, row, { name: 'Bob  ', note: '😀' }))
        await transaction.delete(table, [[zoe], ['123456']])
      })
      const rows = await shop.rows('customers')
      expect(rows.map((each) => each.id).sort()).toEqual([customers[0], bob, '7000'].sort())
      expect(rows.find((each) => each.id === '7000')).toMatchObject({ email: 'new@example.com', name: '', note: null })
      expect(rows.find((each) => each.id === bob)).toMatchObject({ email: 'bob@example.com', name: 'Bob  ', note: '😀' })
    })

    it('is undone whole when its work throws', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const before = sorted(await shop.rows('customers'))
      const table = tableOf(schema, 'customers')
      const row = await rowOf(database, table, customers[0] ?? '')
      const fault = new Error('the work failed')
      const work = database.transaction([table], async (transaction) => {
        await transaction.insert(table, [changed(table, row, { id: '7000', email: 'new@example.com' })])
        await transaction.update(table, changed(table, row, { name: 'changed' }))
        await transaction.ledger([entry('7000')])
        throw fault
      })
      await expect(work).rejects.toBe(fault)
      expect(sorted(await shop.rows('customers'))).toEqual(before)
      expect(await database.ledgerEntries('run', 'customers')).toEqual([])
    })

    it('never replaces a row that is there, and never invents one to update', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const before = sorted(await shop.rows('customers'))
      const table = tableOf(schema, 'customers')
      const row = await rowOf(database, table, customers[0] ?? '')
      const insert = database.transaction([table], (transaction) =>
        transaction.insert(table, [changed(table, row, { email: 'other@example.com' })]),
      )
      expect((await failureOf(insert)).code).toBe('database-statement-failed')
      const update = database.transaction([table], (transaction) =>
        transaction.update(table, changed(table, row, { id: '9999' })),
      )
      await failureOf(update)
      expect(sorted(await shop.rows('customers'))).toEqual(before)
    })

    it('gives the rows that it locks, without those that aren’t there', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const locked = await database.transaction([table], (transaction) =>
        transaction.lock(table, [[customers[0] ?? ''], ['9999']]),
      )
      expect(locked).toEqual([await rowOf(database, table, customers[0] ?? '')])
    })

    it('keeps foreign keys and checks enforced', async () => {
      const { shop, database, schema } = await contract.shop()
      const { orders } = await fillShop(shop)
      const table = tableOf(schema, 'orders')
      const row = await rowOf(database, table, orders[0] ?? '')
      const orphan = database.transaction([table], (transaction) =>
        transaction.insert(table, [changed(table, row, { id: '7000', customer_id: '424242' })]),
      )
      expect((await failureOf(orphan)).code).toBe('database-statement-failed')
      const products = tableOf(schema, 'products')
      const [product] = await rowsOf(database, products)
      const negative = database.transaction([products], (transaction) =>
        transaction.update(products, changed(products, product ?? [], { stock: '-1' })),
      )
      expect((await failureOf(negative)).code).toBe('database-statement-failed')
      expect(await shop.rows('orders')).toHaveLength(2)
    })

    it('inserts rows around a circle of foreign keys one after the other', async () => {
      const { from, to } = await contract.pair()
      const department = await from.shop.insert('departments', { head_id: null })
      const employee = await from.shop.insert('employees', { department_id: department })
      await from.shop.update('departments', { id: department }, { head_id: employee })
      const departments = tableOf(from.schema, 'departments')
      const employees = tableOf(from.schema, 'employees')
      const head = await rowOf(from.database, departments, department)
      const member = await rowOf(from.database, employees, employee)
      await to.database.transaction([departments, employees], async (transaction) => {
        await transaction.insert(departments, [changed(departments, head, { head_id: null })])
        await transaction.insert(employees, [member])
        await transaction.update(departments, head)
      })
      expect(await to.shop.rows('departments')).toEqual(await from.shop.rows('departments'))
    })

    it('says which parents still have children', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const key = schema.foreignKeys.find((each) => each.table.name === 'orders')
      if (key === undefined) throw new Error('orders has no foreign key')
      const parents = customers.map((id) => [id])
      const table = tableOf(schema, 'orders')
      const items = tableOf(schema, 'order_items')
      const found = await database.transaction([table, items], async (transaction) => {
        const before = await transaction.referenced(key, parents)
        const rows = await shop.rows('orders')
        const mine = rows.filter((row) => row.customer_id === customers[0]).map((row) => [row.id ?? null])
        const lines = (await shop.rows('order_items')).filter((row) => row.order_id === mine[0]?.[0])
        await transaction.delete(
          items,
          lines.map((row) => [row.order_id ?? null, row.line ?? null]),
        )
        await transaction.delete(table, mine)
        return { before, after: await transaction.referenced(key, parents), none: await transaction.referenced(key, []) }
      })
      expect(sortedRows(found.before)).toEqual(sortedRows(parents.slice(0, 2)))
      expect(found.after).toEqual([parents[1]])
      expect(found.none).toEqual([])
    })

    describeWhen(contract.abilities.triggers, 'and the shop’s triggers', () => {
      const touch = async (fail: boolean) => {
        const { shop, database, schema } = await contract.shop()
        const { customers, orders } = await fillShop(shop)
        const before = (await shop.rows('audit')).length
        expect(before).toBeGreaterThan(0)
        const table = tableOf(schema, 'orders')
        const row = await rowOf(database, table, orders[0] ?? '')
        const work = database.transaction([table], async (transaction) => {
          await transaction.insert(table, [changed(table, row, { id: '7000' })])
          await transaction.update(table, changed(table, row, { status: 'sent' }))
          await transaction.delete(table, [['7000']])
          if (fail) throw new Error('the work failed')
        })
        await work.catch((error: unknown) => {
          if (!fail) throw error
        })
        expect(await shop.rows('audit')).toHaveLength(before)
        await shop.insert('orders', { customer_id: customers[0] ?? null, placed: '2026-03-01 09:00:00' })
        expect((await shop.rows('audit')).length).toBe(before + 1)
      }
      it('keeps them silent, and they fire again afterwards', () => touch(false))
      it('leaves them on when it fails', () => touch(true))
    })

    itWhen(contract.abilities.locks, 'doesn’t wait long for a row that somebody else holds', async () => {
      const { shop, database, schema } = await contract.shop()
      const { customers } = await fillShop(shop)
      const table = tableOf(schema, 'customers')
      const release = await shop.holdLock?.('customers', { id: customers[0] ?? null })
      const failure = await failureOf(
        database.transaction([table], (transaction) => transaction.lock(table, [[customers[0] ?? '']])),
      )
      await release?.()
      expect([failure.code, failure.retrySafe]).toEqual(['database-busy', true])
      await database.transaction([table], (transaction) => transaction.lock(table, [[customers[0] ?? '']]))
    })
  })
}

const entry = (key: string): LedgerEntry => ({
  run: 'run',
  table: 'customers',
  sourceKey: JSON.stringify([key]),
  targetKey: JSON.stringify([key]),
  action: 'inserted',
  sourceState: '{"print":"ab12"}',
  targetState: '{"print":"ab12"}',
  at: '2026-11-20T07:00:00.000Z',
})

const sortedRows = (rows: readonly Row[]): readonly string[] => rows.map((row) => JSON.stringify(row)).sort()
