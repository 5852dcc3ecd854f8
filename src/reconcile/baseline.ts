import { mkdir } from 'node:fs/promises'
import { keepingError } from '../base/disk-full.ts'
import type { Database, PrintedRow, Printing, RangeSum, Reader } from '../databases/port.ts'
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
    const tables = await begun(writer, options)
    // One reader for all tables: many small ones would each take the server as long to begin as to read.
    await reading(options, tables, async (reader, [table, kept]) => {
      const counted = (count: number): void => {
        rows += count
        options.onRows?.(rows)
      }
      taken.push([table, await takeTable(writer, reader, [table, kept], options, counted)])
    })
    const unchecked = taken.filter(([, { written }]) => written === undefined)
    await reading(options, unchecked, (reader, [table, kept]) => check(writer, reader, [table, kept], options))
    writer.flush()
  } catch (error) {
    throw keepingError(error, options.directory)
  } finally {
    writer.close()
  }
}

type Taking = readonly [Table, TableProgress]

/** Does something with each table, in their order, through one reader; with none of them, nothing is asked. */
async function reading(
  { database, signal }: BaselineOptions,
  tables: readonly Taking[],
  each: (reader: Reader, taking: Taking) => Promise<void>,
): Promise<void> {
  if (tables.length === 0) return
  await database.read(1, async ([reader]) => {
    for (const taking of tables) {
      signal?.throwIfAborted()
      await each(reader, taking)
    }
  })
}

/** Begins every table: before any is read, each is asked what it holds. */
async function begun(writer: BaselineWriter, options: BaselineOptions): Promise<readonly Taking[]> {
  const { database, peer } = options
  const hosts = peer === undefined ? [database] : [database, peer]
  const tables: Taking[] = []
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
    tables.push([table, kept])
  }
  const asked = new Map<Table, RangeSum>()
  const isAsked = ([, kept]: Taking): boolean => !kept.complete && kept.begun === undefined && new Printer(kept.method).byServer
  await reading(options, tables.filter(isAsked), async (reader, [table, kept]) => {
    const sum = await sumNow(reader, table, kept, options)
    writer.note(kept, sum)
    asked.set(table, sum)
  })
  return tables.map(([table, kept]) => [table, { ...kept, begun: kept.begun ?? asked.get(table) }])
}

async function takeTable(
  writer: BaselineWriter,
  reader: Reader,
  [table, kept]: Taking,
  options: BaselineOptions,
  counted: (rows: number) => void,
): Promise<TableProgress> {
  counted(kept.rows)
  if (kept.complete) return kept
  const { signal, leafRows = LEAF_ROWS } = options
  const { leaves, last } = writer.progress(kept)
  const printer = new Printer(kept.method)
  let [next, rows, sum] = [leaves, kept.rows, kept.sum]
  const range = { ...(last === undefined ? {} : { after: last }), ...(signal ? { signal } : {}) }
  for await (const leaf of leavesOf(printer.prints(reader, table, kept.printing, range), leafRows)) {
    signal?.throwIfAborted()
    rows += leaf.rows
    sum = addSums(sum, leaf.sum)
    writer.add(kept, next, leaf, { rows, sum })
    next += 1
    counted(leaf.rows)
  }
  writer.complete(kept)
  return { ...kept, rows, sum, complete: true }
}

/** Asks a table once more what it holds: one that was written to meanwhile isn't what was restored. */
async function check(writer: BaselineWriter, reader: Reader, [table, kept]: Taking, options: BaselineOptions): Promise<void> {
  const now = await sumNow(reader, table, kept, options)
  const isAsTaken = (sum: RangeSum): boolean => sum.rows === kept.rows && sum.sum === kept.sum
  writer.checked(kept, !isAsTaken(now) || (kept.begun !== undefined && !isAsTaken(kept.begun)))
}

async function sumNow(
  reader: Reader,
  table: Table,
  { method, printing }: Pick<TableProgress, 'method' | 'printing'>,
  { signal }: BaselineOptions,
): Promise<RangeSum> {
  const printer = new Printer(method)
  const range = signal ? { signal } : {}
  if (printer.byServer) return printer.sum(reader, table, printing, range)
  let [rows, sum] = [0, 0n]
  for await (const batch of printer.prints(reader, table, printing, range)) {
    rows += batch.length
    sum = batch.reduce((total, row) => addSums(total, BigInt(`0x${row.print}`)), sum)
  }
  return { rows, sum }
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
