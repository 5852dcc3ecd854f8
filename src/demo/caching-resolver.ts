import { type Answer, type DecodedPacket, type Packet, RECURSION_AVAILABLE } from 'dns-packet'
import type { Clock } from '../base/clock.ts'
import type { DnsAnswer, Resolver } from '../dns/port.ts'
import { type DnsListener, listenDns } from './dns-listener.ts'

export interface CachingResolverOptions {
  /** On 127.0.0.0/8. */
  readonly address: string
  /** The zone's name server. */
  readonly upstream: Resolver
  readonly clock: Clock
  /** Keeps answers at least so long, whatever their TTL says, as some providers' resolvers do. Seconds. */
  readonly minimumTtlSeconds?: number
}

interface Cached {
  readonly answer: DnsAnswer
  readonly expiresAt: number
}

/** A resolver like a customer's provider runs: it remembers each answer for its TTL and knows nothing of a change before. */
export async function startCachingResolver(options: CachingResolverOptions): Promise<DnsListener> {
  const cache = new Map<string, Cached>()
  return listenDns(options.address, async (query) => {
    const question = query.questions?.[0]
    if (question === undefined || !isAsked(question.type)) return fail(query, NOT_IMPLEMENTED)
    const key = `${question.name.toLowerCase()} ${question.type}`
    const known = cache.get(key)
    const fresh = known !== undefined && known.expiresAt > options.clock.monotonic()
    const entry = fresh ? known : await look(question.name, question.type, options)
    if (entry === undefined) return fail(query, SERVER_FAILURE)
    cache.set(key, entry)
    return respond(query, entry, options.clock)
  })
}

const SERVER_FAILURE = 2
const NAME_ERROR = 3
const NOT_IMPLEMENTED = 4
const ASKED = ['A', 'AAAA', 'CNAME', 'NS', 'TXT', 'SOA'] as const

const isAsked = (type: string): type is (typeof ASKED)[number] => ASKED.some((each) => each === type)

const fail = (query: DecodedPacket, rcode: number): Packet => ({
  type: 'response',
  id: query.id ?? 0,
  flags: RECURSION_AVAILABLE | rcode,
  questions: query.questions ?? [],
})

async function look(name: string, type: (typeof ASKED)[number], options: CachingResolverOptions): Promise<Cached | undefined> {
  const answer = await options.upstream.query(name, type)
  if (answer.status !== 'NOERROR' && answer.status !== 'NXDOMAIN') return undefined
  const ttls = answer.records.map((record) => record.ttlSeconds)
  const ttl = Math.max(ttls.length > 0 ? Math.min(...ttls) : (answer.negativeTtlSeconds ?? 0), options.minimumTtlSeconds ?? 0)
  return { answer, expiresAt: options.clock.monotonic() + ttl * 1000 }
}

function respond(query: DecodedPacket, { answer, expiresAt }: Cached, clock: Clock): Packet {
  const ttl = Math.max(0, Math.ceil((expiresAt - clock.monotonic()) / 1000))
  const answers = answer.records.flatMap(({ name, type, content }): readonly Answer[] => {
    if (type === 'A' || type === 'AAAA' || type === 'CNAME' || type === 'NS') return [{ type, name, ttl, data: content }]
    return type === 'TXT' ? [{ type, name, ttl, data: content }] : []
  })
  return { ...fail(query, answer.status === 'NXDOMAIN' ? NAME_ERROR : 0), answers }
}
