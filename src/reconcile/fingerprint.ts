import { hash } from 'node:crypto'
import type { Cell, KeyCells, Row } from '../databases/port.ts'
import { keyPositions, readableColumns, type Table } from '../databases/schema.ts'

/** Bytes of SHA-256 that are kept: two different rows share a fingerprint with a chance of 2^-128. */
const FINGERPRINT_BYTES = 16

/**
 * A row's fingerprint, hexadecimal: SHA-256 over its cells, each with its length before it (so that `a|bc` and `ab|c` differ) and
 * NULL apart from '', cut to 16 bytes. `columns` are positions among the cells.
 */
function fingerprint(row: Row, columns: readonly number[]): string {
  let text = ''
  for (const position of columns) {
    const cell = row[position]
    text += cell === null || cell === undefined ? '-;' : `${cell.length};${cell}`
  }
  return hash('sha256', text, 'hex').slice(0, FINGERPRINT_BYTES * 2)
}

/** A key as one text, the same on both hosts: a JSON array of its cells. */
export const keyText = (cells: KeyCells): string => JSON.stringify(cells)

/** The opposite of `keyText`. */
export function keyCells(text: string): KeyCells {
  const cells: unknown = JSON.parse(text)
  if (!Array.isArray(cells)) throw new TypeError(`${text} is no key`)
  return cells.map((cell: unknown): Cell => (cell === null ? null : String(cell)))
}

/** A key for people: `10248`, or `10248, 1` where several columns make it. */
export const keyLabel = (text: string): string =>
  keyCells(text)
    .map((cell) => cell ?? 'NULL')
    .join(', ')

/** Reads key and fingerprint off a table's rows. `ignore` names columns that the playbook leaves out of comparison. */
export class RowReader {
  readonly #key: readonly number[]
  readonly #compared: readonly number[]

  constructor(table: Table, ignore: readonly string[] = []) {
    this.#key = keyPositions(table)
    const left = new Set(ignore.map((name) => name.toLowerCase()))
    this.#compared = readableColumns(table).flatMap((column, position) => (left.has(column.name.toLowerCase()) ? [] : [position]))
  }

  key(row: Row): string {
    return keyText(this.#key.map((position) => row[position] ?? null))
  }

  hash(row: Row): string {
    return fingerprint(row, this.#compared)
  }
}
