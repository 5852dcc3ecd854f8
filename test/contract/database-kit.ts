import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Database, KeyCells, Reader, ReadOptions, Row } from '../../src/databases/port.ts'
import { fullName, readableColumns, type Schema, type Table } from '../../src/databases/schema.ts'
import type { DatabaseAbilities, DatabaseHost, ShopDatabase, ShopTable, Values } from './database-host.ts'

/** What every part of the suite works with. */
export interface Contract {
  readonly abilities: DatabaseAbilities
  /** A new database with the shop's tables, and the adapter on it; closed after the test. */
  shop(): Promise<{ readonly shop: ShopDatabase; readonly database: Database; readonly schema: Schema }>
  /** `shop()` with the further tables. */
  further(): Promise<{ readonly shop: ShopDatabase; readonly database: Database; readonly schema: Schema }>
  /** A new, empty database, and the adapter on it. */
  empty(): Promise<{ readonly shop: ShopDatabase; readonly database: Database }>
  /** `shop()`, and a second database that has got the same schema through the adapter, without rows. */
  pair(): Promise<Pair>
  /** Closes an adapter that a test opened itself, after the test. */
  track(database: Database): Database
}

export interface Pair {
  readonly from: { readonly shop: ShopDatabase; readonly database: Database; readonly schema: Schema }
  readonly to: { readonly shop: ShopDatabase; readonly database: Database }
}

/**
 * Registers a suite's hook: what is given to the function that it returns is closed after the test, newest first, since a database may go
 * only when nothing is connected to it any more.
 */
export function closedAfterEach(): <T extends { close(): Promise<void> }>(opened: T) => T {
  const all: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const each of all.splice(0).reverse()) await each.close()
  })
  return (opened) => {
    all.push(opened)
    return opened
  }
}

/** Registers the hooks of a suite and gives its contract. */
export function contractOf(setup: () => Promise<DatabaseHost>, abilities: DatabaseAbilities): Contract {
  let host: DatabaseHost | undefined
  const track = closedAfterEach()
  beforeAll(async () => {
    host = await setup()
  })
  afterAll(() => host?.close())
  const empty = async () => {
    if (host === undefined) throw new Error('The host of the contract suite was not set up.')
    const shop = await host.database()
    if (shop.close !== undefined) track({ close: shop.close })
    return { shop, database: track(shop.open()) }
  }
  const shop = async () => {
    const made = await empty()
    await made.shop.createShop()
    return { ...made, schema: await made.database.schema() }
  }
  const further = async () => {
    const made = await empty()
    await made.shop.createShop()
    await made.shop.createFurther()
    return { ...made, schema: await made.database.schema() }
  }
  const pair = async () => {
    const from = await shop()
    const to = await empty()
    await createAll(to.database, from.schema)
    return { from, to }
  }
  return { abilities, shop, further, empty, pair, track }
}

/** Runs every statement of the schema, each with a mark of its name. */
export async function createAll(
  database: Database,
  schema: Schema,
  stages: readonly string[] = ['before', 'after'],
): Promise<void> {
  for (const { name, sql, stage } of database.ddl(schema))
    if (stages.includes(stage)) await database.execute(sql, { run: 'create', name })
}

export function tableOf(schema: Schema, name: ShopTable | 'samples'): Table {
  const found = schema.tables.find((table) => table.name.name === name)
  if (found === undefined)
    throw new Error(`The schema has no table ${name}: ${schema.tables.map((each) => fullName(each.name)).join(', ')}`)
  return found
}

/** All rows through a reader. */
export async function readAll(reader: Reader, table: Table, options?: ReadOptions): Promise<readonly Row[]> {
  const rows: Row[] = []
  for await (const batch of reader.rows(table, options)) rows.push(...batch)
  return rows
}

/** All rows of a table, through a reader of their own. */
export const rowsOf = (database: Database, table: Table, options?: ReadOptions): Promise<readonly Row[]> =>
  database.read(1, ([reader]) => readAll(reader, table, options))

