import { type Answer, AUTHORITATIVE_ANSWER, type DecodedPacket, type Packet } from 'dns-packet'
import { type DnsListener, listenDns } from './dns-listener.ts'
import type { StoredRecord, ZoneStore } from './zone-store.ts'

export interface NameServerOptions {
  /** On 127.0.0.0/8. */
  readonly address: string
  readonly zone: ZoneStore
  /** What a proxied record answers with instead of its content. */
  readonly edge?: readonly string[]
  /** How long resolvers may remember that a name isn't there, seconds. */
  readonly negativeTtlSeconds?: number
}

const NXDOMAIN = 3
const REFUSED = 5
/** What "automatic" means to resolvers at Cloudflare. */
const AUTOMATIC_TTL_SECONDS = 300

/** An authoritative name server in this process, over UDP and TCP; each question is answered from the zone as it stands then. */
export const startNameServer = (options: NameServerOptions): Promise<DnsListener> =>
  listenDns(options.address, (query) => answerFor(query, options))

/** The response to one question (RFC 1034, 4.3.2, for a zone without delegations). */
function answerFor(query: DecodedPacket, options: NameServerOptions): Packet {
  const { zone } = options
  const question = query.questions?.[0]
  const base: Packet = { type: 'response', id: query.id ?? 0, questions: query.questions ?? [] }
  const name = question?.name.toLowerCase() ?? ''
  if (question === undefined || (name !== zone.zone && !name.endsWith(`.${zone.zone}`))) return { ...base, flags: REFUSED }
  const soa = soaOf(options)
  if (name === zone.zone && question.type === 'SOA') return { ...base, flags: AUTHORITATIVE_ANSWER, answers: [soa] }
  if (name === zone.zone && question.type === 'NS') {
    return { ...base, flags: AUTHORITATIVE_ANSWER, answers: [{ type: 'NS', name, ttl: 300, data: `ns1.${zone.zone}` }] }
  }
  const answers = follow(name, question.type, options)
  if (answers.length > 0) return { ...base, flags: AUTHORITATIVE_ANSWER, answers: [...answers] }
  const exists = name === zone.zone || matching(name, zone.records()).length > 0
  return { ...base, flags: AUTHORITATIVE_ANSWER | (exists ? 0 : NXDOMAIN), authorities: [soa] }
}

function soaOf({ zone, negativeTtlSeconds = 60 }: NameServerOptions): Answer {
  return {
    type: 'SOA',
    name: zone.zone,
    ttl: negativeTtlSeconds,
    data: {
      mname: `ns1.${zone.zone}`,
      rname: `hostmaster.${zone.zone}`,
      serial: 1,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: negativeTtlSeconds,
    },
  }
}

/** The records of a name, or of the wildcard nearest above it. */
function matching(name: string, records: readonly StoredRecord[]): readonly StoredRecord[] {
  const own = records.filter((record) => record.name === name)
  if (own.length > 0) return own
  const parent = name.slice(name.indexOf('.') + 1)
  const wildcard = records.filter((record) => record.name === `*.${parent}`)
  return wildcard.map((record) => ({ ...record, name }))
}

const LONGEST_CHAIN = 8

/** Answers of the wanted type, with the CNAMEs on the way to them. */
function follow(start: string, type: string, { zone, edge = [] }: NameServerOptions): readonly Answer[] {
  const answers: Answer[] = []
  let name = start
  for (let hops = 0; hops < LONGEST_CHAIN; hops += 1) {
    const records = matching(name, zone.records())
    const proxied = records.find((record) => record.proxied)
    if (proxied !== undefined) {
      return type === 'A'
        ? [...answers, ...edge.map((data): Answer => ({ type: 'A', name, ttl: AUTOMATIC_TTL_SECONDS, data }))]
        : answers
    }
    answers.push(...records.filter((record) => record.type === type).map(toAnswer))
    const alias = records.find((record) => record.type === 'CNAME')
    if (alias === undefined || type === 'CNAME') return answers
    answers.push(toAnswer(alias))
    name = alias.content
  }
  return answers
}

function toAnswer({ name, type, content, ttl }: StoredRecord): Answer {
  const base = { name, ttl: ttl === 1 ? AUTOMATIC_TTL_SECONDS : ttl, data: content }
  if (type === 'A' || type === 'AAAA' || type === 'CNAME' || type === 'NS') return { ...base, type }
  return { ...base, type: 'TXT' }
}
