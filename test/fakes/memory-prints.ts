import { hash } from 'node:crypto'
import type { Cell, Fingerprint, KeyCells, Printing, RangeSum, Row, WholePrintedRow } from '../../src/databases/port.ts'
import { keyPositions, readableColumns, type Table } from '../../src/databases/schema.ts'

/** How this engine names its fingerprints. */
export const MEMORY_PRINTS = 'memory-sha256-1'

const fingerprintOf = (cells: readonly Cell[]): Fingerprint => hash('sha256', JSON.stringify(cells)).slice(0, 16)

/** What takes the fingerprint of a row of the table. Throws when the table lacks a column that is to be printed. */
export function printer(table: Table, printing: Printing): (row: Row) => WholePrintedRow {
  const names = readableColumns(table).map((column) => column.name)
  const position = (name: string): number => {
    const at = names.indexOf(name)
    if (at === -1) throw new Error(`${table.name.name} has no readable column ${name}`)
    return at
  }
  const all = printing.columns.map(position)
  const apart = printing.apart.map(position)
  const rest = all.filter((at) => !apart.includes(at))
  const key = keyPositions(table)
  const pick = (row: Row, positions: readonly number[]): Row => positions.map((at) => row[at] ?? null)
  return (row) => ({
    key: pick(row, key),
    print: fingerprintOf(pick(row, all)),
    rest: fingerprintOf(pick(row, rest)),
    apart: pick(row, apart),
    row,
  })
}

export function sumOf(table: Table, printing: Printing, rows: readonly Row[]): RangeSum {
  const print = printer(table, printing)
  let sum = 0n
  for (const row of rows) sum += BigInt(`0x${print(row).print}`)
  return { rows: rows.length, sum: BigInt.asUintN(64, sum) }
}

/** The first `count` keys of those rows that equal `row`, each given as key and cells. */
export const copiesOf = (rows: Iterable<readonly [key: string, cells: Row]>, row: KeyCells, count: number): readonly string[] => {
  const wanted = JSON.stringify(row)
  const keys: string[] = []
  for (const [key, cells] of rows) if (keys.length < count && JSON.stringify(cells) === wanted) keys.push(key)
  return keys
}
