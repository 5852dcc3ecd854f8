import { MigrateError } from '../../base/errors.ts'
import type { Block, KeyCells, PrintedRow, Reader, ReadOptions, Row } from '../port.ts'
import { fullName, readableColumns, type Table } from '../schema.ts'
import { BlockCollector } from './blocks.ts'
import type { Connections } from './connection.ts'
import { chunks, keyColumns, keyCondition, keyOrder, limitOf, rangeCondition, selectList, withKeys } from './keys.ts'
import { DIGITS, printsOf, printsWithin, sumOf, sumsOf } from './prints.ts'
import { CellCollector } from './rows.ts'
import type { Session } from './session.ts'
import type { Standing } from './standing.ts'
import { stream, unlessTold } from './stream.ts'
import { quoteName, quoteTable, rawExpression, selectExpression } from './values.ts'

interface Snapshot {
  readonly consistent: boolean
  readonly standing: Standing
}

/** One reading at a time on a session that is in a snapshot's transaction, each of one table. */
class Readings {
  readonly #session: Session
  readonly #connections: Connections
  readonly #standing: Standing
  #isBusy = false

  constructor(session: Session, connections: Connections, standing: Standing) {
    this.#session = session
    this.#connections = connections
    this.#standing = standing
  }

  /** What `work` gives, piece by piece; `rowsOf` a piece are of the table. */
  async *streamed<T>(
    table: Table,
    { form, signal }: { readonly form: 'text' | 'bytes'; readonly signal: AbortSignal | undefined },
    work: () => AsyncGenerator<T>,
    rowsOf: (item: T) => number,
  ): AsyncGenerator<T> {
    if (this.#isBusy) throw new MigrateError('fault', 'A reader was asked for two tables at once. This is a fault in migrate.')
    this.#isBusy = true
    try {
      await this.#begins(table, signal)
      // One small table after the other is read in blocks: to and fro for each would take as many questions again.
      await this.#session.resultsAs(form)
      for await (const item of work()) {
        this.#standing.came(table, rowsOf(item))
        yield item
      }
      await this.#standing.release()
    } catch (error) {
      throw this.#standing.refusal(error, table)
    } finally {
      this.#isBusy = false
    }
  }

  async asked<T>(
    table: Table,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    rowsOf: (result: T) => number,
  ): Promise<T> {
    try {
      await this.#begins(table, signal)
      await this.#session.resultsAs('text')
      const result = await work()
      this.#standing.came(table, rowsOf(result))
      await this.#standing.release()
      return result
    } catch (error) {
      throw this.#standing.refusal(error, table)
    }
  }

  /** Waits where somebody has the table locked. */
  #begins(table: Table, signal: AbortSignal | undefined): Promise<void> {
    return unlessTold(this.#session, this.#connections, signal, () => this.#standing.reads(table))
  }
}

/** A reader on one session, which is in a snapshot's transaction. Whoever gives the session back sets `resultsAs('text')`. */
export function readerOn(session: Session, connections: Connections, { consistent, standing }: Snapshot): Reader {
  const readings = new Readings(session, connections, standing)
  const long = (batch: readonly unknown[]): number => batch.length
  return {
    consistent,
    rows: (table, options = {}) => {
      const collector = () => new CellCollector(readableColumns(table), table)
      return readings.streamed<readonly Row[]>(
        table,
        { form: 'text', signal: options.signal },
        () => stream(session, connections, rowsSql(table, options), collector(), options),
        long,
      )
    },
    blocks: (table, options = {}) =>
      readings.streamed<Block>(
        table,
        { form: 'bytes', signal: options.signal },
        () => blocks(session, connections, table, options),
        ({ rows }) => rows,
      ),
    boundary: (table, rows, after, signal) =>
      readings.asked(
        table,
        signal,
        () => boundary(session, connections, table, rows, after, signal),
        (key) => (key === undefined ? 0 : 1),
      ),
    count: (table, signal) =>
      readings.asked(
        table,
        signal,
        () => countRows(session, connections, table, signal),
        (rows) => rows,
      ),
    sum: (table, printing, range = {}) =>
      readings.asked(
        table,
        range.signal,
        () => sumOf(session, connections, table, printing, range),
        (sum) => sum.rows,
      ),
    sums: (table, printing, ranges, signal) =>
      readings.asked(
        table,
        signal,
        () => sumsOf(session, connections, table, printing, ranges, signal),
        (sums) => sums.reduce((rows, sum) => rows + sum.rows, 0),
      ),
    prints: (table, printing, options = {}) =>
      readings.streamed<readonly PrintedRow[]>(
        table,
        { form: 'text', signal: options.signal },
        () => printsOf(session, connections, table, printing, options),
        long,
      ),
    printsWithin: (table, printing, ranges, signal) =>
      readings.streamed<readonly PrintedRow[]>(
        table,
        { form: 'text', signal },
        () => printsWithin(session, connections, table, printing, ranges, signal),
        long,
      ),
    note: (tables) => standing.note(tables),
    settle: () => standing.settle(),
  }
}

/** A table's readable columns as cells, in key order when it has a key. */
export const rowsSql = (table: Table, options: Pick<ReadOptions, 'after' | 'upTo' | 'limit'>): string =>
  `SELECT ${selectList(table)} FROM ${quoteTable(table.name)}${rangeCondition(table, options)}${keyOrder(table)}${limitOf(options)}`

/** The same in the columns' own bytes. InnoDB gives rows as they lie: ordering them is only needed for a limit. */
const blocksSql = (table: Table, options: Pick<ReadOptions, 'after' | 'upTo' | 'limit'>): string => {
  const columns = readableColumns(table).map((column) => rawExpression(column, quoteName(column.name)))
  const order = options.limit === undefined ? '' : keyOrder(table)
  return `SELECT ${columns.join(', ')} FROM ${quoteTable(table.name)}${rangeCondition(table, options)}${order}${limitOf(options)}`
}

const blocks = (session: Session, connections: Connections, table: Table, options: ReadOptions): AsyncGenerator<Block> =>
  stream(session, connections, blocksSql(table, options), new BlockCollector(readableColumns(table)), options)

/** InnoDB has no number of its rows at hand: it goes through the shortest of a table's indexes ("Aggregate Function Descriptions", COUNT). */
async function countRows(
  session: Session,
  connections: Connections,
  table: Table,
  signal: AbortSignal | undefined,
): Promise<number> {
  const sql = `SELECT COUNT(*) FROM ${quoteTable(table.name)}`
  const found = stream(session, connections, sql, new CellCollector([DIGITS]), signal ? { signal } : {})
  for await (const [row] of found) return Number(row?.[0])
  throw new MigrateError('fault', `The ${session.label} didn't tell how many rows ${fullName(table.name)} has.`)
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
  const found = stream(session, connections, session.timed(sql), new CellCollector(columns), signal ? { signal } : {})
  for await (const [key] of found) return key
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
    const question = suffix === '' ? session.timed(sql) : sql
    for await (const batch of session.rows(question, new CellCollector(readableColumns(table), table), none))
      rows.push(...withKeys(table, batch, chunk))
  }
  return rows
}
