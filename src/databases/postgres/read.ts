import { codeOf, MigrateError } from '../../base/errors.ts'
import { stoppable } from '../../base/stop.ts'
import { LENT_BYTES } from '../buffers.ts'
import type { Block, PrintedRow, Printing, RangeSum, Reader, ReadOptions, Row } from '../port.ts'
import { fullName, readableColumns, type Table } from '../schema.ts'
import { isBinary, rowsOfBinary } from './binary.ts'
import type { Connections, Session } from './connection.ts'
import { copyBlocks, type Form } from './copy-blocks.ts'
import { copyOf, copySql } from './copy-sql.ts'
import { boundarySql } from './keys.ts'
import { MOST_ROW_BYTES, oversizeError } from './oversize.ts'
import { packed, packedPrintsSql } from './packed-prints.ts'
import {
  printedRow,
  printsSql,
  printsWithinSql,
  printWidth,
  rangeSum,
  SUM_COLUMNS,
  SUMS_COLUMNS,
  sumSql,
  sumsSql,
} from './prints.ts'
import { FILES_SQL, type Files, filesOf, holdSql } from './rewritten.ts'
import { stampsSql } from './stamp.ts'
import { rollback } from './transaction.ts'
import { decodeLine, quoteText } from './values.ts'

const BATCH_ROWS = 1000
/** Of blocks that are taken apart here, and of those that are handed on. */
const ROWS_BYTES = 256 * 1024
const BLOCKS_BYTES = LENT_BYTES

const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'
/** See Names (connection.ts). Stands after whatever must come first in a transaction. */
const SHOP_NAMES = 'SET LOCAL search_path TO DEFAULT'
const ROWS: Form = { blockBytes: ROWS_BYTES, binary: false }

/**
 * Readers of one instant: each connection is in a REPEATABLE READ transaction on the same snapshot (PostgreSQL documentation,
 * "Snapshot Synchronization Functions"). Where the snapshot can't be shared (a standby), one reader does it all.
 */
export async function readTogether<T>(
  connections: Connections,
  wanted: number,
  work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>,
): Promise<T> {
  const sessions: Session[] = []
  const line = {
    interrupt: () => {
      for (const session of sessions) session.interrupt()
    },
    destroy: () => {
      for (const session of sessions) session.destroy()
    },
  }
  return await stoppable(line, () => readOn(connections, sessions, wanted, work))
}

/** Whatever happens, every session that it took stands in `sessions` and is given back at the end. */
async function readOn<T>(
  connections: Connections,
  sessions: Session[],
  wanted: number,
  work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>,
): Promise<T> {
  let whole = false
  try {
    const first = await connections.acquire()
    sessions.push(first)
    const files = filesOf(await first.query(`${BEGIN}; ${SHOP_NAMES}; ${FILES_SQL}`))
    const snapshot = wanted > 1 ? await exportSnapshot(first) : undefined
    if (snapshot !== undefined) await joinSnapshot(connections, snapshot, Math.min(wanted, connections.limit - 1), sessions)
    const reader = (session: Session): Reader => readerOf(session, files)
    const result = await work([reader(first), ...sessions.slice(1).map(reader)])
    whole = true
    return result
  } finally {
    for (const session of sessions) {
      if (whole) await rollback(session)
      else {
        // One notices that nobody is there any more only when it has something to send.
        if (session.isAnswering) session.interrupt()
        // After a failure or a stop the line may be dead: nobody waits for its answer.
        session.destroy()
      }
      connections.release(session)
    }
    await Promise.all(sessions.map((session) => session.told()))
  }
}

async function exportSnapshot(session: Session): Promise<string | undefined> {
  const { rows } = await session.query('SELECT pg_is_in_recovery()::text')
  if (rows[0]?.[0] === 'true') return undefined
  const exported = await session.query('SELECT pg_export_snapshot()')
  return exported.rows[0]?.[0] ?? undefined
}

/** Takes further connections as far as they are free: one is always left for other questions. */
async function joinSnapshot(connections: Connections, snapshot: string, wanted: number, sessions: Session[]): Promise<void> {
  while (sessions.length < wanted) {
    const session = await connections.tryAcquire()
    if (session === undefined) return
    sessions.push(session)
    await session.query(BEGIN)
    await session.query(`SET TRANSACTION SNAPSHOT ${quoteText(snapshot)}; ${SHOP_NAMES}`)
  }
}

type Blocks = AsyncGenerator<Block>

