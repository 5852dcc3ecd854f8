import { describe, expect, it } from 'vitest'
import { cutoverDnsKind } from '../../src/steps/cutover-dns.ts'
import { LOWERED_KEY } from '../../src/steps/dns-change.ts'
import { lowerTtlKind } from '../../src/steps/lower-ttl.ts'
import { FakeClock, JumpingClock } from '../fakes/clock.ts'
import { perform, type TestRun } from '../fakes/step-run.ts'
import { dnsWorld, findings, NEW, newRun, OLD, record, shopZone, stepOf, UnattendedRun } from './dns-world.ts'

const lowered = (run: TestRun, secondsAgo: number): void => {
  run.facts.set(LOWERED_KEY, { at: run.clock.now() - secondsAgo * 1000, oldTtlSeconds: 3600, done: true })
}

describe('cutover-dns, while resolvers may still hold the old TTL', () => {
  it('waits for it to pass when the person says so, counting down in seconds', async () => {
    const zone = shopZone()
    const run = newRun()
    run.answer = false
    lowered(run, 3590)
    const start = run.clock.now()
    expect(await stepOf(cutoverDnsKind, dnsWorld(zone)).plan(run)).toHaveLength(1)
    expect(run.clock.now() - start).toBe(10_000)
    const counted = run.events.flatMap((event) => (event.event === 'progress' ? [[event.done, event.total, event.unit]] : []))
    expect(counted[0]).toEqual([3590, 3600, 'seconds'])
    expect(counted.at(-1)).toEqual([3600, 3600, 'seconds'])
  })

  it('waits by itself where nobody can be asked', async () => {
    const run = new UnattendedRun('/nowhere', new FakeClock())
    lowered(run, 0)
    const start = run.clock.now()
    expect(await stepOf(cutoverDnsKind, dnsWorld(shopZone())).plan(run)).toHaveLength(1)
    expect(run.clock.now() - start).toBe(3_600_000)
  })

  it('goes on at once when told yes, and names the risk', async () => {
    const run = newRun()
    lowered(run, 0)
    const start = run.clock.now()
    expect(await stepOf(cutoverDnsKind, dnsWorld(shopZone())).plan(run)).toHaveLength(1)
    expect(run.clock.now()).toBe(start)
    expect(findings(run)).toEqual(['cutover-before-ttl'])
    expect(run.questions[0]).toContain('1 h 00 min')
  })

  it('does not wait in a dry run, nor for a proxied record, nor when there is nothing to do', async () => {
    const proxied = shopZone([record({ name: 'shop.example', content: OLD, ttlSeconds: 1, proxied: true })])
    const done = shopZone([record({ name: 'shop.example', content: NEW })])
    for (const [zone, dryRun] of [
      [shopZone(), true],
      [proxied, false],
      [done, false],
    ] as const) {
      const run = newRun(new FakeClock(undefined, { automatic: false }))
      run.dryRun = dryRun
      run.answer = false
      lowered(run, 0)
      await stepOf(cutoverDnsKind, dnsWorld(zone, { records: [{ name: 'shop.example', type: 'A', to: NEW }] })).plan(run)
      expect(run.questions).toEqual([])
    }
  })

  it('waits as long as it must when somebody sets this machine’s clock meanwhile', async () => {
    for (const jump of [86_400_000, -86_400_000]) {
      const clock = new FakeClock()
      let set = 0
      const jumpy = {
        now: () => clock.now() + set,
        monotonic: () => clock.monotonic(),
        sleep: (ms: number, signal?: AbortSignal) => {
          set = jump
          return clock.sleep(ms, signal)
        },
      }
      const run = new UnattendedRun('/nowhere', jumpy)
      lowered(run, 600)
      const start = clock.now()
      expect(await stepOf(cutoverDnsKind, dnsWorld(shopZone())).plan(run)).toHaveLength(1)
      expect(clock.now() - start).toBe(3_000_000)
      expect(findings(run)).toEqual(['clock-jumped'])
    }
  })

  it('goes by the clock that nobody can set when the other one was set between lowering and the cutover, and says so', async () => {
    for (const jump of [5 * 3_600_000, -5 * 3_600_000]) {
      const clock = new JumpingClock()
      const run = new UnattendedRun('/nowhere', clock)
      const zone = shopZone()
      await perform(stepOf(lowerTtlKind, dnsWorld(zone)), run)
      const lowered = clock.monotonic()
      clock.set(jump)
      expect(await stepOf(cutoverDnsKind, dnsWorld(zone)).plan(run)).toHaveLength(1)
      expect(clock.monotonic() - lowered).toBe(3_600_000)
      expect(run.events).toContainEqual(
        expect.objectContaining({
          code: 'clock-jumped',
          message: expect.stringContaining(jump > 0 ? 'forward by 5 h' : 'back by 5 h'),
        }),
      )
    }
  })

  it('says what it means that the TTL was never lowered', async () => {
    const run = newRun()
    expect(await stepOf(cutoverDnsKind, dnsWorld(shopZone())).plan(run)).toHaveLength(1)
    expect(run.events).toMatchObject([{ code: 'cutover-ttl-high', message: expect.stringContaining('up to 1 h 00 min') }])
  })

  it('stops waiting when told to stop', async () => {
    const clock = new FakeClock(undefined, { automatic: false })
    const run = newRun(clock)
    const stop = new AbortController()
    run.signal = stop.signal
    run.answer = false
    lowered(run, 0)
    const planning = stepOf(cutoverDnsKind, dnsWorld(shopZone())).plan(run)
    await expect.poll(() => clock.sleeping).toBe(1)
    stop.abort(new Error('Ctrl-C'))
    await expect(planning).rejects.toThrow('Ctrl-C')
  })
})
