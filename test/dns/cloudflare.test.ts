import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type CloudflareApi, startCloudflareApi } from '../../src/demo/cloudflare-api.ts'
import { memoryZone, storedRecord, type ZoneStore } from '../../src/demo/zone-store.ts'
import { cloudflareProvider } from '../../src/dns/cloudflare.ts'
import type { DnsProvider, RecordChange } from '../../src/dns/port.ts'
import { inverse } from '../../src/dns/standing.ts'
import { FakeClock } from '../fakes/clock.ts'

const ZONE = 'shop.example'
const TOKEN = 'token-that-must-not-show'

describe('Cloudflare', () => {
  let store: ZoneStore
  let api: CloudflareApi
  let provider: DnsProvider
  let clock: FakeClock
  beforeEach(async () => {
    clock = new FakeClock()
    store = memoryZone(ZONE, [
      storedRecord({ id: '1', name: ZONE, type: 'A', content: '203.0.113.10', comment: 'web', tags: ['shop:yes'] }),
      storedRecord({ id: '2', name: `www.${ZONE}`, type: 'A', content: '203.0.113.10', proxied: true }),
      storedRecord({ id: '3', name: ZONE, type: 'TXT', content: 'v=spf1 -all' }),
    ])
    const others = Array.from({ length: 120 }, (_, index) => memoryZone(`other${index}.example`, []))
    api = await startCloudflareApi({
      zones: [...others, store],
      tokens: {
        [TOKEN]: { read: [ZONE], edit: [ZONE] },
        blind: { read: ['other1.example'], edit: ['other1.example'] },
      },
    })
    provider = as(TOKEN)
  })
  afterEach(() => api.close())

  const as = (token: string): DnsProvider => cloudflareProvider({ zone: ZONE, token: new Secret(token), api: api.url, clock })
  const moved = async (name = ZONE): Promise<RecordChange> => {
    const [before] = await provider.records([name])
    if (before === undefined) throw new Error('no record')
    return { before, after: { ...before, content: '198.51.100.20' } }
  }
  const writes = (): readonly string[] => api.requests.filter((request) => !request.startsWith('GET'))
  const says = async (work: Promise<unknown>) => {
    const error: unknown = await work.then(
      () => 'nothing thrown',
      (thrown: unknown) => thrown,
    )
    expect(JSON.stringify(error) + String(error)).not.toContain(TOKEN)
    return error
  }

  it('sends all changes as one batch, and keeps proxying, comment and tags', async () => {
    await provider.apply([await moved(), await moved(`www.${ZONE}`)])
    expect(writes()).toHaveLength(1)
    expect(writes()[0]).toMatch(/\/dns_records\/batch$/)
    expect(store.records().slice(0, 2)).toMatchObject([
      { content: '198.51.100.20', proxied: false, comment: 'web', tags: ['shop:yes'] },
      { content: '198.51.100.20', proxied: true },
    ])
  })

  it('gives a deleted record its comment and tags back when the deletion is undone', async () => {
    const [before] = await provider.records([ZONE])
    const gone: RecordChange = { before: before ?? null, after: null }
    await provider.apply([gone])
    expect(store.records().some((record) => record.type === 'A' && record.name === ZONE)).toBe(false)
    await provider.apply([inverse(gone)])
    expect(store.records().at(-1)).toMatchObject({ name: ZONE, content: '203.0.113.10', comment: 'web', tags: ['shop:yes'] })
  })

  it('believes what it reads, not that the answer was lost', async () => {
    const change = await moved()
    api.faults.push({ kind: 'lost-answer', writesOnly: true })
    await provider.apply([change])
    expect(writes()).toHaveLength(1)
    expect(store.records()[0]?.content).toBe('198.51.100.20')
  })

  it('says that it may be tried again when the connection was cut before anything was done', async () => {
    const change = await moved()
    api.faults.push({ kind: 'cut', writesOnly: true })
    expect(await says(provider.apply([change]))).toMatchObject({ code: 'dns-unreachable', retrySafe: true })
    expect(store.records()[0]?.content).toBe('203.0.113.10')
    await provider.apply([change])
    expect(store.records()[0]?.content).toBe('198.51.100.20')
  })

  it('takes "success: false" with status 200 for the failure that it is, also while reading', async () => {
    const change = await moved()
    api.faults.push({ kind: 'false-success', writesOnly: true })
    expect(await says(provider.apply([change]))).toMatchObject({
      code: 'dns-failed',
      message: expect.stringContaining('Could not route'),
    })
    api.faults.push({ kind: 'false-success' })
    expect(await says(provider.records([ZONE]))).toMatchObject({ code: 'dns-failed' })
    expect(store.records()[0]?.content).toBe('203.0.113.10')
  })

  it('waits as long as Cloudflare asks when there were too many requests, then goes on, reading or writing', async () => {
    const change = await moved()
    const start = clock.now()
    api.faults.push(
      { kind: 'rate-limited', retryAfterSeconds: 90, writesOnly: true },
      { kind: 'rate-limited', retryAfterSeconds: 30 },
    )
    await provider.apply([change])
    expect(clock.now() - start).toBe(120_000)
    expect(writes()).toHaveLength(2)
    expect(store.records()[0]?.content).toBe('198.51.100.20')
  })

  it('stops waiting when told to stop', async () => {
    clock = new FakeClock(undefined, { automatic: false })
    const stop = new AbortController()
    api.faults.push({ kind: 'rate-limited', retryAfterSeconds: 90 })
    const reading = as(TOKEN).records([ZONE], stop.signal)
    await expect.poll(() => clock.sleeping).toBe(1)
    stop.abort(new Error('Ctrl-C'))
    await expect(reading).rejects.toThrow('Ctrl-C')
  })

  it('says for how long to wait when that is longer than it waits by itself', async () => {
    const change = await moved()
    api.faults.push({ kind: 'rate-limited', retryAfterSeconds: 900, writesOnly: true })
    expect(await says(provider.apply([change]))).toMatchObject({
      code: 'dns-rate-limited',
      retrySafe: true,
      hint: expect.stringContaining('900 seconds'),
    })
    expect(writes()).toHaveLength(1)
  })

  it('reads back what a failing server on the way kept to itself: done, or not done', async () => {
    const change = await moved()
    api.faults.push({ kind: 'server-error-after', writesOnly: true })
    await provider.apply([change])
    expect(store.records()[0]?.content).toBe('198.51.100.20')
    expect(writes()).toHaveLength(1)
    api.faults.push({ kind: 'server-error', writesOnly: true })
    const error = await says(provider.apply([inverse(change)]))
    expect(error).toMatchObject({
      code: 'dns-unreachable',
      retrySafe: true,
      message: expect.stringContaining('Service unavailable'),
    })
    expect(writes()).toHaveLength(2)
    expect(store.records()[0]?.content).toBe('198.51.100.20')
  })

  it('never says that nothing was changed while it cannot be read whether it was', async () => {
    const change = await moved()
    const looks = Array.from({ length: 6 }, () => ({ kind: 'server-error', onceWritten: true }) as const)
    api.faults.push({ kind: 'server-error-after', writesOnly: true }, ...looks)
    const error = await says(provider.apply([change]))
    expect(error).toMatchObject({
      retrySafe: true,
      message: expect.stringMatching(/were sent, and whether they were made couldn't be read back: .*Service unavailable/),
    })
    expect(error).not.toMatchObject({ message: expect.stringContaining('Nothing was changed') })
    api.faults.push({ kind: 'server-error' })
    expect(await says(provider.apply([change]))).toMatchObject({ message: expect.stringContaining('were sent') })
    await provider.apply([change])
    expect(writes()).toHaveLength(1)
  })

  it('has patience until everybody reads what was written, and sends nothing twice', async () => {
    const change = await moved()
    api.faults.push({ kind: 'stale-read' }, { kind: 'stale-read' }, { kind: 'stale-read' }, { kind: 'stale-read' })
    const start = clock.now()
    await provider.apply([change])
    // The first stale answer was the look before the batch.
    expect(clock.now() - start).toBe(500 + 1000 + 2000)
    expect(writes()).toHaveLength(1)
  })

  it('reads every page, with no more requests than pages', async () => {
    const many = Array.from({ length: 230 }, (_, index) =>
      storedRecord({ id: `m${index}`, name: `many.${ZONE}`, type: 'A', content: `192.0.2.${index}` }),
    )
    await store.replace([...store.records(), ...many])
    await provider.records([ZONE])
    api.requests.length = 0
    expect(await provider.records([`many.${ZONE}`])).toHaveLength(230)
    expect(api.requests).toHaveLength(3)
    const changes = (await provider.records([`many.${ZONE}`])).map((before) => ({ before, after: { ...before, ttlSeconds: 60 } }))
    expect(await says(provider.apply(changes))).toMatchObject({
      code: 'dns-failed',
      message: expect.stringContaining('at most 200'),
    })
    expect(writes()).toEqual([])
    await provider.apply(changes.slice(0, 200))
    expect(writes()).toHaveLength(1)
  })

  it('repeats in its message what Cloudflare says beneath its words', async () => {
    const { before } = await moved()
    if (before === null) throw new Error('no record')
    const error = await says(provider.apply([{ before, after: { ...before, ttlSeconds: 30 } }]))
    expect(error).toMatchObject({ code: 'dns-failed', message: expect.stringContaining('TTL must be between 60 and 86400') })
    expect(error).toMatchObject({ message: expect.stringContaining('DNS Validation Error (1004); ') })
  })

  it('tells a wrong token from one that does not see the zone', async () => {
    expect(await says(as('wrong').records([ZONE]))).toMatchObject({ code: 'dns-token-rejected' })
    expect(await as('wrong').check()).toMatchObject([{ severity: 'error', code: 'dns-token-rejected' }])
    expect(await says(as('blind').records([ZONE]))).toMatchObject({
      code: 'dns-zone-missing',
      hint: expect.stringContaining('Zone → DNS → Edit'),
    })
    expect(await as('blind').check()).toMatchObject([{ severity: 'error', code: 'dns-zone-missing' }])
  })

  it('writes nothing while it checks, and asks for nothing twice', async () => {
    await provider.check()
    expect(writes()).toEqual([])
    expect(api.requests.filter((request) => request === 'GET /zones').length).toBeLessThanOrEqual(2)
  })
})
