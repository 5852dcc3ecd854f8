import type { Row, Transaction } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import { cellsNamed, spellingOf } from './columns.ts'
import { portions } from './rows-by-key.ts'

/** Cells of some columns; `undefined` when one of them is NULL, which equals nothing. */
export function cellsOf(table: Table, row: Row, names: readonly string[]): Row | undefined {
  const cells = cellsNamed(table, row, names)
  return cells.includes(null) ? undefined : cells
}

/**
 * The target's rows that have the same value in `names` as a row that is wanted there, by the server's own equality (collations,
 * trailing spaces). `rows` by any name of theirs; those without an equal are absent from the result. One question where there is no
 * equal at all, or only such as are equal to the letter; more where some are equal in the server's eyes alone: without an index, each
 * question reads the whole table.
 */
export async function equalRows(
  transaction: Transaction,
  table: Table,
  names: readonly string[],
  rows: ReadonlyMap<string, Row>,
): Promise<ReadonlyMap<string, readonly Row[]>> {
  const spelling = spellingOf(table)
  const columns = names.map((name) => spelling(name) ?? name)
  const wanted = [...rows].flatMap(([name, row]) => {
    const cells = cellsOf(table, row, names)
    return cells === undefined ? [] : [{ name, cells }]
  })
  const found = new Map<string, readonly Row[]>()
  for (const some of portions(wanted)) {
    const equal = await transaction.find(
      table,
      columns,
      some.map(({ cells }) => cells),
    )
    if (equal.length === 0) continue
    const likes = new Set(equal.map((row) => like(cellsOf(table, row, names) ?? [])))
    const [near, far] = [some.filter(({ cells }) => likes.has(like(cells))), some.filter(({ cells }) => !likes.has(like(cells)))]
    const lettersOf = (row: Row): string => JSON.stringify(cellsOf(table, row, names))
    const byLetters = Map.groupBy(equal, lettersOf)
    const wantedLetters = new Set(some.map(({ cells }) => JSON.stringify(cells)))
    // Two spellings of one value: whether they are one is the server's to say.
    const isPlain = byLetters.size === likes.size && equal.every((row) => wantedLetters.has(lettersOf(row)))
    const explained = new Set<string>()
    // Most equals are alike to the eye too. Only where the server finds one that isn't, everybody is asked about.
    for (const { name, cells } of [...near, ...far]) {
      if (explained.size === equal.length && !near.some((each) => each.name === name)) break
      const same = isPlain ? byLetters.get(JSON.stringify(cells)) : undefined
      const own = same ?? (await transaction.find(table, columns, [cells]))
      if (own.length > 0) found.set(name, own)
      for (const row of own) explained.add(JSON.stringify(row))
    }
  }
  return found
}

/** How cells look without case, accents and spaces at the end. */
export const like = (cells: Row): string =>
  JSON.stringify(cells.map((cell) => (cell ?? '').normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().trimEnd()))
