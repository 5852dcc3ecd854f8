import type { Block, KeyCells, ReadOptions, Row } from '../port.ts'
import { type Column, keyPositions, readableColumns, type Table } from '../schema.ts'
import { endBlock, largeBlock, pieceBlock, rowsBlock } from './blocks.ts'
import { keyColumns, keyCondition, keyParameters } from './keys.ts'
import { quoteName } from './names.ts'
import { MOST_KEYLESS_BYTES, refuseKeyless, sentBytes, unlimitedColumns } from './oversize.ts'
import { fromSql, readShaped, rowShape, type Shape } from './paging.ts'
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
  const unlimited = unlimitedColumns(table)
  const decoders = columns.map(decoderOf)
  const positions = keyPositions(table)
  const list = columns.map((column) => {
    const expression = selectExpression(column, `t.${quoteName(column.name)}`)
    return unlimited.includes(column) ? `CASE WHEN s.migrate_bytes > ${most} THEN NULL ELSE ${expression} END` : expression
  })
  const bytes = unlimited.map((column) => `ISNULL(${sentBytes(column, `t.${quoteName(column.name)}`)}, 0)`).join(' + ')
  return {
    list: `${list.join(', ')}, CASE WHEN s.migrate_bytes > ${most} THEN s.migrate_bytes END`,
    join: ` CROSS APPLY (SELECT ${bytes} AS migrate_bytes) AS s`,
    of: (batch) =>
      batch.map((values) => ({
        row: decoders.map((decode, index) => decode(values[index])),
        leftOut: values[columns.length] == null ? null : String(values[columns.length]),
      })),
    keyOf: ({ row }) => positions.map((position) => row[position] ?? null),
    sizeOf: ({ row }) => sizeOf(row),
  }
}

const sizeOf = (row: Row): number => row.reduce((bytes, cell) => bytes + 2 * (cell?.length ?? 0), 16)

/** See the port. Memory doesn't grow with the rows: those that are large come in pieces, after the others. */
export async function* readBlocks(session: Session, table: Table, options: ReadOptions): AsyncGenerator<Block> {
  if (unlimitedColumns(table).length === 0) {
    for await (const rows of readShaped(session, table, rowShape(table), options)) if (rows.length > 0) yield rowsBlock(rows)
    return
  }
  const hasKey = table.key.length > 0
  const shape = clippedShape(table, hasKey ? LARGE_BYTES : MOST_KEYLESS_BYTES)
  const large: KeyCells[] = []
  for await (const items of readShaped(session, table, shape, options)) {
    const rows: Row[] = []
    for (const item of items) {
      if (item.leftOut === null) rows.push(item.row)
      else if (hasKey) large.push(shape.keyOf(item))
      else throw refuseKeyless(table, Number(item.leftOut))
    }
    if (rows.length > 0) yield rowsBlock(rows)
  }
  for (const key of large) yield* largeRow(session, table, key, options.signal)
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
        const row = decoders.map((decode, index) => decode(values[index]))
        yield largeBlock(row, unlimited.filter((index) => row[index] !== null))
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
  return `SET NOCOUNT ON;
DECLARE @found bit = 0, @at bigint, @bytes varbinary(max), @text nvarchar(max), ${variables.join(', ')};
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
