import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isoTime } from '../../src/base/clock.ts'
import { MigrateError } from '../../src/base/errors.ts'
import type { Database } from '../../src/databases/port.ts'
import type { EventBody } from '../../src/run/events.ts'
import { GOING_BACK_KEY } from '../../src/run/going-back.ts'
import type { Step } from '../../src/run/step.ts'
import { CUTOVER_KEY } from '../../src/steps/dns-change.ts'
import { guardKind } from '../../src/steps/guard.ts'
import { NEW_NUMBERS_KEY } from '../../src/steps/guard-decision.ts'
import type { World } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { memoryResolver, scriptedResolver } from '../fakes/memory-dns.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, type TestRun } from '../fakes/step-run.ts'
import { dnsWorld, findings, newRun, notes, shopZone, stepOf, UnattendedRun } from './dns-world.ts'

const MINUTE = 60_000

/** A database that can be switched off, made read-only, or closed by a person. */
interface Switch {
  silent?: boolean
  refuses?: string
  closed?: boolean
}

function switched(shop: MemoryShop, state: Switch): Database {
  const database = shop.open({
    onCall: () => {
      if (state.silent) throw new MigrateError('database-unreachable', 'connection refused')
    },
  })
  return Object.assign(database, {
    refusesRows: async () => state.refuses,
    closing: {
      missing: async () => [],
      look: async () => ({ closed: state.closed ?? false, before: '', statement: '' }),
      close: async () => undefined,
      open: async () => undefined,
    },
  })
}

