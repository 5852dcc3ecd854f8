import { mkdir } from 'node:fs/promises'
import { keepingError } from '../base/disk-full.ts'
import type { Database, PrintedRow, Printing, Reader } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { BaselineWriter, baselinePath } from './baseline-file.ts'
import { addSums, type PackedLeaf, packLeaf } from './baseline-leaf.ts'
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
  readonly signal?: AbortSignal
  /** Rows fingerprinted so far, over all tables. */
  readonly onRows?: (rows: number) => void
}

/** Rows of one leaf, and leaves that are put on disk together. */
const LEAF_ROWS = 2048
const GROUP_LEAVES = 32

/** One writer at a time for each baseline file: a second transaction would wait inside SQLite and hold up the whole process. */
const writers = new Map<string, Promise<void>>()

/**
 * Fingerprints every row of `tables` into the run's baseline. A table that is in it already is left alone: what was taken before
 * the new host's first write must not be taken again after it. What was begun goes on behind the last row that was kept; a table
 * without a key begins anew.
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
    let rows = 0
    for (const table of options.tables) {
      await takeTable(writer, table, options, (count) => {
        rows += count
        options.onRows?.(rows)
      })
    }
  } catch (error) {
    throw keepingError(error, options.directory)
  } finally {
    writer.close()
  }
}

async function takeTable(
  writer: BaselineWriter,
  table: Table,
  options: BaselineOptions,
  counted: (rows: number) => void,
): Promise<void> {
  const { database, peer, signal } = options
  const hosts = peer === undefined ? [database] : [database, peer]
  const printing = options.printingOf?.(table) ?? printingFor(table, { ignore: [] })
  const method = await commonMethod(hosts.map((host) => [host, table]))
  let kept = writer.begin(fullName(table.name), method, printing)
  if (kept.complete) return
  if (table.key.length === 0 || kept.method !== method) {
    writer.forget(kept)
    kept = writer.begin(fullName(table.name), method, printing)
  }
  const { leaves, last } = writer.progress(kept)
  counted(kept.rows)
  let [next, rows, sum] = [leaves, kept.rows, kept.sum]
  await database.read(1, async ([reader]) => {
    const range = { ...(last === undefined ? {} : { after: last }), ...(signal ? { signal } : {}) }
    for await (const group of leafGroups(new Printer(method), reader, table, printing, range)) {
      signal?.throwIfAborted()
      const more = group.reduce((total, leaf) => total + leaf.rows, 0)
      rows += more
      sum = group.reduce((total, leaf) => addSums(total, leaf.sum), sum)
      writer.add(kept, next, group, rows, sum)
      next += group.length
      counted(more)
    }
  })
  writer.complete(kept)
}

/** The rows of a table as leaves, some at a time. */
async function* leafGroups(
  printer: Printer,
  reader: Reader,
  table: Table,
  printing: Printing,
  range: { readonly after?: PrintedRow['key']; readonly signal?: AbortSignal },
): AsyncGenerator<readonly PackedLeaf[]> {
  let waiting: PrintedRow[] = []
  let leaves: PackedLeaf[] = []
  for await (const batch of printer.prints(reader, table, printing, range)) {
    for (const row of batch) {
      waiting.push(row)
      if (waiting.length < LEAF_ROWS) continue
      leaves.push(packLeaf(waiting))
      waiting = []
    }
    if (leaves.length < GROUP_LEAVES) continue
    yield leaves
    leaves = []
  }
  if (waiting.length > 0) leaves.push(packLeaf(waiting))
  if (leaves.length > 0) yield leaves
}
