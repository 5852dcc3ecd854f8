import { afterEach, describe, expect, it } from 'vitest'
import { MemoryShop, memoryHost } from '../fakes/memory-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { fill, type MovingShop, movingShop } from './moving-shop.ts'

describe('a new host that is written to while its rows are being fingerprinted', () => {
  let shop: MovingShop
  afterEach(() => shop?.close())

  /** Restores a filled shop; `meanwhile` happens once, after the first fingerprints of a table with rows were read. */
  async function restored(meanwhile: (shop: MovingShop) => Promise<unknown>) {
    let once = false
    shop = await movingShop(await memoryHost(), {
      tables: { visits: { mode: 'track' } },
      reachNew: async (fresh) => {
        if (!(fresh instanceof MemoryShop)) throw new Error('this test needs the database in memory')
        return fresh.open({
          onCall: async (operation, when) => {
            if (operation !== 'prints' || when !== 'after' || once) return
            once = true
            await meanwhile(shop)
          },
        })
      },
    })
    await fill(shop.old)
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
    return shop.restore.verify(shop.run)
  }

  it.each([
    [
      'changes a row',
      (each: MovingShop) => each.new.update('customers', { email: 'ada@example.com' }, { name: 'from a worker' }),
      'customers',
    ],
    [
      'changes a row of a table yet to come',
      (each: MovingShop) => each.new.update('words', { word: 'w000001' }, { meaning: 'x' }),
      'words',
    ],
    ['counts a visit', (each: MovingShop) => each.new.insert('visits', { page: '/', visitor: null }), 'visits'],
  ])('ends the step with the table named, when somebody %s', async (_what, deed, table) => {
    const findings = await restored(deed)
    const written = findings.find((finding) => finding.code === 'written-before-baseline')
    expect(written).toMatchObject({ severity: 'error', message: expect.stringContaining(`in ${table}:`) })
    expect(written?.hint).toContain('migrate rollback')
    // It doesn't go away by itself when the run is resumed.
    expect(await shop.restore.plan(shop.run)).toEqual([])
    expect((await shop.restore.verify(shop.run)).map((finding) => finding.code)).toContain('written-before-baseline')
  })

  it('is no matter any more once all is fingerprinted', async () => {
    const findings = await restored(async () => undefined)
    expect(findings.map(({ code }) => code)).toEqual(['rows-restored'])
    await shop.new.update('customers', { email: 'ada@example.com' }, { name: 'a customer' })
    expect((await shop.restore.verify(shop.run)).map(({ code }) => code)).toEqual(['rows-restored'])
  })
})
