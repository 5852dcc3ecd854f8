import { createHash } from 'node:crypto'
import type { Transporter } from 'nodemailer'
import { codeOf, type MigrateError, messageOf } from '../base/errors.ts'
import type { Notice } from '../base/notice.ts'
import type { Secret } from '../base/secret.ts'
import { oneLine, refused, undelivered, unreachable } from './failures.ts'
import type { Notifier } from './port.ts'

export interface MailOptions {
  readonly to: readonly string[]
  readonly from: string
  readonly host: string
  readonly port: number
  /** `implicit`: TLS from the first byte; `starttls`: refused without it; `offered`: STARTTLS where the server has it. */
  readonly tls: 'implicit' | 'starttls' | 'offered'
  readonly user: string | undefined
  readonly password: Secret | undefined
  /** A further certificate authority, PEM. */
  readonly ca?: string | undefined
  /** For one answer of the server, milliseconds. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000

/** Sends each message as a mail of plain text over SMTP. A login is never sent in the clear. */
export function mail(options: MailOptions): Notifier {
  const label = `mail to ${options.to.join(', ')}`
  const where = `${options.host}:${options.port}`
  return {
    label,
    check: async (signal) => {
      try {
        await onTransport(options, signal, (transport) => transport.verify())
        return []
      } catch (error) {
        signal.throwIfAborted()
        return [unreachable(label, `${where} said: ${said(error)}`, 'Check server:, its user and password in notify:.')]
      }
    },
    send: async (notice, signal) => {
      try {
        await onTransport(options, signal, (transport) => transport.sendMail({ ...messageFor(notice, options), signal }))
      } catch (error) {
        signal.throwIfAborted()
        throw failure(label, where, error)
      }
    },
    close: async () => undefined,
  }
}

/** One connection for one message; nothing is waited for once the signal aborts. */
async function onTransport<T>(
  options: MailOptions,
  signal: AbortSignal,
  work: (transport: Transporter) => Promise<T>,
): Promise<T> {
  const { createTransport } = await import('nodemailer')
  const { host, port, tls, user, password, ca, timeoutMs = TIMEOUT_MS } = options
  const transport = createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ...(user === undefined ? {} : { auth: { user, pass: password?.reveal() ?? '' }, forceAuth: true }),
    ...(ca === undefined ? {} : { tls: { ca } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    // Nothing of a message is ever read as a file or an address to be fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const over = new AbortController()
  try {
    return await Promise.race([
      work(transport),
      new Promise<never>((_, reject) => {
        if (signal.aborted) reject(signal.reason)
        signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: over.signal })
      }),
    ])
  } finally {
    over.abort()
    transport.close()
  }
}

function messageFor(notice: Notice, { from, to }: MailOptions) {
  const domain = from.slice(from.lastIndexOf('@') + 1).replace(/>$/, '')
  return {
    from,
    to: [...to],
    subject: notice.title.replaceAll(/\s+/g, ' '),
    text: `${notice.text}\n\n${notice.playbook}, run ${notice.run}${notice.step === null ? '' : `, ${notice.step}`}, ${notice.time}`,
    // The same at every try, so that a mailbox that got it twice can tell (RFC 5322, 3.6.4).
    messageId: `<${createHash('sha256').update(`${notice.run} ${notice.id}`).digest('hex').slice(0, 32)}@${domain}>`,
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Priority': notice.severity === 'error' ? '1' : '3' },
  }
}

const said = (error: unknown): string => oneLine(messageOf(error)).replace(/\.$/, '')

/** 4yz: later it may do; 5yz: it never will (RFC 5321, 4.2.1). */
function failure(label: string, where: string, error: unknown): MigrateError {
  const answer = typeof error === 'object' && error !== null && 'responseCode' in error ? Number(error.responseCode) : 0
  const why = `${where} said: ${said(error)}`
  const isLasting = answer >= 500 || ['EAUTH', 'EENVELOPE', 'EMESSAGE'].includes(codeOf(error) ?? '')
  if (!isLasting || (answer >= 400 && answer < 500)) return undelivered(label, why, error)
  return refused(label, why, 'Check server:, from:, the user and the password in notify:.', error)
}
