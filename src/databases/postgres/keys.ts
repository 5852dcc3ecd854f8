import { MigrateError } from '../../base/errors.ts'
import type { Cell, KeyCells, ReadOptions, Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Sign, type Table } from '../schema.ts'
import type { Session } from './connection.ts'
import { isLargeObjects } from './large-objects.ts'
import { ownRows } from './relation.ts'
import { quoteName, quoteNames, quoteText } from './values.ts'

/** Condition for the rows after one key and up to another; `undefined` for all. */
export function keyRange(table: Table, { after, upTo }: Pick<ReadOptions, 'after' | 'upTo'>): string | undefined {
  const parts = [
    after === undefined ? [] : comparison(table, '>', after),
    upTo === undefined ? [] : comparison(table, '<=', upTo),
  ]
  return parts.flat().length === 0 ? undefined : parts.flat().join(' AND ')
}

function comparison(table: Table, operator: '>' | '<=', key: KeyCells): string {
  if (table.key.length === 0 || table.key.length !== key.length) {
    throw new MigrateError(
      'fault',
      `${fullName(table.name)} was to be read by a key that it doesn't have. This is a fault in migrate.`,
    )
  }
  return keyComparison(table, table.key.map(quoteName), operator, keyConstants(table, key))
}

/**
 * Condition under which the key, whose columns are spelled `names`, stands so to `others`. Rows compare by one operator for all of their
 * columns: where columns have different ones, each is compared by its own, the first one once more by itself, so that an index serves.
 */
export function keyComparison(table: Table, names: readonly string[], operator: '>' | '<=', others: readonly string[]): string {
  const signs = table.key.map((name) => columnOf(table, name).signs)
  if (signs.every((each) => each === undefined)) return `(${names.join(', ')}) ${operator} (${others.join(', ')})`
  const at = (place: number, sign: Sign): string => `${names[place]} ${signs[place]?.[sign] ?? sign} ${others[place]}`
  const from = (place: number): string =>
    place === names.length - 1
      ? at(place, operator)
      : `(${at(place, operator === '>' ? '>' : '<')} OR ${at(place, '=')} AND ${from(place + 1)})`
  return names.length === 1 ? from(0) : `${at(0, operator === '>' ? '>=' : '<=')} AND ${from(0)}`
}

/** A key's cells as constants of its columns' types. */
export const keyConstants = (table: Table, key: KeyCells): readonly string[] =>
  table.key.map((name, at) => `${constant(key[at] ?? null)}::${castOf(table, name)}`)

const constant = (cell: Cell): string => (cell === null ? 'NULL' : quoteText(cell))

/** The key of the row that is the `rows`th one after `after`: the server walks the key's index for it. */
export function boundarySql(table: Table, rows: number, after: KeyCells | undefined): string {
  const key = quoteNames(table.key)
  const range = after === undefined ? undefined : keyRange(table, { after })
  const where = range === undefined ? '' : ` WHERE ${range}`
  const keys = { ...table, columns: table.columns.filter(({ name }) => table.key.includes(name)) }
  return `SELECT ${key} FROM ${ownRows(keys)} AS t${where} ORDER BY ${key} OFFSET ${Math.trunc(rows) - 1} LIMIT 1`
}

/** The column's type without its length, so that a cast can neither cut off nor round. */
export const castOf = (table: Table, column: string): string => columnOf(table, column).codec

/** Equality as the column's own type has it. */
export const equals = (table: Table, column: string): string => columnOf(table, column).signs?.['='] ?? '='

function columnOf(table: Table, column: string): Column {
  const found = table.columns.find((each) => each.name === column)
  if (found === undefined) {
    throw new MigrateError('fault', `${fullName(table.name)} has no column ${column}. This is a fault in migrate.`)
  }
  return found
}

/** `… JOIN` part that finds rows by their keys, given as one text array for each key column from parameter $1 on. */
export function keyJoin(table: Table): { readonly values: string; readonly condition: string } {
  const arrays = table.key.map((_name, at) => `$${at + 1}::text[]`).join(', ')
  const names = table.key.map((_name, at) => `k${at + 1}`).join(', ')
  const condition = table.key
    .map((name, at) => `t.${quoteName(name)} ${equals(table, name)} k.k${at + 1}::${castOf(table, name)}`)
    .join(' AND ')
  return { values: `unnest(${arrays}) AS k(${names})`, condition }
}

/** Keys turned around: one array for each key column. */
export const keyArrays = (table: Table, keys: readonly KeyCells[]): readonly (readonly Cell[])[] =>
  table.key.map((_name, at) => keys.map((key) => key[at] ?? null))

export async function rowsByKey(
  session: Session,
  table: Table,
  keys: readonly KeyCells[],
  lock: boolean,
): Promise<readonly Row[]> {
  if (keys.length === 0) return []
  const { values, condition } = keyJoin(table)
  const columns = readableColumns(table).map((column) => `t.${quoteName(column.name)}`)
  const sql = `SELECT ${columns.join(', ')} FROM ${ownRows(table)} AS t JOIN ${values} ON ${condition}`
  const { rows } = await session.query(lock ? sql + lockSql(table) : sql, keyArrays(table, keys))
  return rows
}

/** Behind a SELECT of the table as `t`: locks its rows, by their key. A large object can't be locked without being changed. */
export const lockSql = (table: Table): string =>
  isLargeObjects(table) ? '' : ` ORDER BY ${table.key.map((name) => `t.${quoteName(name)}`).join(', ')} FOR UPDATE OF t`
