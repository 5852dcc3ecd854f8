import { describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { startCloudflareApi } from '../../src/demo/cloudflare-api.ts'
import { memoryZone, storedRecord } from '../../src/demo/zone-store.ts'
import { cloudflareProvider } from '../../src/dns/cloudflare.ts'
import { manualProvider } from '../../src/dns/manual.ts'
import { cutoverDnsKind } from '../../src/steps/cutover-dns.ts'
import { CUTOVER_KEY } from '../../src/steps/dns-change.ts'
import { FakeClock } from '../fakes/clock.ts'
import { memoryResolver, scriptedResolver } from '../fakes/memory-dns.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { contents, dnsWorld, NEW, newRun, notes, OLD, record, shopZone, stepOf, UnattendedRun } from './dns-world.ts'

describe('cutover-dns', () => {
  it('moves every name in one change, shows it beforehand, and has nothing left to do', async () => {
    const zone = shopZone()
    const step = stepOf(
      cutoverDnsKind,
      dnsWorld(zone, {
        records: [
          { name: 'shop.example', type: 'A', to: NEW },
          { name: 'blog.shop.example', type: 'A', to: NEW },
        ],
      }),
    )
    const run = newRun()
    const planned = await perform(step, run)
    expect(planned.map((change) => step.describe(step.change.parse(change)))).toEqual([
      `± MODIFY A shop.example ${OLD} ttl=3600 → ${NEW} ttl=3600\n± MODIFY A blog.shop.example 192.0.2.80 ttl=3600 → ${NEW} ttl=3600`,
    ])
    expect(contents(zone)).toEqual([
      `blog.shop.example A ${NEW} 3600`,
      `shop.example A ${NEW} 3600`,
      'www.shop.example CNAME shop.example 600',
    ])
    expect(await step.verify(run)).toEqual([])
    expect(await step.plan(run)).toEqual([])
    expect(run.recall(CUTOVER_KEY)).toEqual({ at: run.clock.now(), ttlSeconds: 3600 })
  })

  it('puts the records back when it is undone, also when the change was never made', async () => {
    const zone = shopZone()
    const before = contents(zone)
    const step = stepOf(cutoverDnsKind, dnsWorld(zone))
    const run = newRun()
    const planned = await step.plan(run)
    await takeBack(step, planned, run)
    expect(contents(zone)).toEqual(before)
    await takeBack(step, await perform(step, run), run)
    expect(contents(zone)).toEqual(before)
    expect(run.recall(CUTOVER_KEY)).toBeNull()
  })

  it('applies once more after a crash without harm', async () => {
    const zone = shopZone()
    const step = stepOf(cutoverDnsKind, dnsWorld(zone))
    const run = newRun()
    const [change] = await step.plan(run)
    await step.apply(step.change.parse(change), run)
    const after = contents(zone)
    await step.apply(step.change.parse(change), run)
    expect(contents(zone)).toEqual(after)
  })

  it('refuses to write over what somebody else changed after the plan', async () => {
    const zone = shopZone()
    const step = stepOf(cutoverDnsKind, dnsWorld(zone))
    const run = newRun()
    const [change] = await step.plan(run)
    zone.records = zone.records.map((each) => (each.name === 'shop.example' ? { ...each, content: '192.0.2.99' } : each))
    await expect(step.apply(step.change.parse(change), run)).rejects.toMatchObject({ code: 'dns-record-changed' })
    expect(contents(zone)).toContain('shop.example A 192.0.2.99 3600')
  })

  it('reads back instead of repeating when the answer is lost, and keeps proxying, comment and tags', async () => {
    const store = memoryZone('shop.example', [
      storedRecord({ id: '1', name: 'shop.example', type: 'A', content: OLD, proxied: true, comment: 'web', tags: ['shop'] }),
    ])
    const api = await startCloudflareApi({ zones: [store], tokens: { good: { read: ['shop.example'], edit: ['shop.example'] } } })
    const provider = cloudflareProvider({ zone: 'shop.example', token: new Secret('good'), api: api.url, clock: new FakeClock() })
    // Whoever asks a name server about a proxied record learns nothing: nobody is asked.
    const authoritative = [scriptedResolver('ns1', () => ({ status: 'SERVFAIL' }))]
    const step = stepOf(
      cutoverDnsKind,
      dnsWorld(shopZone(), { provider, authoritative, records: [{ name: 'shop.example', type: 'A', to: NEW }] }),
    )
    const run = newRun()
    expect((await step.check(run)).map((finding) => finding.code)).toEqual(['dns-proxied', 'dns-authoritative-unknown'])
    api.faults.push({ kind: 'lost-answer', writesOnly: true })
    const planned = await perform(step, run)
    expect(store.records()).toEqual([
      storedRecord({
        id: '1',
        name: 'shop.example',
        type: 'A',
        content: NEW,
        ttl: 1,
        proxied: true,
        comment: 'web',
        tags: ['shop'],
      }),
    ])
    expect(api.requests.filter((request) => request.startsWith('POST'))).toHaveLength(1)
    expect(await step.verify(run)).toEqual([])
    await takeBack(step, planned, run)
    expect(store.records()[0]).toMatchObject({ content: OLD, proxied: true, comment: 'web', tags: ['shop'] })
    await api.close()
  })

  it('refuses a type that cannot stand, in check and in plan, and warns of what would stay behind', async () => {
    const zone = shopZone([
      record({ name: 'shop.example', content: OLD }),
      record({ name: 'shop.example', type: 'AAAA', content: '2001:db8::10' }),
      record({ name: '*.shop.example', content: OLD }),
      record({ name: 'www.shop.example', type: 'CNAME', content: 'shop.example' }),
    ])
    const apex = { name: 'shop.example', type: 'A', to: NEW } as const
    const wrong = stepOf(cutoverDnsKind, dnsWorld(zone, { records: [apex, { name: 'www.shop.example', type: 'A', to: NEW }] }))
    expect((await wrong.check(newRun())).map((finding) => [finding.severity, finding.code])).toEqual([
      ['error', 'dns-type-conflict'],
      ['warning', 'dns-aaaa-left-behind'],
      ['warning', 'dns-wildcard-left-behind'],
      ['info', 'dns-mail-without-mx'],
    ])
    await expect(wrong.plan(newRun())).rejects.toMatchObject({ code: 'dns-type-conflict' })
  })

  describe('afterwards', () => {
    it('waits some seconds for the zone’s name servers to follow', async () => {
      const zone = shopZone()
      const old = shopZone()
      let looks = 0
      const slow = {
        label: 'ns1',
        query: (name: string, type: string) => Promise.resolve((++looks > 6 ? zone : old).answer(name, type)),
      }
      const step = stepOf(cutoverDnsKind, dnsWorld(zone, { authoritative: [slow] }))
      const run = newRun()
      await perform(step, run)
      expect(await step.verify(run)).toEqual([])
    })

    it('fails when they never do, and only warns when they cannot be asked', async () => {
      const zone = shopZone()
      const run = newRun()
      const stale = stepOf(cutoverDnsKind, dnsWorld(zone, { authoritative: [memoryResolver(shopZone())] }))
      await perform(stale, run)
      expect(await stale.verify(run)).toMatchObject([{ severity: 'error', code: 'dns-not-published' }])
      const silent = stepOf(
        cutoverDnsKind,
        dnsWorld(zone, { authoritative: [scriptedResolver('ns1', () => ({ status: 'TIMEOUT' }))] }),
      )
      expect(await silent.verify(run)).toMatchObject([{ severity: 'warning', code: 'dns-authoritative-unknown' }])
    })

    it('fails when somebody changes the record back', async () => {
      const zone = shopZone()
      const step = stepOf(cutoverDnsKind, dnsWorld(zone))
      const run = newRun()
      await takeBack(step, await perform(step, run), run)
      expect(await step.verify(run)).toMatchObject([{ severity: 'error', code: 'dns-not-changed' }])
    })
  })

  describe('with a zone that a person changes', () => {
    const byHand = (zone: ReturnType<typeof shopZone>, clock: FakeClock) =>
      dnsWorld(zone, {
        provider: manualProvider({ zone: 'shop.example', authoritative: () => Promise.resolve([memoryResolver(zone)]), clock }),
      })
    const typeIn = (zone: ReturnType<typeof shopZone>): void => {
      zone.records = zone.records.map((each) =>
        each.name === 'shop.example' ? { ...each, content: NEW, ttlSeconds: 900 } : each,
      )
    }

    it('ends as waiting where there is no terminal, and goes on in the next run once the change was made', async () => {
      const zone = shopZone()
      const clock = new FakeClock()
      const step = stepOf(cutoverDnsKind, byHand(zone, clock))
      const run = new UnattendedRun('/nowhere', clock)
      await expect(perform(step, run)).rejects.toMatchObject({ ending: 'waiting' })
      expect(notes(run)).toContain(`± MODIFY A shop.example ${OLD} ttl=3600 → ${NEW} ttl=3600`)
      typeIn(zone)
      expect(await perform(step, run)).toEqual([])
      expect(await step.verify(run)).toEqual([])
      expect(run.recall(CUTOVER_KEY)).toMatchObject({ ttlSeconds: 3600 })
    })

    it('waits in a terminal until the name servers say so, whatever TTL the form allowed', async () => {
      const zone = shopZone()
      const clock = new FakeClock()
      const step = stepOf(cutoverDnsKind, byHand(zone, clock))
      const run = newRun(clock)
      const start = clock.now()
      const typing = clock.sleep(600_000).then(() => typeIn(zone))
      await perform(step, run)
      await typing
      expect(clock.now() - start).toBeGreaterThanOrEqual(600_000)
      expect(await step.plan(run)).toEqual([])
    })

    it('does not go on when the person says no', async () => {
      const zone = shopZone()
      const run = newRun()
      run.answer = false
      await expect(perform(stepOf(cutoverDnsKind, byHand(zone, new FakeClock())), run)).rejects.toMatchObject({
        code: 'dns-change-awaited',
        ending: 'waiting',
      })
    })
  })
})
