import { z } from 'zod'
import { canonicalJson } from '../base/json.ts'
import { formatCount } from '../base/units.ts'
import type { KeptReceipt } from './crowd.ts'
import { type Receipt, receiptSchema } from './shop-checkout.ts'
import type { Queryable } from './shop-tables.ts'

/** A receipt that the new database doesn't bear out, and why, in words. */
export interface ReceiptFault {
  readonly receipt: Receipt
  readonly fault: string
}

export interface ReceiptCheck {
  readonly receipts: number
  /** Borne out in full. */
  readonly good: number
  readonly faults: readonly ReceiptFault[]
  /** Addresses of customers who are registered more than once. */
  readonly customersTwice: readonly string[]
}

/** Nothing lost, nothing doubled, nothing changed. */
export const isSound = (check: ReceiptCheck): boolean => check.faults.length === 0 && check.customersTwice.length === 0

const foundSchema = receiptSchema.unwrap().extend({ events: z.number() })
type Found = z.infer<typeof foundSchema>

const FIND = `
  SELECT orders.id::text AS order, invoice::text, amount::text, customers.id::text AS customer, customers.name, email, reference::text,
    (SELECT coalesce(json_agg(json_build_object('sku', sku, 'quantity', quantity) ORDER BY line), '[]'::json)
       FROM order_items JOIN products ON products.id = product_id WHERE order_id = orders.id) AS items,
    (SELECT count(*)::integer FROM order_events WHERE order_id = orders.id AND what = 'placed') AS events
  FROM orders JOIN customers ON customers.id = customer_id
  WHERE reference = ANY($1::uuid[])`

const AT_ONCE = 1000

/**
 * Holds the customers' own receipts against a database. A receipt is good when exactly one order bears its reference, with the
 * same number, invoice, amount, items and customer, and no other receipt carries the same number. Reads only.
 */
export async function checkReceipts(database: Queryable, kept: readonly KeptReceipt[]): Promise<ReceiptCheck> {
  const receipts = kept.map((each) => each.receipt)
  const found = new Map<string, Found[]>()
  for (let start = 0; start < receipts.length; start += AT_ONCE) {
    const references = receipts.slice(start, start + AT_ONCE).map((receipt) => receipt.reference)
    const { rows } = await database.query(FIND, [references])
    for (const row of z.array(foundSchema).parse(rows)) found.set(row.reference, [...(found.get(row.reference) ?? []), row])
  }
  const numbers = countBy(receipts.map((receipt) => receipt.order))
  const invoices = countBy(receipts.map((receipt) => receipt.invoice))
  const faults = receipts.flatMap((receipt): readonly ReceiptFault[] => {
    const words = [
      ...faultsOf(receipt, found.get(receipt.reference) ?? []),
      ...(numbers.get(receipt.order) === 1 ? [] : [`order number ${receipt.order} was given to more than one customer`]),
      ...(invoices.get(receipt.invoice) === 1 ? [] : [`invoice number ${receipt.invoice} was given to more than one customer`]),
    ]
    return words.length === 0 ? [] : [{ receipt, fault: words.join('; ') }]
  })
  return {
    receipts: receipts.length,
    good: receipts.length - faults.length,
    faults,
    customersTwice: await customersTwice(database),
  }
}

function faultsOf(receipt: Receipt, orders: readonly Found[]): readonly string[] {
  const [order, ...more] = orders
  if (order === undefined) return ['the new host has no such order']
  if (more.length > 0) return [`the new host has it ${orders.length} times: as ${orders.map((each) => each.order).join(', ')}`]
  const differing = (['order', 'invoice', 'amount', 'customer', 'name', 'email'] as const).filter(
    (key) => order[key] !== receipt[key],
  )
  return [
    ...differing.map((key) => `${key} is ${order[key]} on the new host, ${receipt[key]} on the receipt`),
    ...(canonicalJson(order.items) === canonicalJson(receipt.items) ? [] : ['the items differ']),
    ...(order.events === 1 ? [] : [`it was noted as placed ${order.events} times`]),
  ]
}

function countBy(values: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

async function customersTwice(database: Queryable): Promise<readonly string[]> {
  const { rows } = await database.query('SELECT lower(email) AS email FROM customers GROUP BY lower(email) HAVING count(*) > 1')
  return z
    .array(z.object({ email: z.string() }))
    .parse(rows)
    .map((row) => row.email)
}

const SHOWN = 20

/** The check in plain words, one line each. */
export function describeCheck(check: ReceiptCheck, carried: number): readonly string[] {
  const lines = check.faults
    .slice(0, SHOWN)
    .map(({ receipt, fault }) => `  order ${receipt.order} of ${receipt.email}: ${fault}.`)
  const hidden = check.faults.length - lines.length
  if (check.faults.length > 0) {
    return [
      `${formatCount(check.faults.length)} of ${formatCount(check.receipts)} receipts are not borne out by the new host:`,
      ...lines,
      ...(hidden > 0 ? [`  … and ${formatCount(hidden)} more.`] : []),
    ]
  }
  return [
    `${formatCount(check.receipts)} receipts, ${formatCount(check.good)} orders found on the new host, each exactly once, with the right customer, items and amount.`,
    `${formatCount(carried)} of them were placed on the old host after the snapshot and carried over.`,
    ...check.customersTwice.map((email) => `But ${email} is there twice as a customer.`),
  ]
}

/** Numbers of the orders that migrate's ledger on this database says were carried over. */
export async function carriedOrders(database: Queryable): Promise<ReadonlySet<string>> {
  const found = await database.query(
    "SELECT coalesce(to_regclass('public.migrate_ledger'), to_regclass('migrate_own.migrate_ledger'))::text AS ledger",
  )
  const ledger = found.rows[0]?.ledger
  if (typeof ledger !== 'string') return new Set()
  const { rows } = await database.query(
    `SELECT target_key AS key FROM ${ledger} WHERE table_name IN ('public.orders', 'orders') AND action = 'inserted'`,
  )
  const keys = z.array(z.object({ key: z.string() })).parse(rows)
  return new Set(keys.map(({ key }) => z.tuple([z.string()]).parse(JSON.parse(key))[0]))
}
