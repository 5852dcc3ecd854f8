import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { type Answer, type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet'
import type { Clock } from '../base/clock.ts'
import { codeOf } from '../base/errors.ts'
import { canonicalName, formatServerAddress, type ServerAddress } from './names.ts'
import type { DnsAnswer, QueryType, Resolver } from './port.ts'

export interface MeasureOptions {
  readonly clock: Clock
  /** Shown instead of the address: "Google (worldwide)". */
  readonly label?: string
  /** For one try, milliseconds. */
  readonly timeoutMs?: number
  /** UDP is lossy: how often a question is asked before it counts as unanswered. */
  readonly tries?: number
}

const TIMEOUT_MS = 2000
const TRIES = 3

/** What came back, or why nothing did. */
type Reply = { readonly packet: DecodedPacket } | { readonly failure: 'TIMEOUT' | 'UNREACHABLE' | 'MALFORMED' }

interface Question {
  readonly name: string
  readonly type: QueryType
}

/**
 * Asks one name server over UDP, and over TCP when the answer was truncated (RFC 1035, 4.2; RFC 7766, 5). Every try has a fresh
 * random id and source port, and a reply counts only when it comes from the server asked, carries that id and repeats the
 * question (RFC 5452, 9.1). Only an abort of the caller's signal throws.
 */
export function measureResolver(server: ServerAddress, options: MeasureOptions): Resolver {
  const { clock, label = formatServerAddress(server), timeoutMs = TIMEOUT_MS, tries = TRIES } = options
  return {
    label,
    query: async (name, type, signal) => {
      const question = { name: canonicalName(name), type }
      const start = clock.monotonic()
      const reply = await ask(server, question, { timeoutMs, tries, signal })
      return toAnswer(reply, question, clock.monotonic() - start)
    },
  }
}

interface Attempt {
  readonly timeoutMs: number
  readonly tries: number
  readonly signal: AbortSignal | undefined
}

async function ask(server: ServerAddress, question: Question, attempt: Attempt): Promise<Reply> {
  let reply: Reply = { failure: 'TIMEOUT' }
  for (let left = attempt.tries; left > 0; left -= 1) {
    attempt.signal?.throwIfAborted()
    reply = await overUdp(server, question, limit(attempt))
    attempt.signal?.throwIfAborted()
    if ('packet' in reply && reply.packet.flag_tc) reply = await overTcp(server, question, limit(attempt))
    attempt.signal?.throwIfAborted()
    if ('packet' in reply) return reply
  }
  return reply
}

const limit = ({ timeoutMs, signal }: Attempt): AbortSignal => {
  const timeout = AbortSignal.timeout(timeoutMs)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}

const encodeQuery = (id: number, question: Question): Buffer =>
  encode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [{ name: question.name, type: question.type, class: 'IN' }] })

function overUdp(server: ServerAddress, question: Question, signal: AbortSignal): Promise<Reply> {
  const id = randomInt(0x10000)
  return new Promise((resolve) => {
    const socket = createSocket(server.address.includes(':') ? 'udp6' : 'udp4')
    let ended = false
    const end = (reply: Reply): void => {
      if (ended) return
      ended = true
      signal.removeEventListener('abort', onTimeout)
      socket.close()
      resolve(reply)
    }
    const onTimeout = (): void => end({ failure: 'TIMEOUT' })
    signal.addEventListener('abort', onTimeout)
    socket.on('error', () => end({ failure: 'UNREACHABLE' }))
    socket.on('message', (message) => {
      const packet = decodeReply(message, id, question)
      // Anything else may be forged or belong to an earlier try: go on waiting for the real answer.
      if (packet !== undefined) end({ packet })
    })
    // A connected socket takes datagrams from this server alone, and hears when its port is closed.
    socket.connect(server.port, server.address, () => {
      if (!ended) socket.send(encodeQuery(id, question), (error) => error && end({ failure: 'UNREACHABLE' }))
    })
  })
}

function overTcp(server: ServerAddress, question: Question, signal: AbortSignal): Promise<Reply> {
  const id = randomInt(0x10000)
  return new Promise((resolve) => {
    const socket = connect({ host: server.address, port: server.port })
    let received = Buffer.alloc(0)
    let ended = false
    const end = (reply: Reply): void => {
      if (ended) return
      ended = true
      signal.removeEventListener('abort', onTimeout)
      socket.destroy()
      resolve(reply)
    }
    const onTimeout = (): void => end({ failure: 'TIMEOUT' })
    signal.addEventListener('abort', onTimeout)
    socket.on('error', (error) => end({ failure: codeOf(error) === 'ECONNRESET' ? 'MALFORMED' : 'UNREACHABLE' }))
    socket.on('end', () => end({ failure: 'MALFORMED' }))
    socket.on('connect', () => {
      const query = encodeQuery(id, question)
      const framed = Buffer.alloc(query.length + 2)
      framed.writeUInt16BE(query.length)
      query.copy(framed, 2)
      socket.write(framed)
    })
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 2 || received.length < received.readUInt16BE() + 2) return
      const packet = decodeReply(received.subarray(2, received.readUInt16BE() + 2), id, question)
      end(packet === undefined ? { failure: 'MALFORMED' } : { packet })
    })
  })
}

/** The reply if it answers this very question, else `undefined`. */
function decodeReply(message: Buffer, id: number, question: Question): DecodedPacket | undefined {
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
/** RFC 1035, 4.1.1 and RFC 2136, 2.2. */
const RCODES = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
]

function toAnswer(reply: Reply, question: Question, milliseconds: number): DnsAnswer {
  if ('failure' in reply)
    return { status: reply.failure, authoritative: false, records: [], negativeTtlSeconds: null, milliseconds }
  const { packet } = reply
  const rcode = (packet.flags ?? 0) & RCODE_MASK
  const records = (packet.answers ?? []).flatMap(toRecord)
  return {
    status: RCODES[rcode] ?? `RCODE${rcode}`,
    authoritative: packet.flag_aa,
    records,
    negativeTtlSeconds: records.some((record) => record.type === question.type) ? null : negativeTtl(packet.authorities ?? []),
    milliseconds,
  }
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
  if (answer.type !== 'SOA') return undefined
  const { mname, rname, serial, refresh, retry, expire, minimum } = answer.data
  return [plain(mname), plain(rname), serial, refresh, retry, expire, minimum].join(' ')
}

/** How long "there is no such record" may be remembered: the lower of the SOA's own TTL and its minimum (RFC 2308, 5). */
function negativeTtl(authorities: readonly Answer[]): number | null {
  const soa = authorities.find((answer) => answer.type === 'SOA')
  if (soa === undefined || soa.type !== 'SOA') return null
  return Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0)
}
