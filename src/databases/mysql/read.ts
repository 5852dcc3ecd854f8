import { MigrateError } from '../../base/errors.ts'
import type { Block, KeyCells, Reader, ReadOptions, Row } from '../port.ts'
import { readableColumns, type Table } from '../schema.ts'
import { BlockCollector } from './blocks.ts'
import type { Connections } from './connection.ts'
import { chunks, keyColumns, keyCondition, keyOrder, rangeCondition, selectList, withKeys } from './keys.ts'
import { CellCollector, type Collector } from './rows.ts'
import type { Session } from './session.ts'
import { quoteName, quoteTable, rawExpression, selectExpression } from './values.ts'

/** A reader on one session, which must be in a transaction when `consistent`. */
export function readerOn(session: Session, connections: Connections, consistent: boolean): Reader {
  let isBusy = false
  async function* alone<T>(work: () => AsyncGenerator<T>): AsyncGenerator<T> {
    if (isBusy) throw new MigrateError('fault', 'A reader was asked for two tables at once. This is a fault in migrate.')
    isBusy = true
    try {
      yield* work()
    } finally {
      isBusy = false
    }
  }
  return {
    consistent,
    rows: (table, options = {}) =>
      alone<readonly Row[]>(() =>
        stream(session, connections, rowsSql(table, options), new CellCollector(readableColumns(table)), options.signal),
      ),
    blocks: (table, options = {}) => alone<Block>(() => blocks(session, connections, table, options)),
    boundary: (table, rows, after, signal) => boundary(session, connections, table, rows, after, signal),
  }
}

const limitOf = (options: Pick<ReadOptions, 'limit'>): string =>
  options.limit === undefined ? '' : ` LIMIT ${Math.trunc(options.limit)}`

/** A table's readable columns as cells, in key order when it has a key. */
export const rowsSql = (table: Table, options: Pick<ReadOptions, 'after' | 'upTo' | 'limit'>): string =>
  `SELECT ${selectList(table)} FROM ${quoteTable(table.name)}${rangeCondition(table, options)}${keyOrder(table)}${limitOf(options)}`

/** The same in the columns' own bytes. InnoDB gives rows as they lie: ordering them is only needed for a limit. */
const blocksSql = (table: Table, options: Pick<ReadOptions, 'after' | 'upTo' | 'limit'>): string => {
  const columns = readableColumns(table).map((column) => rawExpression(column, quoteName(column.name)))
  const order = options.limit === undefined ? '' : keyOrder(table)
  return `SELECT ${columns.join(', ')} FROM ${quoteTable(table.name)}${rangeCondition(table, options)}${order}${limitOf(options)}`
}

async function* blocks(session: Session, connections: Connections, table: Table, options: ReadOptions): AsyncGenerator<Block> {
  await session.query('SET SESSION character_set_results = NULL')
  try {
    yield* stream(session, connections, blocksSql(table, options), new BlockCollector(readableColumns(table)), options.signal)
  } finally {
    if (!session.broken) await session.query('SET SESSION character_set_results = utf8mb4')
  }
}

/** Stops at once when it is told to, whatever the server is doing. */
async function* stream<T>(
  session: Session,
  connections: Connections,
  sql: string,
  collector: Collector<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  signal?.throwIfAborted()
  // The server may be silent (a lock, a dead line), so stopping must not wait for its next word: the connection goes.
  const stop = (): void => session.destroy()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    for await (const batch of session.rows(sql, collector, () => giveUp(session, connections))) {
      signal?.throwIfAborted()
      yield batch
    }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    throw error
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/** Tells the server to stop a statement whose rows nobody wants any more; without a free connection, its rows are let pass. */
async function giveUp(session: Session, connections: Connections): Promise<void> {
  const helper = await connections.tryAcquire()
  if (helper === undefined) return
  try {
    // A statement that has ended meanwhile leaves nothing to stop.
    await helper.query(`KILL QUERY ${session.threadId}`).catch(() => undefined)
  } finally {
    connections.release(helper)
  }
}

async function boundary(
  session: Session,
  connections: Connections,
  table: Table,
  rows: number,
  after: KeyCells | undefined,
  signal: AbortSignal | undefined,
): Promise<KeyCells | undefined> {
  const columns = keyColumns(table)
  const list = columns.map((column) => selectExpression(column, quoteName(column.name))).join(', ')
  const where = rangeCondition(table, after === undefined ? {} : { after })
  const sql = `SELECT ${list} FROM ${quoteTable(table.name)}${where}${keyOrder(table)} LIMIT 1 OFFSET ${Math.max(0, Math.trunc(rows) - 1)}`
  for await (const [key] of stream(session, connections, sql, new CellCollector(columns), signal)) return key
  return undefined
}

/** Keys in one statement: a long list of alternatives is slow to plan. */
const KEYS_AT_ONCE = 500

/** Rows with these keys; `suffix` as it stands at the end of a SELECT (` FOR UPDATE`). */
export async function rowsByKey(session: Session, table: Table, keys: readonly KeyCells[], suffix = ''): Promise<readonly Row[]> {
  if (keys.length === 0) return []
  const columns = keyColumns(table)
  const rows: Row[] = []
  for (const chunk of chunks(keys, KEYS_AT_ONCE)) {
    const sql = `SELECT ${selectList(table)} FROM ${quoteTable(table.name)} WHERE ${keyCondition(columns, chunk)}${suffix}`
    const none = async (): Promise<void> => undefined
    for await (const batch of session.rows(sql, new CellCollector(readableColumns(table)), none))
      rows.push(...withKeys(table, batch, chunk))
  }
  return rows
}
