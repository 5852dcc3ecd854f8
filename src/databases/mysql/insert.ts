import { MigrateError, messageOf } from '../../base/errors.ts'
import type { Row } from '../port.ts'
import { fullName, readableColumns, type Table } from '../schema.ts'
import { serverNumber } from './errors.ts'
import { hasEnumError } from './keys.ts'
import type { Result, Session } from './session.ts'
import { LENIENT_MODE, SQL_MODE } from './settings.ts'
import { quoteNames, quoteTable, writeExpression } from './values.ts'

/** Text of one INSERT, characters; a character of utf8mb4 has four bytes at most, nearly all have one. */
export const STATEMENT_LENGTH = 512 * 1024
const STATEMENT_ROWS = 2000
/** A server that tells of few warnings (64 in MySQL 5.7) must tell of all that enums' error values bring. */
export const LENIENT_ROWS = 50

/** Statements for these rows, each small enough for the server. Throws `value-too-large` for a row that isn't. */
export function* insertStatements(
  table: Table,
  rows: Iterable<Row>,
  maxPacket: number,
  most: number,
): Generator<{ readonly sql: string; readonly rows: readonly Row[] }> {
  const columns = readableColumns(table)
  const head = `INSERT INTO ${quoteTable(table.name)} (${quoteNames(columns.map((column) => column.name))}) VALUES `
  const limit = Math.min(STATEMENT_LENGTH, maxPacket / 4)
  let parts: string[] = []
  let own: Row[] = []
  let length = 0
  for (const row of rows) {
    const text = `(${columns.map((column, at) => writeExpression(column, row[at] ?? null)).join(',')})`
    if (own.length > 0 && (length + text.length > limit || own.length >= most)) {
      yield { sql: head + parts.join(','), rows: own }
      parts = []
      own = []
      length = 0
    }
    if (text.length > limit) refuseTooLarge(table, Buffer.byteLength(text), maxPacket - head.length)
    parts.push(text)
    own.push(row)
    length += text.length + 1
  }
  if (own.length > 0) yield { sql: head + parts.join(','), rows: own }
}

/** `bytes` of the row's statement, `room` for it. */
export function refuseTooLarge(table: Table, bytes: number, room: number): void {
  if (bytes < room) return
  throw new MigrateError(
    'value-too-large',
    `A row of ${fullName(table.name)} takes ${bytes} bytes or more as a statement, more than the server takes at once (max_allowed_packet). Nothing of this batch was written.`,
    { hint: 'Have max_allowed_packet raised on that host (1 GiB at most), then run again.' },
  )
}

/** Inserts rows within the open transaction. A row whose key exists already is an error, never replaced. */
export async function insertRows(session: Session, table: Table, rows: readonly Row[]): Promise<void> {
  const columns = readableColumns(table)
  const someLenient = rows.some((row) => hasEnumError(columns, row))
  for (const part of insertStatements(table, rows, session.kind.maxPacket, someLenient ? LENIENT_ROWS : STATEMENT_ROWS)) {
    const lenient = someLenient && part.rows.some((row) => hasEnumError(columns, row))
    const { count } = await write(session, table, part.sql, lenient)
    if (count !== part.rows.length) throw miscount(session, table, part.rows.length, count)
  }
}

/**
 * Runs a statement that writes into a table, strictly; `hasEnumErrors`: leniently from the start. So it is run again where a value was
 * refused that the server computes itself: on the old host, whose shop wasn't strict, it was computed in the same way. `refusesWarnings`:
 * those of the strict mode too.
 */
export async function write(
  session: Session,
  table: Table,
  sql: string,
  hasEnumErrors: boolean,
  refusesWarnings = false,
): Promise<Result> {
  if (hasEnumErrors) return await leniently(session, table, sql)
  let result: Result
  try {
    result = await session.query(sql)
  } catch (error) {
    const cause = error instanceof MigrateError ? error.cause : error
    if (session.broken || !isOfComputed(table, serverNumber(error), messageOf(cause))) throw error
    return await leniently(session, table, sql)
  }
  if (refusesWarnings && result.warnings > 0) await refuseWarnings(session, table, sql, result.warnings)
  return result
}

/**
 * An enum's error value (number 0) is only taken without strict mode ("The ENUM Type"). What strict mode would have refused comes as
 * a warning then: any but those for enums and for values that the server computes is an error here as well.
 */
async function leniently(session: Session, table: Table, sql: string): Promise<Result> {
  await session.query(`SET SESSION sql_mode = '${LENIENT_MODE}'`)
  try {
    const result = await session.query(sql)
    await refuseWarnings(session, table, sql, result.warnings)
    return result
  } finally {
    if (!session.broken) await session.query(`SET SESSION sql_mode = '${SQL_MODE}'`)
  }
}

/** WARN_DATA_TRUNCATED: "Data truncated for column 'status' at row 1". */
const TRUNCATED = 1265

/** A character set, collation or syntax that a later release will no longer know: ER_WARN_DEPRECATED_SYNTAX and its like. */
const DEPRECATED = new Set([1287, 1681, 3719, 3778])

/** A value that doesn't fit a column, which is named: WARN_DATA_TRUNCATED, ER_WARN_DATA_OUT_OF_RANGE, ER_TRUNCATED_WRONG_VALUE and its like. */
const MISFITS = new Set([1264, TRUNCATED, 1292, 1366, 1406])

