import type { Cell, Row } from '../port.ts'
import { rowLine } from '../row-lines.ts'

/** Bytes that are made as they are written, since all of them together would be a good part of the memory that there is. */
export interface LargeBytes {
  /** How many they are together. */
  readonly length: number
  /** Once: what they are made of is let go of then. */
  pieces(): Iterable<Buffer>
}

/** Rows as JSON arrays of their cells, one a line. */
export const jsonLines = (rows: readonly Row[]): Buffer | LargeBytes =>
  rows.some((row) => row.some(isLarge)) ? largeLines(rows) : Buffer.from(rows.map(rowLine).join('\n'))

const LARGE_CELL = 2 ** 20
const isLarge = (cell: Cell): boolean => cell !== null && cell.length > LARGE_CELL

function largeLines(rows: readonly Row[]): LargeBytes {
  let length = 0
  for (const text of textsOf(rows)) length += Buffer.byteLength(text)
  let texts = textsOf(rows)
  return {
    length,
    *pieces() {
      for (const text of texts) yield Buffer.from(text)
      texts = textsOf([])
    },
  }
}

function* textsOf(rows: readonly Row[]): Generator<string> {
  for (const [at, row] of rows.entries()) {
    yield at === 0 ? '[' : '\n['
    for (const [place, cell] of row.entries()) {
      if (place > 0) yield ','
      if (cell === null || !isLarge(cell)) yield JSON.stringify(cell)
      else yield* largeCell(cell)
    }
    yield ']'
  }
}

/** In pieces, none of which ends in the middle of a character: JSON spells a half one in another way. */
function* largeCell(cell: string): Generator<string> {
  yield '"'
  for (let at = 0; at < cell.length; ) {
    const end = at + LARGE_CELL + (isFirstHalf(cell.charCodeAt(at + LARGE_CELL - 1)) ? 1 : 0)
    yield JSON.stringify(cell.slice(at, end)).slice(1, -1)
    at = end
  }
  yield '"'
}

const isFirstHalf = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00