/** Copies a table's rows as a migration does, under a mark. */
export const copyTable = (from: Database, to: Database, table: Table, mark = table.name.name): Promise<number> =>
  from.read(1, ([reader]) => to.load(table, reader.rows(table), { run: 'copy', name: mark }))

/** The row's cells under their columns' names. */
export const named = (table: Table, row: Row): Values =>
  Object.fromEntries(readableColumns(table).map((column, at) => [column.name, row[at] ?? null]))

/** A row as the adapter reads it, with some columns changed. */
export function changed(table: Table, row: Row, values: Values): Row {
  return readableColumns(table).map((column, at) => (column.name in values ? (values[column.name] ?? null) : (row[at] ?? null)))
}

/** The only row with this key, as the adapter reads it. */
export async function rowOf(database: Database, table: Table, ...key: KeyCells): Promise<Row> {
  const [row] = await database.rowsByKey(table, [key])
  if (row === undefined) throw new Error(`${fullName(table.name)} has no row ${JSON.stringify(key)}.`)
  return row
}

/** Rows in an order that doesn't depend on the server's. */
export const sorted = (rows: readonly Values[]): readonly Values[] =>
  [...rows].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

export async function* batchesOf(...batches: readonly (readonly Row[])[]): AsyncGenerator<readonly Row[]> {
  for (const batch of batches) yield batch
}

/** The MigrateError that `work` ends with; fails the test when it doesn't. */
export async function failureOf(work: Promise<unknown>): Promise<MigrateError> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(outcome).toBeInstanceOf(MigrateError)
  return outcome as MigrateError
}

/** `describe`, or skipped with the reason in its title. */
export function describeWhen(able: boolean, title: string, body: () => void): void {
  if (able) describe(title, body)
  else describe.skip(`${title} (this engine or fake hasn't got it)`, body)
}

/** `it`, or skipped with the reason in its title. */
export function itWhen(able: boolean, title: string, body: () => Promise<void>): void {
  if (able) it(title, body)
  else it.skip(`${title} (this engine or fake hasn't got it)`, body)
}

/** Three customers, two of whom ordered. Returns their ids and the orders'. */
export async function fillShop(
  shop: ShopDatabase,
): Promise<{ readonly customers: readonly string[]; readonly orders: readonly string[] }> {
  const customers = [
    await shop.insert('customers', { email: 'ada@example.com', name: 'Ada', note: '' }),
    await shop.insert('customers', { email: 'bob@example.com', name: null, note: null }),
    await shop.insert('customers', { email: 'zoë@example.com', name: 'Zoë 🛒', note: ' two  trailing  ' }),
  ]
  const product = await shop.insert('products', { title: 'T-shirt', stock: '10', price: '19.9900' })
  const orders: string[] = []
  for (const customer of customers.slice(0, 2)) {
    const order = await shop.insert('orders', { customer_id: customer, placed: '2026-03-01 08:00:00.123456' })
    await shop.insert('order_items', { order_id: order, line: '1', product_id: product, quantity: '2' })
    await shop.insert('order_items', { order_id: order, line: '2', product_id: product, quantity: '1' })
    orders.push(order)
  }
  return { customers, orders }
}

/** Tables of the shop in an order in which rows can be loaded with foreign keys on. */
export const PARENTS_FIRST: readonly ShopTable[] = [
  'customers',
  'products',
  'orders',
  'order_items',
  'categories',
  'departments',
  'employees',
  'visits',
  'never_used',
  'countdown',
  'audit',
  'words',
]

/** What is easily lost or changed on its way. */
export const ODD_TEXTS: readonly (string | null)[] = [
  null,
  '',
  ' ',
  'trailing spaces   ',
  '\ttab, \n newline, \r return, \\ backslash, \\N, \\. and \b\f\v',
  "quotes ' \" ` and ''",
  'NULL',
  '😀 𝕏 👨‍👩‍👧‍👦 four bytes',
  'é and e\u0301 are not the same',
  'ÅÄÖ ß ﬁ İ ı ﷽ עברית',
  '\u0001\u001f\u007f\u0080\u009f\u00a0\u2028\ufeff\ufffd\uffff',
  'x'.repeat(70_000),
]
