import { randomUUID } from 'node:crypto'
import { systemClock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { Connections } from '../../src/databases/mssql/connection.ts'
import type { MssqlOptions } from '../../src/databases/mssql/index.ts'
import { quoteName, quoteText } from '../../src/databases/mssql/names.ts'
import type { Session } from '../../src/databases/mssql/session.ts'

/** The variable that names a server to test on: `mssql://user:password@host:port/`, an account that may create databases and logins. */
export const VARIABLE = 'MIGRATE_TEST_MSSQL'
export const MSSQL_URL = process.env[VARIABLE]
/** For titles: a suite that has no server is skipped by this name. */
export const mssqlTitle = (name: string): string => (MSSQL_URL === undefined ? `${name} (skipped: ${VARIABLE} is not set)` : name)

export interface MssqlAccount {
  readonly user: string
  readonly password: string
}

/** What this server can't do although SQL Server can, found by trying. */
export interface MssqlGaps {
  /** Sequences aren't listed in sys.sequences, or not with where they stand. */
  readonly sequences: boolean
  /** Indexes get another name than they were given. */
  readonly indexNames: boolean
  readonly rowversion: boolean
  /** `]]` in a quoted name isn't understood. */
  readonly bracketsInNames: boolean
  readonly filteredIndexes: boolean
  readonly synonyms: boolean
  /** Reading never waits for a row that another session has locked, not even with UPDLOCK. */
  readonly locks: boolean
  /** VIEW DEFINITION can't be granted, though definitions are hidden from whoever may only read. */
  readonly definitions: boolean
  /** Constraints can't be switched off. */
  readonly constraintsOff: boolean
  /** Checks with LIKE are told in another language than they were written in. */
  readonly likeChecks: boolean
  /** Every column is said to be made without ANSI_PADDING. */
  readonly padding: boolean
  /** Of the value in a sql_variant no length is told, and bytes have no hexadecimal text: CONVERT's style 2. */
  readonly variantLengths: boolean
  /** Only microseconds are kept of datetime2(7). */
  readonly hundredNanoseconds: boolean
}

/** A server that is there already. Databases and logins made here have random names and go with `drop` or `close`. */
export interface TestMssql {
  readonly host: string
  readonly port: number
  readonly gaps: MssqlGaps
  database(): Promise<TestMssqlDatabase>
  close(): Promise<void>
}

export interface TestMssqlDatabase {
  readonly name: string
  readonly owner: MssqlAccount
  options(change?: Partial<MssqlOptions> & { readonly account?: MssqlAccount }): MssqlOptions
  /** A connection to it that isn't the adapter's. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>
  /** A login that may read all tables that are there now and, where the server can allow that, see definitions; nothing else. */
  readOnlyAccount(options?: { readonly definitions: boolean }): Promise<MssqlAccount>
  drop(): Promise<void>
}

const random = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '').slice(0, 12)}`

/** How to reach a server, and how databases and logins are named there. */
export interface Reach {
  readonly host: string
  readonly port: number
  readonly encrypt: boolean
  readonly owner: MssqlAccount
  nameOf(prefix: string): string
  /** Before a database or login of that name is made. */
  makeRoom(name: string): Promise<void>
  /** After the last connection. */
  close(): Promise<void>
}

export function reachOf(address: string): Reach {
  const url = new URL(address)
  return {
    host: url.hostname,
    port: Number(url.port || 1433),
    encrypt: url.searchParams.get('encrypt') === 'true',
    owner: { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) },
    nameOf: random,
    makeRoom: async () => undefined,
    close: async () => undefined,
  }
}

export async function connectTestMssql(): Promise<TestMssql> {
  if (MSSQL_URL === undefined) throw new Error(`${VARIABLE} is not set`)
  return await connectThrough(reachOf(MSSQL_URL))
}

export const optionsFor = (reach: Reach, database: string, account: MssqlAccount): MssqlOptions => ({
  host: reach.host,
  port: reach.port,
  user: account.user,
  password: new Secret(account.password),
  database,
  encrypt: reach.encrypt,
  trustServerCertificate: true,
  connections: 4,
  label: `test database ${database}`,
})

export async function connectThrough(reach: Reach): Promise<TestMssql> {
  const { owner } = reach
  const server = { host: reach.host, port: reach.port }
  const optionsOf = (database: string, account: MssqlAccount): MssqlOptions => optionsFor(reach, database, account)
  const master = new Connections({ ...optionsOf('master', owner), connections: 2 })
  const made = new Set<TestMssqlDatabase>()
  const left = new Map<TestMssqlDatabase, readonly string[]>()
  const create = async (): Promise<TestMssqlDatabase> => {
    const name = reach.nameOf('migrate_test')
    await reach.makeRoom(name)
    await master.use((session) => session.batch(`CREATE DATABASE ${quoteName(name)}`))
    // One connection serves all databases: the first statements of a new one take long on some servers.
    const use = <T>(work: (session: Session) => Promise<T>): Promise<T> =>
      master.use(async (session) => {
        await session.batch(`USE ${quoteName(name)}`)
        const result = await work(session)
        await session.batch('USE master')
        return result
      })
    const cleanup = [`DROP DATABASE ${quoteName(name)}`]
    const database: TestMssqlDatabase = {
      name,
      owner,
      options: ({ account = owner, ...change } = {}) => ({ ...optionsOf(name, account), ...change }),
      use,
      readOnlyAccount: async ({ definitions } = { definitions: true }) => {
        const user = reach.nameOf('reader')
        const account = { user, password: `Reader-of-${user}` }
        await reach.makeRoom(user)
        await master.use((session) =>
          session.batch(`CREATE LOGIN ${quoteName(account.user)} WITH PASSWORD = ${quoteText(account.password)}`),
        )
        cleanup.push(`DROP LOGIN ${quoteName(account.user)}`)
        await use((session) => grantReading(session, account.user))
        // Not every server that speaks the protocol can grant it: MssqlGaps.definitions.
        if (definitions) await use((session) => works(session, `GRANT VIEW DEFINITION TO ${quoteName(account.user)}`))
        return account
      },
      // While something is still connected, dropping is left to the end.
      drop: async () => {
        if (made.has(database) && (await dropAll(master, cleanup, 5))) made.delete(database)
      },
    }
    left.set(database, cleanup)
    made.add(database)
    return database
  }
  const close = async (): Promise<void> => {
    for (const each of made) await dropAll(master, left.get(each) ?? [], 30)
    await master.close()
    await reach.close()
  }
  const probe = await create()
  const gaps = {
    ...(await probe.use(findGaps)),
    locks: !(await probe.use((first) => probe.use((second) => waits(first, second)))),
  }
  await probe.drop()
  return { ...server, gaps, database: create, close }
}

/** A server notices some time after a connection was closed; what can't be dropped at last is left to whoever owns the server. */
async function dropAll(master: Connections, statements: readonly string[], attempts: number): Promise<boolean> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    if (await master.use((session) => works(session, statements.join(';\n')))) return true
    if (attempt < attempts) await systemClock.sleep(100)
  }
  return false
}

async function grantReading(session: Session, user: string): Promise<void> {
  await session.batch(`CREATE USER ${quoteName(user)} FOR LOGIN ${quoteName(user)}`)
  const { rows } = await session.query(
    "SELECT QUOTENAME(s.name) + N'.' + QUOTENAME(t.name) FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id",
  )
  for (const [table] of rows) await session.batch(`GRANT SELECT ON ${String(table)} TO ${quoteName(user)}`)
}

export const works = (session: Session, sql: string): Promise<boolean> =>
  session.batch(sql).then(
    () => true,
    () => false,
  )

/** Whether one session waits for a row that another one reads WITH (UPDLOCK). */
async function waits(first: Session, second: Session): Promise<boolean> {
  const sql = 'SELECT a FROM probe WITH (UPDLOCK, ROWLOCK, HOLDLOCK) WHERE a = 1'
  const waited = await first.transaction(false, async () => {
    await first.batch(sql)
    await second.batch('SET LOCK_TIMEOUT 200')
    return !(await works(second, sql))
  })
  await second.batch('SET LOCK_TIMEOUT -1')
  return waited
}

async function findGaps(session: Session): Promise<Omit<MssqlGaps, 'locks'>> {
  const first = async (sql: string): Promise<unknown> => (await session.query(sql)).rows[0]?.[0]
  await session.batch("CREATE TABLE probe (a int NOT NULL, b datetime2(7) NULL, c varchar(10) NULL CHECK (c LIKE '%probing%'))")
  await works(session, 'CREATE SEQUENCE probe_numbers AS int START WITH 1')
  await works(session, 'ALTER SEQUENCE probe_numbers RESTART WITH 50')
  const filtered = await works(session, 'CREATE INDEX probe_index ON probe (a) WHERE a > 1')
  await session.batch("INSERT INTO probe (a, b) VALUES (1, '2020-01-01T00:00:00.1234567')")
  return {
    sequences:
      (await first("SELECT CONVERT(nvarchar(20), current_value) FROM sys.sequences WHERE name = N'probe_numbers'")) !== '50',
    indexNames: (await first("SELECT COUNT(*) FROM sys.indexes WHERE name = N'probe_index'")) !== 1,
    rowversion: !(await works(session, 'CREATE TABLE probe_version (a int, v rowversion)')),
    bracketsInNames: !(await works(session, 'CREATE TABLE [probe ]]x] (a int)')),
    filteredIndexes: !filtered || (await first('SELECT COUNT(*) FROM sys.indexes WHERE filter_definition IS NOT NULL')) !== 1,
    definitions: !(await works(session, 'GRANT VIEW DEFINITION TO public')),
    synonyms: !(await works(session, 'CREATE SYNONYM probe_synonym FOR dbo.probe')),
    constraintsOff: !(await works(session, 'ALTER TABLE probe NOCHECK CONSTRAINT ALL')),
    likeChecks: !/like/i.test(
      String(await first("SELECT definition FROM sys.check_constraints WHERE definition LIKE '%probing%'")),
    ),
    padding: (await first("SELECT COUNT(*) FROM sys.columns WHERE object_id = OBJECT_ID(N'probe') AND is_ansi_padded = 1")) === 0,
    variantLengths:
      (await first(
        "SELECT CONVERT(int, SQL_VARIANT_PROPERTY(CONVERT(sql_variant, CONVERT(varchar(7), CONVERT(nvarchar(4), 0x0a, 2))), 'MaxLength'))",
      )) !== 7,
    hundredNanoseconds: (await first('SELECT CONVERT(nvarchar(27), b, 121) FROM probe')) !== '2020-01-01 00:00:00.1234567',
  }
}
