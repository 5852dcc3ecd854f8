import type pg from 'pg'
import { z } from 'zod'

/** What a customer sends to the shop. The reference is the customer's own mark of this purchase. */
export const purchaseSchema = z
  .object({
    email: z.string(),
    name: z.string(),
    reference: z.string(),
    items: z
      .array(z.object({ sku: z.string(), quantity: z.number().int().positive() }).readonly())
      .min(1)
      .readonly(),
  })
  .readonly()
export type Purchase = z.infer<typeof purchaseSchema>

/** What the shop answers, and the customer keeps. Numbers as decimal text. */
export const receiptSchema = z
  .object({
    order: z.string(),
    invoice: z.string(),
    amount: z.string(),
    /** The shop's number for the customer, and what it calls them. */
    customer: z.string(),
    name: z.string(),
    email: z.string(),
    reference: z.string(),
    items: z.array(z.object({ sku: z.string(), quantity: z.number() }).readonly()).readonly(),
  })
  .readonly()
export type Receipt = z.infer<typeof receiptSchema>

const CUSTOMER = `INSERT INTO customers (email, name) VALUES ($1, $2) ON CONFLICT (email) DO NOTHING`

const ORDER = `
  WITH wanted AS (
    SELECT products.id AS product_id, products.price, item.quantity, item.line
    FROM unnest($3::text[], $4::integer[]) WITH ORDINALITY AS item (sku, quantity, line) JOIN products USING (sku)
  ), placed AS (
    INSERT INTO orders (customer_id, reference, amount)
    SELECT customers.id, $2::uuid, (SELECT sum(price * quantity) FROM wanted) FROM customers WHERE email = $1
    RETURNING id, invoice, amount, customer_id
  ), lines AS (
    INSERT INTO order_items (order_id, line, product_id, quantity, price)
    SELECT placed.id, line, product_id, quantity, price FROM placed, wanted
  )
  SELECT placed.id::text AS order, invoice::text, amount::text, customers.id::text AS customer, customers.name
  FROM placed JOIN customers ON customers.id = customer_id`

const orderRowSchema = z.object({
  order: z.string(),
  invoice: z.string(),
  amount: z.string(),
  customer: z.string(),
  name: z.string(),
})

/** Registers the customer if need be and places the order, all in one transaction. The receipt stands for a commit that was answered. */
export async function placeOrder(pool: pg.Pool, purchase: Purchase): Promise<Receipt> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('BEGIN')
    // Asked before it is tried: a conflicting insert would use up a customer number for every regular's purchase.
    const known = await client.query('SELECT 1 FROM customers WHERE email = $1', [purchase.email])
    if (known.rowCount === 0) await client.query(CUSTOMER, [purchase.email, purchase.name])
    const skus = purchase.items.map((item) => item.sku)
    const quantities = purchase.items.map((item) => item.quantity)
    const placed = await client.query(ORDER, [purchase.email, purchase.reference, skus, quantities])
    await client.query('COMMIT')
    return { ...purchase, ...orderRowSchema.parse(placed.rows[0]) }
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error))
    throw error
  } finally {
    // A connection that failed isn't used again: closing it also rolls back.
    client.release(broken)
  }
}
