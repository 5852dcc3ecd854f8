import { mkdir } from 'node:fs/promises'
import { keepingError } from '../base/disk-full.ts'
import { allAtOnce } from '../base/turns.ts'
import type { Database, Printing, Reader } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { type BaselineTable, baselinePath } from './baseline-file.ts'
import { addSums } from './baseline-leaf.ts'
import { type Taking, takeRanges } from './baseline-ranges.ts'
import { BaselineWriter, type Held, type TableProgress } from './baseline-writer.ts'
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
  /** Readers side by side; one when absent. */
  readonly connections?: number
  /** What of a table is fingerprinted; all of it when absent. */
  readonly printingOf?: (table: Table) => Printing
  /** Rows of one leaf. */
  readonly leafRows?: number
  readonly signal?: AbortSignal
  /** Rows fingerprinted so far, over all tables. */
  readonly onRows?: (rows: number) => void
}

/** One writer at a time for each baseline file: a second transaction would wait inside SQLite and hold up the whole process. */
const writers = new Map<string, Promise<void>>()

/**
 * Fingerprints every row of `tables` into the run's baseline. A table that is in it already is left alone: what was taken before
 * the new host's first write must not be taken again after it. What was begun goes on behind the last row that was kept; a table
 * without a key begins anew. Each table is asked what it holds before the first is read and after the last: one that was written to in
 * between is noted as such (`BaselineTable.written`), since what was written there would otherwise pass for what was restored.
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
    const begun: Taking[] = []
    for (const table of options.tables) begun.push(await begin(writer, options, table))
    const taken = await takeBegun(writer, options, begun)
    await checkAll(
      writer,
      options,
      taken.filter(([, { written }]) => written === undefined),
    )
    writer.flush()
  } catch (error) {
    throw keepingError(error, options.directory)
  } finally {
    writer.close()
  }
}

/** Begins a table, or takes up what is kept of it. */
async function begin(
  writer: BaselineWriter,
  { database, peer, printingOf, signal }: BaselineOptions,
  table: Table,
): Promise<Taking> {
  signal?.throwIfAborted()
  const hosts = peer === undefined ? [database] : [database, peer]
  const start = {
    name: fullName(table.name),
    printing: printingOf?.(table) ?? printingFor(table, { ignore: [] }),
    method: await commonMethod(hosts.map((host) => [host, table])),
    keyOrder: await keyOrder(database, table),
  }
  const kept = writer.begin(start)
  if (kept.complete || kept.isNew || (table.key.length > 0 && isSameStart(kept, start))) return [table, kept]
  const anew = { ...writer.beginAnew(kept, start), begun: isSameStart(kept, start) ? kept.begun : undefined }
  if (anew.begun !== undefined) writer.note(anew, anew.begun)
  return [table, anew]
}

/** Asks what each table holds, and then takes the rows of all, through readers of one instant where the engine has such. */
async function takeBegun(writer: BaselineWriter, options: BaselineOptions, begun: readonly Taking[]): Promise<readonly Taking[]> {
  let rows = 0
  const counted = (count: number): void => {
    rows += count
    options.onRows?.(rows)
  }
  for (const [, kept] of begun) counted(kept.rows)
  const whole = begun.filter(([, { complete }]) => complete)
  const left = begun.filter(([, { complete }]) => !complete)
  const taken = await reading(options, left.length, async (readers) => {
    const tables = await sideBySide(readers, left, options, (reader, taking, signal) => begunAs(writer, reader, taking, signal))
    return await takeRanges({ writer, readers, tables, leafRows: options.leafRows, signal: options.signal, counted })
  })
  return [...whole, ...(taken ?? [])]
}

/** Notes what a table holds before any of it is fingerprinted; of one that was begun before, whether it was written to since. */
async function begunAs(writer: BaselineWriter, reader: Reader, [table, kept]: Taking, signal: AbortSignal): Promise<Taking> {
  const stamp = await stampOf(reader, table, signal)
  if (kept.begun === undefined) {
    // By sums where they don't take as long as the fingerprints themselves.
    const isSummed = stamp === undefined && new Printer(kept.method).byServer
    const begun = isSummed ? await sumNow(reader, table, kept, signal) : stamp
    if (begun !== undefined) writer.note(kept, begun)
    return [table, { ...kept, begun }]
  }
  if (stamp === undefined || isSame(kept.begun, stamp)) return [table, kept]
  writer.checked(kept, true)
  return [table, { ...kept, written: true }]
}

/** Asks a table once more what it holds: one that was written to meanwhile isn't what was restored. */
const checkAll = (writer: BaselineWriter, options: BaselineOptions, tables: readonly Taking[]): Promise<unknown> =>
  reading(options, tables.length, (readers) =>
    sideBySide(readers, tables, options, async (reader, [table, kept], signal) => {
      const stamp = kept.begun?.by === 'stamp' ? await stampOf(reader, table, signal) : undefined
      const now = stamp ?? (await sumNow(reader, table, kept, signal))
      const isAsTaken = now.rows === kept.rows && (now.by === 'stamp' || now.sum === kept.sum)
      writer.checked(kept, !isAsTaken || (kept.begun !== undefined && !isSame(kept.begun, now)))
    }),
  )

async function stampOf(reader: Reader, table: Table, signal: AbortSignal): Promise<Held | undefined> {
  const stamp = await reader.stamp?.(table, signal)
  return stamp === undefined ? undefined : { ...stamp, by: 'stamp' }
}

/** Opens readers for so many tables; with none of them, nothing is asked. */
async function reading<T>(
  { database, connections = 1 }: BaselineOptions,
  tables: number,
  work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>,
): Promise<T | undefined> {
  return tables === 0 ? undefined : await database.read(connections, work)
}

/** Does something with each table through whichever reader is free; the results in the tables' order. */
async function sideBySide<T>(
  readers: readonly Reader[],
  tables: readonly Taking[],
  { signal }: BaselineOptions,
  each: (reader: Reader, taking: Taking, signal: AbortSignal) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = []
  const waiting = [...tables.entries()]
  await allAtOnce(readers, signal, async (reader, stop) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      stop.throwIfAborted()
      const [at, taking] = next
      results[at] = await each(reader, taking, stop)
    }
  })
  return results
}

async function sumNow(
  reader: Reader,
  table: Table,
  { method, printing }: Pick<TableProgress, 'method' | 'printing'>,
  signal: AbortSignal,
): Promise<Held> {
  const printer = new Printer(method)
  if (printer.byServer) return { ...(await printer.sum(reader, table, printing, { signal })), by: 'prints' }
  let [rows, sum] = [0, 0n]
  for await (const batch of printer.prints(reader, table, printing, { signal })) {
    rows += batch.length
    sum = batch.reduce((total, row) => addSums(total, BigInt(`0x${row.print}`)), sum)
  }
  return { rows, sum, by: 'prints' }
}

const isSame = (a: Held, b: Held): boolean => a.by === b.by && a.rows === b.rows && a.sum === b.sum

/** Leaves that were taken of the same things, in the same way and order. */
const isSameStart = (kept: BaselineTable, start: Pick<BaselineTable, 'method' | 'printing' | 'keyOrder'>): boolean =>
  kept.method === start.method &&
  kept.keyOrder === start.keyOrder &&
  JSON.stringify(kept.printing) === JSON.stringify(start.printing)
