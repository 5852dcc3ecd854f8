import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import { giveBack, LENT_BYTES, lendBuffer } from '../buffers.ts'
import type { Block, Row } from '../port.ts'
import { parseRow, rowLine } from '../row-lines.ts'
import { cellsOf } from './raw-cells.ts'
import type { RawColumn } from './tds-columns.ts'

/**
 * Rows on their way from one SQL Server to another. The first byte of a block says what it is: ROWS, a line of cells each; LARGE, a row
 * whose values of unlimited length come by themselves; PIECE, some of one such value (the column's place in two bytes, then bytes, of a
 * text its UTF-16, lowest byte first); END, after the last of them; RAW, rows as the server sent them, after what is told of their columns
 * (its length in two bytes, then JSON).
 */
export const BLOCK_FORMAT = 'mssql-rows-1'

const ROWS = 1
const LARGE = 2
const PIECE = 3
const END = 4
const RAW = 5
/** Kind and length. */
const RAW_HEAD = 3
/** Kind and column. */
const PIECE_HEAD = 3

export const rowsBlock = (rows: readonly Row[]): Block => ({
  rows: rows.length,
  bytes: Buffer.from(`${String.fromCharCode(ROWS)}${rows.map(rowLine).join('\n')}`),
})

/** `columns`: places of the values that follow, in their order; what `row` has there says nothing. */
export const largeBlock = (row: Row, columns: readonly number[]): Block => ({
  rows: 1,
  bytes: Buffer.from(`${String.fromCharCode(LARGE)}${JSON.stringify({ row, columns })}`),
  continues: true,
})

export function pieceBlock(column: number, piece: Buffer | string): Block {
  const length = typeof piece === 'string' ? 2 * piece.length : piece.length
  const bytes = Buffer.allocUnsafe(PIECE_HEAD + length)
  bytes[0] = PIECE
  bytes.writeUInt16LE(column, 1)
  if (typeof piece === 'string') bytes.write(piece, PIECE_HEAD, 'utf16le')
  else piece.copy(bytes, PIECE_HEAD)
  return { rows: 0, bytes, continues: true }
}

export const endBlock = (): Block => ({ rows: 0, bytes: Buffer.from([END]), continues: false })

/** Rows as bytes, all of the same columns. */
export interface RawRowsBlock {
  readonly columns: readonly RawColumn[]
  readonly codePages: readonly (string | null | undefined)[]
  readonly count: number
  /** Each a ROW token. */
  readonly bytes: Buffer
  /** The same for rows of the same columns. */
  readonly told: string
}

/** The bytes that were lent for the rows are given back. */
export function rawBlock(
  columns: readonly RawColumn[],
  codePages: RawRowsBlock['codePages'],
  count: number,
  bytes: Buffer,
): Block {
  const told = { count, columns: columns.map(({ kind, bytes, type }) => [kind, bytes, type.toString('hex')]), codePages }
  const head = Buffer.from(JSON.stringify(told))
  const length = RAW_HEAD + head.length + bytes.length
  const block = length <= LENT_BYTES ? lendBuffer().subarray(0, length) : Buffer.allocUnsafe(length)
  block[0] = RAW
  block.writeUInt16LE(head.length, 1)
  head.copy(block, RAW_HEAD)
  bytes.copy(block, RAW_HEAD + head.length)
  giveBack(bytes)
  return { rows: count, bytes: block }
}

const rawSchema = z.object({
  count: z.number(),
  columns: z.array(z.tuple([z.enum(['fixed', 'byte-length', 'decimal', 'short-length', 'pieces']), z.number(), z.string()])),
  codePages: z.array(z.string().nullish()),
})

function rawRows(block: Buffer): RawRowsBlock {
  const from = RAW_HEAD + block.readUInt16LE(1)
  const { count, columns, codePages } = rawSchema.parse(JSON.parse(block.toString('utf8', RAW_HEAD, from)))
  return {
    columns: columns.map(([kind, bytes, type]) => ({ kind, bytes, type: Buffer.from(type, 'hex') })),
    codePages,
    count,
    bytes: block.subarray(from),
    told: JSON.stringify(columns),
  }
}

/** The rows of a block, but for one that is in several. The block's bytes aren't to be used any more. */
export function rowsOfBlock(block: Buffer): readonly Row[] {
  if (block[0] === RAW) {
    const { columns, codePages, bytes } = rawRows(block)
    const rows = cellsOf(columns, codePages, bytes)
    giveBack(block)
    return rows
  }
  if (block[0] !== ROWS) return []
  const lines = block.toString('utf8', 1).split('\n')
  giveBack(block)
  return lines.map(parseRow)
}

/** Some of a value of a large row. */
export interface Piece {
  readonly column: number
  readonly bytes: Buffer
}

/** A row of which `columns` come in pieces, in that order, all of them before the next row is asked for. */
export interface LargeRow {
  readonly row: Row
  readonly columns: readonly number[]
  readonly pieces: AsyncIterator<Piece>
}

/** What blocks hold. */
export type Held = readonly Row[] | LargeRow | RawRowsBlock

export const isLargeRow = (held: Held): held is LargeRow => 'pieces' in held
export const isRaw = (held: Held): held is RawRowsBlock => 'told' in held

const largeSchema = z.object({ row: z.array(z.string().nullable()), columns: z.array(z.number()) })

/** What blocks hold, one after the other. A batch of rows is emptied when the next is asked for. */
export async function* unpack(blocks: AsyncIterable<Buffer>): AsyncGenerator<Held> {
  const source = blocks[Symbol.asyncIterator]()
  try {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      if (next.value[0] === ROWS) {
        const rows = [...rowsOfBlock(next.value)]
        yield rows
        rows.length = 0
        continue
      }
      if (next.value[0] === RAW) {
        yield rawRows(next.value)
        continue
      }
      if (next.value[0] !== LARGE) throw outOfOrder()
      const { row, columns } = largeSchema.parse(JSON.parse(next.value.toString('utf8', 1)))
      const pieces = piecesOf(source)
      yield { row, columns, pieces }
      if ((await pieces.next()).done !== true) throw outOfOrder()
    }
  } finally {
    await source.return?.()
  }
}

async function* piecesOf(source: AsyncIterator<Buffer>): AsyncGenerator<Piece> {
  for (let next = await source.next(); next.done !== true; next = await source.next()) {
    const block = next.value
    if (block[0] === END) return
    if (block[0] !== PIECE) throw outOfOrder()
    yield { column: block.readUInt16LE(1), bytes: block.subarray(PIECE_HEAD) }
  }
  throw outOfOrder()
}

const outOfOrder = (): MigrateError =>
  new MigrateError('snapshot-damaged', 'The snapshot has parts of a large row where none belong. No row of it was loaded.', {
    hint: 'Take the snapshot again with --fresh.',
  })