function readerOf(session: Session, files: Files): Reader {
  let busy = false
  const take = (): void => {
    if (busy) throw new MigrateError('fault', 'A reader was asked for two tables at once. This is a fault in migrate.')
    busy = true
  }
  /** The blocks of COPY with this statement. */
  async function* copied(table: Table, sql: string, options: ReadOptions, form: Form, before = holdSql(table, files)): Blocks {
    options.signal?.throwIfAborted()
    take()
    const stop = stopper(session, options.signal)
    try {
      yield* copyBlocks(session, { table, sql, before }, options, form)
    } catch (error) {
      throw stop.reasonOr(error)
    } finally {
      stop.end()
      busy = false
    }
  }
  async function* printed(
    table: Table,
    printing: Printing,
    sql: string,
    options: ReadOptions,
  ): AsyncGenerator<readonly PrintedRow[]> {
    const blocks = copied(table, copyOf(sql), options, ROWS)
    for await (const batch of rowBatches(blocks, table, printWidth(table, printing), options.signal))
      yield batch.map((cells) => printedRow(table, printing, cells))
  }
  const summed = async (table: Table, sql: string, options: ReadOptions): Promise<RangeSum> => {
    const blocks = copied(table, copyOf(sql), options, ROWS)
    for await (const [row] of rowBatches(blocks, table, SUM_COLUMNS, options.signal)) if (row !== undefined) return rangeSum(row)
    return noChecksum(session, table)
  }
  return {
    consistent: true,
    rows: (table, options = {}) => {
      const blocks = copied(table, copySql(table, { ...options, ordered: true }), options, ROWS)
      return rowBatches(blocks, table, readableColumns(table).length, options.signal)
    },
    blocks: (table, options = {}) => {
      const binary = isBinary(table)
      const sql = copySql(table, { ...options, ordered: false, binary })
      return copied(table, sql, options, { blockBytes: BLOCKS_BYTES, binary })
    },
    sum: (table, printing, range = {}) => summed(table, sumSql(table, printing, range), range),
    stamps: (tables, signal) => stamped({ session, copied, files }, tables, signal ? { signal } : {}),
    sums: async (table, printing, ranges, signal) => {
      if (ranges.length === 0) return []
      const options = signal ? { signal } : {}
      const blocks = copied(table, copyOf(sumsSql(table, printing, ranges)), options, ROWS)
      const sums = await placed(rowBatches(blocks, table, SUMS_COLUMNS, signal))
      return ranges.map((_, at) => sums.get(at) ?? noChecksum(session, table))
    },
    prints: (table, printing, options = {}) => printed(table, printing, printsSql(table, printing, options), options),
    packedPrints: (table, printing, rows, options = {}) => {
      const sql = `${copyOf(packedPrintsSql(table, printing, options))} (FORMAT binary)`
      return packed(copied(table, sql, options, { blockBytes: BLOCKS_BYTES, binary: true }), table, rows)
    },
    printsWithin: (table, printing, ranges, signal) =>
      printed(table, printing, printsWithinSql(table, printing, ranges), signal ? { signal } : {}),
    boundary: async (table, rows, after, signal) => {
      signal?.throwIfAborted()
      take()
      const stop = stopper(session, signal)
      try {
        return (await session.query(boundarySql(table, rows, after))).rows[0]
      } catch (error) {
        throw stop.reasonOr(error)
      } finally {
        stop.end()
        busy = false
      }
    },
  }
}

interface Stamping {
  readonly session: Session
  readonly files: Files
  readonly copied: (table: Table, sql: string, options: ReadOptions, form: Form, before: string) => Blocks
}

/** See the port. Where a table was rewritten, each is asked for by itself, which tells which of them it is. */
async function stamped(by: Stamping, tables: readonly Table[], options: ReadOptions): Promise<readonly RangeSum[]> {
  const { session, copied, files } = by
  const [first, ...more] = tables
  if (first === undefined) return []
  try {
    const before = tables.map((table) => holdSql(table, files)).join('; ')
    const blocks = copied(first, copyOf(stampsSql(tables)), options, ROWS, before)
    const sums = await placed(rowBatches(blocks, first, SUMS_COLUMNS, options.signal))
    return tables.map((table, at) => sums.get(at) ?? noChecksum(session, table))
  } catch (error) {
    if (codeOf(error) === 'table-rewritten' && more.length > 0) for (const table of tables) await stamped(by, [table], options)
    throw error
  }
}

/** Checksums by their places, which stand before them. */
async function placed(batches: AsyncIterable<readonly Row[]>): Promise<ReadonlyMap<number, RangeSum>> {
  const sums = new Map<number, RangeSum>()
  for await (const batch of batches) for (const [place, ...sum] of batch) sums.set(Number(place), rangeSum(sum))
  return sums
}

function noChecksum({ label }: Session, { name }: Table): never {
  throw new MigrateError('fault', `The ${label} gave no checksum of ${fullName(name)}.`)
}

/**
 * Stops at once when the signal says so, whatever the server is doing: it may be silent (a lock, a dead line), so stopping must not
 * wait for its next word. The connection goes. The server is told as well: it would notice only when it has something to send,
 * which a checksum hasn't for as long as it takes.
 */
function stopper(session: Session, signal: AbortSignal | undefined) {
  const stop = (): void => {
    session.interrupt()
    session.destroy()
  }
  signal?.addEventListener('abort', stop, { once: true })
  return {
    reasonOr: (error: unknown): unknown => (signal?.aborted === true ? signal.reason : error),
    end: () => signal?.removeEventListener('abort', stop),
  }
}

/** See the port: a block's rows, which are lines of COPY's text where they aren't binary. */
export function rowsOfBlock(table: Table, bytes: Buffer): readonly Row[] {
  if (isBinary(table)) return rowsOfBinary(table, bytes)
  const columns = readableColumns(table).length
  const lines = DECODER.decode(bytes).split('\n')
  // Each line ends with a line end.
  lines.pop()
  return lines.map((line) => decodeLine(line, columns))
}

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

async function* rowBatches(
  blocks: AsyncIterable<Block>,
  table: Table,
  columns: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Row[]> {
  for await (const { bytes } of blocks) {
    if (bytes.length > MOST_ROW_BYTES) throw oversizeError(table, bytes)
    const lines = DECODER.decode(bytes).split('\n')
    // Each line ends with a line end.
    lines.pop()
    for (let from = 0; from < lines.length; from += BATCH_ROWS) {
      signal?.throwIfAborted()
      yield lines.slice(from, from + BATCH_ROWS).map((line) => decodeLine(line, columns))
    }
  }
}
