import type { Cell, Row } from '../databases/port.ts'
import { placeOf, readableColumns, type Table } from '../databases/schema.ts'

const namesOf = (table: Table): readonly string[] => readableColumns(table).map((column) => column.name)

/** Where a column's cell stands in the table's rows, by its name in any case of letters; -1 when the table hasn't got it. */
export const columnAt = (table: Table, name: string): number => placeOf(namesOf(table), name)

/** Cells of these columns, by name in any case of letters; null of those that the table hasn't got. */
export function cellsNamed(table: Table, row: Row, names: readonly string[]): readonly Cell[] {
  const columns = namesOf(table)
  return names.map((name) => row[placeOf(columns, name)] ?? null)
}

/** How the table itself spells the names of its columns; `undefined` of those that it hasn't got. */
export function spellingOf(table: Table): (name: string) => string | undefined {
  const columns = namesOf(table)
  return (name) => columns[placeOf(columns, name)]
}
