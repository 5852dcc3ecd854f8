import { codeOf, MigrateError, messageOf } from '../../base/errors.ts'
import { formatDuration } from '../../base/units.ts'

/** What a server's error token carries ([MS-TDS] 2.2.7.10): number, class (severity), its own words. */
export interface ServerError {
  readonly number: number | undefined
  readonly severity: number | undefined
  readonly message: string
}

type Kind =
  | 'database-unreachable'
  | 'database-login-failed'
  | 'database-missing'
  | 'database-permission-denied'
  | 'database-connection-lost'
  | 'database-disk-full'
  | 'database-busy'
  | 'table-rewritten'

/** "Database Engine events and errors", by number. */
const NUMBERS: Readonly<Record<Kind, readonly number[]>> = {
  'database-unreachable': [],
  'database-login-failed': [18401, 18450, 18451, 18452, 18456, 18461, 18470, 18486, 18487, 18488],
  'database-missing': [911, 4060, 4064],
  'database-permission-denied': [
    229, 230, 262, 297, 300, 371, 916, 1088, 2557, 2571, 2760, 3110, 3704, 4834, 6004, 8104, 15151, 15247, 15562, 21089,
  ],
  // 976 and 983: a replica of an availability group that takes over or has lost its primary. From 10928 on: what Azure SQL says when it moves or throttles a database ("Troubleshoot common connection issues to Azure SQL").
  'database-connection-lost': [
    596, 922, 976, 983, 6005, 10053, 10054, 10060, 17142, 10928, 10929, 10936, 40197, 40501, 40540, 40613, 49918, 49919, 49920,
  ],
  // 3958, 3959, 3966 and 3967: tempdb has no room for the rows' versions, which a snapshot is read from.
  'database-disk-full': [1101, 1105, 1827, 3257, 3958, 3959, 3966, 3967, 5149, 9002, 40544],
  'database-busy': [1204, 1205, 1222, 3960],
  // A snapshot's transaction met an object that a DDL statement has changed since (TRUNCATE, SWITCH, sp_rename): metadata has no versions.
  'table-rewritten': [3961],
}

/**
 * What a server says that gives the account no further connection: it has as many as the server may have (17300, 17809), or its database:
 * Azure's limits of sessions and workers (10928, 10929, 10936 of an elastic pool), single-user mode (924); or a logon trigger lets no more in
 * (17892), by which hosts limit the sessions of a login ("Logon triggers"; "Troubleshoot connectivity issues and other errors with Azure SQL
 * Database"; "MSSQLSERVER_17809").
 */
const TOO_MANY: ReadonlySet<number | undefined> = new Set([924, 10928, 10929, 10936, 17300, 17809, 17892])

/**
 * Servers that speak this protocol without being SQL Server send one number for many errors; their words tell what it was. The words
 * are those of the engine beneath, and of SQL Server's own messages.
 */
const WORDS: readonly (readonly [Kind, RegExp])[] = [
  ['database-login-failed', /login failed|password authentication failed|role ".*" does not exist/i],
  ['database-missing', /cannot open database|database ".*" does not exist/i],
  ['database-permission-denied', /permission (?:was )?denied|must be owner of|not able to access the database/i],
  ['database-busy', /lock (?:request )?time-?out|deadlock|could not serialize access/i],
  ['database-disk-full', /no space left on device|not enough space on the disk|could not extend file|disk full/i],
  ['database-connection-lost', /terminating connection|(?:server|system) is (?:shutting down|starting up|in recovery)/i],
]

/** Kind of a server's error by number, then by class ("Database Engine error severities"), then by its words. */
export function kindOfServerError({ number, severity, message }: ServerError): Kind | undefined {
  for (const [kind, numbers] of Object.entries(NUMBERS)) {
    if (number !== undefined && numbers.includes(number)) return kind as Kind
  }
  if (severity === 13) return 'database-busy'
  if (severity !== undefined && severity >= 20) return 'database-connection-lost'
  return WORDS.find(([, words]) => words.test(message))?.[0]
}

const LOST_CODES = ['ESOCKET', 'ECONNRESET', 'ECONNCLOSED', 'ECLOSE', 'EPIPE', 'ENOTOPEN', 'EINVALIDSTATE']

const isServerError = (error: unknown): error is Error & { readonly number?: number; readonly class?: number } =>
  error instanceof Error && 'number' in error && typeof error.number === 'number'

/** The first line of a statement, for a message; literals stay out of it. */
export function firstLine(sql: string): string {
  const line = sql.trim().split('\n', 1)[0] ?? ''
  const masked = line.replaceAll(/N?'(?:[^']|'')*'/g, "'…'")
  return masked.length > 160 ? `${masked.slice(0, 160)}…` : masked
}

/** Who the message is about. */
export interface Where {
  /** "old database shop on old.example.com". */
  readonly label: string
  readonly user: string
  readonly database: string
}

