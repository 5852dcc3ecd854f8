import { MigrateError } from '../../base/errors.ts'
import type { Cell, Fingerprint, Printing, Row } from '../port.ts'
import { type Column, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import { insertRows, miscount } from './insert.ts'
import { chunks, keyColumns, keyCondition, keysOf, selectList } from './keys.ts'
import { columnsOf } from './print-sql.ts'
import { printText } from './prints.ts'
import { CellCollector } from './rows.ts'
import type { Session } from './session.ts'
import { asInBlocks, compareExpression, isHex, quoteName, quoteTable, writeExpression } from './values.ts'

const AT_ONCE = 200

/**
 * See the port. By a unique key, rows and the gaps where they would be are locked straight away. By other columns a locking read
 * would lock every row that it looks at ("Locks Set by Different SQL Statements in InnoDB"), and the shop with them: there, rows are
 * looked for without a lock, as they were when the transaction first looked for any (REPEATABLE READ) or as it made them itself, and
 * those found are locked by their keys and looked at again.
 */
export async function find(
  session: Session,
  table: Table,
  columns: readonly string[],
  values: readonly Row[],
): Promise<readonly Row[]> {
  const whole = values.filter((value) => value.every((cell) => cell !== null))
  const keys = [table.primaryKey, ...table.uniqueKeys].map((key) => key?.columns ?? [])
  const byUnique = keys.some((key) => key.length === columns.length && key.every((name) => columns.includes(name)))
  const wanted = columnsOf(table, columns)
  const rows: Row[] = []
  for (const chunk of chunks(whole, AT_ONCE)) {
    const condition = keyCondition(wanted, chunk)
    const found =
      byUnique || table.key.length === 0
        ? await select(session, table, `${condition} FOR UPDATE`)
        : await selectThenLock(session, table, condition)
    rows.push(...found)
  }
  // Two values may be one to the server ('Ann' and 'ANN'): a row that a key tells apart is told once.
  return table.key.length === 0 ? rows : [...new Map(rows.map((row) => [JSON.stringify(row), row])).values()]
}

async function selectThenLock(session: Session, table: Table, condition: string): Promise<readonly Row[]> {
  const keys = keysOf(table)
  const positions = keyPositions(keys)
  const rows: Row[] = []
  for (const chunk of chunks(await select(session, keys, condition), AT_ONCE)) {
    const byKey = keyCondition(
      keyColumns(table),
      chunk.map((row) => positions.map((at) => row[at] ?? null)),
    )
    rows.push(...(await select(session, table, `(${byKey}) AND (${condition}) FOR UPDATE`)))
  }
  return rows
}

async function select(session: Session, table: Table, end: string): Promise<readonly Row[]> {
  const rows: Row[] = []
  const none = async (): Promise<void> => undefined
  const sql = `SELECT ${selectList(table)} FROM ${quoteTable(table.name)} WHERE ${end}`
  for await (const batch of session.rows(sql, new CellCollector(readableColumns(table), table), none)) rows.push(...batch)
  return rows
}

/**
 * See the port. An auto-numbered column's number is the session's own LAST_INSERT_ID(), as text; where a sequence numbers the column by
 * its default, the number is taken from it first (a server before MariaDB 10.5 has no INSERT … RETURNING).
 */
export async function insertNumbered(session: Session, table: Table, row: Row, name: string): Promise<string> {
  const [column] = columnsOf(table, [name])
  const at = readableColumns(table).findIndex((each) => each.name === name)
  if (column?.identity === null) {
    if (column.default === null)
      throw new MigrateError(
        'fault',
        `Nothing numbers the column ${name} of ${fullName(table.name)}. This is a fault in migrate.`,
      )
    const number = (await session.query(`SELECT CAST(${column.default.sql} AS CHAR)`)).rows[0]?.[0] ?? null
    if (number === null) throw miscount(session, table, 1, 0)
    await insertRows(session, table, [row.with(at, number)])
    return number
  }
  const rest = { ...table, columns: table.columns.filter((each) => each.name !== name) }
  await insertRows(session, rest, [row.toSpliced(at, 1)])
  const number = (await session.query('SELECT LAST_INSERT_ID()')).rows[0]?.[0] ?? null
  if (number === null || number === '0') throw miscount(session, table, 1, 0)
  return number
}

/**
 * See the port. What the server takes for equal comes first, so that it may use an index; what is equal to the byte decides. Without an
 * index every row that is looked at stays locked until the transaction ends.
 */
export async function removeCopies(session: Session, table: Table, row: Row, count: number): Promise<number> {
  if (count < 1) return 0
  const sql = `DELETE FROM ${quoteTable(table.name)} WHERE ${sameRow(table, row)} LIMIT ${Math.trunc(count)}`
  return (await session.query(sql)).count
}

/** See the port. */
export async function printOf(session: Session, table: Table, printing: Printing, row: Row): Promise<Fingerprint | undefined> {
  const sql = `SELECT ${printText(table, printing)} FROM ${quoteTable(table.name)} WHERE ${sameRow(table, row)} LIMIT 1`
  return (await session.query(sql)).rows[0]?.[0] ?? undefined
}

/** True of the rows that hold exactly these cells. Pure. */
export function sameRow(table: Table, row: Row): string {
  // In the form of blocks, text of other character sets is bytes.
  const raw = readableColumns(asInBlocks(table))
  return readableColumns(table)
    .flatMap((column, at) => sameAs(column, raw[at] ?? column, row[at] ?? null))
    .join(' AND ')
}

/** Columns that the server compares with a constant as it sorts them, by an index where there is one. */
const COMPARED = new Set(['number', 'plain', 'address', 'text', 'ascii', 'enum', 'set', 'bit'])

function sameAs(column: Column, raw: Column, cell: Cell): readonly string[] {
  const name = quoteName(column.name)
  if (cell === null) return [`${name} IS NULL`]
  const { codec } = column
  const isNumbered = codec === 'enum' || codec === 'set'
  const loose = COMPARED.has(codec) ? [`${isNumbered ? `${name} + 0` : name} = ${compareExpression(column, cell)}`] : []
  if (codec === 'double') return sameDouble(`${name} * 1e0`, column, cell)
  if (codec === 'json') return [`CAST(CAST(${name} AS CHAR) AS BINARY) = ${bytesOf(column, cell)}`]
  if (isNumbered || ['number', 'plain', 'address', 'bit'].includes(codec)) return loose
  return [...loose, `CAST(${name} AS BINARY) = ${raw === column ? bytesOf(column, cell) : converted(raw, column, cell)}`]
}

/**
 * By its number: MySQL prints a small one otherwise to us than within a statement (-0.00000999999999995449, -9.99999999995449e-6). Only 0
 * and -0 are one number and two texts.
 */
const sameDouble = (double: string, column: Column, cell: string): readonly string[] => [
  `${double} = ${compareExpression(column, cell)}`,
  ...(/^-?0$/.test(cell) ? [`CAST(${double} AS CHAR) = ${writeExpression(column, cell)}`] : []),
]

/** A cell's bytes in UTF-8, or those that it is. */
const bytesOf = (column: Column, cell: string): string =>
  isHex(column.codec) ? `CAST(${writeExpression(column, cell)} AS BINARY)` : `x'${Buffer.from(cell, 'utf8').toString('hex')}'`

/** A text's bytes in the column's own character set; `raw` names it. */
const converted = (raw: Column, column: Column, cell: string): string =>
  `CAST(CONVERT(${writeExpression(column, cell)} USING ${raw.codec.slice('bytes '.length)}) AS BINARY)`
