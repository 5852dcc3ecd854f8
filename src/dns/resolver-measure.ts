import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { DecodedPacket } from 'dns-packet'
import type { Clock } from '../base/clock.ts'
import { codeOf } from '../base/errors.ts'
import { type ClientSubnet, decodeReply, encodeQuery, failedAnswer, type Question, toAnswer } from './message.ts'
import { canonicalName, formatServerAddress, type ServerAddress } from './names.ts'
import type { Resolver } from './port.ts'

export interface MeasureOptions {
  readonly clock: Clock
  /** Shown instead of the address: "Google (worldwide)". */
  readonly label?: string
  /** For one try, milliseconds. */
  readonly timeoutMs?: number
  /** UDP is lossy: how often a question is asked before it counts as unanswered. */
  readonly tries?: number
  /** Over TCP alone. */
  readonly tcp?: boolean
  /** Asks as if for this network (RFC 7871). */
  readonly subnet?: ClientSubnet
}

const TIMEOUT_MS = 2000
const TRIES = 3

/** What came back, or why nothing did. */
type Reply = { readonly packet: DecodedPacket } | { readonly failure: 'TIMEOUT' | 'UNREACHABLE' | 'MALFORMED' }

/**
 * Asks one name server over UDP, and over TCP when the answer was truncated (RFC 1035, 4.2; RFC 7766, 5). Every try has a fresh
 * random id and source port, and a reply counts only when it comes from the server asked, carries that id and repeats the
 * question (RFC 5452, 9.1). Only an abort of the caller's signal throws.
 */
export function measureResolver(server: ServerAddress, options: MeasureOptions): Resolver {
  const { clock, label = formatServerAddress(server), timeoutMs = TIMEOUT_MS, tries = TRIES, tcp = false, subnet } = options
  return {
    label,
    ...(subnet === undefined ? {} : { isVantage: true as const }),
    query: async (name, type, signal) => {
      const question = { name: canonicalName(name), type, subnet }
      const start = clock.monotonic()
      const reply = await ask(server, question, { timeoutMs, tries, tcp, signal })
      const milliseconds = clock.monotonic() - start
      return 'failure' in reply ? failedAnswer(reply.failure, milliseconds) : toAnswer(reply.packet, question, milliseconds)
    },
  }
}

interface Attempt {
  readonly timeoutMs: number
  readonly tries: number
  readonly tcp: boolean
  readonly signal: AbortSignal | undefined
}

async function ask(server: ServerAddress, question: Question, attempt: Attempt): Promise<Reply> {
  let reply: Reply = { failure: 'TIMEOUT' }
  for (let left = attempt.tries; left > 0; left -= 1) {
    attempt.signal?.throwIfAborted()
    reply = await (attempt.tcp ? overTcp : overUdp)(server, question, limit(attempt))
    attempt.signal?.throwIfAborted()
    if (!attempt.tcp && 'packet' in reply && reply.packet.flag_tc) reply = await overTcp(server, question, limit(attempt))
    attempt.signal?.throwIfAborted()
    if ('packet' in reply) return reply
  }
  return reply
}

const limit = ({ timeoutMs, signal }: Attempt): AbortSignal => {
  const timeout = AbortSignal.timeout(timeoutMs)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}

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
