import type { Secret } from '../../base/secret.ts'

/** Where and how to log in. Paths of files are absolute. */
export interface SftpOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  /**
   * The folder on the host: absolute (`/var/www/shop`), or below the account's home when it begins with `~` (`~`, `~/site`).
   * A URL's path `/~/site` is the latter.
   */
  readonly root: string
  readonly password?: Secret
  /** File with a private key. */
  readonly key?: string
  readonly passphrase?: Secret
  /** Socket of an ssh-agent (`SSH_AUTH_SOCK`). */
  readonly agent?: string
  /** File to look for the host's key in; the user's and the system's own known_hosts when absent. */
  readonly knownHosts?: string
  /** `SHA256:…` of the host's key; known_hosts isn't looked at then. */
  readonly fingerprint?: string
  /** At most so many connections. */
  readonly connections: number
  /** For messages; `sftp://user@host:port/root` when absent. */
  readonly label?: string
  /** How long to wait for the login, milliseconds; 20,000 when absent. */
  readonly timeoutMs?: number
  /** A sign of life is asked for this often, milliseconds, and the connection given up after three went unanswered; 10,000. */
  readonly keepaliveMs?: number
  /** A host that answers no request for so long is taken for lost, milliseconds; 60,000. */
  readonly silenceMs?: number
}

/** The label when the options give none. Never holds the password. */
export function labelOf(options: SftpOptions): string {
  if (options.label !== undefined) return options.label
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  const path = options.root.startsWith('/') ? options.root : `/${options.root}`
  return `sftp://${options.user}@${host}${options.port === 22 ? '' : `:${options.port}`}${path}`
}
