import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { MigrateError } from '../../base/errors.ts'
import type { Cell, KeyCells, Reader, ReadOptions, Row } from '../port.ts'
import { fullName, readableColumns, type Table } from '../schema.ts'
import type { Connections, Session } from './connection.ts'
import { ownRows } from './relation.ts'
import { rollback } from './transaction.ts'
import { decodeLine, quoteName, quoteNames, quoteText } from './values.ts'

const BATCH_ROWS = 1000
const BATCH_BYTES = 2 ** 20

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
  let whole = false
  try {
    const first = await connections.acquire()
    sessions.push(first)
    await first.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const snapshot = wanted > 1 ? await exportSnapshot(first) : undefined
    if (snapshot !== undefined) await joinSnapshot(connections, snapshot, Math.min(wanted, connections.limit - 1), sessions)
    const result = await work([readerOf(first, connections), ...sessions.slice(1).map((each) => readerOf(each, connections))])
    whole = true
    return result
  } finally {
    for (const session of sessions) {
      // After a failure or a stop the line may be dead: nobody waits for its answer.
      if (whole) await rollback(session)
      else session.destroy()
      connections.release(session)
    }
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
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await session.query(`SET TRANSACTION SNAPSHOT ${quoteText(snapshot)}`)
  }
}

function readerOf(session: Session, connections: Connections): Reader {
  let busy = false
  async function* rows(table: Table, options: ReadOptions = {}): AsyncGenerator<readonly Row[]> {
    if (busy) throw new MigrateError('fault', 'A reader was asked for two tables at once. This is a fault in migrate.')
    busy = true
    try {
      yield* readRows(session, connections, table, options)
    } finally {
      busy = false
    }
  }
  return { consistent: true, rows }
}

/** Stops at once when it is told to, whatever the server is doing. */
async function* readRows(
  session: Session,
  connections: Connections,
  table: Table,
  options: ReadOptions,
): AsyncGenerator<readonly Row[]> {
  options.signal?.throwIfAborted()
  // The server may be silent (a lock, a dead line), so stopping must not wait for its next word: the connection goes.
  const stop = (): void => session.destroy()
  options.signal?.addEventListener('abort', stop, { once: true })
  try {
    yield* copyRows(session, connections, table, options)
  } catch (error) {
    if (options.signal?.aborted === true) throw options.signal.reason
    throw error
  } finally {
    options.signal?.removeEventListener('abort', stop)
  }
}

/** A savepoint is set first, so that a copy that is given up midway leaves the snapshot standing. */
async function* copyRows(
  session: Session,
  connections: Connections,
  table: Table,
  options: ReadOptions,
): AsyncGenerator<readonly Row[]> {
  const processId = await session.processId()
  await session.query('SAVEPOINT reading')
  const sql = copySql(table, options)
  const stream = session.copyOut(sql)
  let whole = false
  try {
    yield* batches(stream, readableColumns(table).length, options.signal)
    whole = true
  } catch (error) {
    throw session.error(error, sql)
  } finally {
    if (!whole) await giveUp(session, connections, stream, processId)
    if (!session.broken) await session.query('ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading')
  }
}

/** Ends a copy that is still running: the server is told to stop, and what it had sent already is thrown away. */
async function giveUp(session: Session, connections: Connections, stream: Readable, processId: string): Promise<void> {
  if (session.broken || stream.readableEnded || stream.errored !== null) return
  // Cancelling makes the copy fail, which is what is wanted.
  stream.on('error', () => undefined)
  const helper = await connections.tryAcquire()
  if (helper !== undefined) {
    try {
      await helper.query('SELECT pg_cancel_backend($1::int)', [processId])
    } finally {
      connections.release(helper)
    }
  }
  stream.resume()
  if (!stream.closed) await once(stream, 'close').catch(() => undefined)
}

async function* batches(stream: Readable, columns: number, signal: AbortSignal | undefined): AsyncGenerator<readonly Row[]> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let rest = ''
  let batch: Row[] = []
  let bytes = 0
  // `destroyOnReturn: false`: the connection lives on when the consumer stops early.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    signal?.throwIfAborted()
    bytes += chunk.length
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      batch.push(decodeLine(line, columns))
      if (batch.length < BATCH_ROWS) continue
      yield batch
      batch = []
      bytes = 0
    }
    if (bytes < BATCH_BYTES || batch.length === 0) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

/** COPY of a table's readable columns, in key order when it has a key. */
export function copySql(table: Table, options: Pick<ReadOptions, 'after' | 'limit'>): string {
  const columns = quoteNames(readableColumns(table).map((column) => column.name))
  const parts = [`SELECT ${columns} FROM ${ownRows(table)}`]
  if (options.after !== undefined) parts.push(`WHERE ${afterKey(table, options.after)}`)
  if (table.key.length > 0) parts.push(`ORDER BY ${quoteNames(table.key)}`)
  if (options.limit !== undefined) parts.push(`LIMIT ${Math.trunc(options.limit)}`)
  return `COPY (${parts.join(' ')}) TO STDOUT`
}

function afterKey(table: Table, after: KeyCells): string {
  if (table.key.length === 0 || table.key.length !== after.length) {
    throw new MigrateError(
      'fault',
      `${fullName(table.name)} was to be read after a key that it doesn't have. This is a fault in migrate.`,
    )
  }
  const values = table.key.map((name, at) => `${constant(after[at] ?? null)}::${castOf(table, name)}`)
  return `(${quoteNames(table.key)}) > (${values.join(', ')})`
}

const constant = (cell: Cell): string => (cell === null ? 'NULL' : quoteText(cell))

/** The column's type without its length, so that a cast can neither cut off nor round. */
export function castOf(table: Table, column: string): string {
  const found = table.columns.find((each) => each.name === column)
  if (found === undefined) {
    throw new MigrateError('fault', `${fullName(table.name)} has no column ${column}. This is a fault in migrate.`)
  }
  return found.codec
}

/** `… JOIN` part that finds rows by their keys, given as one text array for each key column from parameter $1 on. */
export function keyJoin(table: Table): { readonly values: string; readonly condition: string } {
  const arrays = table.key.map((_name, at) => `$${at + 1}::text[]`).join(', ')
  const names = table.key.map((_name, at) => `k${at + 1}`).join(', ')
  const condition = table.key.map((name, at) => `t.${quoteName(name)} = k.k${at + 1}::${castOf(table, name)}`).join(' AND ')
  return { values: `unnest(${arrays}) AS k(${names})`, condition }
}

/** Keys turned around: one array for each key column. */
export const keyArrays = (table: Table, keys: readonly KeyCells[]): readonly (readonly Cell[])[] =>
  table.key.map((_name, at) => keys.map((key) => key[at] ?? null))

export async function rowsByKey(
  session: Session,
  table: Table,
  keys: readonly KeyCells[],
  lock: boolean,
): Promise<readonly Row[]> {
  if (keys.length === 0) return []
  const { values, condition } = keyJoin(table)
  const columns = readableColumns(table).map((column) => `t.${quoteName(column.name)}`)
  const order = table.key.map((name) => `t.${quoteName(name)}`).join(', ')
  const sql = `SELECT ${columns.join(', ')} FROM ${ownRows(table)} AS t JOIN ${values} ON ${condition}`
  const { rows } = await session.query(lock ? `${sql} ORDER BY ${order} FOR UPDATE OF t` : sql, keyArrays(table, keys))
  return rows
}