/** An error while a connection was opened. `server` is the last error token that the server sent, if it sent one. */
export function connectError(error: unknown, server: ServerError | undefined, where: Where): MigrateError {
  const words = server?.message ?? messageOf(error)
  const told: ServerError = server ?? { number: undefined, severity: undefined, message: words }
  if (TOO_MANY.has(told.number)) return noFurther(where, words, error)
  switch (kindOfServerError(told)) {
    case 'database-missing':
      return new MigrateError(
        'database-missing',
        `${where.label}: there is no database ${where.database} that ${where.user} may open. The server said: ${words}`,
        {
          hint: "Check the database's name at the end of the URL, that this login has a user in it, and that no RESTORE of it was cut off, which leaves it RESTORING (in master: SELECT name, state_desc FROM sys.databases).",
          cause: error,
        },
      )
    case 'database-permission-denied':
      return permissionDenied(where, words, 'CONNECT', error)
    case 'database-login-failed':
      return loginFailed(where, words, error)
    case 'database-connection-lost':
    case 'database-busy':
      return new MigrateError('database-unreachable', `${where.label} takes no connection now: ${words} Nothing was changed.`, {
        hint: 'It is tried again by itself; if it persists, look at the load and the limits of that host.',
        cause: error,
        retrySafe: true,
      })
    default:
      if (codeOf(error) === 'ELOGIN') return loginFailed(where, words, error)
      if (codeOf(error) === 'EINSTLOOKUP') return noInstance(where, words, error)
      if (/protocol version|unsupported protocol|no protocols available|(?:dh|ee) key too small|handshake failure/i.test(words))
        return oldTls(where, words, error)
      if (/certificate|self-signed|unable to verify/i.test(words)) return untrusted(where, words, error)
      return new MigrateError('database-unreachable', `${where.label} can't be reached: ${words}. Nothing was changed.`, {
        hint: 'Check host and port in the playbook, and that the firewall lets this machine through. For a server without a trusted certificate add ?trustServerCertificate=true to the URL.',
        cause: error,
        retrySafe: true,
      })
  }
}

/** Above all to do with what there is (Pool). */
const noFurther = (where: Where, words: string, cause: unknown): MigrateError =>
  new MigrateError(
    'database-busy',
    `${where.label} gives ${where.user} no further connection now: ${words} Nothing was written.`,
    {
      hint: 'Lower connections in the playbook, or wait until the shop is quieter, and run again. Where a logon trigger refuses it (error 17892), ask the host how many sessions this login may have, and from where.',
      cause,
      retrySafe: true,
    },
  )

/**
 * True for an error of `connectError` by which a server may mean that it has as many connections as it may have: it can close a further one
 * without a word (its own log alone tells 17809, "Configure the user connections server configuration option").
 */
export const isHungUp = (error: unknown): boolean =>
  error instanceof MigrateError &&
  error.code === 'database-unreachable' &&
  /hang up|ECONNRESET|EPIPE/.test(messageOf(error.cause))

/** The browser service tells an instance's port on UDP 1434 ([MC-SQLR]). */
const noInstance = (where: Where, words: string, cause: unknown): MigrateError =>
  new MigrateError(
    'database-unreachable',
    `${where.label}: the server doesn't say where the instance is: ${words}. Nothing was changed.`,
    {
      hint: 'Its SQL Server Browser must run and UDP 1434 be open; or give the instance’s own port in the URL and leave instance: out.',
      cause,
      retrySafe: true,
    },
  )

const untrusted = (where: Where, words: string, cause: unknown): MigrateError =>
  new MigrateError('database-unreachable', `${where.label} shows a certificate that isn't trusted: ${words}. Nothing was sent.`, {
    hint: 'Give the authority that signed it (ca: path of its PEM file), or, if you trust the network, trustServerCertificate: true.',
    cause,
  })

/** "TLS 1.2 support for Microsoft SQL Server" (KB 3135244): 2012 and 2014 without their updates have TLS 1.0 alone. */
const oldTls = (where: Where, words: string, cause: unknown): MigrateError =>
  new MigrateError(
    'database-unreachable',
    `${where.label} speaks no encryption that is safe today (TLS 1.2 or later): ${words.trim()}. Nothing was sent.`,
    {
      hint: 'Ask the host to update SQL Server (2012 SP4, 2014 SP3 or later have TLS 1.2). Or, if you trust the network, ?trustServerCertificate=true, with which older encryption is taken.',
      cause,
    },
  )

const loginFailed = (where: Where, words: string, cause: unknown): MigrateError =>
  new MigrateError('database-login-failed', `${where.label} refused user ${where.user}: ${words}`, {
    hint: "Check user and password in the playbook's URL. Shared hosts often have another password for the database than for the files.",
    cause,
  })

const permissionDenied = (where: Where, words: string, sql: string, cause: unknown): MigrateError =>
  new MigrateError('database-permission-denied', `${where.label}: ${where.user} may not do this: ${words} (${firstLine(sql)})`, {
    hint: `Let the host's administrator grant it, or use an account that is in the role db_owner of ${where.database}.`,
    cause,
  })

