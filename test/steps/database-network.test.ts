import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { DatabaseHost, ShopDatabase } from '../contract/database-host.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { perform } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { contents, fill, type MovingShop, movingShop } from './moving-shop.ts'

type Proxied = Awaited<ReturnType<NonNullable<ShopDatabase['openThroughProxy']>>>

describe('a line that breaks while a database is moved', () => {
  let host: DatabaseHost
  let shop: MovingShop
  let proxy: Proxied
  beforeAll(async () => {
    host = postgresHost(await startTestPostgres({ host: '127.0.31.2' }))
  })
  afterAll(() => host?.close())
  afterEach(() => shop?.close())

  const through = async (each: ShopDatabase) => {
    const made = await each.openThroughProxy?.()
    if (made === undefined) throw new Error('no proxy')
    proxy = made
    return proxy.database
  }

  it('in the middle of a table: what was saved is kept, and nothing is saved twice', async () => {
    shop = await movingShop(host, { reachOld: through })
    await fill(shop.old, 150_000)
    const planned = await shop.snapshot.plan(shop.run)
    // About half of the table is through.
    proxy.cut(1_100_000)
    await expect(shop.snapshot.apply(planned[0] ?? null, shop.run)).rejects.toMatchObject({
      code: 'database-connection-lost',
      retrySafe: true,
    })
    proxy.mend()
    const [rest] = await shop.snapshot.plan(shop.run)
    expect(shop.snapshot.describe(rest ?? null)).toContain('go on saving')
    await perform(shop.snapshot, shop.run)
    await perform(shop.restore, shop.run)
    expect(await shop.restore.verify(shop.run)).toMatchObject([{ code: 'rows-restored' }])
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
  })

  it('in the middle of a load: whole parts stand, and nothing is loaded twice', async () => {
    shop = await movingShop(host, { reachNew: through })
    await fill(shop.old, 150_000)
    await perform(shop.snapshot, shop.run)
    // A slow old host makes for smaller parts: the cut comes in whichever of them the bytes run out.
    let isCounting = false
    let failure: unknown
    for (const change of await shop.restore.plan(shop.run)) {
      const load = typeof change === 'object' && change !== null && 'kind' in change && change.kind === 'load'
      if (load && !isCounting) proxy.cut(1_100_000)
      isCounting ||= load
      failure = await shop.restore.apply(change, shop.run).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (failure !== undefined) break
    }
    // Or between two loads: then the next one finds nobody there.
    expect(failure).toMatchObject({ code: expect.stringMatching(/^database-(connection-lost|unreachable)$/) })
    proxy.mend()
    await perform(shop.restore, shop.run)
    expect(await shop.restore.verify(shop.run)).toMatchObject([{ code: 'rows-restored' }])
    expect(await contents(shop.new)).toEqual(await contents(shop.old))
  })
})
