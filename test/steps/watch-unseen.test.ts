import { expect, it } from 'vitest'
import { cantSeeOrders } from '../../src/steps/watch-unseen.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { TestRun, testWorld } from '../fakes/step-run.ts'

it('says beforehand that the watch cannot see orders which the database does not number', async () => {
  const shop = new MemoryShop()
  await shop.createShop()
  await shop.createFurther()
  const run = new TestRun('/nowhere')
  const world = testWorld({ old: { database: shop.open() } })
  expect(await cantSeeOrders(world, undefined, run)).toEqual([])
  expect(await cantSeeOrders(world, 'orders', run)).toEqual([])
  const skipped = testWorld({ old: { database: shop.open() }, tables: { tokens: { mode: 'skip' } } })
  expect(await cantSeeOrders(skipped, 'tokens', run)).toEqual([])
  expect(await cantSeeOrders(world, 'tokens', run)).toMatchObject([
    { severity: 'warning', code: 'watch-blind-to-orders', message: expect.stringContaining('no numbers for tokens') },
  ])
})
