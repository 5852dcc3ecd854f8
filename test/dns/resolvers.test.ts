import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { startCachingResolver } from '../../src/demo/caching-resolver.ts'
import { listenDns } from '../../src/demo/dns-listener.ts'
import { startNameServer } from '../../src/demo/dns-server.ts'
import { memoryZone, storedRecord } from '../../src/demo/zone-store.ts'
import type { ServerAddress } from '../../src/dns/names.ts'
import { digMissing, digResolver } from '../../src/dns/resolver-dig.ts'
import { measureResolver } from '../../src/dns/resolver-measure.ts'
import { RESOLVER_LINES, RESOLVER_ZONE, type ResolverOptions, resolverContract, type ZoneServer } from '../contract/resolver.ts'
import { FakeClock } from '../fakes/clock.ts'
import { type Bind, bindMissing, startBind } from '../servers/bind.ts'
import { startUnbound, type Unbound, unboundMissing } from '../servers/unbound.ts'

const measure = (server: ServerAddress, options: ResolverOptions) => measureResolver(server, { clock: systemClock, ...options })
const dig = (server: ServerAddress, options: ResolverOptions) => digResolver(server, { clock: systemClock, ...options })

const bindServer = async (): Promise<ZoneServer> => {
  const bind = await startBind({ zone: RESOLVER_ZONE, records: RESOLVER_LINES })
  return { address: bind.address, port: bind.port, authoritative: true, stop: () => bind.stop() }
}

const unboundServer = async (): Promise<ZoneServer> => {
  const bind = await startBind({ zone: RESOLVER_ZONE, records: RESOLVER_LINES })
  const unbound = await startUnbound({ zone: RESOLVER_ZONE, upstream: bind })
  return {
    address: unbound.address,
    port: unbound.port,
    authoritative: false,
    stop: async () => {
      await unbound.stop()
      await bind.stop()
    },
  }
}

const titled = (title: string, ...missing: readonly (string | null)[]) => {
  const reason = missing.find((each) => each !== null)
  return { skip: reason !== undefined, title: reason === undefined ? title : `${title} (skipped: ${reason})` }
}

const withBind = titled('with BIND', bindMissing)
const withUnbound = titled('with unbound', bindMissing, unboundMissing)
const digMissingHere = await digMissing()
const withDig = titled('with dig', bindMissing, unboundMissing, digMissingHere)

describe.skipIf(withBind.skip)(withBind.title, () => resolverContract('measured, against BIND', measure, bindServer))
describe.skipIf(withUnbound.skip)(withUnbound.title, () => resolverContract('measured, against unbound', measure, unboundServer))
describe.skipIf(withDig.skip)(withDig.title, () => {
  resolverContract('through dig, against BIND', dig, bindServer)
  resolverContract('through dig, against unbound', dig, unboundServer)
})

it('says that dig is missing where it is', async () => {
  const resolver = digResolver({ address: '127.0.0.1', port: 53 }, { clock: systemClock, program: '/nowhere/dig' })
  await expect(resolver.query('shop.example', 'A')).rejects.toMatchObject({ code: 'dig-missing' })
})

it('waits for the real answer while forged ones arrive: other id, other question, not even a packet', async () => {
  const listener = await listenDns('127.0.0.1', () => undefined)
  await listener.close()
  const { createSocket } = await import('node:dgram')
  const { decode, encode } = await import('dns-packet')
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(listener.port, '127.0.0.1', resolve))
  socket.on('message', (message, from) => {
    const query = decode(message)
    const reply = (id: number, name: string, data: string) =>
      encode({ type: 'response', id, flags: 0, questions: [{ type: 'A', name }], answers: [{ type: 'A', name, ttl: 60, data }] })
    const id = query.id ?? 0
    for (const packet of [
      Buffer.from('nonsense'),
      reply(id ^ 1, 'x.example', '192.0.2.66'),
      reply(id, 'y.example', '192.0.2.67'),
      reply(id, 'x.example', '192.0.2.1'),
    ]) {
      socket.send(packet, from.port, from.address)
    }
  })
  const answer = await measure({ address: '127.0.0.1', port: listener.port }, { timeoutMs: 10_000, tries: 1 }).query(
    'x.example',
    'A',
  )
  socket.close()
  expect(answer.records.map((record) => record.content)).toEqual(['192.0.2.1'])
})

