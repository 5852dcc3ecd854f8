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

const UNREACHABLE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', '57P03'])
const LOST = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT', '57P01', '57P02', '25P03'])
const LOST_WORDS =
  /connection terminated|connection ended|socket (has been |was )?(closed|ended)|encountered a connection error|not queryable/i
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/
const BUSY = new Set(['40001', '40P01', '55P03'])

const isLost = (code: string | undefined, message: string): boolean =>
  (code !== undefined && (LOST.has(code) || code.startsWith('08'))) || (code === undefined && LOST_WORDS.test(message))

/**
 * Any error of the driver or the server as the port's (databases/port.ts). Codes: PostgreSQL documentation, appendix A,
 * "PostgreSQL Error Codes".
 */
export function databaseError(error: unknown, doing: Doing): MigrateError {
  if (error instanceof MigrateError) return error
  const code = codeOf(error)
  const words = messageOf(error)
  return (
    connectError(error, code, words, doing) ??
    lostError(error, code, words, doing) ??
    knownError(error, code, words, doing) ??
    statementError(error, words, doing)
  )
}

function connectError(error: unknown, code: string | undefined, words: string, doing: Doing): MigrateError | undefined {
  const { label } = doing
  if (code === '28P01' || code === '28000') {
    return new MigrateError(
      'database-login-failed',
      `The login to the ${label} was refused: ${words}. Nothing was read or written.`,
      {
        hint: /pg_hba|encryption|SSL/i.test(words)
          ? 'The server does not let this account in from here, or wants TLS: add this address to its pg_hba.conf, or set sslmode.'
          : 'Check the user name and password in the playbook (and the environment variable that holds it).',
        cause: error,
      },
    )
  }
  // The driver's own words when the server wants a password and the playbook gives none.
  if (/client password must be a/.test(words)) {
    return new MigrateError(
      'database-login-failed',
      `The ${label} wants a password, and the playbook gives none. Nothing was read or written.`,
      {
        hint: `Write a variable behind the user in the URL, such as postgres://shop:\${OLD_DB_PASSWORD}@…, and set it before you start.`,
        cause: error,
      },
    )
  }
  if (code === '3D000') {
    return new MigrateError('database-missing', `The ${label} isn't there: ${words}. Nothing was read or written.`, {
      hint: 'Check the name at the end of the database URL, or create the database (CREATE DATABASE …) and run again.',
      cause: error,
    })
  }
  if (doing.connecting !== true) return undefined
  if (TLS_CODE.test(code ?? '') || /does not support SSL/.test(words)) {
    return new MigrateError(
      'database-unreachable',
      `No trusted TLS connection to the ${label} could be made: ${words}. Nothing was read or written.`,
      {
        hint: 'Name the authority that signed its certificate (ca: …), or choose another sslmode in the playbook.',
        cause: error,
      },
    )
  }
  if (code !== undefined && !UNREACHABLE.has(code) && !isLost(code, words)) return undefined
  return new MigrateError('database-unreachable', `The ${label} can't be reached: ${words}. Nothing was read or written.`, {
    hint: 'Check host and port in the playbook, that the server runs, and that its firewall lets this machine in.',
    cause: error,
    retrySafe: true,
  })
}

function lostError(error: unknown, code: string | undefined, words: string, doing: Doing): MigrateError | undefined {
  if (!isLost(code, words)) return undefined
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

function knownError(error: unknown, code: string | undefined, words: string, doing: Doing): MigrateError | undefined {
  const { label } = doing
  if (code === '42501') {
    return new MigrateError(
      'database-permission-denied',
      `The account may not do this on the ${label}: ${words}${statement(doing)}`,
      {
        hint: 'migrate check PLAYBOOK  lists every right that is missing, with the GRANT statement to run as the database owner.',
        cause: error,
      },
    )
  }
  if (code === '57014' && /statement timeout/.test(words)) {
    return new MigrateError(
      'database-timeout',
      `The ${label} didn't answer a question in the time it is given: ${words}. Nothing was changed by it.${statement(doing)}`,
      {
        hint: 'It was stopped so as not to burden the shop. Run again when the host is quieter, or give it longer in the playbook: database: { url: …, statementTimeout: 10m }.',
        cause: error,
      },
    )
  }
  // pg_cancel_backend. What we have ended ourselves is told by the stop or wait that it was ended for.
  if (code === '57014') {
    return new MigrateError(
      'database-query-ended',
      `Somebody on the server of the ${label}, perhaps a watchdog of the host's, ended a question before it was answered: ${words}. Nothing was changed by it.${statement(doing)}`,
      {
        hint: 'Run again when the host is quieter. If it happens every time, ask the host how long a query of this account may take, and to let it take longer while you move.',
        cause: error,
        retrySafe: true,
      },
    )
  }
  if (code === '53100') {
    return new MigrateError(
      'database-disk-full',
      `The disk of the ${label} is full: ${words}. What was being written was rolled back.`,
      {
        hint: 'Make room on that host (or take a larger plan) and run again: it goes on where it stopped.',
        cause: error,
      },
    )
  }
  if (code === '53300') {
    return new MigrateError('database-busy', `The ${label} has no connection left for migrate: ${words}. Nothing was written.`, {
      hint: 'Lower connections in the playbook, or wait until the shop is quieter, and run again.',
      cause: error,
      retrySafe: true,
    })
  }
  if (code !== undefined && BUSY.has(code)) {
    return new MigrateError(
      'database-busy',
      `The ${label} was busy with the same rows: ${words}. Everything of this attempt was rolled back.`,
      {
        hint: 'Run again. If it stays so, look for a transaction that is left open (SELECT * FROM pg_stat_activity).',
        cause: error,
        retrySafe: true,
      },
    )
  }
  return undefined
}

function statementError(error: unknown, words: string, doing: Doing): MigrateError {
  const extra = [fieldOf(error, 'detail'), fieldOf(error, 'where')?.split('\n')[0]].filter((each) => each !== undefined)
  const text = [words, ...extra].join('; ')
  return new MigrateError('database-statement-failed', `The ${doing.label} refused a statement: ${text}${statement(doing)}`, {
    hint: 'The statement was rolled back. Mend what the server names, then run again.',
    cause: error,
  })
}

function fieldOf(error: unknown, name: 'detail' | 'where'): string | undefined {
  if (typeof error !== 'object' || error === null || !(name in error)) return undefined
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

const statement = (doing: Doing): string => {
  const line = doing.sql?.trimStart().split('\n')[0] ?? ''
  if (line === '') return ''
  return `\nStatement: ${line.length > 160 ? `${line.slice(0, 160)}…` : line}`
}
