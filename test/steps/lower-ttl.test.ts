import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { startCloudflareApi } from '../../src/demo/cloudflare-api.ts'
import { memoryZone, storedRecord } from '../../src/demo/zone-store.ts'
import { cloudflareProvider } from '../../src/dns/cloudflare.ts'
import { manualProvider } from '../../src/dns/manual.ts'
import { LOWERED_KEY } from '../../src/steps/dns-change.ts'
import { lowerTtlKind } from '../../src/steps/lower-ttl.ts'
import { FakeClock } from '../fakes/clock.ts'
import { memoryResolver } from '../fakes/memory-dns.ts'
import { perform, takeBack, testWorld } from '../fakes/step-run.ts'
import { contents, dnsWorld, NEW, newRun, OLD, record, shopZone, stepOf } from './dns-world.ts'

describe('lower-ttl', () => {
  it('lowers the TTL of the playbook’s records and nothing else, then has nothing left to do', async () => {
    const zone = shopZone()
    const step = stepOf(lowerTtlKind, dnsWorld(zone), { ttl: '60s' })
    const run = newRun()
    const planned = await perform(step, run)
    expect(planned.map((change) => step.describe(step.change.parse(change)))).toEqual([
      `± MODIFY A shop.example ${OLD} ttl=3600 → ${OLD} ttl=60\n± MODIFY CNAME www.shop.example shop.example ttl=600 → shop.example ttl=60`,
    ])
    expect(contents(zone)).toEqual([
      'blog.shop.example A 192.0.2.80 3600',
      `shop.example A ${OLD} 60`,
      'www.shop.example CNAME shop.example 60',
    ])
    expect(run.recall(LOWERED_KEY)).toEqual({
      at: run.clock.now(),
      oldTtlSeconds: 3600,
      done: true,
      ttls: [
        { name: 'shop.example', type: 'A', from: 3600, to: 60 },
        { name: 'www.shop.example', type: 'CNAME', from: 600, to: 60 },
      ],
    })
    expect(await step.plan(run)).toEqual([])
    expect(await step.verify(run)).toEqual([])
  })

  it('puts the old TTLs back when it is undone, and forgets the wait', async () => {
    const zone = shopZone()
    const before = contents(zone)
    const step = stepOf(lowerTtlKind, dnsWorld(zone))
    const run = newRun()
    await takeBack(step, await perform(step, run), run)
    expect(contents(zone)).toEqual(before)
    expect(run.recall(LOWERED_KEY)).toBeNull()
  })

  it('leaves alone what is proxied or low enough, and knows what automatic means', async () => {
    const zone = shopZone([
      record({ name: 'shop.example', content: OLD, ttlSeconds: 30 }),
      record({ name: 'www.shop.example', type: 'CNAME', content: 'shop.example', ttlSeconds: 1, proxied: true }),
    ])
    expect(await stepOf(lowerTtlKind, dnsWorld(zone)).plan(newRun())).toEqual([])
    const automatic = shopZone([record({ name: 'shop.example', content: OLD, ttlSeconds: 1 })])
    const run = newRun()
    await perform(stepOf(lowerTtlKind, dnsWorld(automatic)), run)
    expect(contents(automatic)).toEqual([`shop.example A ${OLD} 60`])
    expect(run.recall(LOWERED_KEY)).toMatchObject({ oldTtlSeconds: 300 })
  })

  it('notes the time afterwards when it was cut off between the change and its note', async () => {
    const zone = shopZone()
    const clock = new FakeClock(undefined, { automatic: false })
    const step = stepOf(lowerTtlKind, dnsWorld(zone))
    const first = newRun(clock)
    await perform(step, first)
    const resumed = newRun(clock)
    resumed.facts.set(LOWERED_KEY, { at: clock.now(), oldTtlSeconds: 3600, done: false })
    await clock.advance(5000)
    expect(await perform(step, resumed)).toEqual([{ kind: 'dns', records: [] }])
    expect(resumed.recall(LOWERED_KEY)).toMatchObject({ at: clock.now(), oldTtlSeconds: 3600, done: true })
    expect(await step.plan(resumed)).toEqual([])
  })

  it('refuses to write over what somebody else changed after the plan', async () => {
    const zone = shopZone()
    const step = stepOf(lowerTtlKind, dnsWorld(zone))
    const run = newRun()
    const [change] = await step.plan(run)
    zone.records = zone.records.map((each) => (each.name === 'shop.example' ? { ...each, content: '192.0.2.99' } : each))
    const before = contents(zone)
    await expect(step.apply(step.change.parse(change), run)).rejects.toMatchObject({ code: 'dns-record-changed' })
    expect(contents(zone)).toEqual(before)
  })

  it('reads back instead of repeating when Cloudflare’s answer to the batch is lost', async () => {
    const store = memoryZone('shop.example', [
      storedRecord({ id: '1', name: 'shop.example', type: 'A', content: OLD, ttl: 3600, comment: 'web', tags: ['shop'] }),
    ])
    const api = await startCloudflareApi({ zones: [store], tokens: { good: { read: ['shop.example'], edit: ['shop.example'] } } })
    const provider = cloudflareProvider({ zone: 'shop.example', token: new Secret('good'), api: api.url, clock: new FakeClock() })
    const world = dnsWorld(shopZone(), { provider, records: [{ name: 'shop.example', type: 'A', to: NEW }] })
    const step = stepOf(lowerTtlKind, world)
    api.faults.push({ kind: 'lost-answer', writesOnly: true })
    await perform(step, newRun())
    expect(store.records()).toMatchObject([{ content: OLD, ttl: 60, comment: 'web', tags: ['shop'] }])
    expect(api.requests.filter((request) => request.startsWith('POST'))).toHaveLength(1)
    await api.close()
  })

  it('finds in check that Cloudflare takes no TTL so small on the zone’s plan', async () => {
    const store = memoryZone('shop.example', [
      storedRecord({ id: '1', name: 'shop.example', type: 'A', content: OLD, ttl: 3600 }),
    ])
    const check = async (plan: string, ttl: number) => {
      const tokens = { good: { read: ['shop.example'], edit: ['shop.example'] } }
      const api = await startCloudflareApi({ zones: [store], tokens, zoneFacts: { plan } })
      const provider = cloudflareProvider({
        zone: 'shop.example',
        token: new Secret('good'),
        api: api.url,
        clock: new FakeClock(),
      })
      const found = await stepOf(lowerTtlKind, dnsWorld(shopZone(), { provider }), { ttl }).check(newRun())
      await api.close()
      return found.filter(({ severity }) => severity === 'error')
    }
    expect(await check('free', 30)).toMatchObject([{ code: 'dns-ttl-too-low', hint: expect.stringContaining('ttl: 60') }])
    expect(await check('free', 60)).toEqual([])
    expect(await check('enterprise', 30)).toEqual([])
  })

  it('takes what a registrar’s form allows when a person sets it', async () => {
    const zone = shopZone()
    const clock = new FakeClock()
    const provider = manualProvider({ zone: 'shop.example', authoritative: () => Promise.resolve([memoryResolver(zone)]), clock })
    const step = stepOf(lowerTtlKind, dnsWorld(zone, { provider }))
    const run = newRun(clock)
    const setTo = (ttlSeconds: number) => {
      zone.records = zone.records.map((each) => ({ ...each, ttlSeconds }))
    }
    void clock.sleep(600_000).then(() => setTo(300))
    const planned = await perform(step, run)
    expect(run.recall(LOWERED_KEY)).toMatchObject({ oldTtlSeconds: 3600, done: true })
    expect(run.clock.now()).toBeGreaterThanOrEqual(Date.UTC(2009, 7, 26, 3, 40))
    expect(await step.plan(run)).toEqual([])
    expect((await step.verify(run)).map((finding) => [finding.severity, finding.code])).toEqual([
      ['warning', 'dns-ttl-not-lowered'],
      ['warning', 'dns-ttl-not-lowered'],
    ])
    const taking = takeBack(step, planned, run)
    void clock.sleep(60_000).then(() => setTo(3600))
    await taking
    expect(contents(zone)).toContain(`shop.example A ${OLD} 3600`)
  })

  it('takes seconds or a duration, and says what else is wrong', () => {
    const parse = (ttl: unknown) => lowerTtlKind.options.safeParse({ ttl })
    expect([parse(120), parse('2m')].map((result) => result.data)).toEqual([{ ttl: 120 }, { ttl: 120 }])
    expect(lowerTtlKind.options.parse(undefined)).toEqual({ ttl: 60 })
    for (const bad of [1, 90_000, 'soon', 60.5, null]) expect(parse(bad).success).toBe(false)
  })

  it('says in check that the playbook has no dns', async () => {
    expect(await stepOf(lowerTtlKind, testWorld({})).check(newRun())).toMatchObject([
      { severity: 'error', code: 'playbook-part-missing' },
    ])
  })
})
