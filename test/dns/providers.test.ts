import { describe } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { startCloudflareApi } from '../../src/demo/cloudflare-api.ts'
import { startNameServer } from '../../src/demo/dns-server.ts'
import { memoryZone, type StoredRecord, storedRecord, type ZoneStore } from '../../src/demo/zone-store.ts'
import { cloudflareProvider } from '../../src/dns/cloudflare.ts'
import { manualProvider } from '../../src/dns/manual.ts'
import { parseServerAddress } from '../../src/dns/names.ts'
import type { RecordChange } from '../../src/dns/port.ts'
import { measureResolver } from '../../src/dns/resolver-measure.ts'
import { dnsProviderContract, type PlainRecord, type ProviderUnderTest, ZONE, ZONE_RECORDS } from '../contract/dns-provider.ts'
import { MemoryDns, MemoryZone } from '../fakes/memory-dns.ts'
import { bindMissing, bindZone, startBind, zoneLines } from '../servers/bind.ts'
import { freePort } from '../servers/ports.ts'

const stored: readonly StoredRecord[] = ZONE_RECORDS.map(({ name, type, content, ttlSeconds }, index) =>
  storedRecord({ id: `id${index}`, name, type, content, ttl: ttlSeconds }),
)

const fromStore = (store: ZoneStore): readonly PlainRecord[] =>
  store.records().map(({ name, type, content, ttl }) => ({
    name,
    type: type === 'CNAME' || type === 'AAAA' ? type : 'A',
    content,
    ttlSeconds: ttl,
  }))

const meddleIn = (store: ZoneStore) => (name: string, type: string, content: string) =>
  store.replace(store.records().map((record) => (record.name === name && record.type === type ? { ...record, content } : record)))

async function cloudflareOver(store: ZoneStore, stop: () => Promise<void>): Promise<ProviderUnderTest> {
  const other = memoryZone('other.example', [])
  const api = await startCloudflareApi({
    zones: [other, store],
    tokens: { 'token-edit': { read: [ZONE], edit: [ZONE] }, 'token-read': { read: [ZONE], edit: [] } },
  })
  const provider = (token: string, url: URL) =>
    cloudflareProvider({ zone: ZONE, token: new Secret(token), api: url, clock: systemClock })
  return {
    provider: provider('token-edit', api.url),
    readOnly: provider('token-read', api.url),
    unreachable: provider('token-edit', new URL(`http://127.0.0.1:${await freePort('127.0.0.1')}/client/v4`)),
    truth: () => Promise.resolve(fromStore(store)),
    meddle: meddleIn(store),
    stop: async () => {
      await api.close()
      await stop()
    },
  }
}

dnsProviderContract('memory', () => {
  const zone = new MemoryZone(
    ZONE,
    ZONE_RECORDS.map((record) => ({ ...record, proxied: false })),
  )
  return Promise.resolve({
    provider: new MemoryDns(zone),
    readOnly: new MemoryDns(zone, { readOnly: true }),
    unreachable: new MemoryDns(zone, { unreachable: true }),
    truth: () => Promise.resolve(zone.records),
    meddle: (name, type, content) => {
      zone.records = zone.records.map((record) =>
        record.name === name && record.type === type ? { ...record, content } : record,
      )
      return Promise.resolve()
    },
    stop: () => Promise.resolve(),
  })
})

dnsProviderContract('Cloudflare-shaped API over a zone in memory', () =>
  cloudflareOver(memoryZone(ZONE, stored), () => Promise.resolve()),
)

dnsProviderContract('by hand, over name servers in process', async () => {
  const zone = memoryZone(ZONE, stored)
  const server = await startNameServer({ address: '127.0.0.1', zone })
  const at = (endpoint: string) => () =>
    Promise.resolve([measureResolver(parseServerAddress(endpoint), { clock: systemClock, timeoutMs: 5000, tries: 2 })])
  const manual = (endpoint: string) => manualProvider({ zone: ZONE, authoritative: at(endpoint), clock: systemClock, everyMs: 5 })
  return {
    provider: manual(server.endpoint),
    unreachable: manual(`127.0.0.1:${await freePort('127.0.0.1')}`),
    truth: () => Promise.resolve(fromStore(zone)),
    meddle: meddleIn(zone),
    person: (changes) => zone.replace(byHand(zone.records(), changes)),
    stop: () => server.close(),
  }
})

/** What a person types into the form. */
function byHand(records: readonly StoredRecord[], changes: readonly RecordChange[]): readonly StoredRecord[] {
  let next = records
  for (const { before, after } of changes) {
    next = next.filter(
      (record) =>
        before === null || record.name !== before.name || record.type !== before.type || record.content !== before.content,
    )
    if (after !== null) {
      next = [
        ...next,
        storedRecord({
          id: `by hand ${after.name} ${after.content}`,
          name: after.name,
          type: after.type,
          content: after.content,
          ttl: after.ttlSeconds,
        }),
      ]
    }
  }
  return next
}

describe.skipIf(bindMissing !== null)(bindMissing === null ? 'with BIND' : `with BIND (skipped: ${bindMissing})`, () => {
  dnsProviderContract('Cloudflare-shaped API over BIND', async () => {
    const bind = await startBind({ zone: ZONE, records: zoneLines(stored) })
    const under = await cloudflareOver(bindZone(bind, ZONE, stored), () => bind.stop())
    return {
      ...under,
      // What the world can see, from the name server itself.
      truth: async () => {
        const names = [...new Set([...(await under.truth()), ...ZONE_RECORDS].map((record) => record.name))]
        const answers = await Promise.all(
          names.flatMap((name) =>
            (['A', 'AAAA', 'CNAME'] as const).map(async (type) => ({
              type,
              name,
              answer: await bind.resolver.query(name, type),
            })),
          ),
        )
        return answers.flatMap(({ name, type, answer }) =>
          answer.records
            .filter((record) => record.name === name && record.type === type)
            .map(({ content, ttlSeconds }) => ({ name, type, content, ttlSeconds })),
        )
      },
    }
  })
})
