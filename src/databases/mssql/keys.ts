import { MigrateError } from '../../base/errors.ts'
import type { Cell, KeyCells } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { quoteName } from './names.ts'
import { NULL_BYTES, type Parameter } from './parameters.ts'
import { compareExpression, nativeOf, selectExpression, wireOf, wireValue } from './values.ts'
import { arriving } from './variants.ts'

/** sp_executesql takes 2,100 parameters, two of which are its own ("Maximum capacity specifications for SQL Server"). */
export const MOST_PARAMETERS = 2000
const MOST_ROWS = 500

/** How many rows of so many parameters each fit in one statement; at least one. */
export const rowsPerStatement = (parametersPerRow: number): number =>
  Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_PARAMETERS / Math.max(1, parametersPerRow))))

export function chunks<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const result: (readonly T[])[] = []
  for (let start = 0; start < items.length; start += size) result.push(items.slice(start, start + size))
  return result
}

/** The key's columns, in the key's order. */
export function keyColumns(table: Table): readonly Column[] {
  if (table.key.length === 0) {
    throw new MigrateError('table-without-key', `Table ${fullName(table.name)} has no key that tells its rows apart.`, {
      hint: 'Give it a primary key on the old host, or set it to `copy-only` or `skip` in the playbook.',
    })
  }
  return columnsNamed(table, table.key)
}

/** The columns of these names, in their order; the server's own (computed, rowversion) aren't among them. */
export function columnsNamed(table: Table, names: readonly string[]): readonly Column[] {
  const columns = readableColumns(table)
  return names.map((name) => {
    const column = columns.find((each) => each.name === name)
    if (column !== undefined) return column
    throw new MigrateError('fault', `${fullName(table.name)} has no column ${name} to read. This is a fault in migrate.`)
  })
}

/** The select list of a table's readable columns; `alias.` before each name when given. */
export const selectList = (table: Table, alias = ''): string =>
  readableColumns(table)
    .map((column) => selectExpression(column, `${alias}${quoteName(column.name)}`))
    .join(', ')

/** A cell → the parameter that carries it. */
export function parameterOf(column: Column, cell: Cell | undefined): Parameter {
  if (nativeOf(column) === 'float' && cell != null) return Number(cell)
  const wire = wireOf(column)
  return cell == null && wire.kind === 'binary' ? NULL_BYTES : wireValue(cell ?? null, wire)
}

export const keyParameters = (columns: readonly Column[], keys: readonly KeyCells[]): readonly Parameter[] =>
  keys.flatMap((key) => columns.map((column, index) => parameterOf(column, key[index])))

/** `[id] IN (CONVERT(int, @p0), …)`, or for keys of several columns `([a] = … AND [b] = …) OR …`. Parameters from `first` on. */
export function keyCondition(columns: readonly Column[], keys: readonly KeyCells[], first = 0): string {
  const value = (column: Column, row: number, index: number): string =>
    compareExpression(column, arriving(column, `@p${first + row * columns.length + index}`, keys[row]?.[index] ?? null))
  const [only, ...more] = columns
  if (only !== undefined && more.length === 0)
    return `${quoteName(only.name)} IN (${keys.map((_, row) => value(only, row, 0)).join(', ')})`
  const rows = keys.map((_, row) => {
    const terms = columns.map((column, index) => `${quoteName(column.name)} = ${value(column, row, index)}`)
    return `(${terms.join(' AND ')})`
  })
  return rows.join(' OR ')
}

/**
 * Rows after a key, in the key's order as the server compares (collations, uniqueidentifier); parameters from `from` on. The first
 * column's own range stands alone in front, so that an index on the key is entered at the right place.
 */
export const afterCondition = (columns: readonly Column[], from = 0): string => rangeCondition(columns, from, '>', '>')

/** Rows up to a key and with it. */
export const upToCondition = (columns: readonly Column[], from: number): string => rangeCondition(columns, from, '<', '<=')

/** `last`: how the key's last column is compared when all before it are the same. */
function rangeCondition(columns: readonly Column[], from: number, operator: '<' | '>', last: '>' | '<='): string {
  const compared = (column: Column, index: number, how: string): string =>
    `${quoteName(column.name)} ${how} ${compareExpression(column, `@p${from + index}`)}`
  const alternatives = columns.map((column, index) => {
    const same = columns.slice(0, index).map((each, position) => compared(each, position, '='))
    return [...same, compared(column, index, index === columns.length - 1 ? last : operator)].join(' AND ')
  })
  const [first] = columns
  if (first === undefined || alternatives.length === 1) return alternatives.join('')
  return `${compared(first, 0, `${operator}=`)} AND (${alternatives.map((each) => `(${each})`).join(' OR ')})`
}
