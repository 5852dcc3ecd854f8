import type { Secret } from '../../base/secret.ts'
import type { TableName } from '../schema.ts'

/** How the client programs reach a MySQL or MariaDB server. */
export interface MysqlNativeOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Secret | undefined
  readonly database: string
  /** `prefer` when absent: TLS where the server has it, its certificate not checked. */
  readonly sslmode?: 'disable' | 'prefer' | 'require' | 'verify-full' | undefined
  /** Path of a PEM file with the certificates to trust. */
  readonly ca?: string | undefined
  readonly connectTimeoutMs?: number | undefined
  /** For messages: "old database shop on old.example.com". */
  readonly label: string
}

/** The two families spell some options differently, and one doesn't know the other's. */
export type Family = 'mariadb' | 'mysql'

/**
 * A value of an option file: in double quotes, in which only the backslash and the quote need an escape (MySQL reference manual,
 * "Using Option Files"; the quote's in mysys/my_default.c of both families).
 */
const quoted = (value: string): string => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

type Mode = NonNullable<MysqlNativeOptions['sslmode']>

const TLS: Readonly<Record<Family, Readonly<Record<Mode, readonly string[]>>>> = {
  // MariaDB knowledge base, "mariadb Command-Line Client", --ssl; without a CA the name isn't checked before 11.4.
  mariadb: {
    disable: ['skip-ssl'],
    prefer: ['skip-ssl-verify-server-cert'],
    require: ['ssl', 'skip-ssl-verify-server-cert'],
    'verify-full': ['ssl', 'ssl-verify-server-cert'],
  },
  // MySQL reference manual, "Command Options for Encrypted Connections", --ssl-mode.
  mysql: {
    disable: ['ssl-mode=DISABLED'],
    prefer: ['ssl-mode=PREFERRED'],
    require: ['ssl-mode=REQUIRED'],
    'verify-full': ['ssl-mode=VERIFY_IDENTITY'],
  },
}

/** The option file by which the programs log in. Holds the password: for a file that only this account may read. */
export function optionFile(options: MysqlNativeOptions, family: Family): string {
  const { host, port, user, password, sslmode, ca, connectTimeoutMs } = options
  const lines = [
    '[client]',
    `host=${quoted(host)}`,
    `port=${port}`,
    'protocol=tcp',
    `user=${quoted(user)}`,
    ...(password === undefined ? [] : [`password=${quoted(password.reveal())}`]),
    ...TLS[family][ca === undefined || sslmode === 'disable' ? (sslmode ?? 'prefer') : 'verify-full'],
    ...(ca === undefined ? [] : [`ssl-ca=${quoted(ca)}`]),
  ]
  const timeout = `connect-timeout=${Math.ceil((connectTimeoutMs ?? 10_000) / 1000)}`
  return [...lines, '[mysql]', timeout, '[mariadb-client]', timeout, ''].join('\n')
}

const OWN_TABLES = ['migrate_marks', 'migrate_ledger'] as const

const MOST_PACKET = '1G'

interface DumpOptions {
  readonly optionFile: string
  readonly family: Family
  readonly database: string
  readonly skip: readonly TableName[]
}

const common = ({ optionFile, family }: DumpOptions): readonly string[] => [
  // The only option file that is read; it must come first.
  `--defaults-file=${optionFile}`,
  '--single-transaction',
  '--quick',
  '--skip-lock-tables',
  '--skip-add-locks',
  // What is there already on the new host is an error, never replaced.
  '--skip-add-drop-table',
  '--no-tablespaces',
  '--hex-blob',
  '--default-character-set=utf8mb4',
  '--tz-utc',
  '--triggers',
  `--max-allowed-packet=${MOST_PACKET}`,
  // Neither means anything to the other family's program.
  ...(family === 'mysql' ? ['--set-gtid-purged=OFF', '--column-statistics=0'] : []),
]

/**
 * Arguments of mariadb-dump and mysqldump for everything but the tables whose rows stay behind (MySQL reference manual, "mysqldump").
 * --single-transaction reads InnoDB tables as they were at one instant and holds no lock that a writer would wait for. Pure.
 */
export const dumpArguments = (options: DumpOptions): readonly string[] => [
  ...common(options),
  '--routines',
  '--events',
  ...[...OWN_TABLES.map((name) => ({ schema: '', name })), ...options.skip].map(
    ({ name }) => `--ignore-table=${options.database}.${name}`,
  ),
  options.database,
]

/** The definitions of the tables whose rows stay behind. Pure. */
export const definitionArguments = (options: DumpOptions): readonly string[] => [
  ...common(options),
  '--no-data',
  options.database,
  ...options.skip.map(({ name }) => name),
]

/** Arguments of the client that takes a dump as its standard input. It stops at the first error. Pure. */
export const loadArguments = (optionFile: string, database: string): readonly string[] => [
  `--defaults-file=${optionFile}`,
  '--batch',
  '--default-character-set=utf8mb4',
  `--max-allowed-packet=${MOST_PACKET}`,
  `--database=${database}`,
]
