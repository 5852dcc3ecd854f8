import { rmSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import type { Display } from '../../src/cli/display/display.ts'
import { reconcileFollowing } from '../../src/cli/follow.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import type { RunEvent } from '../../src/run/events.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import { watchPropagationKind } from '../../src/steps/watch-propagation.ts'
import { customer, order } from '../contract/reconcile-pair.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { runOver } from '../run/shelf.ts'

const MINUTE = 60_000

const silent: Display = {
  begin: () => undefined,
  sink: () => undefined,
  tell: () => undefined,
  notice: () => undefined,
  ask: undefined,
  close: async () => undefined,
}

/** Two shops with a baseline, the playbook's quiet of five minutes, and `reconcile --follow` over them in virtual time. */
async function following(onFollow: (time: number, old: MemoryShop, clock: FakeClock) => void = () => undefined) {
  const [oldShop, newShop] = [new MemoryShop(), new MemoryShop()]
  for (const shop of [oldShop, newShop]) {
    await shop.createShop()
    await customer(shop, 'ada@example.com')
  }
  for (const name of ['orders.id', 'customers.id', 'audit.id']) newShop.server.reseed(name, 1000n)
  const world = testWorld({
    old: { database: oldShop.open() },
    new: { database: newShop.open() },
    tables: { visits: { mode: 'skip' } },
  })
  const clock = new FakeClock()
  const { options, events } = await runOver([[reconcileKind.create({}, testContext(world, 'reconcile'))]], { clock })
  let follows = 0
  const sink = (event: RunEvent): void => {
    options.sink(event)
    if (event.event === 'started' && event.step === 'follow-old') onFollow(++follows, oldShop, clock)
  }
  onTestFinished(() => rmSync(options.directory, { recursive: true, force: true }))
  const fresh = newShop.open()
  const tables = (await fresh.schema()).tables.filter(({ key }) => key.length > 0)
  const watch = { id: 'watch', kind: watchPropagationKind, options: watchPropagationKind.options.parse({ quiet: '5m' }) }
  const playbook = { name: 'shop', file: 'shop.yml', steps: [[{ ...watch, written: null, path: [] }]] }
  return {
    oldShop,
    newShop,
    clock,
    events,
    baseline: () => takeBaseline({ directory: options.directory, database: fresh, tables }),
    run: () => reconcileFollowing({ options: { ...options, sink }, world, playbook, display: silent }),
  }
}

/** The passes, and what ended: `new orders,audit`, `whole`. */
const passes = (events: readonly RunEvent[]): readonly string[] =>
  events.flatMap((event) => {
    if (event.event !== 'reconciled') return []
    return [event.newOnly === true ? `new ${Object.keys(event.tables)}` : `whole ${event.proof.unaccounted}`]
  })

it('carries orders as they come, compares everything once the old host is quiet, and again when some came late', async () => {
  const each = await following((time, old, clock) => {
    // The second one within the minute that is looked on after the full pass.
    if (time <= 2) void clock.sleep(time === 1 ? 2 * MINUTE : MINUTE / 2).then(() => order(old, '1'))
  })
  await each.baseline()

  const result = await each.run()

  expect(result).toMatchObject({ outcome: 'ok', exit: 0 })
  expect(passes(each.events)).toEqual(['new orders,audit', 'whole 0', 'new orders,audit', 'whole 0'])
  expect(await each.newShop.rows('orders')).toEqual(await each.oldShop.rows('orders'))
  expect(each.events.filter((event) => event.event === 'finished')).toHaveLength(1)
  expect(each.events.at(-1)).toMatchObject({ event: 'finished', outcome: 'ok' })
})

it('ends at once, with what to do, when there is no baseline to follow from', async () => {
  const each = await following()
  expect(await each.run()).toMatchObject({ outcome: 'failed', exit: 1 })
  expect(each.events).toContainEqual(expect.objectContaining({ event: 'failed', code: 'baseline-missing' }))
  expect(each.events.filter((event) => event.event === 'finished')).toHaveLength(1)
})
