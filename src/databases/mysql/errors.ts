import { codeOf, MigrateError, messageOf } from '../../base/errors.ts'

/** What was going on when an error came, for its message. */
export interface Doing {
  /** The database's label: "old database shop on old.example.com". */
  readonly label: string
  /** The statement; only its first line is shown. */
  readonly sql?: string
  /** True while the connection is being made: nothing was asked of the server yet. */
  readonly connecting?: boolean
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])
const LOST = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT', 'PROTOCOL_CONNECTION_LOST', 'ERR_STREAM_DESTROYED'])
const LOST_WORDS = /connection lost|connection is in closed state|closed state|socket (has been |was )?(closed|ended)/i
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HANDSHAKE_SSL|HANDSHAKE_NO_SSL)/

/**
 * Numbers of the server's errors ("Server Error Message Reference", and MariaDB's "MariaDB Error Codes"; the numbers below 1900 are
 * the same in both): https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
 */
const LOGIN = new Set([1045, 1129, 1130, 1396, 1698, 1820, 1862, 1251, 3118, 4151])
const MISSING = new Set([1049])
const DENIED = new Set([1044, 1142, 1143, 1227, 1370, 1419, 1449, 3879])
const READ_ONLY = new Set([1290, 1792, 1836, 3989])
const DISK_FULL = new Set([1021, 1114, 3019])
/** InnoDB and MyISAM say it as "Got error 28 from storage engine" (1030), files as "OS errno 28" (3, 1026). */
const NO_SPACE = /\b(error|errno|errcode)[: ]+28\b|no space left/i
/** MariaDB's ER_STATEMENT_TIMEOUT, MySQL's ER_QUERY_TIMEOUT. */
const TIMEOUT = new Set([1969, 3024])
/** ER_QUERY_INTERRUPTED: somebody ran KILL QUERY. What we have ended ourselves is told by the stop or wait that it was ended for. */
const KILLED = new Set([1317])
/** Among them: a table was emptied or altered since the transaction's snapshot (ER_TABLE_DEF_CHANGED, "please retry transaction"). */
const BUSY = new Set([1205, 1213, 1412, 3572, 1614])
const TOO_MANY = new Set([1040, 1203, 1226])
/** The server ends the connection: shutting down, killed, told to go after idling. */
const ENDED = new Set([1053, 1927, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 4031, 1077, 1079, 2006, 2013])

/** ER_NO_SUCH_TABLE. */
export const NO_SUCH_TABLE = 1146

/** The number that the server gave an error; `undefined` for what isn't the server's. */
export function numberOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errno' in error)) return undefined
  return typeof error.errno === 'number' && error.errno > 0 ? error.errno : undefined
}

/** True where the server, or the account, has all the connections that it may. */
export const isTooMany = (error: unknown): boolean => TOO_MANY.has(numberOf(error) ?? 0)

/** The server's number of an error that went through `databaseError`. */
export const serverNumber = (error: unknown): number | undefined =>
  numberOf(error) ?? (error instanceof MigrateError ? numberOf(error.cause) : undefined)

/** Any error of the driver or the server as the port's (databases/port.ts). */
export function databaseError(error: unknown, doing: Doing): MigrateError {
  if (error instanceof MigrateError) return error
  const words = messageOf(error)
  const number = numberOf(error)
  const known = number === undefined ? undefined : serverError(error, number, words, doing)
  return (
    known ?? connectError(error, words, doing) ?? lostError(error, number, words, doing) ?? statementError(error, words, doing)
  )
}

function connectError(error: unknown, words: string, doing: Doing): MigrateError | undefined {
  const code = codeOf(error)
  const { label } = doing
  if (doing.connecting !== true || numberOf(error) !== undefined) return undefined
  if (TLS_CODE.test(code ?? '')) {
    return new MigrateError(
      'database-unreachable',
      `No trusted TLS connection to the ${label} could be made: ${words}. Nothing was read or written.`,
      {
        hint: 'Name the authority that signed its certificate (ca: …), or choose another sslmode in the playbook.',
        cause: error,
      },
    )
  }
  if (code !== undefined && !UNREACHABLE.has(code) && !LOST.has(code)) return undefined
  return new MigrateError('database-unreachable', `The ${label} can't be reached: ${words}. Nothing was read or written.`, {
    hint: 'Check host and port in the playbook, that the server runs, and that its firewall lets this machine in.',
    cause: error,
    retrySafe: true,
  })
}

function lostError(error: unknown, number: number | undefined, words: string, doing: Doing): MigrateError | undefined {
  const code = codeOf(error)
  const isLost = number !== undefined ? ENDED.has(number) : (code !== undefined && LOST.has(code)) || LOST_WORDS.test(words)
  if (!isLost) return undefined
  return new MigrateError(
    'database-connection-lost',
    `The connection to the ${doing.label} broke: ${words}. What was being written was not kept.`,
    {
      hint: 'Run again: it goes on where it stopped. If it keeps breaking, ask the host about time limits on connections.',
      cause: error,
      retrySafe: true,
    },
  )
}

