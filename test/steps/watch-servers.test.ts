import { describe, expect, it } from 'vitest'
import type { EventBody } from '../../src/run/events.ts'
import { CUTOVER_KEY } from '../../src/steps/dns-change.ts'
import { watchPropagationKind } from '../../src/steps/watch-propagation.ts'
import { FakeClock } from '../fakes/clock.ts'
import { memoryResolver, scriptedResolver } from '../fakes/memory-dns.ts'
import { perform, type TestRun } from '../fakes/step-run.ts'
import { type DnsWorldOptions, dnsWorld, findings, NEW, newRun, OLD, record, shopZone, stepOf } from './dns-world.ts'

const MINUTE = 60_000
const RECORDS = [{ name: 'shop.example', type: 'A', to: NEW }] as const

type Watch = Extract<EventBody, { event: 'watch' }>
const watches = (run: TestRun): readonly Watch[] => run.events.filter((event) => event.event === 'watch')

/** Watches to the end; returns the run and how many minutes it took. */
async function watched(options: (clock: FakeClock) => DnsWorldOptions, quiet = '30m') {
  const clock = new FakeClock()
  const start = clock.now()
  const run = newRun(clock)
  run.facts.set(CUTOVER_KEY, { at: start, ttlSeconds: 60 })
  const world = dnsWorld(zone, { records: RECORDS, ...options(clock) })
  await perform(stepOf(watchPropagationKind, world, { resolvers: ['127.0.0.1'], quiet, every: '1m' }), run)
  return { run, minutes: (clock.now() - start) / MINUTE }
}

const zone = shopZone([record({ name: 'shop.example', content: NEW, ttlSeconds: 60 })])
const says = (label: string, content: string, ttlSeconds = 300) =>
  scriptedResolver(label, (name) => ({ records: [{ name, type: 'A', content, ttlSeconds }] }))

describe('the servers that the watch asks', () => {
  it('names who lags, and for how long by its own word, in every event', async () => {
    const { run } = await watched((clock) => ({
      resolvers: [
        scriptedResolver('slow', (name) => ({
          records: [{ name, type: 'A', content: clock.now() % (60 * MINUTE) < 40 * MINUTE ? OLD : NEW, ttlSeconds: 240 }],
        })),
      ],
    }))
    expect(watches(run)[0]?.lagging).toEqual([{ server: 'slow', says: `shop.example A: ${OLD}`, ttlLeftSeconds: 240 }])
    expect(watches(run).at(-1)?.lagging).toEqual([])
  })

  it('leaves out, saying so, a resolver that lies: one that goes on long after the TTL it named', async () => {
    const { run, minutes } = await watched(() => ({ resolvers: [memoryResolver(zone, 'good'), says('liar', '192.0.2.66', 10)] }))
    expect(minutes).toBe(60)
    expect(findings(run)).toEqual(['resolver-lies'])
    expect(run.events.find((event) => event.event === 'finding')).toMatchObject({
      message: expect.stringContaining('liar still says shop.example A: 192.0.2.66, 1 h 00 min after it was first asked'),
    })
    expect(watches(run)[0]?.resolvers).toEqual({ agreed: 2, total: 3 })
    expect(watches(run).at(-1)?.resolvers).toEqual({ agreed: 2, total: 2 })
  })

  it('waits for three of the TTLs that it named before it calls a resolver a liar', async () => {
    const { minutes } = await watched(() => ({ resolvers: [says('slow', OLD, 3600)] }))
    expect(minutes).toBe(180)
  })

  it('asks over HTTPS when port 53 is intercepted, and takes nobody else’s word', async () => {
    const hijacked = (label: string) => says(label, OLD, 5)
    const { run, minutes } = await watched(() => ({
      authoritative: [hijacked('ns1')],
      resolvers: [{ ...hijacked('Quad9'), overHttps: says('Quad9 over HTTPS', NEW) }, hijacked('plain')],
      world: { isIntercepted: () => Promise.resolve(true) },
    }))
    expect(minutes).toBe(30)
    expect(findings(run)).toEqual(['dns-intercepted'])
    expect(watches(run).map(({ resolvers }) => resolvers)).toContainEqual({ agreed: 1, total: 1 })
  })

  it('suspects name servers that answer without authority, and still goes by them where there is no other way', async () => {
    const { run } = await watched(() => ({ authoritative: [says('ns1', NEW)], resolvers: [] }))
    expect(findings(run)).toEqual(['dns-intercepted'])
    expect(watches(run)[0]?.resolvers).toEqual({ agreed: 1, total: 1 })
  })

  it('counts vantage points only where the answer is made for them', async () => {
    const vantage = (label: string, subnetScope: number) => ({
      ...scriptedResolver(label, (name) => ({ subnetScope, records: [{ name, type: 'A', content: NEW, ttlSeconds: 60 }] })),
      isVantage: true as const,
    })
    const { run } = await watched(() => ({ resolvers: [vantage('from Tokyo', 24), vantage('from Virginia', 0)] }))
    expect(watches(run)[0]?.resolvers).toEqual({ agreed: 2, total: 2 })
  })
})
