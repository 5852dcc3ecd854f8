import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { REGULARS, type StoryDatabase } from './engine.ts'
import { NEW_ADDRESS, type StoryHosts, ZONE } from './story-hosts.ts'

/** What a customer holds in hand: the order's number, whose it is, and what was paid. */
export interface Receipt {
  readonly id: string
  readonly customer: string
  readonly total: string
}

/** Buys `count` times: mostly regulars, now and then somebody who registers first. Returns the receipts. */
export async function buy(shop: StoryDatabase, count: number, who: string): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  for (let n = 0; n < count; n += 1) {
    const customer = n % 25 === 0 ? await shop.register(`${who}${n}@example.com`, `${who} ${n}`) : String(1 + (n % REGULARS))
    const total = `${n % 500}.2500`
    receipts.push({ id: await shop.order(customer, total), customer, total })
  }
  return receipts
}

/** The last ones on a host, who come one by one: so slowly that nobody who counts its numbers takes them for a rush. */
export async function buyOneByOne(shop: StoryDatabase, count: number, who: string): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  while (receipts.length < count) {
    receipts.push(...(await buy(shop, 1, `${who}${receipts.length}-`)))
    await wait(200)
  }
  return receipts
}

/** Customers of the new host: they ask their resolver first, and buy where it sends them, for as long as the run goes on. */
export async function buyOnNew(hosts: StoryHosts, running: () => boolean): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  while (running()) {
    const answer = await hosts.resolver.resolver.query(ZONE, 'A')
    if (answer.records.some((record) => record.content === NEW_ADDRESS))
      receipts.push(...(await buy(hosts.new, 3, `new${receipts.length}-`)))
    await wait(50)
  }
  return receipts
}

/** Customers whose resolvers never heard of the move: one purchase after the other, as long as they come, `most` at most. */
export async function buyOnOld(hosts: StoryHosts, coming: () => boolean, most: number): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  while (coming() && receipts.length < most) {
    receipts.push(...(await buy(hosts.old, 3, `old${receipts.length}-`)))
    await wait(150)
  }
  return receipts
}

/** Every receipt is an order of this shop, once, of the right customer and for the right sum. */
export async function withReceipts(shop: StoryDatabase, receipts: readonly Receipt[]): Promise<void> {
  const orders = await shop.rows('Orders')
  const byId = new Map(orders.map((row) => [row.OrderID, row]))
  expect(byId.size).toBe(orders.length)
  for (const receipt of receipts) {
    const found = byId.get(receipt.id)
    expect(found?.CustomerID).toBe(receipt.customer)
    expect(Number(found?.Total)).toBe(Number(receipt.total))
  }
}
