import { isIP } from 'node:net'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'

/** The certificate with which a host answers for a name. Times are milliseconds since 1970. */
export interface Certificate {
  readonly names: readonly string[]
  readonly issuer: string
  readonly validFrom: number
  readonly validTo: number
  /** Subjects from the leaf up. */
  readonly chain: readonly string[]
  /** SHA-256 of the leaf, hexadecimal with colons. */
  readonly fingerprint: string
  /** Why a browser wouldn't trust it for the name; `null` when it would. */
  readonly problem: string | null
}

export interface CertificateQuestion {
  /** The name customers use, sent as SNI and checked against the certificate. */
  readonly site: URL
  /** Where the host answers: `https://198.51.100.20`. */
  readonly host: URL
  /** Further certificate authorities, PEM. */
  readonly ca?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const HTTPS_PORT = 443
const TIMEOUT_MS = 10_000
const SOON_MS = 14 * 24 * 3_600_000

/** Reads it by a TLS handshake; nothing is sent. Throws MigrateError `site-unreachable`. */
export function readCertificate({ site, host, ca, timeoutMs = TIMEOUT_MS, signal }: CertificateQuestion): Promise<Certificate> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const limit = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: host.hostname.replace(/^\[|\]$/g, ''),
      port: host.port === '' ? HTTPS_PORT : Number(host.port),
      ...(isIP(site.hostname) === 0 ? { servername: site.hostname } : {}),
      // The whole point is to see an invalid one too; nothing is sent over this connection.
      rejectUnauthorized: false,
      ...(ca === undefined ? {} : { ca }),
    })
    const fail = (why: string, cause?: unknown): void => {
      socket.destroy()
      const message = `No TLS connection to ${host.host} for ${site.hostname}: ${why}.`
      reject(
        new MigrateError('site-unreachable', message, { hint: 'Is the web server of that host listening for HTTPS?', cause }),
      )
    }
    limit.addEventListener('abort', () => (signal?.aborted ? reject(signal.reason) : fail('no answer in time')), { once: true })
    socket.once('error', (error) => fail(messageOf(error), error))
    socket.once('secureConnect', () => {
      resolve(describe(socket, socket.getPeerCertificate(true)))
      socket.destroy()
    })
  })
}

function describe(socket: TLSSocket, leaf: PeerCertificate): Certificate {
  const problem: unknown = socket.authorizationError
  return {
    names: namesOf(leaf),
    issuer: nameOf(leaf.issuer),
    validFrom: Date.parse(leaf.valid_from),
    validTo: Date.parse(leaf.valid_to),
    chain: chainOf(leaf),
    fingerprint: leaf.fingerprint256,
    problem: socket.authorized ? null : messageOf(problem),
  }
}

const namesOf = (certificate: PeerCertificate): readonly string[] =>
  (certificate.subjectaltname ?? '')
    .split(',')
    .map((part) => part.trim().replace(/^(?:DNS|IP Address):/, ''))
    .filter((name) => name !== '')

const nameOf = (subject: PeerCertificate['subject'] | undefined): string =>
  [subject?.O ?? subject?.CN ?? 'unknown'].flat().join(', ')

function chainOf(leaf: PeerCertificate): readonly string[] {
  const chain: string[] = []
  const seen = new Set<string>()
  let current: unknown = leaf
  while (isDetailed(current) && !seen.has(current.fingerprint256)) {
    seen.add(current.fingerprint256)
    chain.push([current.subject?.CN ?? current.subject?.O ?? 'unknown'].flat().join(', '))
    current = current.issuerCertificate
  }
  return chain
}

const isDetailed = (value: unknown): value is PeerCertificate & { issuerCertificate?: unknown } =>
  typeof value === 'object' && value !== null && 'fingerprint256' in value

/** What is wrong, or soon will be, with the certificate of a host for the customers' name. `now`: milliseconds since 1970. */
export function certificateFindings(certificate: Certificate, site: URL, host: URL, now: number): readonly Finding[] {
  const where = `The certificate of ${host.host} for ${site.hostname}`
  const hint = `Get one for ${site.hostname} on that host before DNS moves (by the DNS challenge, as the name still points elsewhere), or customers see a warning page.`
  const names = `it is for ${certificate.names.join(', ') || 'no name'}, issued by ${certificate.issuer}`
  const find = (severity: Finding['severity'], code: string, message: string): readonly Finding[] => [
    { severity, code, message, hint },
  ]
  if (certificate.validTo <= now)
    return find('error', 'certificate-expired', `${where} expired ${formatDuration(now - certificate.validTo)} ago.`)
  if (certificate.validFrom > now)
    return find('error', 'certificate-not-yet-valid', `${where} is valid only in ${formatDuration(certificate.validFrom - now)}.`)
  if (certificate.problem !== null)
    return find('error', 'certificate-invalid', `${where} won't be trusted (${certificate.problem}): ${names}.`)
  if (certificate.validTo - now < SOON_MS) {
    return find(
      'warning',
      'certificate-expires-soon',
      `${where} expires in ${formatDuration(certificate.validTo - now)}. See that its renewal works on the new host.`,
    )
  }
  return []
}
