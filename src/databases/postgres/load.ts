import { giveBack } from '../buffers.ts'
import type { BlockLoad, Row } from '../port.ts'
import { readableColumns, type Table } from '../schema.ts'
import { BINARY_HEADER, BINARY_TRAILER, isBinary } from './binary.ts'
import type { Session } from './connection.ts'
import { ARRIVING, arrivingSql, isLargeObjects, makeArrived } from './large-objects.ts'
import { marking, ownTable } from './marks.ts'
import { inMarkedTransaction, inTransaction } from './transaction.ts'
import { withoutTriggers } from './triggers.ts'
import { encodeRows, quoteNames, quoteTable } from './values.ts'

type Mark = { readonly run: string; readonly name: string }

/** See the port. COPY writes identity values as they are given, also to GENERATED ALWAYS columns (documentation of COPY, "Notes"). */
export const load = async (session: Session, table: Table, rows: AsyncIterable<readonly Row[]>, mark: Mark): Promise<number> =>
  sum(await once(session, [{ table, mark }], async () => [await copyIn(session, table, rows)]))

/** See the port. */
export const loadBlocks = async (session: Session, table: Table, blocks: AsyncIterable<Buffer>, mark: Mark): Promise<number> =>
  sum(await once(session, [{ table, mark }], async () => [await copyBlocksIn(session, table, blocks)]))

/** See the port. */
export const loadTogether = (session: Session, loads: readonly BlockLoad[]): Promise<readonly number[]> =>
  once(session, loads, (wanted) => copyTogether(session, wanted))

type Loaded = Pick<BlockLoad, 'table' | 'mark'>

/** Has what has no mark yet copied, all in one transaction; how many rows of each that were. Triggers are asked for once. */
async function once<L extends Loaded>(
  session: Session,
  loads: readonly L[],
  copy: (wanted: readonly L[]) => Promise<readonly number[]>,
): Promise<readonly number[]> {
  const marks = await ownTable(session, 'migrate_marks')
  const names = loads.map(({ mark }) => mark)
  return await inMarkedTransaction(session, { marking: marking(marks, names), hurry: false }, async ({ rows }) => {
    const missing = new Set(rows.map(([name]) => name))
    const wanted = loads.filter(({ mark }) => missing.has(mark.name))
    if (wanted.length === 0) return loads.map(() => 0)
    const tables = wanted.map(({ table }) => table)
    const counts = await withoutTriggers(session, tables, () => copy(wanted))
    return loads.map((each) => counts[wanted.indexOf(each)] ?? 0)
  })
}

const sum = (counts: readonly number[]): number => counts.reduce((total, each) => total + each, 0)

/** So many bytes go with one question, about. */
const QUESTION_BYTES = 2 ** 20

/** Blocks of many tables, each of which is small: as few questions as possible, sent with all their rows. */
async function copyTogether(session: Session, loads: readonly BlockLoad[]): Promise<readonly number[]> {
  const counts: number[] = []
  let waiting: { readonly sql: string; readonly bytes: Buffer }[] = []
  let held = 0
  const send = async (): Promise<void> => {
    if (waiting.length > 0) counts.push(...(await session.copyAllIn(waiting)))
    waiting = []
    held = 0
  }
  for (const { table, blocks } of loads) {
    if (isLargeObjects(table)) {
      await send()
      counts.push(await copyBlocksIn(session, table, blocks))
      continue
    }
    const pieces: Buffer[] = []
    for await (const block of isBinary(table) ? framed(blocks) : blocks) {
      pieces.push(Buffer.from(block))
      giveBack(block)
    }
    const bytes = Buffer.concat(pieces)
    waiting.push({ sql: copySqlOf(table, quoteTable(table.name), isBinary(table)), bytes })
    held += bytes.length
    if (held >= QUESTION_BYTES) await send()
  }
  await send()
  return counts
}

/** See the port. It may take its time, as whatever writes. Its commit brings to disk whatever was committed before it. */
export async function analyse(session: Session, tables: readonly Table[]): Promise<void> {
  const plain = tables.filter((table) => !isLargeObjects(table))
  if (plain.length === 0) return
  const sql = `ANALYZE ${plain.map((table) => quoteTable(table.name)).join(', ')}`
  await inTransaction(session, 'write', () => session.query(sql), true)
}

/** Copies rows into a table within the open transaction; returns how many. An error of the source itself is passed on as it is. */
export const copyIn = (session: Session, table: Table, rows: AsyncIterable<readonly Row[]>): Promise<number> =>
  copyBlocksIn(session, table, encoded(rows), false)

async function* encoded(rows: AsyncIterable<readonly Row[]>): AsyncGenerator<Buffer> {
  for await (const batch of rows) if (batch.length > 0) yield encodeRows(batch)
}

async function* framed(blocks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield BINARY_HEADER
  yield* blocks
  yield BINARY_TRAILER
}

function copySqlOf(table: Table, into: string, binary: boolean): string {
  const columns = readableColumns(table).map((column) => column.name)
  return columns.length === 0
    ? `COPY ${into} FROM STDIN`
    : `COPY ${into} (${quoteNames(columns)}) FROM STDIN${binary ? ' (FORMAT binary)' : ''}`
}

async function copyBlocksIn(
  session: Session,
  table: Table,
  blocks: AsyncIterable<Buffer>,
  binary = isBinary(table),
): Promise<number> {
  const large = isLargeObjects(table)
  if (large) await session.query(arrivingSql)
  const sql = copySqlOf(table, large ? ARRIVING : quoteTable(table.name), binary)
  const copy = session.copyIn(sql)
  const source = (binary ? framed(blocks) : blocks)[Symbol.asyncIterator]()
  let failure: { readonly error: unknown } | undefined
  const next = (): Promise<IteratorResult<Buffer>> =>
    source.next().catch((error: unknown) => {
      failure = { error }
      throw error
    })
  try {
    for (let each = await copy.unlessFailed(next()); each.done !== true; each = await copy.unlessFailed(next())) {
      await copy.write(each.value)
      giveBack(each.value)
    }
    const rows = await copy.finish()
    return large ? await makeArrived(session) : rows
  } catch (error) {
    if (failure !== undefined) {
      await copy.abandon()
      throw failure.error
    }
    // The source may still wait for rows that nobody wants any more.
    source.return?.().catch(() => undefined)
    throw session.error(error, sql)
  }
}
