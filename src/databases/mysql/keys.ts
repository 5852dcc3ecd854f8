import { MigrateError } from '../../base/errors.ts'
import type { KeyCells, ReadOptions, Row } from '../port.ts'
import { type Column, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import { compareExpression, isEnumError, quoteName, selectExpression } from './values.ts'

/** The key's columns, in the key's order. */
export function keyColumns(table: Table): readonly Column[] {
  if (table.key.length === 0) {
    throw new MigrateError('table-without-key', `Table ${fullName(table.name)} has no key that tells its rows apart.`, {
      hint: 'Give it a primary key on the old host, or set it to `copy-only` or `skip` in the playbook.',
    })
  }
  return table.key.map((name) => {
    const column = table.columns.find((each) => each.name === name)
    if (column !== undefined) return column
    throw new MigrateError(
      'fault',
      `The key of ${fullName(table.name)} has a column ${name} that isn't there. This is a fault in migrate.`,
    )
  })
}

/** The same table with its key's columns alone. */
export const keysOf = (table: Table): Table => ({
  ...table,
  columns: table.columns.filter((column) => table.key.includes(column.name)),
})

/** The select list of a table's readable columns as cells; `alias.` before each name when given. */
export const selectList = (table: Table, alias = ''): string =>
  readableColumns(table)
    .map((column) => selectExpression(column, `${alias}${quoteName(column.name)}`))
    .join(', ')

/**
 * Rows beyond a key (`>`) or up to it (`<=`), in the server's own order. Spelled out, since the optimizer enters no index by a
 * comparison of rows ("Row Constructor Expression Optimization"); the first column's own range in front does.
 */
function sideOf(columns: readonly Column[], key: KeyCells, table: Table, side: 'after' | 'upTo'): string {
  if (columns.length !== key.length) {
    throw new MigrateError(
      'fault',
      `${fullName(table.name)} was to be read from a key that it doesn't have. This is a fault in migrate.`,
    )
  }
  const beyond = side === 'after' ? '>' : '<'
  const compare = (at: number, operator: string): string => {
    const column = columns[at]
    return column === undefined ? '' : `${quoteName(column.name)} ${operator} ${compareExpression(column, key[at] ?? null)}`
  }
  const last = columns.length - 1
  const alternatives = columns.map((_column, at) => {
    const same = columns.slice(0, at).map((_each, position) => compare(position, '='))
    return [...same, compare(at, side === 'upTo' && at === last ? '<=' : beyond)].join(' AND ')
  })
  if (alternatives.length === 1) return alternatives.join('')
  return `${compare(0, `${beyond}=`)} AND (${alternatives.map((each) => `(${each})`).join(' OR ')})`
}

/** ` WHERE …` for the rows between two keys; '' for all. */
export function rangeCondition(table: Table, { after, upTo }: Pick<ReadOptions, 'after' | 'upTo'>): string {
  if (after === undefined && upTo === undefined) return ''
  const columns = keyColumns(table)
  const parts = [
    ...(after === undefined ? [] : [sideOf(columns, after, table, 'after')]),
    ...(upTo === undefined ? [] : [sideOf(columns, upTo, table, 'upTo')]),
  ]
  return ` WHERE ${parts.map((part) => `(${part})`).join(' AND ')}`
}

/** ` ORDER BY …` of the key; '' without one. */
export const keyOrder = (table: Table): string =>
  table.key.length === 0 ? '' : ` ORDER BY ${table.key.map(quoteName).join(', ')}`

/** ` LIMIT …`, where there is one. */
export const limitOf = ({ limit }: Pick<ReadOptions, 'limit'>): string =>
  limit === undefined ? '' : ` LIMIT ${Math.trunc(limit)}`

/** Condition that finds rows by their keys, as the server compares: `id IN (…)`, or alternatives for keys of several columns. */
export function keyCondition(columns: readonly Column[], keys: readonly KeyCells[]): string {
  const [only, ...more] = columns
  if (only !== undefined && more.length === 0) {
    return `${quoteName(only.name)} IN (${keys.map((key) => compareExpression(only, key[0] ?? null)).join(', ')})`
  }
  const rows = keys.map((key) => {
    const terms = columns.map((column, at) => `${quoteName(column.name)} = ${compareExpression(column, key[at] ?? null)}`)
    return `(${terms.join(' AND ')})`
  })
  return rows.join(' OR ')
}

/**
 * Only the rows whose key has exactly these cells: to the server 'Ann' and 'ANN', or 'a' and 'a ', may be one key, to us they are
 * two (the second can't be there as well, and is refused by the server).
 */
export function withKeys(table: Table, rows: readonly Row[], keys: readonly KeyCells[]): readonly Row[] {
  const wanted = new Set(keys.map((key) => JSON.stringify(key)))
  const positions = keyPositions(table)
  return rows.filter((row) => wanted.has(JSON.stringify(positions.map((at) => row[at] ?? null))))
}

export function chunks<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const result: (readonly T[])[] = []
  for (let start = 0; start < items.length; start += size) result.push(items.slice(start, start + size))
  return result
}

/** True when a row holds an enum's error value, which strict mode won't write. */
export const hasEnumError = (columns: readonly Column[], row: Row): boolean =>
  columns.some((column, at) => isEnumError(column, row[at] ?? null))
