import { giveBack } from '../buffers.ts'
import type { Cell, KeyCells, ReadOptions, Row } from '../port.ts'
import { type Column, keyPositions, readableColumns, type Table } from '../schema.ts'
import { afterCondition, keyColumns, keyParameters, selectList, upToCondition } from './keys.ts'
import { quoteName, quoteNames, quoteTable } from './names.ts'
import { refuseOversize, unlimitedColumns } from './oversize.ts'
import type { Parameter } from './parameters.ts'
import type { Values } from './row-buffer.ts'
import type { Session } from './session.ts'
import { decoderOf, selectExpression } from './values.ts'

/** Rows of a page: the first is small, since nobody knows yet how large rows are; later ones aim at PAGE_BYTES. */
const FIRST_PAGE = 200
const LARGEST_PAGE = 5000
const PAGE_BYTES = 8 * 1024 * 1024

/** What is read of each row, and what is made of it. */
export interface Shape<T> {
  /** The select list; columns of the table are `t.[name]`. */
  readonly list: string
  /** What stands after the table, where the list needs more. */
  readonly join?: string
  of(batch: readonly Values[]): readonly T[]
  /** Cells of the key. */
  keyOf(item: T): KeyCells
  /** Bytes that it takes here, roughly. */
  sizeOf(item: T): number
}

/** Bytes that a row takes here, roughly. */
export const rowBytes = (row: Row): number => row.reduce((bytes, cell) => bytes + 2 * (cell?.length ?? 0), 16)

/** The cells of values as the driver gives them, each by its decoder; a large value's memory is freed at once. */
export const cellsFrom = (decoders: readonly ((value: unknown) => Cell)[], values: Values): Row =>
  decoders.map((decode, index) => {
    const value = values[index]
    const cell = decode(value)
    if (Buffer.isBuffer(value)) giveBack(value)
    return cell
  })

/** Whole rows of the table's readable columns. */
export function rowShape(table: Table): Shape<Row> {
  const decoders = readableColumns(table).map(decoderOf)
  const positions = keyPositions(table)
  const isBounded = unlimitedColumns(table).length === 0
  return {
    list: selectList(table, 't.'),
    of: (batch) =>
      batch.map((values) => {
        if (!isBounded) refuseOversize(table, values)
        return cellsFrom(decoders, values)
      }),
    keyOf: (row) => positions.map((position) => row[position] ?? null),
    sizeOf: rowBytes,
  }
}

/** Which ends of a range of keys a statement has as parameters: first those of `after`, then those of `upTo`. */
export interface Ends {
  readonly after: boolean
  readonly upTo: boolean
}

