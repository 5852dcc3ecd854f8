import { mkdir } from 'node:fs/promises'
import { keepingError } from '../base/disk-full.ts'
import type { Database, PrintedRow, Printing, RangeSum } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { type BaselineTable, baselinePath } from './baseline-file.ts'
import { addSums, type PackedLeaf, packLeaf } from './baseline-leaf.ts'
import { BaselineWriter, type TableProgress } from './baseline-writer.ts'
import { keyOrder } from './key-order.ts'
import { commonMethod, Printer, printingFor } from './printing.ts'

export interface BaselineOptions {
  /** The run's folder. */
  readonly directory: string
  /** The new host's. */
  readonly database: Database
  /** The old host's, which will be compared with it: rows are fingerprinted as both can. Its tables are asked nothing. */
  readonly peer?: Database
  readonly tables: readonly Table[]
  /** What of a table is fingerprinted; all of it when absent. */
  readonly printingOf?: (table: Table) => Printing
  /** Rows of one leaf. */
  readonly leafRows?: number
  readonly signal?: AbortSignal
  /** Rows fingerprinted so far, over all tables. */
  readonly onRows?: (rows: number) => void
}

const LEAF_ROWS = 1024

/** One writer at a time for each baseline file: a second transaction would wait inside SQLite and hold up the whole process. */
const writers = new Map<string, Promise<void>>()

/**
 * Fingerprints every row of `tables` into the run's baseline. A table that is in it already is left alone: what was taken before
 * the new host's first write must not be taken again after it. What was begun goes on behind the last row that was kept; a table
 * without a key begins anew. Each table's sum is asked before the first is read and after the last: one that was written to in between
 * is noted as such (`BaselineTable.written`), since what was written there would otherwise pass for what was restored.
 */
export async function takeBaseline(options: BaselineOptions): Promise<void> {
  const path = baselinePath(options.directory)
  const before = writers.get(path) ?? Promise.resolve()
  const mine = before.then(() => takeAll(options, path))
  const settled = mine.catch(() => undefined)
  writers.set(path, settled)
  try {
    await mine
  } finally {
    if (writers.get(path) === settled) writers.delete(path)
  }
}

async function takeAll(options: BaselineOptions, path: string): Promise<void> {
  await mkdir(options.directory, { recursive: true })
  const writer = new BaselineWriter(path)
  try {
    const taken: (readonly [Table, TableProgress])[] = []
    let rows = 0
    for (const [table, kept] of await begun(writer, options)) {
      const counted = (count: number): void => {
        rows += count
        options.onRows?.(rows)
      }
      taken.push([table, await takeTable(writer, table, kept, options, counted)])
    }
    for (const [table, kept] of taken) await check(writer, table, kept, options)
    writer.flush()
  } catch (error) {
    throw keepingError(error, options.directory)
  } finally {
    writer.close()
  }
}

/** Begins every table: before any is read, each is asked what it holds. */
async function begun(writer: BaselineWriter, options: BaselineOptions): Promise<readonly (readonly [Table, TableProgress])[]> {
  const { database, peer } = options
  const hosts = peer === undefined ? [database] : [database, peer]
  const tables: (readonly [Table, TableProgress])[] = []
  for (const table of options.tables) {
    options.signal?.throwIfAborted()
    const start = {
      name: fullName(table.name),
      printing: options.printingOf?.(table) ?? printingFor(table, { ignore: [] }),
      method: await commonMethod(hosts.map((host) => [host, table])),
      keyOrder: await keyOrder(database, table),
    }
    let kept = writer.begin(start)
    if (!kept.complete && !kept.isNew && (table.key.length === 0 || !isSameStart(kept, start))) {
      writer.forget(kept)
      kept = { ...writer.begin(start), begun: isSameStart(kept, start) ? kept.begun : undefined }
      if (kept.begun !== undefined) writer.note(kept, kept.begun)
    }
    const printer = new Printer(start.method)
    if (!kept.complete && kept.begun === undefined && printer.byServer) {
      const sum = await sumNow(printer, table, kept.printing, options)
      writer.note(kept, sum)
      kept = { ...kept, begun: sum }
    }
    tables.push([table, kept])
  }
  return tables
}

async function takeTable(
  writer: BaselineWriter,
  table: Table,
  kept: TableProgress,
  options: BaselineOptions,
  counted: (rows: number) => void,
): Promise<TableProgress> {
  counted(kept.rows)
  if (kept.complete) return kept
  const { signal, leafRows = LEAF_ROWS } = options
  const { leaves, last } = writer.progress(kept)
  const printer = new Printer(kept.method)
  let [next, rows, sum] = [leaves, kept.rows, kept.sum]
  await options.database.read(1, async ([reader]) => {
    const range = { ...(last === undefined ? {} : { after: last }), ...(signal ? { signal } : {}) }
    for await (const leaf of leavesOf(printer.prints(reader, table, kept.printing, range), leafRows)) {
      signal?.throwIfAborted()
      rows += leaf.rows
      sum = addSums(sum, leaf.sum)
      writer.add(kept, next, leaf, { rows, sum })
      next += 1
      counted(leaf.rows)
    }
  })
  writer.complete(kept)
  return { ...kept, rows, sum, complete: true }
}

/** Asks a table once more what it holds: one that was written to meanwhile isn't what was restored. */
async function check(writer: BaselineWriter, table: Table, kept: TableProgress, options: BaselineOptions): Promise<void> {
  if (kept.written !== undefined) return
  options.signal?.throwIfAborted()
  const now = await sumNow(new Printer(kept.method), table, kept.printing, options)
  const isAsTaken = (sum: RangeSum): boolean => sum.rows === kept.rows && sum.sum === kept.sum
  writer.checked(kept, !isAsTaken(now) || (kept.begun !== undefined && !isAsTaken(kept.begun)))
}

function sumNow(printer: Printer, table: Table, printing: Printing, options: BaselineOptions): Promise<RangeSum> {
  const { database, signal } = options
  const range = signal ? { signal } : {}
  return database.read(1, async ([reader]) => {
    if (printer.byServer) return printer.sum(reader, table, printing, range)
    let [rows, sum] = [0, 0n]
    for await (const batch of printer.prints(reader, table, printing, range)) {
      rows += batch.length
      sum = batch.reduce((total, row) => addSums(total, BigInt(`0x${row.print}`)), sum)
    }
    return { rows, sum }
  })
}

/** Leaves that were taken of the same things, in the same way and order. */
const isSameStart = (kept: BaselineTable, start: Pick<BaselineTable, 'method' | 'printing' | 'keyOrder'>): boolean =>
  kept.method === start.method &&
  kept.keyOrder === start.keyOrder &&
  JSON.stringify(kept.printing) === JSON.stringify(start.printing)

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
