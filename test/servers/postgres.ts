import { execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { Secret } from '../../src/base/secret.ts'
import type { PostgresOptions } from '../../src/databases/postgres/index.ts'
import { debianPostgres } from '../../src/demo/postgres-server.ts'
import { dataRoom } from './copies.ts'
import { startCopiedPostgres } from './postgres-copies.ts'

export interface PostgresAccount {
  readonly user: string
  readonly password: string
}

/** A private PostgreSQL for a test: Debian's when it is installed, else the one that npm brings. */
export interface TestPostgres {
  readonly host: string
  readonly port: number
  readonly pid: number
  readonly superuserUrl: string
  /** An empty database that belongs to an account of its own. */
  database(prefix?: string): Promise<TestDatabase>
  /** Stops the server and removes its folder. */
  stop(): Promise<void>
}

export interface TestDatabase {
  readonly name: string
  readonly owner: PostgresAccount
  /** `postgres://…`, with the password in it. */
  readonly url: string
  urlOf(account: PostgresAccount): string
  /** Options for openPostgres; as the owner unless another account is given. */
  options(change?: Partial<PostgresOptions> & { readonly account?: PostgresAccount }): PostgresOptions
  /** Runs SQL as the owner on a connection of its own; the last statement's rows, every value as text. */
  sql(text: string, values?: readonly (string | null)[]): Promise<readonly (readonly (string | null)[])[]>
  /** The same as the superuser. */
  superuserSql(text: string): Promise<readonly (readonly (string | null)[])[]>
  /** An account that may connect and read all that is there now, and nothing else. */
  readOnlyAccount(): Promise<PostgresAccount>
}

/** SQL that ends once anybody waits for a lock, or after half a minute. */
export const UNTIL_SOMEBODY_WAITS = `DO $$ BEGIN FOR n IN 1..600 LOOP
  PERFORM pg_stat_clear_snapshot();
  EXIT WHEN EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted);
  PERFORM pg_sleep(0.05);
END LOOP; END $$`

let accounts = 0

const wanted = (value: string | undefined): string | undefined => (value === 'embedded' ? undefined : value || debianPostgres())

/**
 * Folder of the programs to run the suites on; those of the npm package when `undefined`. MIGRATE_TEST_POSTGRES names another release's,
 * or is `embedded`: the npm package's server, which is newer than Debian's.
 */
export const postgresPrograms = (): string | undefined => wanted(process.env.MIGRATE_TEST_POSTGRES)

/** The same for the new host in the tests end to end, where a shop moves to another release: MIGRATE_TEST_NEW_POSTGRES. */
export const newPostgresPrograms = (): string | undefined => {
  const given = process.env.MIGRATE_TEST_NEW_POSTGRES
  return given ? wanted(given) : postgresPrograms()
}

/** The release of the programs that MIGRATE_TEST_POSTGRES names; what CI runs on has all that the suites use. */
export const postgresRelease: number = releaseOf(process.env.MIGRATE_TEST_POSTGRES)

function releaseOf(folder: string | undefined): number {
  if (!folder?.includes('/')) return Number.POSITIVE_INFINITY
  return Number(/\) (\d+)/.exec(execFileSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' }))?.[1])
}

/** `host`: a loopback address, one for each test file keeps ports apart. `newest`: the npm package's server, whatever else is there. */
export async function startTestPostgres(
  options: { readonly host?: string; readonly newest?: boolean; readonly settings?: Readonly<Record<string, string>> } = {},
): Promise<TestPostgres> {
  const directory = await mkdtemp(join(dataRoom, 'migrate-postgres-'))
  await chmod(directory, 0o755)
  const binaries = options.newest === true ? undefined : postgresPrograms()
  const server = await startCopiedPostgres({
    directory,
    host: options.host ?? '127.0.0.1',
    ...(binaries === undefined ? {} : { binaries }),
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  })
  return {
    host: server.host,
    port: server.port,
    pid: server.pid,
    superuserUrl: server.superuserUrl,
    database: async (prefix = 'shop') => {
      accounts += 1
      const name = `${prefix}_${accounts}`
      const owner = { user: `owner_${accounts}`, password: `secret-${accounts}-of-the-owner` }
      const url = await server.createDatabase(name, owner)
      return describeDatabase(server.superuserUrl, name, owner, url)
    },
    stop: async () => {
      await server.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function describeDatabase(superuserUrl: string, name: string, owner: PostgresAccount, url: string): TestDatabase {
  const urlOf = (account: PostgresAccount): string => {
    const result = new URL(url)
    result.username = account.user
    result.password = account.password
    return result.href
  }
  const superuser = new URL(superuserUrl)
  superuser.pathname = `/${name}`
  return {
    name,
    owner,
    url,
    urlOf,
    options: ({ account = owner, ...change } = {}) => ({
      host: superuser.hostname,
      port: Number(superuser.port),
      user: account.user,
      password: new Secret(account.password),
      database: name,
      connections: 4,
      label: `test database ${name}`,
      ...change,
    }),
    sql: (text, values) => runSql(url, text, values),
    superuserSql: (text) => runSql(superuser.href, text),
    readOnlyAccount: async () => {
      accounts += 1
      const account = { user: `reader_${accounts}`, password: `secret-${accounts}-of-the-reader` }
      await runSql(superuser.href, readOnlyGrants(name, account, owner))
      return account
    },
  }
}

/** What the database's owner may do in the schema public as one of everybody before PostgreSQL 15, he goes on to do. */
function readOnlyGrants(database: string, account: PostgresAccount, owner: PostgresAccount): string {
  const role = pg.escapeIdentifier(account.user)
  return `CREATE ROLE ${role} LOGIN PASSWORD ${pg.escapeLiteral(account.password)};
    REVOKE TEMPORARY ON DATABASE ${pg.escapeIdentifier(database)} FROM PUBLIC;
    GRANT CONNECT ON DATABASE ${pg.escapeIdentifier(database)} TO ${role};
    DO $$ DECLARE s name; BEGIN
      IF current_setting('server_version_num')::int < 150000 THEN ALTER SCHEMA public OWNER TO ${pg.escapeIdentifier(owner.user)}; END IF;
      FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
      EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', s);
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', s, '${account.user}');
      EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', s, '${account.user}');
      EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', s, '${account.user}');
    END LOOP; END $$`
}

/** Runs SQL on a connection of its own; the last statement's rows, every value as text. */
export async function runSql(
  url: string,
  text: string,
  values: readonly (string | null)[] = [],
): Promise<readonly (readonly (string | null)[])[]> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => (value: string) => value } })
  await client.connect()
  try {
    const answer = await client.query<(string | null)[]>({
      text,
      rowMode: 'array',
      ...(values.length === 0 ? {} : { values: [...values] }),
    })
    const last = Array.isArray(answer) ? (answer.at(-1) as pg.QueryArrayResult<(string | null)[]>) : answer
    return last.rows ?? []
  } finally {
    await client.end()
  }
}
