import { allAtOnce } from '../base/turns.ts'
import type { KeyCells, PackedPrints, PrintedRow, Printing, Reader, ReadOptions } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { anyOrder } from '../databases/snapshot/order.ts'
import { type Task, Work, type WorkRules } from '../databases/snapshot/work.ts'
import { addSums, type PackedLeaf, packedLeaf, packLeaf } from './baseline-leaf.ts'
import type { BaselineWriter, TableProgress } from './baseline-writer.ts'
import { Printer } from './printing.ts'

const LEAF_ROWS = 1024

/** About what comes over the wire for a fingerprinted row. */
const ROW_BYTES = 40

/**
 * Nobody waits for the new host yet, so a range needn't be small for its sake; but what a reader fingerprints before its turn to write
 * is held in memory.
 */
const RULES: WorkRules = {
  targetMs: Number.POSITIVE_INFINITY,
  leastRows: LEAF_ROWS,
  mostRows: 64 * LEAF_ROWS,
  mostBytes: Number.POSITIVE_INFINITY,
  firstRows: 64 * LEAF_ROWS,
  cutBytes: 256 * LEAF_ROWS * ROW_BYTES,
  rangeBytes: 1,
  leastBytes: 16 * LEAF_ROWS * ROW_BYTES,
  smallBytes: LEAF_ROWS * ROW_BYTES,
  mostTogether: 64,
}

/** A table, and how far it is kept. */
export type Taking = readonly [Table, TableProgress]

export interface RangesOptions {
  readonly writer: BaselineWriter
  readonly readers: readonly Reader[]
  readonly tables: readonly Taking[]
  readonly leafRows: number | undefined
  readonly signal: AbortSignal | undefined
  readonly counted: (rows: number) => void
}

/**
 * Fingerprints what isn't kept yet of every table: small tables side by side, large ones in ranges of their keys that all readers share.
 * A table's leaves are written in the order of their keys, so that it can be gone on with behind the last one. Returns the tables whole.
 */
export async function takeRanges(options: RangesOptions): Promise<readonly Taking[]> {
  const lines = new Map(options.tables.map((taking) => [taking[0], new Line(options, taking)]))
  const lineOf = (table: Table): Line => {
    const line = lines.get(table)
    if (line === undefined) throw new TypeError(`${fullName(table.name)} isn't among the tables`)
    return line
  }
  const work = new Work({
    manifest: {
      tables: new Map(
        [...lines].flatMap(([{ name }, { kept }]) => (kept.length === 0 ? [] : [[fullName(name), { ranges: kept }]])),
      ),
    },
    schedule: anyOrder([...lines.keys()].toSorted((a, b) => lineOf(b).size.rows - lineOf(a).size.rows)),
    size: (table) => lineOf(table).size,
    readers: options.readers.length,
    rules: RULES,
  })
  await allAtOnce(options.readers, options.signal, async (reader, signal) => {
    for (let task = await work.next(reader, signal); task !== undefined; task = await work.next(reader, signal)) {
      if (task.kind === 'tables') for (const table of task.tables) await lineOf(table).take(reader, WHOLE, signal)
      else await lineOf(task.table).take(reader, task.range, signal)
      work.finished(task)
    }
  })
  return [...lines.values()].map((line) => line.taking)
}

type Range = Extract<Task, { kind: 'range' }>['range']

const WHOLE: Range = { at: 0, after: null, upTo: null }

/** One table's leaves on their way to the disk, range after range. */
class Line {
  readonly #options: RangesOptions
  readonly #table: Table
  readonly #printer: Printer
  /** What is kept already, as one range. */
  readonly kept: readonly Range[]
  #progress: TableProgress
  #leaves: number
  /** By its place: settles when a range is written. */
  readonly #written = new Map<number, PromiseWithResolvers<void>>()

