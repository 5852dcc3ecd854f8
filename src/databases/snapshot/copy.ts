import { MigrateError } from '../../base/errors.ts'
import type { Database, Reader, ReadOptions } from '../port.ts'
import { fullName, type Schema, type Table } from '../schema.ts'
import { type Manifest, partsOf } from './manifest.ts'
import { anyOrder, childrenFirst, type Schedule } from './order.ts'
import type { SnapshotStore } from './store.ts'

export interface CopyOptions {
  readonly database: Database
  readonly store: SnapshotStore
  readonly schema: Schema
  /** The tables whose rows are copied, the largest first. */
  readonly tables: readonly Table[]
  /** Readers side by side. */
  readonly connections: number
  readonly signal: AbortSignal
  /** The time now, ISO 8601. */
  readonly now: () => string
  /** Called as rows reach the disk: rows of whole parts so far, of all tables. */
  readonly onRows: (rows: number, table: Table) => void
}

/**
 * Reads the rows of the tables that aren't whole in the store yet. A table with a key goes on after its last whole part; one without
 * begins again. Ends with the first error after every reader has stopped.
 */
export async function copyTables(options: CopyOptions): Promise<void> {
  const { store, schema, signal } = options
  const before = await store.manifest()
  const waiting = options.tables.filter((table) => !isWhole(before, table))
  let rows = options.tables.reduce((sum, table) => sum + keptRows(before, table), 0)
  if (waiting.length === 0) return
  const stop = new AbortController()
  const copy = { ...options, before, signal: AbortSignal.any([signal, stop.signal]) }
  const onRows = (more: number, table: Table): void => {
    rows += more
    options.onRows(rows, table)
  }
  await options.database.read(Math.min(options.connections, waiting.length), async (readers) => {
    const consistent = readers.every((reader) => reader.consistent)
    await store.session(consistent, options.now())
    const schedule = consistent ? anyOrder(waiting) : childrenFirst(waiting, schema.foreignKeys)
    const work = readers.map((reader) =>
      readTables(copy, reader, schedule, onRows).catch((error: unknown) => {
        stop.abort(error)
        throw error
      }),
    )
    // Every reader must have let go of its connection before the error is passed on.
    const ends = await Promise.allSettled(work)
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw stop.signal.reason ?? failed.reason
  })
}

type Copy = CopyOptions & { readonly before: Manifest }

async function readTables(
  copy: Copy,
  reader: Reader,
  schedule: Schedule,
  onRows: (rows: number, table: Table) => void,
): Promise<void> {
  for (let table = await schedule.next(); table !== undefined; table = await schedule.next()) {
    try {
      copy.signal.throwIfAborted()
      await readTable(copy, reader, table, onRows)
    } finally {
      schedule.finished(table)
    }
  }
}

async function readTable(copy: Copy, reader: Reader, table: Table, onRows: (rows: number, table: Table) => void): Promise<void> {
  const { store, before, signal } = copy
  const all = partsOf(before, fullName(table.name))
  const kept = table.key.length > 0 ? all : []
  if (all.length > 0 && kept.length === 0) await store.restart(table)
  const after = kept.at(-1)?.lastKey
  const options: ReadOptions = after === undefined || after === null ? { signal } : { signal, after }
  const ordinal = copy.schema.tables.indexOf(table) + 1
  if (ordinal === 0)
    throw new MigrateError('fault', `Table ${fullName(table.name)} isn't of the schema. This is a fault in migrate.`)
  await store.save(table, ordinal, kept, reader.rows(table, options), (part) => onRows(part.rows, table))
}

const isWhole = (manifest: Manifest, table: Table): boolean => manifest.tables.get(fullName(table.name))?.whole === true

const keptRows = (manifest: Manifest, table: Table): number =>
  isWhole(manifest, table) || table.key.length > 0
    ? partsOf(manifest, fullName(table.name)).reduce((sum, part) => sum + part.rows, 0)
    : 0
