import { mkdir } from 'node:fs/promises'
import { keepingError } from '../base/disk-full.ts'
import { allAtOnce } from '../base/turns.ts'
import type { Database, Printing, Reader } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { type BaselineTable, baselinePath } from './baseline-file.ts'
import { begunAs, groupsOf, heldNow, isAsBefore, isStamped, rangesOf, together } from './baseline-held.ts'
import { type Taking, takeRanges } from './baseline-ranges.ts'
import { BaselineWriter } from './baseline-writer.ts'
import { keyOrder } from './key-order.ts'
import { commonMethod, printingFor } from './printing.ts'

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
    const groups = groupsOf(left, readers.length)
    const asked = await sideBySide(readers, groups, options, (reader, group, signal) =>
      begunAs(writer, reader, group, { signal, about: options.about }),
    )
    return await takeRanges({
      writer,
      readers,
      tables: asked.flat(),
      leafRows: options.leafRows,
      signal: options.signal,
      counted,
    })
  })
  return [...whole, ...(taken ?? [])]
}

/**
 * Asks each table once more what it holds: one that was written to meanwhile isn't what was restored. Of a large one without a stamp, all
 * readers sum up ranges of its keys.
 */
async function checkAll(writer: BaselineWriter, options: BaselineOptions, tables: readonly Taking[]): Promise<void> {
  writer.flush()
  await reading(options, tables.length, async (readers) => {
    const pieces = [
      ...groupsOf(tables.filter(isStamped), readers.length).map((group) => ({ group, range: {} })),
      ...tables
        .filter((taking) => !isStamped(taking))
        .flatMap((taking) => rangesOf(writer, taking).map((range) => ({ group: [taking], range }))),
    ]
    const found = await sideBySide(readers, pieces, options, (reader, { group, range }, signal) =>
      heldNow(reader, group, { ...range, signal }),
    )
    const held = Map.groupBy(found.flat(), ([table]) => table)
    for (const [table, kept] of tables) {
      const now = (held.get(table) ?? []).map(([, each]) => each).reduce(together)
      writer.checked(kept, !isAsBefore(kept, now))
    }
  })
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

/** Leaves that were taken of the same things, in the same way and order. */
const isSameStart = (kept: BaselineTable, start: Pick<BaselineTable, 'method' | 'printing' | 'keyOrder'>): boolean =>
  kept.method === start.method &&
  kept.keyOrder === start.keyOrder &&
  JSON.stringify(kept.printing) === JSON.stringify(start.printing)