/** An error while a statement ran. `retrySafe`: true when nothing can have been written. */
export function statementError(error: unknown, sql: string, where: Where, retrySafe: boolean): MigrateError {
  if (error instanceof MigrateError) return error
  const words = messageOf(error)
  if (/string longer than 0x/.test(words))
    return new MigrateError('row-too-large', `${where.label}: a value is too large to be read (${firstLine(sql)}).`, {
      hint: 'migrate check PLAYBOOK  names its table, key and column; set that table to skip in the playbook and move it by hand.',
      cause: error,
    })
  const options = { cause: error }
  if (codeOf(error) === 'ETIMEOUT') {
    return new MigrateError(
      'database-timeout',
      `${where.label} didn't answer in the time it is given: ${words} (statement: ${firstLine(sql)})`,
      {
        ...options,
        hint: 'It was stopped so as not to burden the shop, and rolled back. Run again when the host is quieter, or give it longer in the playbook: database: { url: …, statementTimeout: 10m }.',
      },
    )
  }
  switch (kindOfStatementError(error)) {
    case 'database-permission-denied':
      return permissionDenied(where, words, sql, error)
    case 'database-busy':
      return new MigrateError(
        'database-busy',
        `${where.label}: another session held the rows. ${words}. Everything was rolled back.`,
        {
          ...options,
          hint: 'It is tried again by itself; if it persists, look for a long transaction on this database.',
          retrySafe: true,
        },
      )
    case 'table-rewritten':
      return new MigrateError(
        'table-rewritten',
        `A table of the ${where.label} was emptied, renamed or altered after this reading began, which sees all as it stood then: ${words} (statement: ${firstLine(sql)}). Nothing was changed.`,
        {
          ...options,
          hint: 'It is read as it stands now when this is tried again. If it happens every time, have whatever does it (TRUNCATE, ALTER TABLE, sp_rename) wait.',
          retrySafe: true,
        },
      )
    case 'database-disk-full':
      return new MigrateError('database-disk-full', `${where.label} has no room left: ${words}`, {
        ...options,
        hint: 'Make room or raise the limit of the database or its log on that host, then run again; what was loaded is kept.',
      })
    case 'database-connection-lost':
    case 'database-unreachable':
      return new MigrateError(
        'database-connection-lost',
        `${where.label}: the connection broke (${words}) during: ${firstLine(sql)}`,
        {
          ...options,
          hint: 'Run again to resume; what was finished is kept.',
          retrySafe,
        },
      )
    case 'database-missing':
    case 'database-login-failed':
    case undefined:
      return new MigrateError('database-statement-failed', `${where.label}: ${words} (statement: ${firstLine(sql)})`, {
        ...options,
        hint: 'The statement was rolled back.',
      })
  }
}

/** See ReadOptions.quietMs. */
export const tooSlow = (where: Where, quietMs: number | undefined, sql: string): MigrateError =>
  new MigrateError(
    'database-too-slow',
    `${where.label}: no row came for ${formatDuration(quietMs ?? 0)} (${firstLine(sql)}). The query was cancelled; nothing was changed.`,
    { hint: 'Run again when the old host is quieter: what was saved is kept.', retrySafe: true },
  )

function kindOfStatementError(error: unknown): Kind | undefined {
  // Some statements fail with two errors, the second saying no more than "see previous errors".
  if (error instanceof AggregateError) return error.errors.map(kindOfStatementError).find((kind) => kind !== undefined)
  if (isServerError(error)) return kindOfServerError({ number: error.number, severity: error.class, message: error.message })
  const code = codeOf(error)
  if (code !== undefined && LOST_CODES.includes(code)) return 'database-connection-lost'
  return undefined
}

/** "Database Engine events and errors": what a bulk load may say but for the missing right to it, which is about the account. */
const BULK_REFUSALS = { first: 4800, last: 4899, right: 4834 } as const

/** True for a server that doesn't take rows in the way a bulk load brings them: their description (4816), a length (4815), a value (4863). */
export const refusesBulk = (error: unknown): boolean => {
  const cause = error instanceof MigrateError ? error.cause : error
  if (cause instanceof AggregateError) return cause.errors.some(refusesBulk)
  if (!isServerError(cause)) return false
  const { number = 0 } = cause
  return number >= BULK_REFUSALS.first && number <= BULK_REFUSALS.last && number !== BULK_REFUSALS.right
}

/** True for the error that a duplicate key causes (2627: constraint, 2601: unique index), or a table that exists (2714). */
export const isDuplicate = (error: unknown): boolean => {
  const cause = error instanceof MigrateError ? error.cause : error
  if (cause instanceof AggregateError) return cause.errors.some(isDuplicate)
  return isServerError(cause) && [2601, 2627, 2714].includes(cause.number ?? 0)
}
