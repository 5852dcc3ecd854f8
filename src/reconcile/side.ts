import type { Database, PrintedRow, Printing, ReadOptions, Row } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import type { LeafBound } from './baseline-file.ts'
import type { BaseRow } from './baseline-leaf.ts'
import type { ReadTotals } from './difference.ts'
import type { Printer } from './printing.ts'
import type { TableBase } from './side-base.ts'
import { SideMatcher } from './side-matcher.ts'
import { RangeReader } from './side-ranges.ts'
import type { SideStore } from './side-store.ts'

/** One host's table, to be compared with the baseline. */
export interface SideReading {
  readonly database: Database
  readonly table: Table
  readonly printing: Printing
  readonly printer: Printer
  readonly base: TableBase | undefined
  readonly store: SideStore
  /** True when the host sorts keys as the baseline is sorted. */
  readonly ordered: boolean
  /** Rows that the first sum spans. */
  readonly firstRows: number
  readonly signal?: AbortSignal
  readonly onRows?: (rows: number) => void
}

export interface SideCounts {
  /** Rows that the host has now. */
  readonly rows: number
  /** Of these, how many are as in the baseline. */
  readonly matched: number
  readonly read: ReadTotals
}

/** What every query of a side is given. */
export const sideOptions = ({ signal }: SideReading): Pick<ReadOptions, 'signal'> => (signal ? { signal } : {})

/** Both to their end, also when one fails: the scratch must not be closed beneath the other. */
export async function together<A, B>(one: Promise<A>, other: Promise<B>): Promise<readonly [A, B]> {
  await Promise.allSettled([one, other])
  return [await one, await other]
}

/** Finds what of a host's table isn't as in the baseline, by sums where the host computes them; it is in the store afterwards. */
export async function readSide(reading: SideReading): Promise<SideCounts> {
  const { database, table, printing, printer, base, store } = reading
  return database.read(1, async ([reader]) => {
    const side = new SideReader(store, (leaf) => base?.leaf(leaf) ?? [], reading.onRows)
    if (base === undefined || !printer.byServer) {
      await side.read(printer.prints(reader, table, printing, sideOptions(reading)), base?.bounds ?? [])
    } else if (reading.ordered) {
      await new RangeReader(reading, base, reader, side).all()
    } else {
      const { rows, sum } = await printer.sum(reader, table, printing, sideOptions(reading))
      if (rows === base.table.rows && sum === base.table.sum) side.agreed(rows)
      else await side.read(printer.prints(reader, table, printing, sideOptions(reading)), base.bounds)
    }
    return side.end()
  })
}

/** Matches what comes of a host with the baseline's leaves, and counts it. */
export class SideReader {
  readonly #matcher: SideMatcher
  readonly #leaf: (leaf: number) => readonly BaseRow[]
  readonly #onRows: (rows: number) => void
  #rows = 0
  #agreed = 0
  #readRows = 0
  #readBytes = 0

  constructor(store: SideStore, leaf: (leaf: number) => readonly BaseRow[], onRows: (rows: number) => void = () => undefined) {
    this.#matcher = new SideMatcher(store)
    this.#leaf = leaf
    this.#onRows = onRows
  }

  /** So many rows are known to be as in the baseline, without having been read. */
  agreed(rows: number): void {
    this.#rows += rows
    this.#agreed += rows
  }

  /** Rows as they come, against these leaves. */
  async read(batches: AsyncIterable<readonly PrintedRow[]>, bounds: readonly LeafBound[]): Promise<void> {
    const waiting = bounds[Symbol.iterator]()
    let [met, expected] = [0, 0]
    const expect = (upTo: number): void => {
      while (expected <= upTo) {
        const { value: bound } = waiting.next()
        if (bound === undefined) return
        this.#matcher.expect(this.#leaf(bound.leaf), bound.leaf)
        expected += bound.rows
      }
    }
    for await (const batch of batches) {
      met += batch.length
      expect(met)
      this.#matcher.meet(batch)
      this.#readBytes += batch.reduce((bytes, row) => bytes + bytesOf(row), 0)
      this.#onRows(batch.length)
    }
    expect(Number.POSITIVE_INFINITY)
    this.#rows += met
    this.#readRows += met
  }

  /** Nothing more comes: what found no counterpart was born or is gone. */
  end(): SideCounts {
    this.#matcher.end()
    return {
      rows: this.#rows,
      matched: this.#agreed + this.#matcher.matched,
      read: { rows: this.#readRows, bytes: this.#readBytes },
    }
  }
}

const cellsBytes = (cells: Row): number => cells.reduce((bytes, cell) => bytes + (cell?.length ?? 0), 0)

/** About what came over the wire for a row: key and fingerprints, or the whole of it. */
const bytesOf = (row: PrintedRow & { readonly row?: Row }): number => {
  if (row.row !== undefined) return cellsBytes(row.row)
  return cellsBytes(row.key) + row.print.length + (row.apart.length === 0 ? 0 : row.rest.length + cellsBytes(row.apart))
}
