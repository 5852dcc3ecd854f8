import { MigrateError } from '../../base/errors.ts'
import { isSince, type ServerKind, type Session, TEXT_SETTINGS } from './session.ts'

/** Asks the server what it is; never concluded from anything else. */
export async function readKind(session: Session): Promise<ServerKind> {
  const { rows } = await session.query('SELECT VERSION(), @@max_allowed_packet, @@GLOBAL.local_infile')
  const [text, maxPacket, localInfile] = rows[0] ?? []
  const numbers = /(\d+)\.(\d+)\.(\d+)/.exec((text ?? '').replace(/^5\.5\.5-(?=\d)/, ''))
  if (numbers === null) throw new MigrateError('fault', `The ${session.label} doesn't say what it is: ${text}.`)
  return {
    family: /mariadb/i.test(text ?? '') ? 'mariadb' : 'mysql',
    version: [Number(numbers[1]), Number(numbers[2]), Number(numbers[3])],
    maxPacket: Number(maxPacket),
    localInfile: localInfile === '1',
  }
}

/** `MySQL 5.7.44`. */
export const productOf = ({ family, version }: ServerKind): string =>
  `${{ mysql: 'MySQL', mariadb: 'MariaDB' }[family]} ${version.join('.')}`

/** Throws `database-too-old` below MySQL 5.7 and MariaDB 10.3, of which a session can't be set as ours are. */
export function refuseOld(kind: ServerKind, label: string): void {
  if (isSince(kind, 'mysql', 5, 7) || isSince(kind, 'mariadb', 10, 3)) return
  throw new MigrateError(
    'database-too-old',
    `The ${label} runs ${productOf(kind)}; migrate needs MySQL 5.7, MariaDB 10.3 or newer. Nothing was touched.`,
    { hint: 'Ask the host for an upgrade, or move the database with mysqldump.' },
  )
}

/**
 * How a session reads and writes ("Server SQL Modes"): truncation is an error (STRICT_ALL_TABLES), a 0 stays 0 in an auto-numbered
 * column, zero dates ('0000-00-00', '2020-00-10') and impossible ones, which old rows may hold, go in as they came out.
 */
export const SQL_MODE =
  'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'

/** The same where what doesn't fit is warned of and not refused: whoever uses it looks at the warnings, or writes no value of the shop's. */
export const LENIENT_MODE = SQL_MODE.replace('STRICT_ALL_TABLES,', '')

/**
 * Settings that fix how values are printed and read, the same on both hosts, and that keep a slow reader connected
 * (net_write_timeout). `SET NAMES` comes as settings of its own, since this is one statement. Variables that only one family or
 * version has: MySQL's "Server System Variables" (max_execution_time; since 8.0 information_schema_stats_expiry, without which sizes
 * and counters may be a day old; since 8.0.30 show_gipk_in_create_table_and_information_schema) and MariaDB's (max_statement_time;
 * explicit_defaults_for_timestamp can be set since 10.8.2, in MySQL by an administrator alone).
 */
export function settingsOf(kind: ServerKind): string {
  const values: readonly (readonly [string, string])[] = [
    ['sql_mode', `'${SQL_MODE}'`],
    ['time_zone', "'+00:00'"],
    ['character_set_results', 'utf8mb4'],
    ['autocommit', '1'],
    // At any other level WITH CONSISTENT SNAPSHOT is ignored with no more than a warning ("START TRANSACTION").
    [isolationName(kind), "'REPEATABLE-READ'"],
    ['foreign_key_checks', '1'],
    ['unique_checks', '1'],
    ['sql_quote_show_create', '1'],
    ['sql_auto_is_null', '0'],
    ['sql_safe_updates', '0'],
    ['sql_select_limit', '18446744073709551615'],
    ['sql_big_selects', '1'],
    ['sql_notes', '1'],
    // All warnings of a statement are looked at (insert.ts). Where only an administrator may say so, fewer may be told.
    ...(isSince(kind, 'mysql', 8, 0, 14) ? [] : ([['max_error_count', '65535']] as const)),
    ['group_concat_max_len', '4194304'],
    // Customers never queue long behind us.
    ['innodb_lock_wait_timeout', '5'],
    ['net_write_timeout', '3600'],
    ['net_read_timeout', '3600'],
    ...(kind.family === 'mariadb' ? ([['max_statement_time', '0']] as const) : ([['max_execution_time', '0']] as const)),
    ...(isSince(kind, 'mysql', 8, 0) ? ([['information_schema_stats_expiry', '0']] as const) : []),
    ...(isSince(kind, 'mysql', 8, 0, 30) ? ([['show_gipk_in_create_table_and_information_schema', '1']] as const) : []),
    ...(isSince(kind, 'mariadb', 10, 8, 2) ? ([['explicit_defaults_for_timestamp', '1']] as const) : []),
  ]
  return `SET ${values.map(([name, value]) => `SESSION ${name} = ${value}`).join(', ')}, SESSION ${TEXT_SETTINGS}, SESSION ${WAIT_SETTINGS}`
}

/** How long a session waits for a lock on a table, and the server for a session, seconds. */
export const WAIT_SETTINGS = 'lock_wait_timeout = 5, SESSION wait_timeout = 28800'

/** MySQL calls it so since 5.7.20, MariaDB since 11.1.1; MySQL 8.0 no longer knows the older name. */
const isolationName = (kind: ServerKind): string =>
  isSince(kind, 'mysql', 5, 7, 20) || isSince(kind, 'mariadb', 11, 1, 1) ? 'transaction_isolation' : 'tx_isolation'

/** Runs a `SET`; false where the account may not say so. */
export async function isAllowed(session: Session, set: string): Promise<boolean> {
  try {
    await session.query(set)
    return true
  } catch (error) {
    if (session.error(error).code === 'database-permission-denied') return false
    throw error
  }
}
