import type { Secret } from '../../base/secret.ts'

/** Where and how to log in. Paths of files are absolute. */
export interface FtpOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password?: Secret
  /**
   * The folder on the host: absolute (`/site`), or below the folder in which a login begins when it begins with `~`. An absolute
   * one that isn't there is looked for below that folder too, as RFC 1738, section 3.2.2, has it.
   */
  readonly root: string
  /** `explicit`: AUTH TLS on the usual port (RFC 4217); `implicit`: TLS from the first byte. */
  readonly tls: 'none' | 'explicit' | 'implicit'
  /** Path of a PEM file with the authorities to trust, instead of the system's. */
  readonly ca?: string
  /** SHA-256 of the host's certificate, hexadecimal, with or without colons; nothing else about it is looked at then. */
  readonly fingerprint?: string
  /** At most so many connections. */
  readonly connections: number
  /** For messages; `ftp://user@host:port/root` when absent. */
  readonly label?: string
  /** How long the host may stay silent, milliseconds; 30,000 when absent. */
  readonly timeoutMs?: number
}

/** The label when the options give none. Never holds the password. */
export function labelOf(options: FtpOptions): string {
  if (options.label !== undefined) return options.label
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  const path = options.root.startsWith('/') ? options.root : `/${options.root}`
  const [scheme, usual] = options.tls === 'none' ? ['ftp', 21] : ['ftps', options.tls === 'implicit' ? 990 : 21]
  return `${scheme}://${options.user}@${host}${options.port === usual ? '' : `:${options.port}`}${path}`
}
