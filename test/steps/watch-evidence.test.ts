import { beforeEach, describe, expect, it } from 'vitest'
import type { EventBody } from '../../src/run/events.ts'
import type { Step } from '../../src/run/step.ts'
import { CUTOVER_KEY } from '../../src/steps/dns-change.ts'
import { stamp } from '../../src/steps/steady-time.ts'
import { watchPropagationKind } from '../../src/steps/watch-propagation.ts'
import type { Host, World } from '../../src/steps/world.ts'
import { FakeClock, JumpingClock } from '../fakes/clock.ts'
import { memoryResolver } from '../fakes/memory-dns.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, type TestRun } from '../fakes/step-run.ts'
import { combined, type Hit } from '../logs/shop-log.ts'
import { dnsWorld, findings, NEW, newRun, notes, record, shopZone, stepOf } from './dns-world.ts'

const MINUTE = 60_000
const OPTIONS = { resolvers: ['127.0.0.1'], quiet: '30m', every: '1m' }

type Watch = Extract<EventBody, { event: 'watch' }>
const watches = (run: TestRun): readonly Watch[] => run.events.filter((event) => event.event === 'watch')

/** A host's access log that customers write. */
class ShopLog {
  readonly files = new MemoryFiles()
  #text = ''

  write(hit: Hit): void {
    this.#text += combined(hit)
    this.files.put('logs/access.log', this.#text, 0o644, Math.floor(hit.at / 1000))
  }

  get logs(): NonNullable<Host['logs']> {
    return [{ files: this.files, folder: 'logs', pattern: 'access.log', written: 'logs/access.log' }]
  }
}

describe('what the watch takes for evidence', () => {
  let clock: FakeClock
  let start: number
  let run: TestRun
  let shop: MemoryShop
  let log: ShopLog
  const zone = shopZone([record({ name: 'shop.example', content: NEW, ttlSeconds: 60 })])

  const watching = (old: Partial<Host>, fresh: Partial<Host> = {}, options: object = {}): Step => {
    const base = dnsWorld(zone, {
      resolvers: [memoryResolver(zone, 'resolver 1')],
      records: [{ name: 'shop.example', type: 'A', to: NEW }],
    })
    const world: World = {
      ...base,
      old: { side: 'old', connections: 2, ...old },
      new: { side: 'new', connections: 2, ...fresh },
    }
    return stepOf(watchPropagationKind, world, { ...OPTIONS, ...options })
  }
  const minutes = (): number => (clock.now() - start) / MINUTE
  const atMinute = (minute: number, act: () => unknown): void => void clock.sleep(minute * MINUTE).then(act)
  const hitAt = (minute: number, hit: Partial<Hit> = {}, to = log): void =>
    atMinute(minute, () => to.write({ at: clock.now(), ...hit }))

  beforeEach(async () => {
    clock = new FakeClock()
    start = clock.now()
    run = newRun(clock)
    run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
    shop = new MemoryShop()
    await shop.createShop()
    await shop.insert('customers', { email: 'a@example.com' })
    log = new ShopLog()
    log.write({ at: start - 10_000 })
  })

  it('shows both hosts’ hits per minute, and ends only when the old one gets none', async () => {
    const newLog = new ShopLog()
    newLog.write({ at: start })
    for (let minute = 0.5; minute < 10; minute += 0.25) hitAt(minute)
    for (let minute = 0.5; minute < 100; minute += 0.1) hitAt(minute, {}, newLog)
    await perform(watching({ database: shop.open(), logs: log.logs }, { logs: newLog.logs }), run)
    const rates = watches(run)
    expect(rates[6]?.old.hitsPerMinute).toBeCloseTo(4, 0)
    expect(rates[6]?.new.hitsPerMinute).toBeCloseTo(10, 0)
    expect(rates[14]?.old.hitsPerMinute).toBe(0)
    expect(minutes()).toBe(40)
    expect(notes(run)).toEqual([
      expect.stringMatching(
        /^The old host counts as drained: no new row for 30 min .* no customer's hit in its access log for 30 min .* 2 of 2 name servers agree, 3 old TTLs have passed\.$/,
      ),
    ])
  })

  it('begins the countdown anew when a customer comes late, and says so; monitoring and bots are no customers', async () => {
    hitAt(10.5, { agent: 'live-host-migration' })
    hitAt(11.5, { agent: 'Googlebot/2.1' })
    hitAt(12.5, { path: '/wp-login.php', status: 404 })
    hitAt(20.5)
    await perform(watching({ database: shop.open(), logs: log.logs }), run)
    expect(minutes()).toBe(51)
    expect(notes(run)[0]).toMatch(/^A customer’s hit came to the old host after 21 min .* of quiet: the countdown begins anew\.$/)

    const counting = newRun(clock)
    counting.facts.set(CUTOVER_KEY, { at: clock.now(), ttlSeconds: 60 })
    start = clock.now()
    hitAt(5.5, { agent: 'Googlebot/2.1' })
    await perform(watching({ database: shop.open(), logs: log.logs }, {}, { bots: true }), counting)
    expect(minutes()).toBe(36)
  })

  it('is open again in the next run when a customer came after it had counted as drained', async () => {
    const step = watching({ database: shop.open(), logs: log.logs })
    await perform(step, run)
    expect(await step.plan(run)).toEqual([])
    await clock.sleep(5 * MINUTE)
    log.write({ at: clock.now() })
    expect(await step.plan(run)).toHaveLength(1)
    await perform(step, run)
    expect(findings(run)).toEqual(['late-hit'])
    expect(minutes()).toBe(65)
    expect(await step.plan(run)).toEqual([])
  })

  it('does not take logs that cannot be read for silence', async () => {
    log.files.denied = 'logs/access.log'
    atMinute(40.5, () => {
      log.files.denied = undefined
    })
    const step = watching({ database: shop.open(), logs: log.logs })
    expect((await step.check(run)).map(({ code }) => code)).toEqual(['logs-unreadable'])
    await perform(step, run)
    expect(findings(run)).toEqual(['logs-unreadable'])
    expect(watches(run)[0]?.old.hitsPerMinute).toBeNull()
    expect(minutes()).toBe(41)
  })

  it('says of a log that is missing or none, and goes by the rest', async () => {
    const missing = [{ files: log.files, folder: 'logs', pattern: 'acces.log', written: 'logs/acces.log' }]
    expect((await watching({ database: shop.open(), logs: missing }).check(run)).map(({ code }) => code)).toEqual([
      'logs-missing',
    ])
    log.files.put('logs/error.log', '[error] upstream timed out\n'.repeat(9))
    const strange = [{ files: log.files, folder: 'logs', pattern: 'error.log', written: 'logs/error.log' }]
    await perform(watching({ database: shop.open(), logs: strange }), run)
    expect(findings(run)).toEqual(['log-format-unknown'])
    expect(minutes()).toBe(30)
  })

  it('says what it rests on when neither orders nor hits can be seen', async () => {
    const step = watching({})
    expect((await step.check(run)).map(({ code }) => code)).toEqual(['watch-without-database'])
    await perform(step, run)
    expect(notes(run)).toEqual([
      'The old host counts as drained: 2 of 2 name servers agree, 3 old TTLs have passed. Neither its database nor its access log was looked at: customers who keep the old address for longer would not be seen.',
    ])
  })

  it('measures quiet by a clock that nobody can set, and says that the other one was set', async () => {
    for (const ms of [6 * 60 * MINUTE, -24 * 60 * MINUTE]) {
      const jumping = new JumpingClock()
      const began = jumping.monotonic()
      const shaken = newRun(jumping)
      shaken.facts.set(CUTOVER_KEY, { at: jumping.now(), ttlSeconds: 60 })
      void jumping.sleep(10.5 * MINUTE).then(() => jumping.set(ms))
      await perform(watching({ database: shop.open() }), shaken)
      expect((jumping.monotonic() - began) / MINUTE).toBe(30)
      expect(findings(shaken)).toEqual(['clock-jumped'])
    }
  })

  it('measures from a cutover of the same process by that clock too, however the other one was set since', async () => {
    for (const ms of [6 * 60 * MINUTE, -6 * 60 * MINUTE]) {
      const jumping = new JumpingClock()
      const began = jumping.monotonic()
      const shaken = newRun(jumping)
      shaken.facts.set(CUTOVER_KEY, { at: stamp(jumping), ttlSeconds: 3600 })
      jumping.set(ms)
      await perform(watching({ database: shop.open() }), shaken)
      expect((jumping.monotonic() - began) / MINUTE).toBe(180)
    }
  })

  it('waits when the cutover was noted by a clock that was ahead', async () => {
    run.facts.set(CUTOVER_KEY, { at: start + 60 * MINUTE, ttlSeconds: 60 })
    await perform(watching({ database: shop.open() }), run)
    expect(minutes()).toBe(30)
  })
})
