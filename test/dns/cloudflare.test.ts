import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type CloudflareApi, startCloudflareApi } from '../../src/demo/cloudflare-api.ts'
import { memoryZone, storedRecord, type ZoneStore } from '../../src/demo/zone-store.ts'
import { cloudflareProvider } from '../../src/dns/cloudflare.ts'
import type { DnsProvider, RecordChange } from '../../src/dns/port.ts'
import { inverse } from '../../src/dns/standing.ts'

const ZONE = 'shop.example'
const TOKEN = 'token-that-must-not-show'

describe('Cloudflare', () => {
  let store: ZoneStore
  let api: CloudflareApi
  let provider: DnsProvider
  beforeEach(async () => {
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

  const as = (token: string): DnsProvider => cloudflareProvider({ zone: ZONE, token: new Secret(token), api: api.url })
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

  it('says for how long to wait when there were too many requests', async () => {
    const change = await moved()
    api.faults.push({ kind: 'rate-limited', retryAfterSeconds: 240, writesOnly: true })
    expect(await says(provider.apply([change]))).toMatchObject({
      code: 'dns-rate-limited',
      retrySafe: true,
      hint: expect.stringContaining('240 seconds'),
    })
    expect(writes()).toHaveLength(1)
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