describe('guard', () => {
  let clock: FakeClock
  let start: number
  let oldShop: MemoryShop
  let newShop: MemoryShop
  let run: TestRun
  let old: Switch
  let fresh: Switch
  let lineUp: boolean

  const atMinute = (minutes: number, act: () => unknown): void => {
    void clock.sleep(minutes * MINUTE).then(act)
  }
  const minutes = (): number => (clock.now() - start) / MINUTE
  const guarding = (settings: object = {}, extra: Partial<World> = {}): Step => {
    const zone = shopZone()
    const ns = scriptedResolver('ns1', (name, type) => (lineUp ? zone.answer(name, type) : { status: 'TIMEOUT' }))
    const world = {
      ...dnsWorld(zone, { authoritative: [ns], resolvers: [memoryResolver(zone)] }),
      old: { side: 'old' as const, connections: 2, database: switched(oldShop, old) },
      new: { side: 'new' as const, connections: 2, database: switched(newShop, fresh) },
      ...extra,
    }
    return stepOf(guardKind, world, { every: '15s', for: '60m', ...settings })
  }
  const decided = () => run.facts.get(GOING_BACK_KEY)
  const guards = (): readonly Extract<EventBody, { event: 'guard' }>[] => run.events.filter((event) => event.event === 'guard')

  beforeEach(async () => {
    clock = new FakeClock()
    start = clock.now()
    ;[old, fresh, lineUp] = [{}, {}, true]
    oldShop = new MemoryShop()
    newShop = new MemoryShop()
    for (const shop of [oldShop, newShop]) {
      await shop.createShop()
      await shop.insert('customers', { email: 'a@example.com' })
    }
    run = newRun(clock)
    run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
  })

  // What a test had planned for later must not reach the next one.
  afterEach(() => clock.stop())

  it('looks on as long as the watch beside it, decides nothing about a host that is well, and has then nothing left to do', async () => {
    run.following = true
    atMinute(2, () => {
      run.following = false
    })
    const step = guarding({ for: undefined, failback: 'auto' })
    const planned = await perform(step, run)
    expect(planned.map((change) => step.describe(step.change.parse(change)))).toEqual([
      'watch database, orders of the new host; failing for 2 min 00 s: back to the old host, by itself',
    ])
    expect(minutes()).toBeCloseTo(2, 1)
    expect(decided()).toBeUndefined()
    expect(findings(run)).toEqual([])
    expect(await step.plan(run)).toEqual([])
    run.facts.set(CUTOVER_KEY, { at: clock.now(), ttlSeconds: 60 })
    expect(await step.plan(run)).toHaveLength(1)
  })

  it('goes back by itself after a sustained failure, the decision on disk first, with how far the new host had numbered', async () => {
    atMinute(5, () => newShop.insert('orders', { customer_id: '1', placed: 'now' }))
    atMinute(6.1, () => {
      fresh.silent = true
    })
    await expect(perform(guarding({ failback: 'auto' }), run)).rejects.toMatchObject({ code: 'failback', ending: 'failed' })
    expect(minutes()).toBe(8.25)
    expect(decided()).toMatchObject({
      decision: 'back',
      by: 'guard',
      cutoverAt: start,
      at: isoTime(clock.now()),
      reason: expect.stringMatching(/^The new host has failed since .* UTC: the database can't be asked \(connection refused\)$/),
    })
    expect(run.facts.get(NEW_NUMBERS_KEY)).toMatchObject({ 'orders.id': '1', 'customers.id': '1' })
    expect(findings(run)).toEqual(['new-host-failing'])
    const failing = guards().find((each) => each.state === 'failing')
    expect(failing).toMatchObject({
      watched: ['database', 'orders'],
      faults: [{ what: 'database' }],
      since: isoTime(start + 6.25 * MINUTE),
      decidesAt: isoTime(start + 8.25 * MINUTE),
      failback: 'auto',
    })
  })

  it('never decides about a host that flaps below the threshold, and says that it is unsteady', async () => {
    for (let minute = 1; minute < 25; minute += 2.5) {
      atMinute(minute, () => {
        fresh.silent = true
      })
      atMinute(minute + 1.9, () => {
        fresh.silent = false
      })
    }
    await perform(guarding({ failback: 'auto', for: '30m' }), run)
    expect(decided()).toBeUndefined()
    expect(findings(run)).toEqual(['new-host-unsteady'])
  })

  it('asks a person once, and a no is remembered: through the next failure, and by the next process', async () => {
    run.answer = false
    const failsFor = (from: number, till: number): void => {
      atMinute(from, () => {
        fresh.silent = true
      })
      atMinute(till, () => {
        fresh.silent = false
      })
    }
    failsFor(1, 5)
    failsFor(12, 16)
    await perform(guarding({ for: '23m' }), run)
    expect(run.questions).toHaveLength(1)
    expect(decided()).toMatchObject({ decision: 'stay', by: 'person' })
    // Each of the two is told.
    expect(findings(run)).toEqual(['new-host-failing', 'new-host-failing'])
    failsFor(1, 5)
    await perform(guarding({ for: '30m' }), run)
    expect(run.questions).toHaveLength(1)
  })

  it('goes back when the person says yes', async () => {
    fresh.silent = true
    await expect(perform(guarding(), run)).rejects.toMatchObject({ code: 'failback' })
    expect(run.questions[0]).toMatch(/connection refused.*Send customers back to the old host/)
    expect(decided()).toMatchObject({ decision: 'back', by: 'person' })
  })

  it('without anybody to ask ends as waiting, names the command, and leaves it open', async () => {
    run = new UnattendedRun('/nowhere', clock)
    run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
    fresh.silent = true
    await expect(perform(guarding(), run)).rejects.toMatchObject({
      code: 'failback-offered',
      ending: 'waiting',
      hint: expect.stringContaining('migrate rollback PLAYBOOK'),
    })
    expect(decided()).toBeUndefined()
  })

  it('only tells where the playbook says `off`', async () => {
    fresh.silent = true
    await perform(guarding({ failback: 'off', for: '10m' }), run)
    expect(findings(run)).toEqual(['new-host-failing', 'failback-off'])
    expect(run.questions).toEqual([])
    expect(decided()).toBeUndefined()
  })

  it.each([
    ['silent', { silent: true }, /connection refused/],
    ['read-only', { refuses: 'it is a standby, which takes no rows' }, /takes no orders: it is a standby/],
    ['closed to writers', { closed: true }, /it is closed to writers/],
  ] as const)('never goes back to an old host that is %s; it does once that one is well', async (_what, state, says) => {
    Object.assign(old, state)
    fresh.refuses = 'its data files are full'
    atMinute(20.1, () => {
      for (const key of Object.keys(old)) delete old[key as keyof Switch]
    })
    await expect(perform(guarding({ failback: 'auto' }), run)).rejects.toMatchObject({ code: 'failback' })
    expect(minutes()).toBe(20.25)
    expect(findings(run)).toEqual(['new-host-failing', 'failback-not-possible'])
    const why = run.events.find((event) => event.event === 'finding' && event.code === 'failback-not-possible')
    expect(why).toMatchObject({ severity: 'error', message: expect.stringMatching(says) })
  })

  it('ends as waiting for a person where neither host is fit when its time is over', async () => {
    ;[fresh.silent, old.closed] = [true, true]
    await expect(perform(guarding({ failback: 'auto', for: '10m' }), run)).rejects.toMatchObject({
      code: 'failback-not-possible',
      ending: 'waiting',
    })
    expect(decided()).toBeUndefined()
    expect(minutes()).toBe(10)
  })

  it('takes its own line for down when nobody can be reached any more, decides nothing then, and goes on when it is up', async () => {
    atMinute(5.1, () => {
      ;[lineUp, fresh.silent, old.silent] = [false, true, true]
    })
    atMinute(30.1, () => {
      ;[lineUp, old.silent] = [true, false]
    })
    await expect(perform(guarding({ failback: 'auto' }), run)).rejects.toMatchObject({ code: 'failback' })
    // Only what was seen with the line up counts.
    expect(minutes()).toBe(32.25)
    expect(findings(run)).toEqual(['own-line-down', 'new-host-failing'])
    expect(notes(run)).toContain('Others can be reached from here again.')
    expect(guards().some((each) => each.state === 'unknown')).toBe(true)
  })

  it('takes name servers that fell silent for the line, though the old host answers, and an old host alone for a witness', async () => {
    atMinute(1, () => {
      ;[lineUp, fresh.silent] = [false, true]
    })
    await perform(guarding({ failback: 'auto', for: '20m' }), run)
    expect(findings(run)).toEqual(['own-line-down'])
    // Where none ever answered, behind a firewall, the old host is enough.
    run = newRun(clock)
    run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
    await expect(perform(guarding({ failback: 'auto' }), run)).rejects.toMatchObject({ code: 'failback' })
  })

  it('does not look again, let alone decide, where it was decided before', async () => {
    run.facts.set(GOING_BACK_KEY, { decision: 'back', by: 'guard', at: isoTime(start), reason: 'dead', cutoverAt: start })
    await expect(perform(guarding({ failback: 'auto' }), run)).rejects.toMatchObject({ code: 'failback' })
    expect(guards()).toEqual([])
    expect(minutes()).toBe(0)
  })

  it('only looks, and decides nothing, beside a run', async () => {
    fresh.silent = true
    Object.assign(run, { observing: { refresh: async () => undefined } })
    await perform(guarding({ failback: 'auto', for: '10m' }), run)
    expect(findings(run)).toEqual(['new-host-failing'])
    expect(decided()).toBeUndefined()
  })

  it('takes a full disk of the new host for failing, and one that can’t be asked for none', async () => {
    const files = Object.assign(new MemoryFiles('memory://new'), { freeBytes: async () => 10 * 1024 * 1024 })
    const host = { side: 'new' as const, connections: 2, database: switched(newShop, fresh), files }
    await expect(perform(guarding({ failback: 'auto' }, { new: host }), run)).rejects.toMatchObject({ code: 'failback' })
    expect(decided()).toMatchObject({ reason: expect.stringContaining('its disk has 10.0 MiB left') })
    run = newRun(clock)
    run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
    files.freeBytes = () => Promise.reject(new MigrateError('files-unreachable', 'no route'))
    await perform(guarding({ failback: 'auto', for: '20m' }, { new: host }), run)
    expect(findings(run)).toEqual([])
  })

  it('says in check what it can’t see and what would keep it from going back', async () => {
    const blind = guarding({ failback: 'auto' }, { old: { side: 'old', connections: 1 }, new: { side: 'new', connections: 1 } })
    expect((await blind.check(run)).map(({ code }) => code)).toEqual(['guard-blind', 'failback-blind'])
    const powerless = { side: 'old' as const, connections: 1, database: oldShop.open({ readOnly: true }) }
    const found = await guarding({ failback: 'auto' }, { old: powerless }).check(run)
    expect(found.every(({ severity }) => severity === 'warning')).toBe(true)
    expect(found.map(({ message }) => message)).toContainEqual(expect.stringMatching(/^Going back, orders couldn’t be carried/))
    expect(await guarding({ failback: 'auto' }).check(run)).toEqual([])
  })
})
