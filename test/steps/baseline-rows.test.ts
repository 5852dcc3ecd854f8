import { readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import type { Table } from '../../src/databases/schema.ts'
import { type BaselineRows, baselineRows } from '../../src/steps/baseline-rows.ts'
import { memoryHost } from '../fakes/memory-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { fill, type MovingShop, movingShop } from './moving-shop.ts'

describe('how both hosts last had a row', () => {
  let shop: MovingShop
  let customers: Table
  beforeEach(async () => {
    shop = await movingShop(await memoryHost())
    await fill(shop.old)
    await perform(shop.snapshot, shop.run)
    const { tables } = await shop.oldDatabase.schema()
    const found = tables.find((table) => table.name.name === 'customers')
    if (found === undefined) throw new Error('no customers')
    customers = found
  })
  afterEach(() => shop?.close())

  const looker = (clock: Clock = shop.clock): BaselineRows => {
    const { directory, signal } = shop.run
    return baselineRows({ directory, database: shop.newDatabase, clock, signal })
  }

  it('is found in the snapshot, whatever happened on the hosts since', async () => {
    await shop.old.update('customers', { id: '1' }, { name: 'changed' })
    const rows = await looker()(customers, ['["1"]', '["77"]'])
    if (typeof rows === 'string') throw new Error(rows)
    expect([...rows.keys()]).toEqual(['["1"]'])
    expect(rows.get('["1"]')).toContain('Åda  ')
  })

  it('is not made up where the snapshot is gone, damaged or of another shape: it says which', async () => {
    const other = { ...customers, columns: customers.columns.slice(1) }
    expect(await looker()(other, ['["1"]'])).toBe('The table has other columns than in the snapshot.')
    const folder = join(shop.run.directory, 'database', 'tables')
    for (const name of await readdir(folder, { recursive: true })) {
      if (/small-|part-/.test(name)) await truncate(join(folder, name), 3)
    }
    expect(await looker()(customers, ['["1"]'])).toMatch(/^The snapshot can't be read: /)
    await rm(join(shop.run.directory, 'database'), { recursive: true })
    expect(await looker()(customers, ['["1"]'])).toBe('The snapshot was made by other means, or is gone.')
  })

  it('is looked for a bounded time altogether', async () => {
    // Each look at this clock costs 15 seconds.
    let passed = 0
    const slow: Clock = { now: () => 0, monotonic: () => (passed += 15_000), sleep: () => Promise.resolve() }
    const look = looker(slow)
    expect(await look(customers, ['["1"]'])).toHaveProperty('size', 1)
    expect(await look(customers, ['["77"]'])).toContain('too large')
    expect(await look(customers, ['["1"]'])).toContain('too large')
  })
})
