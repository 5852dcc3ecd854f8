import { hash } from 'node:crypto'
import type { Cell, Fingerprint, KeyCells, PrintedRow, Printing, Row, WholePrintedRow } from '../databases/port.ts'
import { keyPositions, readableColumns, type Table } from '../databases/schema.ts'

/** Hexadecimal digits of SHA-256 that make a fingerprint, and a key's digest. */
const PRINT_DIGITS = 16
const DIGEST_DIGITS = 24

/**
 * A row's fingerprint computed here (method `rows-1`): SHA-256 over its cells, each with its length before it (so that `a|bc` and
 * `ab|c` differ) and NULL apart from '', cut to 64 bits. `columns` are positions among the cells.
 */
function fingerprint(row: Row, columns: readonly number[]): Fingerprint {
  let text = ''
  for (const position of columns) {
    const cell = row[position]
    text += cell === null || cell === undefined ? '-;' : `${cell.length};${cell}`
  }
  return hash('sha256', text, 'hex').slice(0, PRINT_DIGITS)
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

/** 96 bits that stand for a key, 24 hexadecimal digits: of 100 million keys, two share one with a chance of 10^-13. */
export const keyDigest = (text: string): string => hash('sha256', text, 'hex').slice(0, DIGEST_DIGITS)

/** Reads key and fingerprints off a table's whole rows. */
export class RowReader {
  readonly #key: readonly number[]
  readonly #all: readonly number[]
  readonly #rest: readonly number[]
  readonly #apart: readonly number[]

  /** All readable columns are printed when no `printing` is given. */
  constructor(table: Table, printing?: Printing) {
    const columns = readableColumns(table)
    const positions = (names: readonly string[]): readonly number[] => {
      const wanted = new Set(names)
      return columns.flatMap((column, position) => (wanted.has(column.name) ? [position] : []))
    }
    this.#key = keyPositions(table)
    this.#all = printing === undefined ? columns.map((_, position) => position) : positions(printing.columns)
    this.#apart = (printing?.apart ?? []).map((name) => columns.findIndex((column) => column.name === name))
    this.#rest = this.#all.filter((position) => !this.#apart.includes(position))
  }

  key(row: Row): string {
    return keyText(this.#key.map((position) => row[position] ?? null))
  }

  print(row: Row): PrintedRow {
    const print = fingerprint(row, this.#all)
    return {
      key: this.#key.map((position) => row[position] ?? null),
      print,
      rest: this.#apart.length === 0 ? print : fingerprint(row, this.#rest),
      apart: this.#apart.map((position) => row[position] ?? null),
    }
  }

  whole(row: Row): WholePrintedRow {
    return { ...this.print(row), row }
  }
}
