import { giveBack } from '../buffers.ts'
import type { Block, KeyCells, ReadOptions, Row } from '../port.ts'
import { type Column, keyPositions, readableColumns, type Table } from '../schema.ts'
import { endBlock, largeBlock, pieceBlock, rawBlock, rowsBlock } from './blocks.ts'
import { keyColumns, keyCondition, keyParameters } from './keys.ts'
import { quoteName, quoteTable } from './names.ts'
import { MOST_KEYLESS_BYTES, refuseKeyless, sentBytes, unlimitedColumns } from './oversize.ts'
import { cellsFrom, fromSql, pageSql, rangeOf, readShaped, rowBytes, rowShape, type Shape } from './paging.ts'
import { cellsAt } from './raw-cells.ts'
import { travelsRaw } from './raw-tables.ts'
import type { Session } from './session.ts'
import { decoderOf, selectExpression, wireOf } from './values.ts'

/** A row whose values of unlimited length are more bytes than this is read by itself, in pieces. */
const LARGE_BYTES = 2 ** 20
/** Bytes or characters of a piece: half a MiB as it is sent. */
const PIECE_BYTES = 512 * 1024
const PIECE_CHARACTERS = PIECE_BYTES / 2

interface Clipped {
  readonly row: Row
  /** Bytes of its values of unlimited length, which are left out of the row: `null` where it is whole. */
  readonly leftOut: string | null
}

/**
 * Rows without their values of unlimited length where these are more than `most` bytes together. What they are is asked once for a row;
 * DATALENGTH of a value kept outside its row doesn't read it.
 */
export function clippedShape(table: Table, most: number): Shape<Clipped> {
  const columns = readableColumns(table)
  const decoders = columns.map(decoderOf)
  const positions = keyPositions(table)
  return {
    ...clippedList(
      table,
      most,
      columns.map((column) => selectExpression(column, `t.${quoteName(column.name)}`)),
    ),
    of: (batch) =>
      batch.map((values) => ({
        row: cellsFrom(decoders, values),
        leftOut: values[columns.length] == null ? null : String(values[columns.length]),
      })),
    keyOf: ({ row }) => positions.map((position) => row[position] ?? null),
    sizeOf: ({ row }) => rowBytes(row),
  }
}

/** `expressions`: what is read of each column. */
function clippedList(
  table: Table,
  most: number,
  expressions: readonly string[],
): { readonly list: string; readonly join: string } {
  const columns = readableColumns(table)
  const unlimited = unlimitedColumns(table)
  const isTooMuch = `s.migrate_bytes > ${most}`
  const list = expressions.map((expression, index) => {
    const column = columns[index]
    return column !== undefined && unlimited.includes(column)
      ? `CASE WHEN ${isTooMuch} THEN NULL ELSE ${expression} END`
      : expression
  })
  const bytes = unlimited.map((column) => `ISNULL(${sentBytes(column, `t.${quoteName(column.name)}`)}, 0)`).join(' + ')
  return {
    list: `${list.join(', ')}, CASE WHEN ${isTooMuch} THEN s.migrate_bytes END`,
    join: ` CROSS APPLY (SELECT ${bytes} AS migrate_bytes) AS s`,
  }
}

/** The same where no column is of unlimited length. */
function wholeShape(table: Table): Shape<Clipped> {
  const { list, of, keyOf, sizeOf } = rowShape(table)
  return {
    list,
    of: (batch) => of(batch).map((row) => ({ row, leftOut: null })),
    keyOf: ({ row }) => keyOf(row),
    sizeOf: ({ row }) => sizeOf(row),
  }
}

/** Rows of the first page of a table that is read from its beginning: most tables have no more, and are quicker read as cells. */
const FIRST_ROWS = 200
/** Rows of the next pages: the first of them is small, since nobody knows yet how large rows are; later ones aim at PAGE_BYTES. */
const SMALL_PAGE = 1000
const LARGEST_PAGE = 20_000
const PAGE_BYTES = 4 * 2 ** 20

/** Rows of a table's next page, by its name, as the pages before it were measured: a large table is read in many ranges. */
export type Pages = Map<string, number>

