import { afterEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { DnsProvider, DnsRecord, RecordChange } from '../../src/dns/port.ts'
import { inverse } from '../../src/dns/standing.ts'

/** A record as a test writes it down: what the world can see. */
export type PlainRecord = Pick<DnsRecord, 'name' | 'type' | 'content' | 'ttlSeconds'>

export interface ProviderUnderTest {
  readonly provider: DnsProvider
  /** An account that can read and not write; absent where there is no such thing. */
  readonly readOnly?: DnsProvider
  /** The same provider where nobody listens. */
  readonly unreachable: DnsProvider
  /** The zone as its owner sees it, whatever the provider says. */
  truth(): Promise<readonly PlainRecord[]>
  /** Somebody else changes a record's content. */
  meddle(name: string, type: DnsRecord['type'], content: string): Promise<void>
  /** Makes the changes by hand, for a provider that is a person. */
  person?(changes: readonly RecordChange[]): Promise<void>
  stop(): Promise<void>
}

export const ZONE = 'shop.example'

/** What stands in the zone when a test begins. */
export const ZONE_RECORDS: readonly PlainRecord[] = [
  { name: 'shop.example', type: 'A', content: '203.0.113.10', ttlSeconds: 300 },
  { name: 'shop.example', type: 'AAAA', content: '2001:db8::10', ttlSeconds: 300 },
  { name: 'www.shop.example', type: 'CNAME', content: 'shop.example', ttlSeconds: 3600 },
  { name: 'api.shop.example', type: 'A', content: '203.0.113.10', ttlSeconds: 300 },
  { name: 'api.shop.example', type: 'A', content: '203.0.113.11', ttlSeconds: 300 },
  { name: 'blog.shop.example', type: 'A', content: '192.0.2.80', ttlSeconds: 300 },
]

const plain = ({ name, type, content, ttlSeconds }: PlainRecord): string => `${name} ${type} ${content} ${ttlSeconds}`
const lines = (records: readonly PlainRecord[]): readonly string[] => records.map(plain).sort()

const codeThrown = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return 'nothing thrown'
  } catch (error) {
    return error instanceof MigrateError ? error.code : String(error)
  }
}

