import { beforeEach, describe, expect, it } from 'vitest'
import { isoTime } from '../../src/base/clock.ts'
import type { EventBody } from '../../src/run/events.ts'
import type { Step } from '../../src/run/step.ts'
import { CUTOVER_KEY, LOWERED_KEY } from '../../src/steps/dns-change.ts'
import { HEADROOM_KEY } from '../../src/steps/headroom.ts'
import { watchPropagationKind } from '../../src/steps/watch-propagation.ts'
import type { World } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { type MemoryZone, memoryResolver, scriptedResolver } from '../fakes/memory-dns.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, type TestRun, trackRules } from '../fakes/step-run.ts'
import { type DnsWorldOptions, dnsWorld, findings, NEW, newRun, notes, OLD, record, shopZone, stepOf } from './dns-world.ts'

const MINUTE = 60_000
const OPTIONS = { resolvers: ['127.0.0.1'], quiet: '30m', every: '1m' }

type Watch = Extract<EventBody, { event: 'watch' }>
const watches = (run: TestRun): readonly Watch[] => run.events.filter((event) => event.event === 'watch')

describe('watch-propagation', () => {
  let clock: FakeClock
  let zone: MemoryZone
  let oldShop: MemoryShop
  let newShop: MemoryShop
  let run: TestRun
  let start: number

  /** Does something so many minutes after the watch began. */
  const atMinute = (minutes: number, act: () => unknown): void => {
    void clock.sleep(minutes * MINUTE).then(act)
  }
  const order = async (shop: MemoryShop): Promise<void> =>
    void (await shop.insert('orders', { customer_id: '1', placed: 'now', status: 'open' }))
  const worldWith = (options: DnsWorldOptions = {}, extra: Partial<World> = {}): World => {
    const world = dnsWorld(zone, { resolvers: [memoryResolver(zone, 'resolver 1')], ...options })
    return {
      ...world,
      old: { side: 'old', connections: 2, database: oldShop.open() },
      new: { side: 'new', connections: 2, database: newShop.open() },
      ...extra,
    }
  }
  const watching = (options: DnsWorldOptions = {}, extra: Partial<World> = {}, settings: object = OPTIONS): Step =>
    stepOf(watchPropagationKind, worldWith(options, extra), settings)
  const minutes = (): number => (clock.now() - start) / MINUTE

  beforeEach(async () => {
    clock = new FakeClock()
    start = clock.now()
    zone = shopZone([
      record({ name: 'shop.example', content: NEW, ttlSeconds: 60 }),
      record({ name: 'www.shop.example', type: 'CNAME', content: 'shop.example' }),
    ])
    oldShop = new MemoryShop()
    newShop = new MemoryShop()
    for (const shop of [oldShop, newShop]) {
      await shop.createShop()
      await shop.insert('customers', { email: 'a@example.com' })
    }
    run = newRun(clock)
    run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
  })

  it('ends when all agree and the old host has been quiet for as long as asked, and then has nothing left to do', async () => {
    const step = watching()
    const planned = await perform(step, run)
    expect(planned.map((change) => step.describe(step.change.parse(change)))).toEqual([
      'watch shop.example, www.shop.example until the old host had no new row for 30 min 00 s',
    ])
    expect(minutes()).toBe(30)
    expect(watches(run)).toHaveLength(31)
    expect(watches(run).at(-1)).toMatchObject({ resolvers: { agreed: 2, total: 2 }, drained: true })
    expect(
      watches(run)
        .slice(0, -1)
        .every((each) => !each.drained),
    ).toBe(true)
    expect(await step.plan(run)).toEqual([])
  })

  it('starts counting anew when a late order comes to the old host', async () => {
    atMinute(29.5, () => order(oldShop))
    await perform(watching(), run)
    expect(minutes()).toBe(60)
    expect(notes(run)).toEqual([
      'A new row came to the old host after 30 min 00 s of quiet: the countdown begins anew.',
      'The old host counts as drained: no new row for 30 min 00 s, 2 of 2 name servers agree, 3 old TTLs have passed.',
    ])
  })

  it('is open again in the next run when an order came after it had counted as drained', async () => {
    const step = watching()
    await perform(step, run)
    await order(oldShop)
    expect(await step.plan(run)).toHaveLength(1)
    await perform(step, run)
    expect(findings(run)).toContain('late-order')
    expect(minutes()).toBe(60)
    expect(await step.plan(run)).toEqual([])
  })

  it('goes on counting where it was cut off', async () => {
    const stop = new AbortController()
    run.signal = stop.signal
    atMinute(20.5, () => stop.abort(new Error('cut off')))
    await expect(perform(watching(), run)).rejects.toThrow('cut off')
    run.signal = new AbortController().signal
    await perform(watching(), run)
    expect(minutes()).toBeLessThan(31)
  })

  it('counts what drained before a later cutover for nothing', async () => {
    const step = watching()
    await perform(step, run)
    await clock.sleep(MINUTE)
    run.facts.set(CUTOVER_KEY, { at: clock.now(), ttlSeconds: 60 })
    expect(await step.plan(run)).toHaveLength(1)
  })

  it('is not done before the old TTL has passed several times over, quiet or not', async () => {
    run.facts.set(LOWERED_KEY, { at: start, oldTtlSeconds: 1200, done: true })
    await perform(watching(), run)
    expect(minutes()).toBe(60)
    expect(watches(run)[0]?.quiet).toEqual({ seconds: 0, of: 3600 })
  })

  it('must be quiet for as many old TTLs as the playbook says, when they are longer than `quiet`', async () => {
    run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 600 })
    atMinute(9.5, () => order(oldShop))
    await perform(watching({}, {}, { ...OPTIONS, ttls: 5 }), run)
    expect(minutes()).toBe(60)
  })

  it('waits for the resolver that lags, and says who, what and for how long', async () => {
    const lagging = scriptedResolver('slow resolver', (name, type) => {
      if (minutes() >= 45 || type === 'CNAME') return zone.answer(name, type)
      return { records: [{ name, type: 'A', content: OLD, ttlSeconds: 240 }] }
    })
    await perform(watching({ resolvers: [memoryResolver(zone, 'fast resolver'), lagging] }), run)
    expect(minutes()).toBe(45)
    expect(notes(run).slice(0, -1)).toEqual([
      `1 of 3 asked still give another answer: slow resolver says shop.example A: ${OLD}; www.shop.example A: ${OLD}, for 4 min 00 s more.`,
    ])
    expect(watches(run)[0]).toMatchObject({ resolvers: { agreed: 2, total: 3 } })
  })

  it('leaves out a resolver that never answers, saying so once, and counts it again when it does', async () => {
    const dead = scriptedResolver('dead resolver', () => ({ status: 'TIMEOUT' }))
    await perform(watching({ resolvers: [memoryResolver(zone, 'good'), dead] }), run)
    expect(minutes()).toBe(30)
    expect(findings(run)).toEqual(['resolver-unreachable'])
    expect(
      watches(run)
        .map((each) => each.resolvers.total)
        .slice(0, 4),
    ).toEqual([3, 3, 2, 2])

    const back = newRun(clock)
    const returned = clock.now() + 10 * MINUTE
    const flaky = scriptedResolver('flaky', (name, type) =>
      clock.now() < returned ? { status: 'TIMEOUT' } : zone.answer(name, type),
    )
    await perform(watching({ resolvers: [flaky] }), back)
    expect(notes(back).slice(0, -1)).toEqual(['flaky answers again and is counted again.'])
    expect(watches(back).at(-1)?.resolvers).toEqual({ agreed: 2, total: 2 })
  })

  it('says when nobody at all can be asked, and goes by the rows and the TTL', async () => {
    const silent = scriptedResolver('ns1', () => ({ status: 'TIMEOUT' }))
    await perform(watching({ authoritative: [silent], resolvers: [] }), run)
    expect(findings(run)).toEqual(['resolver-unreachable', 'dns-unobservable'])
    expect(minutes()).toBe(30)
  })

  it('asks no resolver before the zone’s own servers agree: an early question would plant the old answer', async () => {
    const old = shopZone([record({ name: 'www.shop.example', type: 'CNAME', content: 'shop.example' })])
    let asked = 0
    const source = {
      label: 'ns1',
      query: (name: string, type: string) => Promise.resolve((minutes() < 5 ? old : zone).answer(name, type)),
    }
    const cache = scriptedResolver('cache', (name, type) => {
      expect(minutes()).toBeGreaterThanOrEqual(5)
      asked += 1
      return zone.answer(name, type)
    })
    await perform(watching({ authoritative: [source], resolvers: [cache] }), run)
    expect(asked).toBeGreaterThan(0)
    expect(watches(run)[0]?.resolvers).toEqual({ agreed: 0, total: 2 })
  })

  it('has nobody to ask about a proxied record', async () => {
    zone = shopZone([record({ name: 'shop.example', content: NEW, ttlSeconds: 1, proxied: true })])
    const records = [{ name: 'shop.example', type: 'A', to: NEW }] as const
    await perform(watching({ records, authoritative: [scriptedResolver('ns1', () => ({ status: 'REFUSED' }))] }), run)
    expect(watches(run).at(-1)).toMatchObject({ resolvers: { agreed: 0, total: 0 }, drained: true })
  })

  it('counts orders per minute on both hosts', async () => {
    for (const minute of [0.5, 0.6, 1.5]) atMinute(minute, () => order(oldShop))
    for (const minute of [0.5, 2.5, 2.6, 2.7]) atMinute(minute, () => order(newShop))
    // Customers are counted by no one, as there is a table of orders.
    atMinute(1.2, () => oldShop.insert('customers', { email: 'b@example.com' }))
    await perform(watching(), run)
    const rates = watches(run).slice(0, 5)
    expect(rates.map((each) => each.old.ordersPerMinute)).toEqual([null, 2, 1, 0, 0])
    expect(rates.map((each) => each.new.ordersPerMinute)).toEqual([null, 1, 0, 3, 0])
    expect(rates[0]?.old.hitsPerMinute).toBeNull()
  })

  it('counts by the table that the playbook names, and refuses one that is not there', async () => {
    atMinute(0.5, () => oldShop.insert('customers', { email: 'b@example.com' }))
    await perform(watching({}, {}, { ...OPTIONS, orders: 'Customers' }), run)
    expect(watches(run)[1]?.old.ordersPerMinute).toBe(1)
    await expect(perform(watching({}, {}, { ...OPTIONS, orders: 'ordres' }), newRun(clock))).rejects.toMatchObject({
      code: 'table-unknown',
    })
  })

  it('does not wait for tables that the playbook leaves out', async () => {
    for (const minute of [10, 20, 30, 40]) atMinute(minute, () => oldShop.insert('audit', { what: 'visit' }))
    await perform(watching({}, { tables: new Map([['audit', { ...trackRules, mode: 'skip' }]]) }), run)
    expect(minutes()).toBe(30)
  })

  it('shows how much of the headroom is used and when it runs out, and warns once', async () => {
    const identity = (await oldShop.open().identities(await oldShop.open().schema())).find(
      (state) => state.identity.table.name === 'orders',
    )?.identity
    await order(oldShop)
    if (identity !== undefined) await newShop.open().raiseIdentity(identity, 11n)
    run.facts.set(HEADROOM_KEY, [
      { identity: structuredClone(identity) ?? null, from: '1', to: '11', ratePerMinute: null, reason: '', at: isoTime(start) },
    ])
    for (const minute of [0.5, 0.6, 1.5, 1.6]) atMinute(minute, () => order(oldShop))
    await perform(watching({}, { old: { side: 'old', connections: 2, database: oldShop.open({ readOnly: true }) } }), run)
    const shown = watches(run).map((each) => each.headroom[0])
    expect(shown.slice(0, 3)).toEqual([
      { table: 'orders', column: 'id', used: '0', left: '10', runsOutAt: null },
      { table: 'orders', column: 'id', used: '2', left: '8', runsOutAt: isoTime(start + 5 * MINUTE) },
      { table: 'orders', column: 'id', used: '4', left: '6', runsOutAt: isoTime(start + 5 * MINUTE) },
    ])
    expect(shown.at(-1)).toMatchObject({ used: '4', runsOutAt: null })
    expect(findings(run)).toEqual(['leap-by-hand', 'headroom-running-out'])
  })

  it('says when the headroom is gone', async () => {
    const identity = (await oldShop.open().identities(await oldShop.open().schema())).find(
      (state) => state.identity.table.name === 'orders',
    )?.identity
    if (identity !== undefined) await newShop.open().raiseIdentity(identity, 1n)
    run.facts.set(HEADROOM_KEY, [
      { identity: structuredClone(identity) ?? null, from: '0', to: '1', ratePerMinute: null, reason: '', at: isoTime(start) },
    ])
    atMinute(0.5, () => order(oldShop))
    await perform(watching({}, { old: { side: 'old', connections: 2, database: oldShop.open({ readOnly: true }) } }), run)
    expect(findings(run)).toEqual(['leap-by-hand', 'headroom-used-up'])
  })

  it('does not take a database that cannot be asked for a quiet one', async () => {
    let failing = true
    const database = oldShop.open({
      onCall: (operation) => {
        if (failing && operation === 'identities') throw new Error('connection refused')
      },
    })
    atMinute(40.5, () => {
      failing = false
    })
    await perform(watching({}, { old: { side: 'old', connections: 2, database } }), run)
    expect(findings(run)).toEqual(['watch-database-unanswered'])
    expect(notes(run).slice(0, -1)).toEqual(['The database of the old host answers again.'])
    expect(minutes()).toBe(71)
    // For the screen, and for those who are told.
    expect(
      watches(run)
        .map(({ old }) => old.unanswered ?? [])
        .slice(39, 42),
    ).toEqual([['database'], ['database'], []])
  })

  it('gives up after the longest time allowed, as something to come back to', async () => {
    zone = shopZone([record({ name: 'shop.example', content: OLD })])
    await expect(perform(watching({ resolvers: [] }, {}, { ...OPTIONS, max: '90s' }), run)).rejects.toMatchObject({
      code: 'watch-not-drained',
      ending: 'waiting',
    })
    expect(minutes()).toBe(1.5)
  })

  it('warns in check that without a database it can not see orders', async () => {
    expect((await stepOf(watchPropagationKind, dnsWorld(zone)).check(run)).map((finding) => finding.code)).toEqual([
      'watch-without-database',
    ])
  })
})
