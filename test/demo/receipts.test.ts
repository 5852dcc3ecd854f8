import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { gatherCrowd, type KeptReceipt, type Takings } from '../../src/demo/crowd.ts'
import { luck } from '../../src/demo/customers-luck.ts'
import { debianPostgres, type PostgresServer } from '../../src/demo/postgres-server.ts'
import { checkReceipts, describeCheck, isSound } from '../../src/demo/receipts.ts'
import { type Shop, startShop } from '../../src/demo/shop.ts'
import { writeSite } from '../../src/demo/shop-site.ts'
import { createShopTables } from '../../src/demo/shop-tables.ts'
import type { Resolver } from '../../src/dns/port.ts'
import { dataRoom } from '../servers/copies.ts'
import { startCopiedPostgres } from '../servers/postgres-copies.ts'

const ADDRESS = '127.0.0.1'
const SEED = 7

let folder: string
let server: PostgresServer
let database: pg.Client
let shop: Shop
let takings: Takings

beforeAll(async () => {
  folder = await mkdtemp(join(dataRoom, 'migrate-shop-'))
  await chmod(folder, 0o711) // As root, the server runs as somebody else and must get through.
  const binaries = debianPostgres()
  server = await startCopiedPostgres({
    directory: join(folder, 'postgres'),
    host: ADDRESS,
    ...(binaries === undefined ? {} : { binaries }),
  })
  const url = await server.createDatabase('shop', { user: 'shop', password: 'demo' })
  database = new pg.Client({ connectionString: url })
  await database.connect()
  await createShopTables(database, luck(SEED))
  const root = join(folder, 'site')
  shop = await startShop({ root, address: ADDRESS, port: 0 })
  await writeSite(root, url)
  takings = await crowdBuys(30)
})

afterAll(async () => {
  await shop?.stop()
  await database?.end()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

describe('a shop with customers', () => {
  test('every purchase gets a receipt, and the shop keeps every one of them', async () => {
    expect(takings.failures).toEqual([])
    expect(takings.pageFailures).toEqual([])
    expect(takings.receipts.length).toBeGreaterThanOrEqual(30)
    const check = await checkReceipts(database, takings.receipts)
    expect(check.faults).toEqual([])
    expect(isSound(check)).toBe(true)
    expect(describeCheck(check, 3).join(' ')).toContain('each exactly once')
  })

  test('newcomers and regulars both buy', () => {
    const emails = takings.receipts.map(({ receipt }) => receipt.email)
    expect(emails.some((email) => email.startsWith('new-'))).toBe(true)
    expect(emails.some((email) => email.startsWith('regular-'))).toBe(true)
  })

  test('a host without site or database says that it is out of order', async () => {
    const empty = await startShop({ root: join(folder, 'nothing'), address: ADDRESS, port: 0 })
    try {
      const answer = await fetch(`http://${ADDRESS}:${empty.port}/`)
      expect(answer.status).toBe(503)
    } finally {
      await empty.stop()
    }
  })
})

describe('the check of the receipts finds', () => {
  test('an order that was lost', async () => {
    await spoiled('DELETE FROM orders WHERE id = $1', async (words) => expect(words).toContain('the new host has no such order'))
  })

  test('another amount', async () => {
    await spoiled('UPDATE orders SET amount = amount + 0.01 WHERE id = $1', async (words) => expect(words).toContain('amount is'))
  })

  test('the wrong customer', async () => {
    const sql = 'UPDATE orders SET customer_id = (SELECT max(id) FROM customers WHERE id <> customer_id) WHERE id = $1'
    await spoiled(sql, async (words) => expect(words).toContain('customer is'))
  })

  test('missing items', async () => {
    await spoiled('DELETE FROM order_items WHERE order_id = $1', async (words) => expect(words).toContain('the items differ'))
  })

  test('an order that came twice', async () => {
    const sql =
      'INSERT INTO orders (customer_id, reference, amount) SELECT customer_id, reference, amount FROM orders WHERE id = $1'
    await spoiled(sql, async (words) => expect(words).toContain('the new host has it 2 times'))
  })

  test('one number given to two customers', async () => {
    const [first, second] = takings.receipts
    const twice = [first, second && { ...second, receipt: { ...second.receipt, order: first?.receipt.order ?? '' } }]
    const check = await checkReceipts(
      database,
      twice.filter((each): each is KeptReceipt => each !== undefined),
    )
    expect(check.faults.map(({ fault }) => fault).join()).toContain('was given to more than one customer')
    expect(isSound(check)).toBe(false)
  })
})

/** Spoils the first receipt's order, looks at what the check says, and takes the spoiling back. */
async function spoiled(sql: string, look: (words: string) => Promise<void>): Promise<void> {
  const order = takings.receipts[0]?.receipt.order
  await database.query('BEGIN')
  try {
    await database.query(sql, [order])
    const check = await checkReceipts(database, takings.receipts)
    expect(check.good).toBe(takings.receipts.length - 1)
    expect(isSound(check)).toBe(false)
    await look(describeCheck(check, 0).join('\n'))
  } finally {
    await database.query('ROLLBACK')
  }
}

async function crowdBuys(receipts: number): Promise<Takings> {
  const crowd = gatherCrowd({
    site: new URL(`http://shop.demo.test:${shop.port}`),
    resolvers: [pointingAt(ADDRESS)],
    size: 20,
    clock: systemClock,
    luck: luck(SEED),
  })
  try {
    const enough = (): void => expect(crowd.takings().receipts.length).toBeGreaterThanOrEqual(receipts)
    await vi.waitFor(enough, { timeout: 30_000, interval: 100 })
  } finally {
    await crowd.disperse()
  }
  return crowd.takings()
}

const pointingAt = (address: string): Resolver => ({
  label: 'fixed',
  query: async (name, type) => ({
    status: 'NOERROR',
    authoritative: false,
    records: [{ name, type, content: address, ttlSeconds: 1 }],
    negativeTtlSeconds: null,
    milliseconds: 0,
  }),
})
