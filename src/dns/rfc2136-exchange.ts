import { randomInt } from 'node:crypto'
import { connect } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { sign, type TsigKey, type TsigVerdict, verify } from './rfc2136-tsig.ts'
import { decodeMessage, encodeMessage, type Message, type MessageParts } from './rfc2136-wire.ts'

export interface Primary {
  readonly host: string
  readonly port: number
  readonly key: TsigKey
  readonly clock: Clock
  /** For one exchange, milliseconds. */
  readonly timeoutMs: number
}

/**
 * What came of a request. `unsent`: the server never got it. `lost`: it may have been carried out, and no answer that can be believed
 * says so.
 */
export type Exchange = Answered | Unanswered

export interface Answered {
  readonly kind: 'answered'
  readonly bytes: Buffer
  readonly message: Message
  readonly verdict: TsigVerdict
}

export interface Unanswered {
  readonly kind: 'unsent' | 'lost'
  readonly why: string
  readonly cause?: unknown
}

const LENGTH_BYTES = 2
const LARGEST_ID = 0x10000

/**
 * Sends one signed message over a TCP connection of its own (RFC 1035, 4.2.2) and verifies the answer. Only an abort of the caller's
 * signal throws.
 */
export async function exchange(primary: Primary, parts: Omit<MessageParts, 'id'>, signal?: AbortSignal): Promise<Exchange> {
  signal?.throwIfAborted()
  const id = randomInt(LARGEST_ID)
  const request = sign(encodeMessage({ ...parts, id }), primary.key, primary.clock.now())
  const reply = await overTcp(primary, request.bytes, signal)
  signal?.throwIfAborted()
  if ('kind' in reply) return reply
  try {
    const message = decodeMessage(reply)
    if (!message.isResponse || message.id !== id) return { kind: 'lost', why: 'the answer is to another question' }
    const verdict = verify(reply, message, primary.key, request.mac, primary.clock.now())
    return { kind: 'answered', bytes: reply, message, verdict }
  } catch (error) {
    // The bounds checks of Buffer and of the reader: whoever sends such a thing is no name server to believe.
    if (error instanceof RangeError) return { kind: 'lost', why: `the answer can't be read (${error.message})`, cause: error }
    throw error
  }
}

function overTcp(primary: Primary, request: Buffer, signal: AbortSignal | undefined): Promise<Buffer | Unanswered> {
  const timeout = AbortSignal.timeout(primary.timeoutMs)
  const limit = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  return new Promise((resolve) => {
    const socket = connect({ host: primary.host, port: primary.port, noDelay: true })
    let received = Buffer.alloc(0)
    let sent = false
    const end = (result: Buffer | Unanswered): void => {
      limit.removeEventListener('abort', onLimit)
      socket.destroy()
      resolve(result)
    }
    const fail = (why: string, cause?: unknown): void => end({ kind: sent ? 'lost' : 'unsent', why, cause })
    const onLimit = (): void => fail(`no answer within ${primary.timeoutMs / 1000} s`)
    limit.addEventListener('abort', onLimit)
    socket.on('error', (error) => fail(messageOf(error), error))
    socket.on('end', () => fail('it closed the connection'))
    socket.on('connect', () => {
      const framed = Buffer.alloc(LENGTH_BYTES + request.length)
      framed.writeUInt16BE(request.length)
      request.copy(framed, LENGTH_BYTES)
      sent = true
      socket.write(framed)
    })
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < LENGTH_BYTES || received.length < received.readUInt16BE() + LENGTH_BYTES) return
      end(received.subarray(LENGTH_BYTES, received.readUInt16BE() + LENGTH_BYTES))
    })
  })
}
