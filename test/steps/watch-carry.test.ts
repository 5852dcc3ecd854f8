import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { MigrateError } from '../../src/base/errors.ts'
import type { Database } from '../../src/databases/port.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import type { EventBody } from '../../src/run/events.ts'
import { CUTOVER_KEY } from '../../src/steps/dns-change.ts'
import { type Followed, followOld } from '../../src/steps/follow-old.ts'
import { watchPropagationKind } from '../../src/steps/watch-propagation.ts'
import type { World } from '../../src/steps/world.ts'
import { customer, order, type Pair, startedPair } from '../contract/reconcile-pair.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { FakeClock } from '../fakes/clock.ts'
import { memoryResolver } from '../fakes/memory-dns.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, TestRun } from '../fakes/step-run.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { dnsWorld, findings, NEW, notes, record, shopZone, stepOf } from './dns-world.ts'

const MINUTE = 60_000

/** Events with the times at which they were told. */
class TimedRun extends TestRun {
  readonly timed: { readonly at: number; readonly body: EventBody }[] = []

  override emit(body: EventBody): void {
    super.emit(body)
    this.timed.push({ at: this.clock.now(), body })
  }

  /** Rows that passes carried of a table, and when. */
  carried(table: string): readonly { readonly at: number; readonly rows: number }[] {
    return this.timed.flatMap(({ at, body }) => {
      const counts = body.event === 'reconciled' && body.newOnly === true ? body.tables[table] : undefined
      return counts === undefined ? [] : [{ at, rows: counts.inserted }]
    })
  }
}

function worldOf(old: Database, fresh: Database): World {
  const zone = shopZone([
    record({ name: 'shop.example', content: NEW, ttlSeconds: 60 }),
    record({ name: 'www.shop.example', type: 'CNAME', content: 'shop.example' }),
  ])
  return {
    ...dnsWorld(zone, { resolvers: [memoryResolver(zone, 'resolver 1')] }),
    old: { side: 'old', connections: 2, database: old },
    new: { side: 'new', connections: 2, database: fresh },
  }
}

const watching = (world: World, settings: object = {}) =>
  stepOf(watchPropagationKind, world, { resolvers: ['127.0.0.1'], quiet: '30m', every: '10m', ...settings })

function timedRun(clock: Clock, directory: string): TimedRun {
  const run = new TimedRun(directory, clock)
  run.facts.set(CUTOVER_KEY, { at: clock.now(), ttlSeconds: 60 })
  return run
}

