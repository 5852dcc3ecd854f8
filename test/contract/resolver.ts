import { TRUNCATED_RESPONSE } from 'dns-packet'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DnsListener, type DnsResponse, listenDns, type Transport } from '../../src/demo/dns-listener.ts'
import type { ServerAddress } from '../../src/dns/names.ts'
import type { Resolver } from '../../src/dns/port.ts'
import { freePort } from '../servers/ports.ts'

/** A name server with the zone below, and whether it answers for it or repeats what it heard. */
export interface ZoneServer extends ServerAddress {
  readonly authoritative: boolean
  stop(): Promise<void>
}

export const RESOLVER_ZONE = 'shop.example'

/** What the zone of the contract holds; its SOA says that a missing name may be remembered for 45 s. */
export const RESOLVER_LINES: readonly string[] = [
  '@ 300 IN A 203.0.113.10',
  '@ 300 IN A 203.0.113.11',
  '@ 300 IN AAAA 2001:db8::10',
  'www 120 IN CNAME shop.example.',
  'note 60 IN TXT "hello world"',
  ...Array.from({ length: 80 }, (_, index) => `many 60 IN A 198.51.100.${index + 1}`),
]
const NEGATIVE_TTL_SECONDS = 45
/** For an answer that comes: a machine may be busy with other tests. Milliseconds. */
const PATIENCE_MS = 10_000

export interface ResolverOptions {
  readonly timeoutMs: number
  readonly tries: number
}

/** What every way of asking a name server keeps to (src/dns/port.ts). `ask` makes a resolver for a server. */
export function resolverContract(
  name: string,
  ask: (server: ServerAddress, options: ResolverOptions) => Resolver,
  start: () => Promise<ZoneServer>,
): void {
  describe(`resolver contract: ${name}`, () => {
    let server: ZoneServer
    let resolver: Resolver
    beforeAll(async () => {
      server = await start()
      resolver = ask(server, { timeoutMs: PATIENCE_MS, tries: 3 })
    })
    afterAll(() => server?.stop())

    it('tells all addresses of a name with their TTL, and whether the server answers for the zone', async () => {
      const answer = await resolver.query('Shop.Example.', 'A')
      expect(answer.status).toBe('NOERROR')
      expect(answer.authoritative).toBe(server.authoritative)
      expect(answer.records.map((record) => `${record.name} ${record.type} ${record.content}`).sort()).toEqual([
        'shop.example A 203.0.113.10',
        'shop.example A 203.0.113.11',
      ])
      for (const record of answer.records) expect(record.ttlSeconds).toBeGreaterThan(290)
      expect(answer.negativeTtlSeconds).toBeNull()
      expect(answer.milliseconds).toBeGreaterThanOrEqual(0)
    })

    it('spells IPv6 addresses and texts in one way', async () => {
      expect((await resolver.query('shop.example', 'AAAA')).records.map((record) => record.content)).toEqual(['2001:db8::10'])
      expect((await resolver.query('note.shop.example', 'TXT')).records.map((record) => record.content)).toEqual(['hello world'])
    })

    it('shows the alias and what it leads to', async () => {
      const answer = await resolver.query('www.shop.example', 'A')
      expect(answer.records.map((record) => record.type).sort()).toEqual(['A', 'A', 'CNAME'])
      const alias = await resolver.query('www.shop.example', 'CNAME')
      expect(alias.records.map(({ name, type, content }) => `${name} ${type} ${content}`)).toEqual([
        'www.shop.example CNAME shop.example',
      ])
    })

    it('tells a missing name from a missing type, and for how long either is remembered', async () => {
      const name = await resolver.query('nobody.shop.example', 'A')
      expect([name.status, name.records]).toEqual(['NXDOMAIN', []])
      const type = await resolver.query('note.shop.example', 'A')
      expect([type.status, type.records]).toEqual(['NOERROR', []])
      for (const answer of [name, type]) {
        expect(answer.negativeTtlSeconds).toBeGreaterThan(40)
        expect(answer.negativeTtlSeconds).toBeLessThanOrEqual(NEGATIVE_TTL_SECONDS)
      }
    })

    it('comes back over TCP for an answer that UDP can not carry', async () => {
      const answer = await resolver.query('many.shop.example', 'A')
      expect(answer.status).toBe('NOERROR')
      expect(answer.records).toHaveLength(80)
    })
  })

  describe(`resolver contract, faulty servers: ${name}`, () => {
    const listeners: DnsListener[] = []
    afterAll(() => Promise.all(listeners.map((each) => each.close())))
    const faulty = async (respond: Parameters<typeof listenDns>[1], timeoutMs = PATIENCE_MS): Promise<Resolver> => {
      const listener = await listenDns('127.0.0.1', respond)
      listeners.push(listener)
      return ask(listener, { timeoutMs, tries: 1 })
    }
    const answer = (query: { id?: number | undefined }, flags: number, data = '192.0.2.1'): DnsResponse => ({
      type: 'response',
      id: query.id ?? 0,
      flags,
      questions: [{ type: 'A', name: 'x.example', class: 'IN' }],
      answers: flags % 16 === 0 ? [{ type: 'A', name: 'x.example', ttl: 60, data }] : [],
    })

    it.each([
      ['SERVFAIL', 2],
      ['REFUSED', 5],
    ])('reports %s as the status', async (status, rcode) => {
      const resolver = await faulty((query) => answer(query, rcode))
      expect(await resolver.query('x.example', 'A')).toMatchObject({ status, records: [] })
    })

    it('reports silence as TIMEOUT', async () => {
      const resolver = await faulty(() => undefined, 1000)
      expect(await resolver.query('x.example', 'A')).toMatchObject({ status: 'TIMEOUT', records: [], negativeTtlSeconds: null })
    })

    it('reports a closed port as UNREACHABLE', async () => {
      const resolver = ask({ address: '127.0.0.1', port: await freePort('127.0.0.1') }, { timeoutMs: PATIENCE_MS, tries: 1 })
      expect(await resolver.query('x.example', 'A')).toMatchObject({ status: 'UNREACHABLE', records: [] })
    })

    it('does not take an answer with another id for its own', async () => {
      const resolver = await faulty((query) => answer({ id: ((query.id ?? 0) + 1) % 65536 }, 0, '192.0.2.66'), 1000)
      const got = await resolver.query('x.example', 'A')
      expect(got.status).not.toBe('NOERROR')
      expect(got.records).toEqual([])
    })

    it('asks over TCP when UDP says that it was cut off', async () => {
      const resolver = await faulty((query, transport: Transport) =>
        transport === 'udp' ? answer(query, TRUNCATED_RESPONSE) : answer(query, 0, '192.0.2.7'),
      )
      expect((await resolver.query('x.example', 'A')).records.map((record) => record.content)).toEqual(['192.0.2.7'])
    })

    it('refuses a name that is no name before it is sent anywhere', async () => {
      const resolver = await faulty(() => undefined)
      for (const name of ['-f/etc/passwd', '@127.0.0.1', '+short', 'a b.example', '', `${'a'.repeat(64)}.example`]) {
        await expect(resolver.query(name, 'A')).rejects.toMatchObject({ code: 'dns-name-invalid' })
      }
    })

    it('stops when told to', async () => {
      const resolver = await faulty(() => undefined)
      const stop = new AbortController()
      const asking = resolver.query('x.example', 'A', stop.signal)
      stop.abort(new Error('told to'))
      await expect(asking).rejects.toThrow('told to')
    })
  })
}