/** See the port. Memory doesn't grow with the rows: those that are large come in pieces, after the others. */
export async function* readBlocks(
  session: Session,
  table: Table,
  options: ReadOptions,
  pages: Pages = new Map(),
): AsyncGenerator<Block> {
  const reading = new Reading(session, table)
  const hasKey = table.key.length > 0
  // A row without a key may be large, and comes whole.
  if (!travelsRaw(table) || (!hasKey && unlimitedColumns(table).length > 0)) yield* reading.cells(options)
  else if (!hasKey) yield* reading.raw(options, undefined)
  else yield* rawPages(reading, options, pages)
  for (const key of reading.large) yield* largeRow(session, table, key, options.signal)
}

async function* rawPages(reading: Reading, options: ReadOptions, pages: Pages): AsyncGenerator<Block> {
  let after = options.after
  let page = pages.get(reading.name) ?? SMALL_PAGE
  if (after === undefined && options.upTo === undefined) {
    yield* reading.cells({ ...options, limit: FIRST_ROWS })
    if (reading.rows < FIRST_ROWS) return
    after = reading.last
  }
  for (;;) {
    const [rows, bytes] = [reading.rows, reading.bytes]
    yield* reading.raw({ ...options, ...(after === undefined ? {} : { after }) }, page)
    const got = reading.rows - rows
    if (got < page) return
    after = reading.last
    page = Math.max(1, Math.min(LARGEST_PAGE, Math.ceil((got * PAGE_BYTES) / Math.max(reading.bytes - bytes, 1)), page * 4))
    pages.set(reading.name, page)
  }
}

/** One table, or a range of it, as it is read. */
class Reading {
  readonly name: string
  readonly #session: Session
  readonly #table: Table
  readonly #hasKey: boolean
  readonly #hasUnlimited: boolean
  readonly #most: number
  /** Keys of rows that are to be read by themselves. */
  readonly large: KeyCells[] = []
  /** Of all that came so far, large ones too. */
  rows = 0
  bytes = 0
  last: KeyCells | undefined

  constructor(session: Session, table: Table) {
    this.name = quoteTable(table.name)
    this.#session = session
    this.#table = table
    this.#hasKey = table.key.length > 0
    this.#hasUnlimited = unlimitedColumns(table).length > 0
    this.#most = this.#hasKey ? LARGE_BYTES : MOST_KEYLESS_BYTES
  }