/** ` WHERE …` of a range of keys, with parameters from `from` on; '' for the whole table. */
export function rangeSql(columns: readonly Column[], ends: Ends, from = 0): string {
  const conditions = [
    ...(ends.after ? [afterCondition(columns, from)] : []),
    ...(ends.upTo ? [upToCondition(columns, from + (ends.after ? columns.length : 0))] : []),
  ]
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

/** The ends of a range and the parameters of its statement. */
export function rangeOf(
  table: Table,
  { after, upTo }: Pick<ReadOptions, 'after' | 'upTo'>,
): { readonly ends: Ends; readonly parameters: readonly Parameter[] } {
  const given = [after, upTo].filter((key) => key !== undefined)
  const parameters = given.length === 0 ? [] : keyParameters(keyColumns(table), given)
  return { ends: { after: after !== undefined, upTo: upTo !== undefined }, parameters }
}

const orderSql = (columns: readonly Column[]): string => ` ORDER BY ${quoteNames(columns.map((column) => column.name))}`

/** As a hint: others may read the rows, none may change them or insert one that belongs to them, until the transaction ends. */
export const LOCKED = ' WITH (UPDLOCK, ROWLOCK, HOLDLOCK)'

/** `FROM [dbo].[Orders] AS t`, with `hints` where given (` WITH (UPDLOCK)`). */
export const fromSql = (table: Table, hints = ''): string => `FROM ${quoteTable(table.name)} AS t${hints}`

/** One page of a table with a key. */
export function pageSql(
  table: Table,
  { list, join = '' }: Pick<Shape<unknown>, 'list' | 'join'>,
  rows: number,
  ends: Ends,
): string {
  const columns = keyColumns(table)
  return `SELECT TOP (${rows}) ${list} ${fromSql(table)}${join}${rangeSql(columns, ends)}${orderSql(columns)}`
}

/** The key of the `rows`th row, after a key's parameters where there is one ("SELECT - ORDER BY clause", OFFSET: since 2012). */
export function boundarySql(table: Table, rows: number, after: boolean): string {
  const columns = keyColumns(table)
  const keys = columns.map((column) => selectExpression(column, quoteName(column.name)))
  return `SELECT ${keys.join(', ')} FROM ${quoteTable(table.name)}${rangeSql(columns, { after, upTo: false })}${orderSql(columns)} OFFSET ${rows - 1} ROWS FETCH NEXT 1 ROWS ONLY`
}

/** See the port's `boundary`. */
export async function boundary(
  session: Session,
  table: Table,
  rows: number,
  after?: KeyCells,
  signal?: AbortSignal,
): Promise<KeyCells | undefined> {
  const decoders = keyColumns(table).map(decoderOf)
  const parameters = after === undefined ? [] : keyParameters(keyColumns(table), [after])
  for await (const [row] of session.stream(boundarySql(table, rows, after !== undefined), parameters, { signal, drain: true }))
    if (row !== undefined) return row.map((value, index) => decoders[index]?.(value) ?? null)
  return undefined
}

/**
 * What is read of a table with a key comes page by page, each asked for by the last key and read to its end, so that no lock outlives
 * a page while the reader waits for whoever takes the rows; of one without a key, by one statement.
 */
export const readShaped = <T>(
  session: Session,
  table: Table,
  shape: Shape<T>,
  options: ReadOptions,
): AsyncGenerator<readonly T[]> =>
  table.key.length > 0 ? pages(session, table, shape, options) : wholeTable(session, table, shape, options)

async function* pages<T>(session: Session, table: Table, shape: Shape<T>, options: ReadOptions): AsyncGenerator<readonly T[]> {
  const { signal, quietMs } = options
  let after = options.after
  let left = options.limit ?? Number.POSITIVE_INFINITY
  let page = FIRST_PAGE
  while (left > 0) {
    const asked = Math.min(page, left)
    const { ends, parameters } = rangeOf(table, { ...options, ...(after === undefined ? {} : { after }) })
    const sql = pageSql(table, shape, asked, ends)
    let got = 0
    let bytes = 0
    for await (let batch of session.stream(sql, parameters, { signal, quietMs, drain: true })) {
      let items = shape.of(batch)
      got += items.length
      bytes += items.reduce((sum, item) => sum + shape.sizeOf(item), 0)
      after = lastKey(shape, items) ?? after
      yield items
      // Nothing of a page is held while the next is read: a single row may take a good part of the memory.
      batch = []
      items = []
    }
    if (got < asked) return
    left -= got
    page = Math.max(1, Math.min(LARGEST_PAGE, Math.ceil((got * PAGE_BYTES) / Math.max(bytes, 1)), page * 4))
  }
}

const lastKey = <T>(shape: Shape<T>, items: readonly T[]): KeyCells | undefined => {
  const last = items.at(-1)
  return last === undefined ? undefined : shape.keyOf(last)
}

async function* wholeTable<T>(
  session: Session,
  table: Table,
  shape: Shape<T>,
  options: ReadOptions,
): AsyncGenerator<readonly T[]> {
  const { signal, quietMs } = options
  const top = options.limit === undefined ? '' : `TOP (${options.limit}) `
  const sql = `SELECT ${top}${shape.list} ${fromSql(table)}${shape.join ?? ''}`
  for await (const batch of session.stream(sql, [], { signal, quietMs, drain: false })) yield shape.of(batch)
}
