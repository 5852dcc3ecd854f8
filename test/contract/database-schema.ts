import { describe, expect, it } from 'vitest'
import { canonicalJson, type Json } from '../../src/base/json.ts'
import { findTable, fullName, type Layout, type Schema } from '../../src/databases/schema.ts'
import { type Contract, createAll, fillShop, PARENTS_FIRST, tableOf } from './database-kit.ts'

export function schemaContract(contract: Contract): void {
  describe('what a server says of itself', () => {
    it('has a fingerprint that stays over connections and differs between databases', async () => {
      const { shop, database } = await contract.empty()
      const other = await contract.empty()
      const again = contract.track(shop.open())
      const info = await database.info()
      expect(info.product).not.toBe('')
      expect(info.version.length).toBeGreaterThan(0)
      expect((await again.info()).fingerprint).toBe(info.fingerprint)
      expect((await other.database.info()).fingerprint).not.toBe(info.fingerprint)
    })
  })

  describe('the schema as it is read', () => {
    it('names every table with its key, and none of migrate’s own', async () => {
      const { database, schema } = await contract.shop()
      expect(schema.tables.map((table) => table.name.name).sort()).toEqual([...PARENTS_FIRST].sort())
      expect(tableOf(schema, 'order_items').key).toEqual(['order_id', 'line'])
      expect(tableOf(schema, 'words').key).toEqual(['word'])
      expect(tableOf(schema, 'visits').key).toEqual([])
      expect(tableOf(schema, 'customers').uniqueKeys.map((key) => key.columns)).toEqual([['email']])
      expect(findTable(schema.tables, 'ORDERS')).toEqual(tableOf(schema, 'orders'))
      await database
        .execute(firstStatement(database.ddl(schema), 'nothing'), { run: 'other', name: 'mark' })
        .catch(() => undefined)
      await database.transaction([], (transaction) => transaction.ledger([]))
      expect((await database.schema()).tables.map((table) => table.name.name).sort()).toEqual([...PARENTS_FIRST].sort())
    })

    it('names every foreign key, also to itself and around a circle', async () => {
      const { schema } = await contract.shop()
      const keys = schema.foreignKeys.map(
        (key) => `${key.table.name}.${key.columns.join()} -> ${key.parent.name}.${key.parentColumns.join()}`,
      )
      expect(keys.sort()).toEqual([
        'categories.parent_id -> categories.id',
        'departments.head_id -> employees.id',
        'employees.department_id -> departments.id',
        'order_items.order_id -> orders.id',
        'order_items.product_id -> products.id',
        'orders.customer_id -> customers.id',
      ])
    })

    it('names every identity with its step and range', async () => {
      const { schema } = await contract.shop()
      const columns = schema.identities
        .filter((identity) => identity.column !== '')
        .map((each) => `${each.table.name}.${each.column} ${each.increment}`)
      expect(columns.sort()).toEqual([
        'audit.id 1',
        'categories.id 1',
        ...(contract.abilities.countsDown === false ? [] : ['countdown.id -1']),
        'customers.id 1',
        'departments.id 1',
        'employees.id 1',
        'never_used.id 1',
        'orders.id 1',
        'products.id 1',
      ])
      if (contract.abilities.sequences !== false) {
        const free = schema.identities.filter((identity) => identity.column === '')
        expect(free.map((identity) => [identity.sequence?.name, identity.seed])).toEqual([['invoice_numbers', '1000']])
      }
      const order = schema.identities.find((identity) => identity.table.name === 'orders')
      expect(order?.maximum).toBe('9223372036854775807')
    })

    it.skipIf(contract.abilities.layout === false)('has its layout alone, the same', async () => {
      const { database, schema } = await contract.shop()
      const layout = await database.layout?.()
      const inSomeOrder = ({ tables, foreignKeys, identities }: Layout) => ({
        tables: tables.toSorted((a, b) => (fullName(a.name) < fullName(b.name) ? -1 : 1)),
        foreignKeys,
        identities,
      })
      expect(layout && inSomeOrder(layout)).toEqual(inSomeOrder(schema))
    })

    it('gives sizes for every table', async () => {
      const { shop, database, schema } = await contract.shop()
      await fillShop(shop)
      const sizes = await database.sizes()
      expect(sizes.map((size) => fullName(size.table)).sort()).toEqual(schema.tables.map((table) => fullName(table.name)).sort())
      for (const size of sizes) expect(size.rows).toBeGreaterThanOrEqual(0)
    })
  })

  describe('the schema as it is created', () => {
    it('reads the same on an empty database after every statement ran, and can be taken back', async () => {
      const { schema } = await contract.shop()
      const { shop, database } = await contract.empty()
      const statements = database.ddl(schema)
      expect(new Set(statements.map((statement) => statement.name)).size).toBe(statements.length)
      expect(statements.map((statement) => statement.stage)).toEqual(
        statements
          .map((statement) => statement.stage)
          .sort()
          .reverse(),
      )
      await createAll(database, schema)
      expect(comparable(await database.schema())).toEqual(comparable(schema))
      for (const { name, undo } of [...statements].reverse()) await database.retract(undo, { run: 'create', name })
      expect((await database.schema()).tables).toEqual([])
      expect(await database.marks('create')).toEqual(new Set())
      await database.removeOwnTables()
      expect(await shop.tables()).toEqual([])
    })

    it('is pure: listing statements touches nothing', async () => {
      const { schema } = await contract.shop()
      const { shop, database } = await contract.empty()
      expect(database.ddl(schema)).toEqual(database.ddl(schema))
      expect(await shop.tables()).toEqual([])
    })
  })
}

const firstStatement = (statements: readonly { readonly sql: string }[], fallback: string): string =>
  statements[0]?.sql ?? fallback

/** All that is created; principals are never copied, and findings are of the old host alone. */
function comparable(schema: Schema): Json {
  const { tables, foreignKeys, identities, objects } = schema
  const byText = (values: readonly Json[]): Json => [...values].sort((a, b) => (canonicalJson(a) < canonicalJson(b) ? -1 : 1))
  return { tables: byText(tables), foreignKeys: byText(foreignKeys), identities: byText(identities), objects: byText(objects) }
}
