import { z } from 'zod'
import { MigrateError } from '../../base/errors.ts'
import { giveBack } from '../buffers.ts'
import type { Block, Row } from '../port.ts'
import { parseRow, rowLine } from '../row-lines.ts'

/**
 * Rows on their way from one SQL Server to another. The first byte of a block says what it is: ROWS, a line of cells each; LARGE, a row
 * whose values of unlimited length come by themselves; PIECE, some of one such value (the column's place in two bytes, then bytes, of a
 * text its UTF-16, lowest byte first); END, after the last of them.
 */
export const BLOCK_FORMAT = 'mssql-rows-1'

const ROWS = 1
const LARGE = 2
const PIECE = 3
const END = 4
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

/** The rows of a block, but for one that is in several. The block's bytes aren't to be used any more. */
export function rowsOfBlock(block: Buffer): readonly Row[] {
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

export const isLargeRow = (rows: readonly Row[] | LargeRow): rows is LargeRow => 'pieces' in rows

const largeSchema = z.object({ row: z.array(z.string().nullable()), columns: z.array(z.number()) })

/** What blocks hold, one after the other. A batch of rows is emptied when the next is asked for. */
export async function* unpack(blocks: AsyncIterable<Buffer>): AsyncGenerator<readonly Row[] | LargeRow> {
  const source = blocks[Symbol.asyncIterator]()
  try {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      if (next.value[0] === ROWS) {
        const rows = [...rowsOfBlock(next.value)]
        yield rows
        rows.length = 0
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
