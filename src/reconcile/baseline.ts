import { mkdir } from 'node:fs/promises'
import { keepingError } from '../base/disk-full.ts'
import { allAtOnce } from '../base/turns.ts'
import type { Database, KeyRange, Printing, Reader } from '../databases/port.ts'
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
  /** Rows of a table, about, where that is known. */
  readonly about?: (table: Table) => number
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
    const tables = await sideBySide(readers, left, options, (reader, taking, signal) =>
      begunAs({ ...options, writer }, reader, taking, signal),
    )
    return await takeRanges({ writer, readers, tables, leafRows: options.leafRows, signal: options.signal, counted })
  })
  return [...whole, ...(taken ?? [])]
}

/** Notes what a table holds before any of it is fingerprinted; of one that was begun before, whether it was written to since. */
async function begunAs(
  { writer, about }: { readonly writer: BaselineWriter } & Pick<BaselineOptions, 'about'>,
  reader: Reader,
  [table, kept]: Taking,
  signal: AbortSignal,
): Promise<Taking> {
  if (kept.begun === undefined) {
    const begun = await heldAtBegin(reader, [table, kept], about, signal)
    if (begun !== undefined) writer.note(kept, begun)
    return [table, { ...kept, begun }]
  }
  const now =
    kept.begun.by === 'glance' ? await glanceOf(reader, table, kept.begun.rows, signal) : await stampOf(reader, table, signal)
  if (now === undefined || isSame(kept.begun, now)) return [table, kept]
  writer.checked(kept, true)
  return [table, { ...kept, written: true }]
}

/**
 * By stamps, or by sums where they don't take as long as the fingerprints themselves. Of readers of one instant, what is fingerprinted is
 * what the table held when that began: a glance is enough, which tells whether it was written to before a taking that was cut off goes on.
 */
async function heldAtBegin(
  reader: Reader,
  [table, kept]: Taking,
  about: BaselineOptions['about'],
  signal: AbortSignal,
): Promise<Held | undefined> {
  const stamp = await stampOf(reader, table, signal)
  if (stamp !== undefined || !new Printer(kept.method).byServer) return stamp
  const rows = async (): Promise<number> => about?.(table) || (await reader.count?.(table, signal)) || 0
  const glance = reader.consistent && kept.rows === 0 ? await glanceOf(reader, table, rows, signal) : undefined
  return glance ?? (await sumNow(reader, table, kept, { signal }))
}

/**
 * Asks each table once more what it holds: one that was written to meanwhile isn't what was restored. Of a large one without a stamp, all
 * readers sum up ranges of its keys.
 */
async function checkAll(writer: BaselineWriter, options: BaselineOptions, tables: readonly Taking[]): Promise<void> {
  writer.flush()
  const pieces = tables.flatMap((taking) => rangesOf(writer, taking).map((range) => ({ taking, range })))
  await reading(options, tables.length, async (readers) => {
    const sums = await sideBySide(readers, pieces, options, async (reader, { taking: [table, kept], range }, signal) => {
      const stamp = kept.begun?.by === 'stamp' ? await stampOf(reader, table, signal) : undefined
      return stamp ?? (await sumNow(reader, table, kept, { ...range, signal }))
    })
    const held = Map.groupBy(sums.entries(), ([at]) => pieces[at]?.taking[0])
    for (const [table, kept] of tables) {
      const now = (held.get(table) ?? []).map(([, sum]) => sum).reduce(together)
      const isAsTaken = now.rows === kept.rows && (now.by === 'stamp' || now.sum === kept.sum)
      const isAsBegun = kept.begun === undefined || kept.begun.by === 'glance' || isSame(kept.begun, now)
      writer.checked(kept, !(isAsTaken && isAsBegun))
    }
  })
}

const together = (a: Held, b: Held): Held => ({ rows: a.rows + b.rows, sum: addSums(a.sum, b.sum), by: a.by })

/** Leaves of a range that is summed up at once. */
const LEAVES_A_RANGE = 128

/** A table in ranges of its keys, all of it between them: what was born beyond the last key too. */
function rangesOf(writer: BaselineWriter, [table, kept]: Taking): readonly KeyRange[] {
  const isWhole = table.key.length === 0 || kept.begun?.by === 'stamp' || !new Printer(kept.method).byServer
  const cuts = isWhole ? [] : writer.lasts(kept, LEAVES_A_RANGE)
  return [...cuts, undefined].map((upTo, at) => {
    const after = cuts[at - 1]
    return { ...(after === undefined ? {} : { after }), ...(upTo === undefined ? {} : { upTo }) }
  })
}

async function stampOf(reader: Reader, table: Table, signal: AbortSignal): Promise<Held | undefined> {
  const stamp = await reader.stamp?.(table, signal)
  return stamp === undefined ? undefined : { ...stamp, by: 'stamp' }
}

/** `known`: its rows, about, which aren't counted. */
async function glanceOf(
  reader: Reader,
  table: Table,
  known: number | (() => Promise<number>),
  signal: AbortSignal,
): Promise<Held | undefined> {
  const sum = await reader.glance?.(table, signal)
  return sum === undefined ? undefined : { rows: typeof known === 'number' ? known : await known(), sum, by: 'glance' }
}

/** Opens readers for so many tables; with none of them, nothing is asked. */
async function reading<T>(
  { database, connections = 1 }: BaselineOptions,
  tables: number,
  work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>,
): Promise<T | undefined> {
  return tables === 0 ? undefined : await database.read(connections, work)
}

/** Does something with each thing through whichever reader is free; the results in their order. */
async function sideBySide<I, T>(
  readers: readonly Reader[],
  things: readonly I[],
  { signal }: BaselineOptions,
  each: (reader: Reader, thing: I, signal: AbortSignal) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = []
  const waiting = [...things.entries()]
  await allAtOnce(readers, signal, async (reader, stop) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      stop.throwIfAborted()
      const [at, thing] = next
      results[at] = await each(reader, thing, stop)
    }
  })
  return results
}

async function sumNow(
  reader: Reader,
  table: Table,
  { method, printing }: Pick<TableProgress, 'method' | 'printing'>,
  range: KeyRange & { readonly signal: AbortSignal },
): Promise<Held> {
  const printer = new Printer(method)
  if (printer.byServer) return { ...(await printer.sum(reader, table, printing, range)), by: 'prints' }
  let [rows, sum] = [0, 0n]
  for await (const batch of printer.prints(reader, table, printing, range)) {
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