describe.skipIf(withUnbound.skip)(`${withUnbound.title}: what customers’ caches do to a change`, () => {
  let bind: Bind
  let plain: Unbound
  let stubborn: Unbound
  beforeAll(async () => {
    bind = await startBind({ zone: RESOLVER_ZONE, records: ['@ 1 IN A 203.0.113.10'] })
    plain = await startUnbound({ zone: RESOLVER_ZONE, upstream: bind })
    stubborn = await startUnbound({ zone: RESOLVER_ZONE, upstream: bind, minimumTtlSeconds: 3600 })
  })
  afterAll(async () => {
    for (const server of [plain, stubborn, bind]) await server?.stop()
  })

  it('sees one resolver follow after the TTL, and another clamp it upward', async () => {
    const says = async (server: Unbound): Promise<readonly string[]> =>
      (await server.resolver.query(RESOLVER_ZONE, 'A')).records.map((record) => record.content)
    expect([await says(plain), await says(stubborn)]).toEqual([['203.0.113.10'], ['203.0.113.10']])
    await bind.update([`update delete ${RESOLVER_ZONE}. A`, `update add ${RESOLVER_ZONE}. 1 A 198.51.100.20`])
    await expect.poll(() => says(plain), { timeout: 10_000 }).toEqual(['198.51.100.20'])
    const late = await stubborn.resolver.query(RESOLVER_ZONE, 'A')
    expect(late.records.map((record) => record.content)).toEqual(['203.0.113.10'])
    expect(late.records[0]?.ttlSeconds).toBeGreaterThan(3000)
  })
})

describe('the demo’s own name server and caching resolver', () => {
  it('answers from the zone as it stands, remembers for the TTL, and clamps where told to', async () => {
    const clock = new FakeClock(undefined, { automatic: false })
    const zone = memoryZone('shop.example', [
      storedRecord({ id: '1', name: 'shop.example', type: 'A', content: '127.0.1.1', ttl: 60 }),
      storedRecord({ id: '2', name: 'www.shop.example', type: 'CNAME', content: 'shop.example', ttl: 60 }),
      storedRecord({ id: '3', name: '*.shop.example', type: 'A', content: '127.0.1.9', ttl: 60 }),
    ])
    const server = await startNameServer({ address: '127.0.20.1', zone, negativeTtlSeconds: 30 })
    const upstream = measureResolver(server, { clock: systemClock })
    const cache = await startCachingResolver({ address: '127.0.20.2', upstream, clock })
    const clamp = await startCachingResolver({ address: '127.0.20.3', upstream, clock, minimumTtlSeconds: 900 })
    const ask = async (at: ServerAddress, name = 'www.shop.example'): Promise<string | undefined> =>
      (await measureResolver(at, { clock: systemClock }).query(name, 'A')).records.find((record) => record.type === 'A')?.content
    expect([await ask(server), await ask(cache), await ask(clamp)]).toEqual(['127.0.1.1', '127.0.1.1', '127.0.1.1'])
    expect(await ask(server, 'else.shop.example')).toBe('127.0.1.9')
    await zone.replace(zone.records().map((record) => (record.id === '1' ? { ...record, content: '127.0.2.1' } : record)))
    expect([await ask(server), await ask(cache), await ask(clamp)]).toEqual(['127.0.2.1', '127.0.1.1', '127.0.1.1'])
    await clock.advance(61_000)
    expect([await ask(cache), await ask(clamp)]).toEqual(['127.0.2.1', '127.0.1.1'])
    await clock.advance(900_000)
    expect(await ask(clamp)).toBe('127.0.2.1')
    expect((await upstream.query('other.example', 'A')).status).toBe('REFUSED')
    await Promise.all([server.close(), cache.close(), clamp.close()])
  })
})
