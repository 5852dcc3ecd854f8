import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DatabaseHost } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { fill, movingShop } from './moving-shop.ts'
import { movingSuite } from './moving-suite.ts'

movingSuite('postgres', async () => postgresHost(await startTestPostgres({ host: '127.0.31.1' })))

describe('numberings of postgres that somebody began anew and nobody has used since', () => {
  let host: DatabaseHost
  beforeAll(async () => {
    host = postgresHost(await startTestPostgres({ host: '127.0.31.15' }))
  })
  afterAll(() => host?.close())

  it('go on from there on the new host, raised or not', async () => {
    const shop = await movingShop(host)
    await fill(shop.old)
    await shop.oldDatabase.runStatements([
      'ALTER SEQUENCE invoice_numbers RESTART WITH 2026000001',
      'ALTER TABLE never_used ALTER COLUMN id RESTART WITH 300',
      'ALTER TABLE countdown ALTER COLUMN id RESTART WITH -50',
      'ALTER TABLE customers ALTER COLUMN id RESTART WITH 7000',
      // Back, to where rows stand already.
      'ALTER TABLE orders ALTER COLUMN id RESTART WITH 1',
    ])
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
    expect(await shop.restore.plan(shop.run)).toEqual([])
    expect(await shop.new.nextInvoice()).toBe('2026000001')
    expect(await shop.new.insert('never_used', { note: 'first' })).toBe('300')
    expect(await shop.new.insert('countdown', { note: 'down' })).toBe('-50')
    expect(await shop.new.insert('customers', { email: 'eve@example.com', name: null, note: null })).toBe('7000')
    expect(await shop.new.insert('orders', { customer_id: '1', placed: '2026-11-21 00:00:00', status: 'open' })).toBe('4')
    await shop.close()
  })
})
