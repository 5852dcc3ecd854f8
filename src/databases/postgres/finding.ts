import { MigrateError } from '../../base/errors.ts'
import type { Cell, Fingerprint, Printing, Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import type { Session } from './connection.ts'
import { castOf, equals } from './keys.ts'
import { withPartitions } from './partitions.ts'
import { cellText, isNull, printText } from './prints.ts'
import { ownRows } from './relation.ts'
import { quoteName, quoteNames, quoteTable } from './values.ts'

const MOST_VALUES = 1000

/** See the port. The columns' own collations and operators compare, so an index on them serves. */
export async function find(
  session: Session,
  table: Table,
  columns: readonly string[],
  values: readonly Row[],
): Promise<readonly Row[]> {
  if (values.length > MOST_VALUES)
    throw new MigrateError('fault', `${values.length} values were looked for at once; at most ${MOST_VALUES} are allowed.`)
  const whole = values.filter((cells) => !cells.includes(null))
  if (whole.length === 0) return []
  const arrays = columns.map((_name, at) => `$${at + 1}::text[]`).join(', ')
  const names = columns.map((_name, at) => `k${at + 1}`)
  const same = columns.map((name, at) => `t.${quoteName(name)} ${equals(table, name)} k.k${at + 1}::${castOf(table, name)}`)
  const list = readableColumns(table).map((column) => `t.${quoteName(column.name)}`)
  const { rows } = await session.query(
    `SELECT ${list.join(', ')} FROM ${ownRows(table)} AS t
     WHERE EXISTS (SELECT 1 FROM unnest(${arrays}) AS k(${names.join(', ')}) WHERE ${same.join(' AND ')}) FOR UPDATE OF t`,
    columns.map((_name, at) => whole.map((cells) => cells[at] ?? null)),
  )
  return rows
}

/** See the port. The column's own default, identity or sequence, gives the number. */
export async function insertNumbered(session: Session, table: Table, row: Row, column: string): Promise<string> {
  const names: string[] = []
  const values: Cell[] = []
  for (const [at, { name }] of readableColumns(table).entries()) {
    if (name === column) continue
    names.push(name)
    values.push(row[at] ?? null)
  }
  const places = values.map((_cell, at) => `$${at + 1}`).join(', ')
  const content = names.length === 0 ? 'DEFAULT VALUES' : `(${quoteNames(names)}) VALUES (${places})`
  const sql = `INSERT INTO ${quoteTable(table.name)} ${content} RETURNING ${quoteName(column)}`
  const { rows } = await withPartitions(session, table, () => session.query(sql, values))
  const number = rows[0]?.[0]
  if (typeof number === 'string') return number
  throw new MigrateError('fault', `${fullName(table.name)}.${column} on the ${session.label} gave a new row no number.`)
}

/** Types whose operator `=` holds wherever the texts are equal, and that an index is likely to be on. */
const INDEXABLE = /^(smallint|integer|bigint|numeric|text|character varying|uuid|date|timestamp with(out)? time zone)$/
/** Longer texts than an index takes (PostgreSQL documentation, "B-Tree Indexes": about a third of a page). */
const INDEXABLE_CHARACTERS = 500

/** Equal to the byte; by the column's operator as well where that lets an index find it. */
function sameCell(column: Column, cell: Cell, place: number): string {
  const own = `t.${quoteName(column.name)}`
  if (cell === null) return `${isNull(column)} AND $${place}::text IS NULL`
  const exact = `NOT ${isNull(column)} AND ${cellText(column)} = $${place}::text`
  const byIndex = INDEXABLE.test(column.codec) && cell.length <= INDEXABLE_CHARACTERS
  return byIndex ? `${own} = $${place}::text::${column.codec} AND ${exact}` : exact
}

/** What is true of the rows that hold exactly these cells, which are its parameters. */
function sameRow(table: Table, row: Row): { readonly where: string; readonly cells: readonly Cell[] } {
  const columns = readableColumns(table)
  const same = columns.map((column, at) => sameCell(column, row[at] ?? null, at + 1))
  return { where: same.length === 0 ? '' : ` WHERE ${same.join(' AND ')}`, cells: columns.map((_column, at) => row[at] ?? null) }
}

/** See the port. */
export async function printOf(session: Session, table: Table, printing: Printing, row: Row): Promise<Fingerprint | undefined> {
  const { where, cells } = sameRow(table, row)
  const print = printText(table, printing)
  const { rows } = await session.query(`SELECT ${print} FROM ${ownRows(table)} AS t${where} LIMIT 1`, cells)
  return rows[0]?.[0] ?? undefined
}

/**
 * See the port. Two statements: the rows are found and locked by what they hold, then deleted by where they stand, which can't change
 * any more (a partition is part of the place).
 */
export async function removeCopies(session: Session, table: Table, row: Row, count: number): Promise<number> {
  if (count <= 0) return 0
  const { where, cells } = sameRow(table, row)
  const { rows } = await session.query(
    `SELECT t.tableoid, t.ctid FROM ${ownRows(table)} AS t${where} LIMIT ${Math.trunc(count)} FOR UPDATE OF t`,
    cells,
  )
  const places = [0, 1].map((at) => rows.map((found) => found[at] ?? null))
  const removed = await session.query(
    `DELETE FROM ${ownRows(table)} AS t USING unnest($1::oid[], $2::tid[]) AS p(relation, place)
     WHERE t.ctid = p.place AND t.tableoid = p.relation`,
    places,
  )
  return removed.count
}
