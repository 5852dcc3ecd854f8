import { describe, expect, it } from 'vitest'
import { volumeFindings } from '../../src/steps/mail-volume.ts'
import type { MailTarget } from '../../src/steps/world.ts'
import { atRest, FakeClock } from '../fakes/clock.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { TestRun, testWorld } from '../fakes/step-run.ts'

describe('how many mails are to be expected', () => {
  it('is measured from the old shop’s orders, and warned of when a new address would be taken for a flood', async () => {
    const shop = new MemoryShop()
    await shop.createShop()
    const clock = new FakeClock(undefined, { automatic: false })
    const run = new TestRun('/nowhere', clock)
    const mail: MailTarget = {
      from: 'orders@good.example',
      isGiven: true,
      addresses: [],
      perOrder: 2,
      blocklists: [],
      dkim: [],
      resolver: { label: 'none', query: () => Promise.reject(new Error('not asked')) },
    }
    const world = { ...testWorld({ old: { database: shop.open() } }), mail }
    const looking = volumeFindings(world, mail, run)
    await atRest()
    const customer = await shop.insert('customers', { email: 'ann@customers.example' })
    for (let order = 0; order < 5; order += 1) await shop.insert('orders', { customer_id: customer, placed: '2026-11-26' })
    await clock.advance(10_000)
    const [finding] = await looking
    // 5 orders in 10 s, 2 mails each.
    expect(finding).toMatchObject({ severity: 'warning', code: 'mail-volume' })
    expect(finding?.message).toContain('About 3,600 mails an hour')
  })
})