  constructor(options: RangesOptions, [table, kept]: Taking) {
    this.#options = options
    this.#table = table
    this.#printer = new Printer(kept.method)
    const { leaves, last } = options.writer.progress(kept)
    this.#progress = kept
    this.#leaves = leaves
    this.kept = last === undefined ? [] : [{ at: 0, after: null, upTo: last }]
    for (const { at } of this.kept) this.#end(at).resolve()
  }

  get taking(): Taking {
    return [this.#table, this.#progress]
  }

  /** About what all of the table takes. */
  get size(): { readonly rows: number; readonly bytes: number } {
    const rows = this.#progress.begun?.rows ?? 0
    return { rows, bytes: rows * ROW_BYTES }
  }

  /** Fingerprints a range. Whatever is read before those in front of it are written waits in memory. */
  async take(reader: Reader, { at, after, upTo }: Range, signal: AbortSignal): Promise<void> {
    const own = this.#end(at)
    try {
      const before = at === 0 ? { isWritten: true, wait: undefined } : written(this.#end(at - 1).promise)
      const waiting: PackedLeaf[] = []
      const { printing } = this.#progress
      const range = { signal, ...ends(after, upTo) }
      for await (const leaf of this.#leavesOf(reader, printing, range)) {
        signal.throwIfAborted()
        waiting.push(leaf)
        if (before.isWritten) this.#write(waiting.splice(0))
      }
      await before.wait
      this.#written.delete(at - 1)
      this.#write(waiting)
      if (upTo === null) this.#complete()
      own.resolve()
    } catch (error) {
      own.reject(error)
      throw error
    }
  }

  #leavesOf(reader: Reader, printing: Printing, range: ReadOptions): AsyncIterable<PackedLeaf> {
    const { leafRows = LEAF_ROWS } = this.#options
    const packed = this.#printer.packed(reader, this.#table, printing, leafRows, range)
    return packed === undefined
      ? leavesOf(this.#printer.prints(reader, this.#table, printing, range), leafRows)
      : packedLeaves(packed)
  }

  #end(at: number): PromiseWithResolvers<void> {
    const known = this.#written.get(at) ?? Promise.withResolvers<void>()
    // Whoever waits for it sees what it fails with; until then it is nobody's.
    known.promise.catch(() => undefined)
    this.#written.set(at, known)
    return known
  }

  #write(leaves: readonly PackedLeaf[]): void {
    for (const leaf of leaves) {
      const { rows, sum } = this.#progress
      this.#progress = { ...this.#progress, rows: rows + leaf.rows, sum: addSums(sum, leaf.sum) }
      this.#options.writer.add(this.#progress, this.#leaves, leaf)
      this.#leaves += 1
      this.#options.counted(leaf.rows)
    }
  }

  #complete(): void {
    this.#options.writer.complete(this.#progress)
    this.#progress = { ...this.#progress, complete: true }
  }
}

/** Whether a promise was kept by now, and the promise. */
function written(wait: Promise<void>): { isWritten: boolean; readonly wait: Promise<void> } {
  const state = { isWritten: false, wait }
  wait.then(
    () => {
      state.isWritten = true
    },
    () => undefined,
  )
  return state
}

const ends = (after: KeyCells | null, upTo: KeyCells | null) => ({
  ...(after === null ? {} : { after }),
  ...(upTo === null ? {} : { upTo }),
})

async function* packedLeaves(packed: AsyncIterable<PackedPrints>): AsyncGenerator<PackedLeaf> {
  for await (const some of packed) yield packedLeaf(some)
}

/** The rows of a table as leaves. */
async function* leavesOf(rows: AsyncIterable<readonly PrintedRow[]>, leafRows: number): AsyncGenerator<PackedLeaf> {
  let waiting: PrintedRow[] = []
  for await (const batch of rows) {
    for (const row of batch) {
      waiting.push(row)
      if (waiting.length < leafRows) continue
      yield packLeaf(waiting)
      waiting = []
    }
  }
  if (waiting.length > 0) yield packLeaf(waiting)
}