/** What every DNS provider and fake keeps to (src/dns/port.ts). `start` gives a fresh zone with ZONE_RECORDS. */
export function dnsProviderContract(name: string, start: () => Promise<ProviderUnderTest>): void {
  describe(`DNS provider contract: ${name}`, () => {
    let under: ProviderUnderTest | undefined
    const begin = async (): Promise<ProviderUnderTest> => {
      under = await start()
      return under
    }
    afterEach(async () => {
      await under?.provider.close()
      await under?.stop()
      under = undefined
    })
    const find = async (provider: DnsProvider, record: string, content?: string): Promise<DnsRecord> => {
      const found = (await provider.records([record])).find((each) => content === undefined || each.content === content)
      if (found === undefined) throw new Error(`${record} isn't in the zone`)
      return found
    }
    const moveTo = (before: DnsRecord, content: string): RecordChange => ({ before, after: { ...before, content } })
    const apply = async ({ provider, person }: ProviderUnderTest, changes: readonly RecordChange[]): Promise<void> => {
      const applying = provider.apply(changes)
      await person?.(changes)
      await applying
    }

    it('checks out when all is well, and lists the records of the names asked for, and no others', async () => {
      const { provider } = await begin()
      expect((await provider.check()).filter((finding) => finding.severity === 'error')).toEqual([])
      const found = await provider.records(['shop.example', 'WWW.shop.example.', 'nothing.shop.example'])
      expect(lines(found)).toEqual(
        lines(ZONE_RECORDS.filter((record) => ['shop.example', 'www.shop.example'].includes(record.name))),
      )
    })

    it('moves several records at once, touches no other, and finds nothing to do the second time', async () => {
      const now = await begin()
      const { provider } = now
      const apex = (await provider.records(['shop.example'])).find((record) => record.type === 'A')
      if (apex === undefined) throw new Error('no apex')
      const changes = [
        moveTo(apex, '198.51.100.20'),
        moveTo(await find(provider, 'api.shop.example', '203.0.113.11'), '198.51.100.21'),
      ]
      await apply(now, changes)
      const wanted = ZONE_RECORDS.map((record) => {
        if (record.name === 'shop.example' && record.type === 'A') return { ...record, content: '198.51.100.20' }
        return record.content === '203.0.113.11' ? { ...record, content: '198.51.100.21' } : record
      })
      expect(lines(await now.truth())).toEqual(lines(wanted))
      await provider.apply(changes)
      expect(lines(await now.truth())).toEqual(lines(wanted))
    })

    it('takes a change back with its opposite', async () => {
      const now = await begin()
      const change = moveTo(await find(now.provider, 'blog.shop.example'), '198.51.100.20')
      await apply(now, [change])
      await apply(now, [inverse(change)])
      expect(lines(await now.truth())).toEqual(lines(ZONE_RECORDS))
    })

    it('changes a TTL alone, and back', async () => {
      const now = await begin()
      const before = await find(now.provider, 'www.shop.example')
      const change: RecordChange = { before, after: { ...before, ttlSeconds: 60 } }
      await apply(now, [change])
      expect((await find(now.provider, 'www.shop.example')).ttlSeconds).toBe(60)
      await apply(now, [inverse(change)])
      expect(lines(await now.truth())).toEqual(lines(ZONE_RECORDS))
    })

    it('changes the TTL of every record of a name at once, and back', async () => {
      const now = await begin()
      const changes = (await now.provider.records(['api.shop.example'])).map((before) => ({
        before,
        after: { ...before, ttlSeconds: 60 },
      }))
      await apply(now, changes)
      expect(lines(await now.truth())).toEqual(
        lines(ZONE_RECORDS.map((record) => (record.name === 'api.shop.example' ? { ...record, ttlSeconds: 60 } : record))),
      )
      await apply(now, changes.map(inverse))
      expect(lines(await now.truth())).toEqual(lines(ZONE_RECORDS))
    })

    it('creates and deletes records, and takes both back although a new record has a new id', async () => {
      const now = await begin()
      const gone = await find(now.provider, 'api.shop.example', '203.0.113.11')
      const changes: readonly RecordChange[] = [
        { before: gone, after: null },
        {
          before: null,
          after: { name: 'shop2.shop.example', type: 'A', content: '198.51.100.22', ttlSeconds: 120, proxied: false, id: null },
        },
      ]
      await apply(now, changes)
      await now.provider.apply(changes)
      const truth = await now.truth()
      expect(lines(truth)).toContain('shop2.shop.example A 198.51.100.22 120')
      expect(lines(truth)).not.toContain('api.shop.example A 203.0.113.11 300')
      await apply(now, changes.map(inverse))
      expect(lines(await now.truth())).toEqual(lines(ZONE_RECORDS))
      await now.provider.apply(changes.map(inverse))
    })

    it('changes nothing at all when somebody else changed one of the records meanwhile', async () => {
      const now = await begin()
      const changes = [
        moveTo(await find(now.provider, 'blog.shop.example'), '198.51.100.20'),
        moveTo(await find(now.provider, 'api.shop.example', '203.0.113.11'), '198.51.100.21'),
      ]
      await now.meddle('blog.shop.example', 'A', '192.0.2.99')
      const before = lines(await now.truth())
      expect(await codeThrown(now.provider.apply(changes))).toBe('dns-record-changed')
      expect(lines(await now.truth())).toEqual(before)
    })

    it('says so when it cannot be reached', async () => {
      const now = await begin()
      expect(await codeThrown(now.unreachable.records(['shop.example']))).toBe('dns-unreachable')
      expect((await now.unreachable.check()).map((finding) => [finding.severity, finding.code])).toEqual([
        ['error', 'dns-unreachable'],
      ])
    })

    it('finds a missing right by checking, without writing, and refuses by name when it is tried', async () => {
      const now = await begin()
      if (now.readOnly === undefined) return
      const change = moveTo(await find(now.readOnly, 'blog.shop.example'), '198.51.100.20')
      expect((await now.readOnly.check()).map((finding) => [finding.severity, finding.code])).toEqual([
        ['error', 'dns-permission-denied'],
      ])
      expect(await codeThrown(now.readOnly.apply([change]))).toBe('dns-permission-denied')
      expect(lines(await now.truth())).toEqual(lines(ZONE_RECORDS))
    })
  })
}
