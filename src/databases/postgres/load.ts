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
  sum(await once(session, [{ table, mark, copy: () => copyIn(session, table, rows) }]))

/** See the port. */
export const loadBlocks = async (session: Session, table: Table, blocks: AsyncIterable<Buffer>, mark: Mark): Promise<number> =>
  sum(await once(session, [{ table, mark, copy: () => copyBlocksIn(session, table, blocks) }]))

/** See the port. */
export const loadTogether = (session: Session, loads: readonly BlockLoad[]): Promise<readonly number[]> =>
  once(
    session,
    loads.map(({ table, blocks, mark }) => ({ table, mark, copy: () => copyBlocksIn(session, table, blocks) })),
  )

interface Copying {
  readonly table: Table
  readonly mark: Mark
  readonly copy: () => Promise<number>
}

/** Copies what has no mark yet, all in one transaction. Triggers are asked for once. */
async function once(session: Session, copies: readonly Copying[]): Promise<readonly number[]> {
  const marks = await ownTable(session, 'migrate_marks')
  const names = copies.map(({ mark }) => mark)
  return await inMarkedTransaction(session, { marking: marking(marks, names), hurry: false }, async ({ rows }) => {
    const missing = new Set(rows.map(([name]) => name))
    const wanted = copies.filter(({ mark }) => missing.has(mark.name))
    return await withoutTriggers(
      session,
      wanted.map(({ table }) => table),
      async () => {
        const counts: number[] = []
        for (const each of copies) counts.push(missing.has(each.mark.name) ? await each.copy() : 0)
        return counts
      },
    )
  })
}

const sum = (counts: readonly number[]): number => counts.reduce((total, each) => total + each, 0)

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

async function copyBlocksIn(
  session: Session,
  table: Table,
  blocks: AsyncIterable<Buffer>,
  binary = isBinary(table),
): Promise<number> {
  const columns = readableColumns(table).map((column) => column.name)
  const large = isLargeObjects(table)
  if (large) await session.query(arrivingSql)
  const into = large ? ARRIVING : quoteTable(table.name)
  const sql = `COPY ${into} (${quoteNames(columns)}) FROM STDIN${binary ? ' (FORMAT binary)' : ''}`
  const copy = session.copyIn(columns.length === 0 ? `COPY ${into} FROM STDIN` : sql)
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
