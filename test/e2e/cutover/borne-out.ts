import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../../../src/base/errors.ts'
import { type Host, onDatabase } from './host.ts'
import type { News } from './messages.ts'

const FOUND = `
  SELECT reference::text, orders.id::text AS order, invoice::text, amount::text, email, name,
    (SELECT count(*)::int FROM order_events WHERE order_id = orders.id) AS events,
    (SELECT json_agg(json_build_object('sku', sku, 'quantity', quantity) ORDER BY line)
       FROM order_items JOIN products ON products.id = product_id WHERE order_id = orders.id) AS items
  FROM orders JOIN customers ON customers.id = customer_id WHERE status = 'paid'`

/** What stands on a host of the orders placed since the customers began, by SQL of our own. */
async function ordersOn({ databaseUrl }: Host): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return await onDatabase(databaseUrl, async (database) => (await database.query(FOUND)).rows)
}

/** Receipts that don't stand on the host as they were given, once, and orders there that nobody has a receipt for. */
export async function differencesOn(
  host: Host,
  news: readonly News[],
): Promise<{ readonly lost: readonly string[]; readonly unknown: readonly string[] }> {
  const receipts = news.flatMap((each) => (each.kind === 'bought' ? [each.receipt] : []))
  const orders = (await ordersOn(host)).map(print)
  const expected = receipts.map((receipt) => print({ ...receipt, events: 1 }))
  const counts = Map.groupBy(orders, (each) => each)
  const known = new Set(expected)
  return {
    lost: expected.filter((each) => counts.get(each)?.length !== 1),
    unknown: orders.filter((each) => !known.has(each)),
  }
}

// The number of the customer isn't compared: whoever registered on both hosts is one customer in the end.
const print = ({ reference, order, invoice, amount, email, name, events, items }: Readonly<Record<string, unknown>>): string =>
  JSON.stringify([reference, order, invoice, amount, email, name, events, items])

/** Pictures that customers uploaded, to whichever host, and that aren't on this one as they were sent. */
export async function missingUploads({ site }: Host, news: readonly News[]): Promise<readonly string[]> {
  const uploads = news.flatMap((each) => (each.kind === 'uploaded' ? [each] : []))
  const found = await Promise.all(uploads.map(async (each) => (await contentOf(join(site, each.path))) === each.content))
  return uploads.filter((_each, index) => !found[index]).map(({ path, address }) => `${path}, sent to ${address}`)
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Longest time between two acknowledged orders, whoever placed them and wherever, milliseconds. */
export function longestGapMs(news: readonly News[]): number {
  const times = news.filter(({ kind }) => kind === 'bought').map(({ at }) => at)
  return Math.max(0, ...times.toSorted((a, b) => a - b).map((at, index, all) => at - (all[index - 1] ?? at)))
}
