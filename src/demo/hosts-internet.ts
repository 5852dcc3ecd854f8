import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { parseServerAddress } from '../dns/names.ts'
import type { Resolver } from '../dns/port.ts'
import { measureResolver } from '../dns/resolver-measure.ts'
import { startCachingResolver } from './caching-resolver.ts'
import { startCloudflareApi } from './cloudflare-api.ts'
import { startNameServer } from './dns-server.ts'
import type { Closing } from './hosts-closing.ts'
import { memoryZone, type StoredRecord, storedRecord, type ZoneStore } from './zone-store.ts'

/** DNS as customers and `migrate` find it: a provider with an API, its name server, and the resolvers of internet providers. */
export interface DemoInternet {
  readonly zone: string
  /** `http://127.80.3.53:4711/client/v4` */
  readonly api: string
  readonly token: string
  /** `127.80.3.53:5301` */
  readonly nameserver: string
  /** As playbooks write them. */
  readonly resolverEndpoints: readonly string[]
  /** The same, to ask. */
  readonly resolvers: readonly [Resolver, ...Resolver[]]
}

export interface InternetOptions {
  /** `127.80.3` */
  readonly network: string
  /** Where the shop is at first. */
  readonly shopAddress: string
  readonly clock: Clock
  /** Everything started is added to it. */
  readonly closing: Closing
}

const ZONE = 'blanklabel.test'

/** As the records stand at first, and as `lower-ttl` makes them. Seconds stand for minutes here. */
export const TTL_SECONDS = 6
export const LOWERED_TTL_SECONDS = 2

/** How long each provider's resolver keeps an answer at least. Some do as the TTL says, some know better: their customers are late. */
const STUBBORNNESS_SECONDS = [0, 0, 0, 0, 6, 9] as const

/** Starts the zone's name server, the API that edits it, and the caching resolvers. */
export async function startInternet({ network, shopAddress, clock, closing }: InternetOptions): Promise<DemoInternet> {
  const record = (name: string, type: 'A' | 'CNAME', content: string): StoredRecord =>
    storedRecord({ id: randomBytes(16).toString('hex'), name, type, content, ttl: TTL_SECONDS })
  const zone: ZoneStore = {
    ...memoryZone(ZONE, [record(ZONE, 'A', shopAddress), record(`www.${ZONE}`, 'CNAME', ZONE)]),
    minimumTtlSeconds: LOWERED_TTL_SECONDS,
  }
  const nameServer = await startNameServer({ address: `${network}.53`, zone, negativeTtlSeconds: 1 })
  closing.add(() => nameServer.close())
  const token = randomBytes(20).toString('hex')
  const api = await startCloudflareApi({
    address: `${network}.54`,
    zones: [zone],
    tokens: { [token]: { read: [ZONE], edit: [ZONE] } },
  })
  closing.add(() => api.close())
  const upstream = measureResolver(nameServer, { clock })
  const listeners = await Promise.all(
    STUBBORNNESS_SECONDS.map((minimumTtlSeconds, index) =>
      startCachingResolver({ address: `${network}.${101 + index}`, upstream, clock, minimumTtlSeconds }),
    ),
  )
  closing.add(() => Promise.all(listeners.map((listener) => listener.close())))
  const endpoints = listeners.map((listener) => listener.endpoint)
  const [first, ...others] = endpoints.map((endpoint) => measureResolver(parseServerAddress(endpoint), { clock }))
  return {
    zone: ZONE,
    api: api.url.href,
    token,
    nameserver: nameServer.endpoint,
    resolverEndpoints: endpoints,
    resolvers: [first ?? upstream, ...others],
  }
}
