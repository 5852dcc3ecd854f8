import type { Cell, Row } from '../port.ts'

/** Rows as JSON arrays of their cells, one a line. */
export const jsonLines = (rows: readonly Row[]): Buffer =>
  rows.some((row) => row.some(isLarge)) ? bytesOfLarge(rows) : Buffer.from(rows.map((row) => JSON.stringify(row)).join('\n'))

const LARGE_CELL = 2 ** 20
const isLarge = (cell: Cell): boolean => cell !== null && cell.length > LARGE_CELL
/** What JSON spells as it is, each character one byte: hexadecimal digits, for one. */
const SPELLED_AS_IS = /^[ !#-[\]-~]*$/

/** The same without a second text of a large cell, which may be a good part of the memory that there is. */
function bytesOfLarge(rows: readonly Row[]): Buffer {
  const texts = rows.flatMap((row, at) => [
    at === 0 ? '[' : '\n[',
    ...row.flatMap((cell, place) => {
      const comma = place === 0 ? '' : ','
      if (cell === null || !isLarge(cell) || !SPELLED_AS_IS.test(cell)) return [`${comma}${JSON.stringify(cell)}`]
      return [`${comma}"`, cell, '"']
    }),
    ']',
  ])
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0))
  let at = 0
  for (const text of texts) at += bytes.write(text, at)
  return bytes
}
