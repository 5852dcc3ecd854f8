import type { Database, PrintedRow, Printing, RangeSum, Reader, ReadOptions, Row, Transaction } from '../../src/databases/port.ts'
import { readableColumns, type Table } from '../../src/databases/schema.ts'

/** Every readable column of a table but those `without`; those `apart` among them. */
export const printingOf = (
  table: Table,
  { without = [], apart = [] }: { readonly without?: readonly string[]; readonly apart?: readonly string[] } = {},
): Printing => ({
  columns: readableColumns(table)
    .map((column) => column.name)
    .filter((name) => !without.includes(name)),
  apart,
})

function required<T>(power: T | undefined, name: string): T {
  if (power === undefined) throw new Error(`the adapter has no ${name}`)
  return power
}

/** The powers of fingerprints; throws where one isn't there. */
export const printingPowers = (database: Database) => ({
  fingerprintMethod: required(database.fingerprintMethod?.bind(database), 'fingerprintMethod'),
  printedByKey: required(database.printedByKey?.bind(database), 'printedByKey'),
  printedByPrint: required(database.printedByPrint?.bind(database), 'printedByPrint'),
})

export const lockPrinted = (transaction: Transaction): NonNullable<Transaction['lockPrinted']> =>
  required(transaction.lockPrinted?.bind(transaction), 'lockPrinted')

export const unpacker = (database: Database): NonNullable<Database['unpackBlock']> =>
  required(database.unpackBlock?.bind(database), 'unpackBlock')

export const printing = (reader: Reader): Required<Pick<Reader, 'sum' | 'sums' | 'prints'>> => ({
  sum: required(reader.sum?.bind(reader), 'sum'),
  sums: required(reader.sums?.bind(reader), 'sums'),
  prints: required(reader.prints?.bind(reader), 'prints'),
})

export async function collectPrints(
  reader: Reader,
  table: Table,
  what = printingOf(table),
  options?: ReadOptions,
): Promise<readonly PrintedRow[]> {
  const all: PrintedRow[] = []
  for await (const batch of printing(reader).prints(table, what, options)) all.push(...batch)
  return all
}

/** All fingerprints of a table, through a reader of their own. */
export const printsOf = (
  database: Database,
  table: Table,
  what?: Printing,
  options?: ReadOptions,
): Promise<readonly PrintedRow[]> => database.read(1, ([reader]) => collectPrints(reader, table, what, options))

/** All rows' checksum, through a reader of its own. */
export const sumOf = (database: Database, table: Table, what = printingOf(table)): Promise<RangeSum> =>
  database.read(1, ([reader]) => printing(reader).sum(table, what))

/** The checksum that these fingerprints add up to. */
export const added = (prints: readonly PrintedRow[]): RangeSum => ({
  rows: prints.length,
  sum: BigInt.asUintN(
    64,
    prints.reduce((sum, { print }) => sum + BigInt(`0x${print}`), 0n),
  ),
})

/** Fingerprints by the text of their rows' keys. */
export const byKey = (prints: readonly PrintedRow[]): ReadonlyMap<string, string> =>
  new Map(prints.map(({ key, print }) => [JSON.stringify(key), print]))

/**
 * Rows that differ from `rows`' plainest one in one cell each: every cell that stands in `rows`, and NULL, in its column. `key` counts
 * up from 1,000.
 */
export function variantsOf(table: Table, rows: readonly Row[], key: string): readonly Variant[] {
  const columns = readableColumns(table)
  const cells = columns.map((column, at) => {
    const found = new Set(rows.map((row) => row[at] ?? null))
    return [...found, ...(column.nullable && !found.has(null) ? [null] : [])]
  })
  const base = cells.map((each) => each.reduce((a, b) => (length(b) < length(a) ? b : a)))
  const keyAt = columns.findIndex((column) => column.name === key)
  let number = 1000
  const numbered = (row: Row): Row => {
    number += 1
    return row.map((cell, at) => (at === keyAt ? String(number) : cell))
  }
  const changed = cells.flatMap((each, at) =>
    at === keyAt
      ? []
      : each
          .filter((cell) => cell !== base[at])
          .map((cell) => ({
            column: columns[at]?.name ?? '',
            row: numbered(base.map((own, place) => (place === at ? cell : own))),
          })),
  )
  return [{ column: '', row: numbered(base) }, ...changed]
}

export interface Variant {
  /** The column whose cell isn't the plainest row's; '' for that row itself. */
  readonly column: string
  readonly row: Row
}

/** NULL last: a value says more. */
const length = (cell: string | null): number => cell?.length ?? Number.POSITIVE_INFINITY
