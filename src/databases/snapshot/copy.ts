import { type Clock, isoTime } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'
import { inTurns } from '../../base/turns.ts'
import type { Database, KeyCells, Reader, ReadOptions, Row } from '../port.ts'
import { fullName, keyPositions, type Schema, type Table } from '../schema.ts'
import { type Manifest, type Part, rowsOf } from './manifest.ts'
import { anyOrder, childrenFirst } from './order.ts'
import type { Throttle } from './pace.ts'
import type { Chunk } from './part.ts'
import type { Saving } from './part-files.ts'
import type { KeyRange } from './ranges.ts'
import { chunkOfRows, ROWS_FORMAT } from './rows-format.ts'
import type { SnapshotStore } from './store.ts'
import { type Task, Work, workRules } from './work.ts'

export interface CopyOptions {
  readonly database: Database
  readonly store: SnapshotStore
  readonly schema: Schema
  /** The tables whose rows are copied, the largest first. */
  readonly tables: readonly Table[]
  /** Estimates. */
  readonly size: (table: Table) => { readonly rows: number; readonly bytes: number }
  /** Readers side by side. */
  readonly connections: number
  /** Blocks in this format are wanted, where the database has them; rows otherwise. */
  readonly blockFormat: string | undefined
  /** Slows the readers down; none when absent. */
  readonly throttle?: Throttle | undefined
  /** A query that gives no row for so long is cancelled, and asked again for fewer rows. */
  readonly quietMs: number
  readonly signal: AbortSignal
  readonly clock: Clock
  /** Called as rows reach the disk: rows of whole ranges so far, of all tables. */
  readonly onRows: (rows: number, table: Table) => void
}

/**
 * Reads the rows of the tables that aren't whole in the store yet: of a table with a key, the ranges that are missing; one without
 * begins again. Ends with the first error after every reader has stopped.
 */
export async function copyTables(options: CopyOptions): Promise<void> {
  const { store, schema, signal, size } = options
  const manifest = await store.manifest()
  const waiting = options.tables.filter((table) => !isWhole(manifest, table))
  let rows = options.tables.reduce((sum, table) => sum + rowsOf(manifest, fullName(table.name)), 0)
  if (waiting.length === 0) return
  const stop = new AbortController()
  // Only what is large is worth more than one connection.
  const most = waiting.some((table) => size(table).bytes > SHARED_BYTES) ? options.connections : waiting.length
  await options.database.read(Math.min(options.connections, most), async (readers) => {
    const consistent = readers.every((reader) => reader.consistent)
    await store.session(consistent, isoTime(options.clock.now()))
    await readers[0].note?.(waiting)
    const schedule = consistent ? anyOrder(waiting) : childrenFirst(waiting, schema.foreignKeys)
    const work = new Work({ manifest, schedule, size, readers: readers.length, rules: workRules(consistent) })
    const copy: Copy = {
      ...options,
      signal: AbortSignal.any([signal, stop.signal]),
      work,
      inTurn: inTurns(),
      saved: (table, parts) => {
        rows += parts.reduce((sum, part) => sum + part.rows, 0)
        options.onRows(rows, table)
      },
    }
    const reading = readers.map((reader) =>
      readTasks(copy, reader).catch((error: unknown) => {
        stop.abort(error)
        throw error
      }),
    )
    // Every reader must have let go of its connection before the error is passed on.
    const ends = await Promise.allSettled(reading)
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw stop.signal.reason ?? failed.reason
  })
}

const SHARED_BYTES = 2 ** 20

interface Copy extends CopyOptions {
  readonly work: Work
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
  readonly saved: (table: Table, parts: readonly Part[]) => void
}

const isWhole = (manifest: Manifest, table: Table): boolean => manifest.tables.get(fullName(table.name))?.whole === true

async function readTasks(copy: Copy, reader: Reader): Promise<void> {
  for (;;) {
    const task = await copy.work.next(reader, copy.signal)
    if (task === undefined) return
    if (task.kind === 'tables') {
      const last = task.tables.at(-1)
      await copy.store.saveTogether(
        task.tables.map((table) =>
          savingOf(copy, reader, { table, range: WHOLE, cuts: [], asked: null, settles: table === last }),
        ),
      )
    } else {
      const saving = savingOf(copy, reader, { ...task, settles: true })
      // Rows come by key, so a table that this reader has to itself can be gone on with after any part, where none is proven later.
      const goesOn = task.alone && saving.format === ROWS_FORMAT && task.table.key.length > 0 && reader.settle === undefined
      const save = (): Promise<void> => copy.store.save(saving, goesOn)
      await (hasHugeRows(copy.size(task.table)) ? copy.inTurn(save) : save())
    }
    copy.work.finished(task)
  }
}

/** Bytes of a row, on average, from which on rows are read one at a time: each takes several times as much memory. */
const HUGE_ROW_BYTES = 8 * 2 ** 20
const hasHugeRows = ({ rows, bytes }: { readonly rows: number; readonly bytes: number }): boolean =>
  rows > 0 && bytes / rows > HUGE_ROW_BYTES

