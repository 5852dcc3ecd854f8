import { isIP } from 'node:net'
import { Agent, buildConnector, request } from 'undici'
import { messageOf } from '../base/errors.ts'
import type { Secret } from '../base/secret.ts'
import { oneLine, refused, undelivered, unreachable } from './failures.ts'
import type { Notifier } from './port.ts'
import { type Shape, type ShapeName, shapes } from './shapes.ts'

export interface WebhookOptions {
  /** The whole address is a secret: whoever has it may post. */
  readonly url: Secret
  readonly as: ShapeName
  /** Such as Authorization. */
  readonly headers: Readonly<Record<string, Secret>>
  /** A further certificate authority, PEM. */
  readonly ca?: string | undefined
  /** For one try, milliseconds. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000
const SAID_BYTES = 2000
/** Too early, too many, or the server's own trouble: later it may do (RFC 9110, 15.5.9 and 15.6; RFC 6585, 4; RFC 8470, 5.2). */
const isPassing = (status: number): boolean => status === 408 || status === 425 || status === 429 || status >= 500

/** Posts each message to an address. Redirects aren't followed: the message would go to somebody else. */
export function webhook({ url, as, headers, ca, timeoutMs = TIMEOUT_MS }: WebhookOptions): Notifier {
  const target = new URL(url.reveal())
  const shape: Shape = shapes[as]
  const label = `${shape.name} at ${target.host}`
  const tls = ca === undefined ? {} : { ca }
  const agent = new Agent({
    connections: 1,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: timeoutMs, ...tls },
  })
  return {
    label,
    check: (signal) => reach(target, { label, timeoutMs, tls }, signal),
    send: async (notice, signal) => {
      const { type, body, headers: own } = shape.body(notice)
      const given = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.reveal()]))
      const { status, said } = await post(agent, target, {
        headers: { 'content-type': type, 'user-agent': 'live-host-migration', ...own, ...given },
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      }).catch((error: unknown) => {
        signal.throwIfAborted()
        throw undelivered(label, reason(error, timeoutMs), error)
      })
      if (status >= 200 && status <= 299) return
      const why = `it answered ${status}${said === '' ? '' : ` ("${said}")`}`
      if (isPassing(status)) throw undelivered(label, why)
      throw refused(label, why, 'Is the webhook’s address still right? It may have been taken back where it was made.')
    },
    close: () => agent.destroy(),
  }
}

async function post(
  agent: Agent,
  target: URL,
  message: { readonly headers: Record<string, string>; readonly body: string; readonly signal: AbortSignal },
): Promise<{ readonly status: number; readonly said: string }> {
  const response = await request(target, { dispatcher: agent, method: 'POST', ...message })
  const kept: Buffer[] = []
  let bytes = 0
  for await (const chunk of response.body) {
    if (bytes < SAID_BYTES) kept.push(chunk)
    bytes += chunk.length
  }
  return { status: response.statusCode, said: oneLine(Buffer.concat(kept).toString('utf8').slice(0, SAID_BYTES)) }
}

const reason = (error: unknown, timeoutMs: number): string =>
  error instanceof Error && error.name === 'TimeoutError'
    ? `it gave no answer within ${timeoutMs / 1000} s`
    : messageOf(error).replace(/\.$/, '')

interface Reaching {
  readonly label: string
  readonly timeoutMs: number
  readonly tls: { readonly ca?: string }
}

/** A connection, and for https a certificate that holds; no request is made on it. */
async function reach(target: URL, { label, timeoutMs, tls }: Reaching, signal: AbortSignal) {
  const isSecure = target.protocol === 'https:'
  const hostname = target.hostname.replace(/^\[|\]$/g, '')
  const connect = buildConnector({ timeout: timeoutMs, ...tls })
  try {
    const socket = await new Promise<{ destroy(): unknown }>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      connect(
        {
          hostname,
          host: target.host,
          protocol: target.protocol,
          port: target.port === '' ? (isSecure ? '443' : '80') : target.port,
          ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
        },
        (error, connected) => (error === null ? resolve(connected) : reject(error)),
      )
    })
    socket.destroy()
    return []
  } catch (error) {
    signal.throwIfAborted()
    return [unreachable(label, error, 'Check the address in notify:, and whether this machine may reach it.')]
  }
}
