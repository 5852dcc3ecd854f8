import type { Agent as Connections } from 'undici'
import type { Clock } from '../base/clock.ts'
import { decodeReply, encodeQuery, failedAnswer, toAnswer } from './message.ts'
import { canonicalName } from './names.ts'
import type { DnsAnswer, Resolver } from './port.ts'

export interface DohOptions {
  readonly clock: Clock
  readonly label?: string
  /** For one question, milliseconds. */
  readonly timeoutMs?: number
  /** Authorities to trust instead of the system's, PEM. */
  readonly ca?: string
}

const TIMEOUT_MS = 4000
const MESSAGE = 'application/dns-message'
const LARGEST_BYTES = 65_535

/**
 * Asks a resolver over HTTPS (RFC 8484, section 4.1), where nobody on the way can answer in its place. Its address should be in the URL:
 * a name would have to be looked up first. Only an abort of the caller's signal throws.
 */
export function dohResolver(url: string, options: DohOptions): Resolver {
  const { clock, label = url, timeoutMs = TIMEOUT_MS, ca } = options
  let agent: Connections | undefined
  return {
    label,
    query: async (name, type, signal) => {
      // Loaded with the first question: it takes memory that a run without such resolvers keeps.
      const { Agent, request } = await import('undici')
      // An id of 0 lets HTTP caches know equal questions; TLS already keeps forgers out.
      const question = { name: canonicalName(name), type }
      const start = clock.monotonic()
      const ended = (status: string): DnsAnswer => failedAnswer(status, clock.monotonic() - start)
      const timeout = AbortSignal.timeout(timeoutMs)
      // Idle connections don't keep the process from ending: they are closed soon.
      agent ??= new Agent({
        keepAliveTimeout: 1000,
        keepAliveMaxTimeout: 1000,
        connect: { timeout: timeoutMs, ...(ca && { ca }) },
      })
      try {
        const response = await request(url, {
          method: 'POST',
          dispatcher: agent,
          headers: { 'content-type': MESSAGE, accept: MESSAGE },
          body: encodeQuery(0, question),
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        })
        const body = await bodyOf(response.body)
        if (response.statusCode !== 200) return ended(`HTTP${response.statusCode}`)
        const packet = body === undefined ? undefined : decodeReply(body, 0, question)
        return packet === undefined ? ended('MALFORMED') : toAnswer(packet, question, clock.monotonic() - start)
      } catch {
        signal?.throwIfAborted()
        return ended(timeout.aborted ? 'TIMEOUT' : 'UNREACHABLE')
      }
    },
  }
}

/** `undefined` when it is larger than any DNS message. */
async function bodyOf(body: AsyncIterable<Buffer>): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > LARGEST_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
