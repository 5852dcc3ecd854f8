import type { Database, PrintedRow, Printing, ReadOptions } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import type { BaselineFile, BaselineTable, LeafBound } from './baseline-file.ts'
import type { BaseRow } from './baseline-leaf.ts'
import type { Printer } from './printing.ts'
import { SideMatcher } from './side-matcher.ts'
import type { SideStore } from './side-store.ts'

/** One host's table, to be compared with the baseline. */
export interface SideReading {
  readonly database: Database
  readonly table: Table
  readonly printing: Printing
  readonly printer: Printer
  readonly base: TableBase | undefined
  readonly store: SideStore
  readonly signal?: AbortSignal
  readonly onRows?: (rows: number) => void
}

export interface SideCounts {
  /** Rows that the host has now. */
  readonly rows: number
  /** Of these, how many are as in the baseline. */
  readonly matched: number
}

/** A table's rows in the baseline, with the parts that the playbook now sets apart. */
export class TableBase {
  readonly table: BaselineTable
  readonly bounds: readonly LeafBound[]
  readonly #file: BaselineFile
  readonly #known: boolean
  readonly #none: boolean

  constructor(file: BaselineFile, table: BaselineTable, printing: Printing) {
    this.#file = file
    this.table = table
    this.bounds = file.bounds(table)
    this.#known = table.printing.apart.join('\n') === printing.apart.join('\n')
    this.#none = printing.apart.length === 0
  }

  /** Rows of one leaf. Where other columns were apart when it was taken, `rest` is '' and no cell is known. */
  leaf(leaf: number): readonly BaseRow[] {
    const rows = this.#file.leaf(this.table, leaf)
    if (this.#known) return rows
    return rows.map(({ digest, state: { print } }) => ({ digest, state: { print, rest: this.#none ? print : '', apart: [] } }))
  }
}

/** What every query of a side is given. */
export const sideOptions = ({ signal }: SideReading): Pick<ReadOptions, 'signal'> => (signal ? { signal } : {})

/** Both to their end, also when one fails: the scratch must not be closed beneath the other. */
export async function together<A, B>(one: Promise<A>, other: Promise<B>): Promise<readonly [A, B]> {
  await Promise.allSettled([one, other])
  return [await one, await other]
}

/** Reads the whole of a table once and matches it with the baseline. */
export async function readWhole(reading: SideReading): Promise<SideCounts> {
  const { database, table, printing, printer, base, store, signal, onRows } = reading
  return database.read(1, async ([reader]) => {
    const rows = async function* () {
      for await (const batch of printer.prints(reader, table, printing, sideOptions(reading))) {
        signal?.throwIfAborted()
        yield batch
        onRows?.(batch.length)
      }
    }
    return readPrinted(rows(), { store, bounds: base?.bounds ?? [], leaf: (at) => base?.leaf(at) ?? [] })
  })
}

interface Expected {
  readonly store: SideStore
  readonly bounds: readonly LeafBound[]
  readonly leaf: (leaf: number) => readonly BaseRow[]
}

/** Matches rows, as they come, with those of the given leaves: what doesn't match is in the store at the end. */
export async function readPrinted(
  batches: AsyncIterable<readonly PrintedRow[]>,
  { store, bounds, leaf }: Expected,
): Promise<SideCounts> {
  const matcher = new SideMatcher(store)
  const waiting = bounds[Symbol.iterator]()
  let [rows, expected] = [0, 0]
  const expect = (upTo: number): void => {
    while (expected <= upTo) {
      const { value: bound } = waiting.next()
      if (bound === undefined) return
      matcher.expect(leaf(bound.leaf), bound.leaf)
      expected += bound.rows
    }
  }
  for await (const batch of batches) {
    rows += batch.length
    expect(rows)
    matcher.meet(batch)
  }
  expect(Number.POSITIVE_INFINITY)
  matcher.end()
  return { rows, matched: matcher.matched }
}
