import { type Answer, type DecodedPacket, type DsData, decode, encode, RECURSION_DESIRED } from 'dns-packet'
import type { DnsAnswer, QueryType } from './port.ts'
import { rcodeName } from './rcodes.ts'

/** A network for whose users one asks. */
export interface ClientSubnet {
  readonly ip: string
  readonly prefixLength: number
}

export interface Question {
  readonly name: string
  readonly type: QueryType
  readonly subnet?: ClientSubnet | undefined
}

/** EDNS option code (RFC 7871, section 6), and the payload that fits every path (DNS flag day 2020). */
const SUBNET_OPTION = 8
const PAYLOAD_BYTES = 1232

export const encodeQuery = (id: number, { name, type, subnet }: Question): Buffer =>
  encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name, type, class: 'IN' }],
    ...(subnet === undefined ? {} : { additionals: [optionsFor(subnet)] }),
  })

const optionsFor = ({ ip, prefixLength }: ClientSubnet): Answer => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize: PAYLOAD_BYTES,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [{ code: SUBNET_OPTION, ip, sourcePrefixLength: prefixLength, scopePrefixLength: 0 }],
})

/** The reply if it answers this very question, else `undefined`. */
export function decodeReply(message: Buffer, id: number, question: Question): DecodedPacket | undefined {
  let packet: DecodedPacket
  try {
    packet = decode(message)
  } catch {
    return undefined
  }
  const echo = packet.questions?.[0]
  const same = echo !== undefined && echo.name.toLowerCase() === question.name && echo.type === question.type
  return packet.flag_qr && packet.id === id && same ? packet : undefined
}

const RCODE_MASK = 0xf
/** When no answer came: `status` says why. */
export const failedAnswer = (status: string, milliseconds: number): DnsAnswer => ({
  status,
  authoritative: false,
  records: [],
  negativeTtlSeconds: null,
  milliseconds,
})

export function toAnswer(packet: DecodedPacket, question: Question, milliseconds: number): DnsAnswer {
  const rcode = (packet.flags ?? 0) & RCODE_MASK
  const records = (packet.answers ?? []).flatMap(toRecord)
  return {
    status: rcodeName(rcode),
    authoritative: packet.flag_aa,
    records,
    beside: [...(packet.authorities ?? []), ...(packet.additionals ?? [])].flatMap(toRecord),
    negativeTtlSeconds: records.some((record) => record.type === question.type) ? null : negativeTtl(packet.authorities ?? []),
    ...(question.subnet === undefined ? {} : { subnetScope: scopeOf(packet) }),
    milliseconds,
  }
}

/** 0 also when the server left the option out: then it makes no difference. */
function scopeOf(packet: DecodedPacket): number {
  const opt = (packet.additionals ?? []).find((answer) => answer.type === 'OPT')
  const option = opt?.type === 'OPT' ? opt.options.find(({ code }) => code === SUBNET_OPTION) : undefined
  return option !== undefined && 'scopePrefixLength' in option ? (option.scopePrefixLength ?? 0) : 0
}

const plain = (name: string): string => name.replace(/\.$/, '').toLowerCase()

function toRecord(answer: Answer): DnsAnswer['records'] {
  if (answer.type === 'OPT') return []
  const content = contentOf(answer)
  if (content === undefined) return []
  return [{ name: plain(answer.name), type: answer.type, content, ttlSeconds: answer.ttl ?? 0 }]
}

function contentOf(answer: Exclude<Answer, { type: 'OPT' }>): string | undefined {
  if (answer.type === 'A' || answer.type === 'AAAA') return answer.data
  if (answer.type === 'CNAME' || answer.type === 'NS' || answer.type === 'PTR') return plain(answer.data)
  if (answer.type === 'TXT') return [answer.data].flat().map(String).join('')
  if (answer.type === 'MX') return `${answer.data.preference ?? 0} ${plain(answer.data.exchange)}`
  if (answer.type === 'CAA') return `${answer.data.flags ?? 0} ${answer.data.tag} "${answer.data.value}"`
  if (answer.type === 'DNSKEY') return `${answer.data.flags} 3 ${answer.data.algorithm} ${answer.data.key.toString('base64')}`
  if (answer.type === 'DS') return dsContent(answer.data)
  if (answer.type !== 'SOA') return undefined
  const { mname, rname, serial, refresh, retry, expire, minimum } = answer.data
  return [plain(mname), plain(rname), serial, refresh, retry, expire, minimum].join(' ')
}

const dsContent = ({ keyTag, algorithm, digestType, digest }: DsData): string =>
  `${keyTag} ${algorithm} ${digestType} ${digest.toString('hex')}`

/** How long "there is no such record" may be remembered: the lower of the SOA's own TTL and its minimum (RFC 2308, 5). */
function negativeTtl(authorities: readonly Answer[]): number | null {
  const soa = authorities.find((answer) => answer.type === 'SOA')
  if (soa === undefined || soa.type !== 'SOA') return null
  return Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0)
}
