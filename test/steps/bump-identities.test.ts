import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { DatabaseHost } from '../contract/database-host.ts'
import { atRest } from '../fakes/clock.ts'
import { memoryHost } from '../fakes/memory-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { fill, type MovingShop, movingShop } from './moving-shop.ts'

const MINUTE = 60_000

describe('sizing headroom by what the old host does', () => {
  let host: DatabaseHost
  let shop: MovingShop
  beforeAll(async () => {
    host = await memoryHost()
  })
  afterAll(() => host?.close())
  afterEach(() => shop?.close())

  const planned = async (name: string): Promise<string | undefined> =>
    (await shop.bump.plan(shop.run))
      .map((change) => shop.bump.describe(shop.bump.change.parse(change)))
      .find((line) => line.startsWith(name))

  it('goes by the live table at its busiest since the snapshot, not by the average', async () => {
    shop = await movingShop(host)
    await fill(shop.old)
    await perform(shop.snapshot, shop.run)
    for (let n = 0; n < 60; n += 1) await shop.old.insert('never_used', { note: 'x' })
    await shop.clock.advance(2 * MINUTE)
    // Restoring looks at the old host again; afterwards it is quiet for an hour.
    await perform(shop.restore, shop.run)
    await shop.clock.advance(60 * MINUTE)
    expect(await planned('never_used.id')).toBe(
      'never_used.id: old is at 60; new starts beyond 129,660 (headroom 129,600: measured 30 rows a minute over 24 h 00 min, times 3)',
    )
  })

  it('refuses numbers that the new host lacks, with the way out, which is one', async () => {
    shop = await movingShop(host, { bump: { measure: '30s' } })
    await fill(shop.old)
    const refused = expect(shop.bump.plan(shop.run)).rejects.toMatchObject({
      code: 'identity-missing',
      // A new run alone would stop at the tables that stand there already.
      hint: expect.stringMatching(/migrate rollback PLAYBOOK, then {2}migrate run PLAYBOOK/),
    })
    await atRest()
    await shop.clock.advance(30_000)
    await refused
  })

  it('watches the old host for a moment where this run took no snapshot', async () => {
    shop = await movingShop(host, { bump: { measure: '30s' } })
    await fill(shop.old)
    await shop.new.createShop()
    const planning = shop.bump.plan(shop.run)
    await atRest()
    expect(shop.clock.sleeping).toBe(1)
    for (let n = 0; n < 3; n += 1) await shop.old.insert('never_used', { note: 'x' })
    await shop.clock.advance(30_000)
    const lines = (await planning).map((change) => shop.bump.describe(shop.bump.change.parse(change)))
    expect(lines.find((line) => line.startsWith('never_used.id'))).toContain(
      'old is at 3; new starts beyond 25,923 (headroom 25,920: measured 6.0 rows a minute over 24 h 00 min, times 3',
    )
  })
})