interface Told {
  readonly numbers: ReadonlySet<number>
  readonly code: string
  readonly message: (label: string, words: string, statement: string) => string
  readonly hint: string
  readonly retrySafe?: boolean
}

const TOLD: readonly Told[] = [
  {
    numbers: LOGIN,
    code: 'database-login-failed',
    message: (label, words) => `The login to the ${label} was refused: ${words}. Nothing was read or written.`,
    hint: 'Check the user name and password in the playbook (and the environment variable that holds it), and that the account may log in from this machine.',
  },
  {
    numbers: MISSING,
    code: 'database-missing',
    message: (label, words) => `The ${label} isn't there: ${words}. Nothing was read or written.`,
    hint: 'Check the name at the end of the database URL, and that the account may use it (by a role only where that is its default: SET DEFAULT ROLE), or create the database (CREATE DATABASE …); then run again.',
  },
  {
    numbers: DENIED,
    code: 'database-permission-denied',
    message: (label, words, statement) => `The account may not do this on the ${label}: ${words}${statement}`,
    hint: 'migrate check PLAYBOOK  lists every right that is missing, with the GRANT statement to run as an account that may grant it.',
  },
  {
    numbers: READ_ONLY,
    code: 'database-read-only',
    message: (label, words, statement) => `The ${label} takes no changes: ${words}${statement}`,
    hint: 'It is a replica, or was set read_only: use the primary server, or have it set writable.',
  },
  {
    numbers: TIMEOUT,
    code: 'database-timeout',
    message: (label, words, statement) =>
      `The ${label} didn't answer a question in the time it is given: ${words}. Nothing was changed by it.${statement}`,
    hint: 'It was stopped so as not to burden the shop. Run again when the host is quieter, or give it longer in the playbook: database: { url: …, statementTimeout: 10m }.',
  },
  {
    numbers: KILLED,
    code: 'database-query-ended',
    message: (label, words, statement) =>
      `Somebody on the server of the ${label}, perhaps a watchdog of the host's, ended a question before it was answered: ${words}. Nothing was changed by it.${statement}`,
    hint: 'Run again when the host is quieter. If it happens every time, ask the host how long a query of this account may take, and to let it take longer while you move.',
    retrySafe: true,
  },
  {
    numbers: DISK_FULL,
    code: 'database-disk-full',
    message: (label, words) => `The disk of the ${label} is full: ${words}. What was being written was rolled back.`,
    hint: 'Make room on that host (or take a larger plan) and run again: it goes on where it stopped.',
  },
  {
    numbers: TOO_MANY,
    code: 'database-busy',
    message: (label, words) => `The ${label} has no connection left for migrate: ${words}. Nothing was written.`,
    hint: 'Lower connections in the playbook, or wait until the shop is quieter, and run again.',
    retrySafe: true,
  },
  {
    numbers: BUSY,
    code: 'database-busy',
    message: (label, words) => `The ${label} was busy with the same rows: ${words}. Everything of this attempt was rolled back.`,
    hint: 'Run again. If it stays so, look for a transaction that is left open (SHOW FULL PROCESSLIST).',
    retrySafe: true,
  },
]

function serverError(error: unknown, number: number, words: string, doing: Doing): MigrateError | undefined {
  const meant = NO_SPACE.test(words) ? 1021 : meantNumber(number, doing)
  const told = TOLD.find(({ numbers }) => numbers.has(meant))
  if (told === undefined) return undefined
  return new MigrateError(told.code, told.message(doing.label, words, statement(doing)), {
    hint: told.hint,
    cause: error,
    retrySafe: told.retrySafe ?? false,
  })
}

/**
 * To an account without rights elsewhere, a database that isn't there is one that it may not see (1044). Hosted servers (RDS) refuse a
 * statement to an account that has long logged in as if it couldn't (1045, FLUSH TABLES WITH READ LOCK): that is a missing right.
 */
function meantNumber(number: number, { connecting }: Doing): number {
  if (connecting === true) return number === 1044 ? 1049 : number
  return number === 1045 ? 1142 : number
}

function statementError(error: unknown, words: string, doing: Doing): MigrateError {
  return new MigrateError('database-statement-failed', `The ${doing.label} refused a statement: ${words}${statement(doing)}`, {
    hint: 'The statement was rolled back. Mend what the server names, then run again.',
    cause: error,
  })
}

const statement = (doing: Doing): string => {
  const line = doing.sql?.trimStart().split('\n')[0] ?? ''
  if (line === '') return ''
  return `\nStatement: ${line.length > 160 ? `${line.slice(0, 160)}…` : line}`
}