const numbersFrom = (first: number, count: number): readonly number[] => Array.from({ length: count }, (_none, at) => first + at)

/**
 * Of an expression's own value, which names no column where it is of none: ER_TRUNCATED_WRONG_VALUE, ER_DIVISION_BY_ZERO,
 * ER_WRONG_VALUE_FOR_TYPE, ER_DATETIME_FUNCTION_OVERFLOW, MariaDB's ER_JSON_BAD_CHR to ER_JSON_PATH_EMPTY, and MySQL's
 * ER_INVALID_JSON_TEXT to ER_JSON_DOCUMENT_TOO_DEEP.
 */
const OF_EXPRESSIONS = new Set([1292, 1365, 1411, 1441, ...numbersFrom(4035, 10), ...numbersFrom(3140, 18)])

/** True of a warning or an error about a value that the server computes for a column of `table`, never about one that was given. */
export function isOfComputed({ columns }: Table, number = 0, words = ''): boolean {
  const computed = columns.filter((column) => column.computed !== null).map(({ name }) => name)
  if (computed.length === 0) return false
  // `for column 'c' at row 1` and ``for column `db`.`table`.`c` at row 1``.
  const named = / for column (?:'(.*)'|(?:`.*`\.)?`(.*)`)(?: at row \d+)?$/is.exec(words)
  if (named === null) return OF_EXPRESSIONS.has(number) && !/\bcolumn\b/i.test(words)
  return MISFITS.has(number) && computed.includes(named[1] ?? named[2]?.replaceAll('``', '`') ?? '')
}

/**
 * Throws with the first of the `count` warnings of the statement before, enums' error values, values that the server computes and what is
 * said of its words alone aside; also when the server doesn't tell all of them.
 */
export async function refuseWarnings(session: Session, table: Table, sql: string, count: number): Promise<void> {
  const enums = table.columns.filter((column) => column.codec === 'enum').map((column) => `column '${column.name}'`)
  const { rows } = await session.query('SHOW WARNINGS')
  const bad = rows.find(([_level, number, words]) => {
    if (DEPRECATED.has(Number(number)) || isOfComputed(table, Number(number), words ?? '')) return false
    return Number(number) !== TRUNCATED || !enums.some((name) => words?.includes(name) === true)
  })
  if (bad === undefined && count > rows.length) throw untold(session, sql, count - rows.length)
  if (bad === undefined) return
  throw session.error(Object.assign(new Error(bad[2] ?? ''), { errno: Number(bad[1]) }), sql)
}

const untold = (session: Session, sql: string, count: number): MigrateError =>
  new MigrateError(
    'database-statement-failed',
    `The ${session.label} has ${count} more warnings about a statement than it tells (max_error_count), so that nobody knows whether all values went in as they were. Everything was rolled back.\nStatement: ${sql.slice(0, 160)}`,
    {
      hint: 'Have the host run: SET GLOBAL max_error_count = 65535; then run again. Or give the rows whose enum columns hold no member (… WHERE column = 0) one on the old host.',
    },
  )

export const miscount = (session: Session, table: Table, wanted: number, got: number): MigrateError =>
  new MigrateError(
    'database-statement-failed',
    `${session.label}: ${wanted} row${wanted === 1 ? '' : 's'} of ${fullName(table.name)} should have been written, the server says ${got}. Everything was rolled back.`,
    { hint: 'The rows changed meanwhile; run again.' },
  )

/** A row that refers to one of the same statement that comes after it, or is referred to ("FOREIGN KEY Constraints"). */
const REFERENCE = new Set([1216, 1217, 1451, 1452])

/** ER_CHECK_NOT_IMPLEMENTED: "The storage engine for the table doesn't support SAVEPOINT", of the table that was written last. */
const NOT_IMPLEMENTED = 1178

/** Sets one, unless a table of an engine that knows none has been written in the transaction (Aria, which has no foreign keys either). */
async function savepointHolds(session: Session): Promise<boolean> {
  try {
    await session.query('SAVEPOINT together')
    return true
  } catch (error) {
    if (serverNumber(error) !== NOT_IMPLEMENTED) throw error
    return false
  }
}

/**
 * Does all items together; where a foreign key within the table forbids that, since InnoDB looks at each row at once, one by one in
 * an order that works. Within the open transaction.
 */
export async function inSomeOrder<T>(
  session: Session,
  items: readonly T[],
  work: (items: readonly T[]) => Promise<void>,
): Promise<void> {
  const isReference = (error: unknown): boolean => REFERENCE.has(serverNumber(error) ?? 0)
  if (items.length < 2 || !(await savepointHolds(session))) return await work(items)
  try {
    return await work(items)
  } catch (error) {
    if (!isReference(error)) throw error
  }
  await session.query('ROLLBACK TO SAVEPOINT together')
  let left = items
  while (left.length > 0) {
    const failed: T[] = []
    let failure: unknown
    for (const item of left) {
      try {
        await work([item])
      } catch (error) {
        if (!isReference(error)) throw error
        failed.push(item)
        failure = error
      }
    }
    if (failed.length === left.length) throw failure
    left = failed
  }
}
