import type { TableName } from '../schema.ts'
import { OWN_SCHEMA } from './catalog.ts'
import type { PostgresOptions } from './connection.ts'

/**
 * A name that stands for itself in a pattern: within double quotes nothing is special (PostgreSQL documentation, "psql", "Patterns").
 */
const pattern = (name: TableName): string => [name.schema, name.name].map((part) => `"${part.replaceAll('"', '""')}"`).join('.')

const OWN_TABLES = ['migrate_marks', 'migrate_ledger'] as const

/** Arguments of pg_dump (PostgreSQL documentation, "pg_dump"); where to and as whom is in the environment. Pure. */
export function dumpArguments(directory: string, jobs: number, skip: readonly TableName[]): readonly string[] {
  return [
    '--format=directory',
    `--file=${directory}`,
    `--jobs=${jobs}`,
    '--compress=1',
    '--verbose',
    '--no-password',
    // What customers do comes first: a table that is being altered isn't waited for in their way.
    '--lock-wait-timeout=10s',
    '--no-owner',
    '--no-privileges',
    '--no-tablespaces',
    '--no-security-labels',
    '--no-publications',
    '--no-subscriptions',
    '--no-blobs',
    `--exclude-schema="${OWN_SCHEMA}"`,
    ...OWN_TABLES.map((name) => `--exclude-table=${pattern({ schema: 'public', name })}`),
    ...skip.map((table) => `--exclude-table-data=${pattern(table)}`),
  ]
}

export type Section = 'pre-data' | 'data' | 'post-data'

/** Arguments of pg_restore for one section (PostgreSQL documentation, "pg_restore"). `list`: file of what is restored. Pure. */
export const restoreArguments = (
  directory: string,
  database: string,
  section: Section,
  jobs: number,
  list: string,
): readonly string[] => [
  // Without --dbname it writes a script and restores nothing.
  `--dbname=${database}`,
  `--section=${section}`,
  `--jobs=${section === 'pre-data' ? 1 : jobs}`,
  `--use-list=${list}`,
  '--exit-on-error',
  '--verbose',
  '--no-password',
  '--no-owner',
  '--no-privileges',
  '--no-tablespaces',
  directory,
]

/**
 * How the programs reach the server (PostgreSQL documentation, "libpq Environment Variables"). The driver checks a certificate
 * whenever it is given whom to trust, so libpq is told to do so too. Variables of the caller's own that would lead elsewhere are
 * taken out. `name`: how the server lists the sessions. Holds the password: for a program's environment alone.
 */
export function libpqEnvironment(options: PostgresOptions, name: string): Readonly<Record<string, string | undefined>> {
  const { host, port, user, password, database, sslmode, ca, connectTimeoutMs } = options
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGDATABASE: database,
    PGAPPNAME: name,
    PGCONNECT_TIMEOUT: String(Math.max(2, Math.ceil((connectTimeoutMs ?? 10_000) / 1000))),
    PGSSLMODE: ca === undefined || sslmode === 'disable' ? (sslmode ?? 'prefer') : 'verify-full',
    PGHOSTADDR: undefined,
    PGSERVICE: undefined,
    PGOPTIONS: undefined,
    PGTARGETSESSIONATTRS: undefined,
    PGCLIENTENCODING: undefined,
    LC_ALL: 'C',
    ...(password === undefined ? {} : { PGPASSWORD: password.reveal() }),
    ...(ca === undefined ? {} : { PGSSLROOTCERT: ca }),
  }
}