  /** As cells. */
  async *cells(options: ReadOptions): AsyncGenerator<Block> {
    const shape = this.#hasUnlimited ? clippedShape(this.#table, this.#most) : wholeShape(this.#table)
    for await (const items of readShaped(this.#session, this.#table, shape, options)) {
      const rows: Row[] = []
      for (const item of items) {
        if (item.leftOut === null) rows.push(item.row)
        else this.#leftOut(shape.keyOf(item), item.leftOut)
      }
      const last = items.at(-1)
      if (last !== undefined && this.#hasKey) this.last = shape.keyOf(last)
      this.rows += items.length
      if (rows.length > 0) yield rowsBlock(rows)
    }
  }

  /** As bytes: a page of so many rows, or the whole of a table without a key. */
  async *raw(options: ReadOptions, page: number | undefined): AsyncGenerator<Block> {
    const { list, join } = this.#rawShape()
    const { signal, quietMs } = options
    const { ends, parameters } = rangeOf(this.#table, options)
    const sql =
      page === undefined ? `SELECT ${list} ${fromSql(this.#table)}${join}` : pageSql(this.#table, { list, join }, page, ends)
    // As with cells (paging.ts): a page is read to its end, a whole table isn't.
    const drain = page !== undefined
    const flow = this.#session.streamRaw(sql, parameters, { signal, quietMs, drain, flagged: this.#hasUnlimited })
    for await (const { columns, codePages, rows, bytes, last, clipped, endsClipped } of flow) {
      const keyIn = (row: Buffer): KeyCells => cellsAt(columns, codePages, row, keyPositions(this.#table))
      for (const row of clipped) this.large.push(keyIn(row))
      if (this.#hasKey) this.last = endsClipped ? this.large.at(-1) : keyIn(bytes.subarray(last))
      this.rows += rows + clipped.length
      this.bytes += bytes.length
      if (rows > 0) yield rawBlock(columns, codePages, rows, bytes)
      else giveBack(bytes)
    }
  }

  #leftOut(key: KeyCells, bytes: string): void {
    if (!this.#hasKey) throw refuseKeyless(this.#table, Number(bytes))
    this.large.push(key)
  }

  /** As clippedShape, of columns as they are. */
  #rawShape(): { readonly list: string; readonly join: string } {
    const names = readableColumns(this.#table).map((column) => `t.${quoteName(column.name)}`)
    return this.#hasUnlimited ? clippedList(this.#table, this.#most, names) : { list: names.join(', '), join: '' }
  }
}

/**
 * A row by its key: its values of unlimited length in pieces, as the server held them at one moment. They are put into variables by one
 * statement, so that no lock is held while the pieces are taken. Nothing where the row is gone.
 */
async function* largeRow(session: Session, table: Table, key: KeyCells, signal?: AbortSignal): AsyncGenerator<Block> {
  const decoders = readableColumns(table).map(decoderOf)
  const unlimited = unlimitedColumns(table).map((column) => readableColumns(table).indexOf(column))
  const stream = session.stream(largeRowSql(table, key), keyParameters(keyColumns(table), [key]), { signal, drain: false })
  let isFirst = true
  for await (const batch of stream) {
    for (const values of batch) {
      if (isFirst) {
        const row = cellsFrom(decoders, values)
        yield largeBlock(
          row,
          unlimited.filter((index) => row[index] !== null),
        )
        isFirst = false
      } else yield pieceOf(values)
    }
  }
  if (!isFirst) yield endBlock()
}

function pieceOf([column, piece]: readonly unknown[]): Block {
  if (typeof piece !== 'string' && !Buffer.isBuffer(piece)) throw new TypeError('A piece of a value is neither text nor bytes.')
  return pieceBlock(Number(column), piece)
}

/** First one row, of each value of unlimited length only whether it is NULL; then the pieces of these, each as a row of its own. */
export function largeRowSql(table: Table, key: KeyCells): string {
  const columns = readableColumns(table)
  const unlimited = unlimitedColumns(table)
  const variables = columns.map((column, index) => `@v${index} ${variableType(column)}`)
  const taken = columns.map((column, index) => `@v${index} = ${selectExpression(column, `t.${quoteName(column.name)}`)}`)
  const shown = columns.map((column, index) =>
    unlimited.includes(column) ? `CASE WHEN @v${index} IS NOT NULL THEN N'' END` : `@v${index}`,
  )
  const pieces = unlimited.map((column) => piecesSql(column, columns.indexOf(column)))
  return `DECLARE @found bit = 0, @at bigint, @bytes varbinary(max), @text nvarchar(max), ${variables.join(', ')};
SELECT @found = 1, ${taken.join(', ')} ${fromSql(table)} WHERE ${keyCondition(keyColumns(table), [key])};
IF @found = 1
BEGIN
SELECT ${shown.join(', ')};
${pieces.join('\n')}
END`
}

/** As the select list's item for the column is. */
function variableType(column: Column): string {
  const { kind, length } = wireOf(column)
  return selectExpression(column, '') === '' ? column.codec : `${kind === 'binary' ? 'varbinary' : 'nvarchar'}(${length})`
}

/**
 * Its end is where nothing is left: LEN leaves out spaces, and not every server counts DATALENGTH of a text in the same bytes. By a
 * binary collation, so that the place of a character is known without reading all before it.
 */
function piecesSql(column: Column, index: number): string {
  const isBinary = wireOf(column).kind === 'binary'
  const piece = isBinary ? '@bytes' : '@text'
  const from = isBinary ? `@v${index}` : `@v${index} COLLATE Latin1_General_BIN2`
  const length = isBinary ? PIECE_BYTES : PIECE_CHARACTERS
  const take = `SET ${piece} = SUBSTRING(${from}, @at, ${length});`
  return `SET @at = 1;
${take}
WHILE DATALENGTH(${piece}) > 0
BEGIN
SELECT ${index}, ${piece};
SET @at = @at + ${length};
${take}
END`
}