describe('the watch, while it rests between two looks', () => {
  let clock: FakeClock
  let [oldShop, newShop] = [new MemoryShop(), new MemoryShop()]
  let directory: string
  let run: TimedRun
  let world: World
  /** Fails every call of the old database while it says so. */
  let away = false

  beforeEach(async () => {
    clock = new FakeClock()
    away = false
    directory = mkdtempSync(join(tmpdir(), 'migrate-watch-carry-'))
    ;[oldShop, newShop] = [new MemoryShop(), new MemoryShop()]
    for (const shop of [oldShop, newShop]) {
      await shop.createShop()
      await customer(shop, 'ada@example.com')
    }
    newShop.server.reseed('orders.id', 1000n)
    newShop.server.reseed('customers.id', 1000n)
    newShop.server.reseed('audit.id', 1000n)
    const unreachable = (): void => {
      if (away) throw new MigrateError('database-unreachable', 'The old database can’t be reached.', { retrySafe: true })
    }
    const fresh = newShop.open()
    await takeBaseline({ directory, database: fresh, tables: (await fresh.schema()).tables.filter(({ key }) => key.length > 0) })
    world = worldOf(oldShop.open({ onCall: async () => unreachable() }), fresh)
    run = timedRun(clock, directory)
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const atMinute = (minutes: number, act: () => unknown): void => {
    void clock.sleep(minutes * MINUTE).then(act)
  }

  it('carries an order within five seconds of its birth, one after the other, and tells each', async () => {
    const born: number[] = []
    for (const minutes of [3.01, 3.07, 17.7]) {
      atMinute(minutes, async () => {
        await order(oldShop, '1')
        born.push(clock.now())
      })
    }
    await perform(watching(world), run)

    const carried = run.carried('orders')
    expect(carried.map(({ rows }) => rows)).toEqual([1, 1, 1])
    for (const [index, { at }] of carried.entries()) {
      expect(at - (born[index] ?? 0)).toBeGreaterThanOrEqual(0)
      expect(at - (born[index] ?? 0)).toBeLessThanOrEqual(5000)
    }
    expect(await newShop.rows('orders')).toEqual(await oldShop.rows('orders'))
    const told = run.events.filter((event) => event.event === 'reconciled')
    const one = { inserted: 1, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 }
    expect(told[0]).toEqual({
      event: 'reconciled',
      pass: 1,
      newOnly: true,
      // What a trigger of the old host wrote about it is a row like any other.
      tables: { orders: one, audit: one },
      headroom: [],
      proof: { rows: 2, accounted: 2, unaccounted: 0 },
    })
    expect(told.map((event) => event.pass)).toEqual([1, 2, 3])
  })

  it('carries nothing where it is told not to, or only looks on beside a run', async () => {
    atMinute(3, () => order(oldShop, '1'))
    await perform(watching(world, { carry: false }), run)
    const beside = Object.assign(timedRun(clock, directory), { observing: { refresh: async () => undefined } })
    atMinute(3, () => order(oldShop, '1'))
    await perform(watching(world), beside)
    expect([...run.carried('orders'), ...beside.carried('orders')]).toEqual([])
    expect(await newShop.rows('orders')).toEqual([])
    expect(newShop.server.state.ledger).toBeNull()
  })

  it('goes on after the old host was away, which it tells once, and after it was cut off itself', async () => {
    const stop = new AbortController()
    run.signal = stop.signal
    atMinute(2, () => {
      away = true
    })
    atMinute(3, async () => {
      away = false
      await order(oldShop, '1')
    })
    atMinute(5, () => stop.abort(new Error('cut off')))
    await expect(perform(watching(world, { every: '50s' }), run)).rejects.toThrow('cut off')
    expect(findings(run).filter((code) => code === 'carry-paused')).toEqual(['carry-paused'])
    expect(notes(run)).toContain('New rows are carried over again.')
    const carrying = run.events.flatMap((event) =>
      event.event === 'watch' && event.carrying !== undefined ? [event.carrying] : [],
    )
    expect(new Set(carrying.map(({ failing }) => failing))).toEqual(new Set([false, true]))
    expect(carrying.at(-1)?.lastAt).not.toBeNull()
    expect(run.carried('orders')).toHaveLength(1)

    run.signal = new AbortController().signal
    await order(oldShop, '1')
    await perform(watching(world), run)
    expect(run.carried('orders').map(({ rows }) => rows)).toEqual([1, 1])
    expect(await newShop.rows('orders')).toHaveLength(2)
  })

  it('asks the old host nothing but its numbers while nothing is born there', async () => {
    const calls: string[] = []
    const quiet = worldOf(oldShop.open({ onCall: (name, when) => void (when === 'before' && calls.push(name)) }), newShop.open())
    await perform(watching(quiet), run)
    const asked = Object.fromEntries([...Map.groupBy(calls, (name) => name)].map(([name, each]) => [name, each.length]))
    // Half a minute of looking at every table, to begin with; then only where the numbers stand.
    expect(asked.read ?? 0).toBeLessThan(10)
    expect(asked.rowsByKey ?? 0).toBe(0)
    expect(asked.identities).toBeGreaterThan(400)
  })

  it('does nothing before there is a baseline', async () => {
    rmSync(directory, { recursive: true, force: true })
    atMinute(3, () => order(oldShop, '1'))
    await perform(watching(world), run)
    expect(run.carried('orders')).toEqual([])
    expect(findings(run)).not.toContain('carry-paused')
  })

  it('follows for a command of its own until nothing came for as long as asked, and says whether anything did', async () => {
    const followed: Followed = { sawRows: false }
    const step = followOld(world, 10 * MINUTE, followed)
    const start = clock.now()
    atMinute(4, () => order(oldShop, '1'))
    await perform(step, run)
    expect(followed.sawRows).toBe(true)
    expect(run.carried('orders')).toHaveLength(1)
    expect((clock.now() - start) / MINUTE).toBeGreaterThan(13.9)
    await perform(step, run)
    expect(followed.sawRows).toBe(false)
  })
})

describe('the watch over two real databases', () => {
  it('carries what is born on the old host before it looks again', async () => {
    const host = postgresHost(await startTestPostgres({ host: '127.0.13.12' }))
    let ada = ''
    const pair: Pair = await startedPair(host, async (old) => {
      ada = await customer(old, 'ada@example.com')
    })
    const stop = new AbortController()
    onTestFinished(async () => {
      stop.abort()
      await pair.close()
      await host.close()
    })
    const run = timedRun(systemClock, pair.directory)
    run.signal = AbortSignal.any([stop.signal, AbortSignal.timeout(120_000)])
    const arrived = Promise.withResolvers<void>()
    const told = run.emit.bind(run)
    run.emit = (body) => {
      told(body)
      if (body.event === 'watch') void order(pair.old, ada)
      if (run.carried('public.orders').length > 0) arrived.resolve()
    }
    const watched = perform(watching(worldOf(pair.oldDatabase, pair.newDatabase), { every: '1h' }), run)
    await Promise.race([arrived.promise, watched])
    stop.abort(new Error('seen enough'))
    await expect(watched).rejects.toThrow('seen enough')

    expect(run.events.filter((event) => event.event === 'watch')).toHaveLength(1)
    expect(await pair.new.rows('orders')).toEqual(await pair.old.rows('orders'))
  })
})