const WHOLE: KeyRange = { at: 0, after: null, upTo: null }

interface Wanted extends Pick<Extract<Task, { kind: 'range' }>, 'table' | 'range' | 'cuts' | 'asked'> {
  /** True for what is read last of that which is on record together. */
  readonly settles: boolean
}

function savingOf(copy: Copy, reader: Reader, wanted: Wanted): Saving {
  const { table, range } = wanted
  const ordinal = copy.schema.tables.indexOf(table) + 1
  if (ordinal === 0)
    throw new MigrateError('fault', `Table ${fullName(table.name)} isn't of the schema. This is a fault in migrate.`)
  const { blockFormat } = copy.database
  const inBlocks = blockFormat !== undefined && blockFormat === copy.blockFormat && reader.blocks !== undefined
  const format = inBlocks ? blockFormat : ROWS_FORMAT
  const chunks = queries(copy, reader, wanted, inBlocks)
  return { table, ordinal, range, format, chunks, onRange: (parts) => copy.saved(table, parts) }
}

/** The rows of a range, by one query after the other. */
async function* queries(copy: Copy, reader: Reader, wanted: Wanted, inBlocks: boolean): AsyncGenerator<Chunk> {
  const { table, range, cuts, asked, settles } = wanted
  let after = range.after
  for (const upTo of [...cuts, range.upTo]) {
    yield* query({ copy, reader, table, inBlocks }, after, upTo, asked)
    after = upTo
  }
  if (settles) await reader.settle?.()
}

interface Asking {
  readonly copy: Copy
  readonly reader: Reader
  readonly table: Table
  readonly inBlocks: boolean
}

/** One query, when the throttle lets it; in smaller ones when the server is silent for too long. */
async function* query(
  asking: Asking,
  after: KeyCells | null,
  upTo: KeyCells | null,
  asked: number | null,
): AsyncGenerator<Chunk> {
  const { copy, table } = asking
  let [rows, bytes] = [0, 0]
  await copy.throttle?.enter(copy.signal)
  const begun = copy.clock.monotonic()
  let tooSlow: MigrateError | undefined
  try {
    for await (const chunk of chunksOf(asking, optionsFor(copy, after, upTo))) {
      rows += chunk.rows
      bytes += chunk.bytes.length
      yield chunk
    }
  } catch (error) {
    // Rows that came already can't be taken back: only a query that gave none is asked again.
    if (!(error instanceof MigrateError) || error.code !== 'database-too-slow' || rows > 0) throw error
    tooSlow = error
  } finally {
    copy.throttle?.leave()
  }
  copy.work.measured(table, asked, { rows, bytes, ms: copy.clock.monotonic() - begun })
  if (tooSlow === undefined) return
  const fewer = asked === null ? 0 : Math.floor(asked / 4)
  const middle = fewer < 1 ? undefined : await within(asking, fewer, after, upTo)
  if (middle === undefined) throw tooSlow
  yield* query(asking, after, middle, fewer)
  yield* query(asking, middle, upTo, asked)
}

/** A key that splits a range; `undefined` where none is known: rows may have gone since the range was bounded. */
async function within(
  { copy, reader, table }: Asking,
  rows: number,
  after: KeyCells | null,
  upTo: KeyCells | null,
): Promise<KeyCells | undefined> {
  const middle = await reader.boundary?.(table, rows, after ?? undefined, copy.signal)
  if (middle === undefined || upTo === null) return middle
  for await (const batch of reader.rows(table, { ...optionsFor(copy, middle, upTo), limit: 1 }))
    if (batch.length > 0) return middle
  return undefined
}

const optionsFor = ({ signal, quietMs }: Copy, after: KeyCells | null, upTo: KeyCells | null): ReadOptions => ({
  signal,
  quietMs,
  ...(after === null ? {} : { after }),
  ...(upTo === null ? {} : { upTo }),
})

async function* chunksOf({ reader, table, inBlocks }: Asking, options: ReadOptions): AsyncGenerator<Chunk> {
  if (inBlocks && reader.blocks !== undefined) {
    for await (const block of reader.blocks(table, options)) yield { ...block, lastKey: null }
    return
  }
  const positions = table.key.length === 0 ? null : keyPositions(table)
  const batches = reader.rows(table, options)[Symbol.asyncIterator]()
  try {
    for (let chunk = await nextChunk(batches, positions); chunk !== undefined; chunk = await nextChunk(batches, positions))
      yield chunk
  } finally {
    await batches.return?.()
  }
}

/** In a function of its own, so that no batch is held here while the next is read: a single row may take a good part of the memory. */
async function nextChunk(
  batches: AsyncIterator<readonly Row[]>,
  positions: readonly number[] | null,
): Promise<Chunk | undefined> {
  for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
    const last = next.value.at(-1)
    if (last !== undefined) return chunkOfRows(next.value, positions?.map((at) => last[at] ?? null) ?? null)
  }
  return undefined
}
