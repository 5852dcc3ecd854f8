import type { Redactor, Secret } from '../base/secret.ts'
import type { Reference, StepKind, TableRules } from '../steps/world.ts'
import type { HookSettings } from './notify.ts'
import type { Path, Position, Value } from './source.ts'

export interface LocalFiles {
  readonly protocol: 'local'
  /** Absolute. */
  readonly root: string
}

export interface SftpFiles {
  readonly protocol: 'sftp'
  readonly host: string
  readonly port: number
  readonly user: string
  /** Absolute on the host, or below the account's home when it begins with `~`. */
  readonly root: string
  readonly password: Secret | undefined
  /** Absolute path of a private key. */
  readonly key: string | undefined
  readonly passphrase: Secret | undefined
  /** Path of the agent's socket; undefined: none is used. */
  readonly agent: string | undefined
  /** `SHA256:…`; without it known_hosts decides. */
  readonly fingerprint: string | undefined
  /** Absolute path, when the playbook gives one. */
  readonly knownHosts: string | undefined
}

export interface FtpFiles {
  readonly protocol: 'ftp'
  readonly host: string
  readonly port: number
  readonly user: string
  /** Absolute on the host, or below the folder in which a login begins when it begins with `~`. */
  readonly root: string
  readonly tls: 'none' | 'explicit' | 'implicit'
  readonly password: Secret | undefined
  /** Absolute path of a PEM file. */
  readonly ca: string | undefined
  /** SHA-256 of the certificate, hexadecimal. */
  readonly fingerprint: string | undefined
}

export type FilesSettings = LocalFiles | SftpFiles | FtpFiles

export interface DatabaseSettings {
  readonly engine: 'mssql' | 'mysql' | 'postgres'
  readonly host: string
  /** `undefined` for a named instance without a port: the server's browser knows it. */
  readonly port: number | undefined
  readonly user: string
  readonly password: Secret | undefined
  readonly database: string
  readonly encrypt: boolean | undefined
  readonly trustServerCertificate: boolean | undefined
  readonly instance: string | undefined
  readonly domain: string | undefined
  readonly applicationIntent: 'ReadOnly' | 'ReadWrite' | undefined
  readonly sslmode: 'disable' | 'prefer' | 'require' | 'verify-full' | undefined
  /** Absolute path of a PEM file. */
  readonly ca: string | undefined
  readonly connectTimeoutMs: number | undefined
  readonly statementTimeoutMs: number | undefined
}

/** Where an access log lies. */
export interface LogSettings {
  readonly written: string
  /** Its own way in, for a folder outside that of the files; `undefined`: below it. */
  readonly files: FilesSettings | undefined
  /** Relative to the root of the files. */
  readonly folder: string
  /** Of its name; `*` may stand in it. */
  readonly pattern: string
}

export interface HostSettings {
  readonly files: FilesSettings | undefined
  readonly logs: readonly LogSettings[]
  readonly database: DatabaseSettings | undefined
  readonly site: URL | undefined
  readonly connections: number
}

export interface DnsRecordSettings {
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'CNAME'
  readonly to: string
}

interface ZoneSettings {
  readonly zone: string
  /** `ip` or `ip:port`; empty: found by asking. */
  readonly nameservers: readonly string[]
  readonly records: readonly DnsRecordSettings[]
}

export interface CloudflareSettings extends ZoneSettings {
  readonly provider: 'cloudflare'
  readonly token: Secret
  /** Cloudflare's own when absent. */
  readonly api: URL | undefined
}

export interface Rfc2136Settings extends ZoneSettings {
  readonly provider: 'rfc2136'
  readonly server: { readonly host: string; readonly port: number }
  readonly key: {
    readonly name: string
    readonly algorithm: 'hmac-sha1' | 'hmac-sha224' | 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512'
    /** Base64. */
    readonly secret: Secret
  }
}

export interface ManualSettings extends ZoneSettings {
  readonly provider: 'manual'
}

export type DnsSettings = CloudflareSettings | Rfc2136Settings | ManualSettings

/** `mail:`; what isn't given is `undefined`. */
export interface MailSettings {
  readonly from: string
  readonly addresses: readonly string[] | undefined
  readonly via: { readonly host: string; readonly port: number } | undefined
  readonly dkim: readonly string[] | undefined
  readonly hourly: number | undefined
  readonly perOrder: number | undefined
  /** `ip` or `ip:port`. */
  readonly resolver: string | undefined
  readonly blocklists: readonly string[] | undefined
}

export interface StepSettings {
  readonly id: string
  readonly kind: StepKind
  /** As the kind's own schema gave them. */
  readonly options: unknown
  /** As written, `${…}` not filled in. */
  readonly written: Value
  readonly path: Path
}

/** A playbook that holds together; whether the hosts agree with it is for `check` to say. */
export interface Playbook {
  /** As it was named by the caller. */
  readonly file: string
  /** Its folder, absolute. */
  readonly directory: string
  readonly name: string
  readonly old: HostSettings
  readonly new: HostSettings
  /** Where a rehearsal goes instead of `new`; what isn't given is made for it. */
  readonly rehearsal: HostSettings | undefined
  readonly site: URL | undefined
  readonly dns: DnsSettings | undefined
  readonly mail: MailSettings | undefined
  /** Who is told of what. */
  readonly notify: readonly HookSettings[]
  readonly tables: ReadonlyMap<string, TableRules>
  readonly references: readonly Reference[]
  readonly noReferences: readonly Reference[]
  /** Groups one after the other; the steps of a group run side by side. */
  readonly steps: readonly (readonly StepSettings[])[]
  /** Knows every secret value in it. */
  readonly redactor: Redactor
  /** Where a part (or the key before it) stands in the file: `['tables', 'Orders']`, `['references', 0]`. */
  position(path: Path, of?: 'key' | 'value'): Position
}
