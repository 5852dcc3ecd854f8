import type { Cell, Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { isLargeRow, type LargeRow, type Piece } from './blocks.ts'
import { insertSql, miscount } from './insert.ts'
import type { BulkValue, Session } from './session.ts'
import { type Native, nativeOf, nativeValue, type Wire, wireOf, wireValue, writeExpression } from './values.ts'
import { arrivingAmong, byForms, type VariantForms } from './variants.ts'

/** Rows that stand in the staging table at a time: bounds memory here and tempdb there. */
const STAGED_ROWS = 20_000
const STAGED_BYTES = 8 * 1024 * 1024
const STAGE = '#migrate_stage'

/** The staging table's column: in its own kind of type where the driver writes that without loss, else text or bytes. */
export function stageType(column: Column): string {
  const { kind, length } = wireOf(column)
  return nativeOf(column) ?? `${kind === 'binary' ? 'varbinary' : 'nvarchar'}(${length})`
}

/** A temporary table with a column for each that is written. */
export const stageSql = (columns: readonly Column[]): string =>
  `CREATE TABLE ${STAGE} (${columns.map((column, index) => `c${index} ${stageType(column)} NULL`).join(', ')})`

/**
 * Loads rows inside the running transaction; returns how many. The driver's bulk load knows no way to keep identity values and
 * converts some types with loss, so these are bulk loaded as text or bytes into a temporary table and converted by the server on their way
 * into the table ("SET IDENTITY_INSERT").
 */
export async function loadRows(session: Session, table: Table, rows: AsyncIterable<readonly Row[] | LargeRow>): Promise<number> {
  const columns = readableColumns(table)
  const staged = columns.map((column, index) => ({ name: `c${index}`, kind: nativeOf(column) ?? wireOf(column) }))
  await session.batch(stageSql(columns))
  const chunks = new Chunks(rows[Symbol.asyncIterator]())
  let total = 0
  try {
    while (true) {
      const next = await chunks.next()
      const count = isLargeRow(next)
        ? await loadLarge(session, table, { columns, staged }, next)
        : await loadChunk(session, table, { columns, staged }, next)
      if (count === 0) break
      total += count
    }
  } finally {
    await chunks.close()
  }
  await session.batch(`DROP TABLE ${STAGE}`)
  return total
}

interface Staged {
  readonly columns: readonly Column[]
  readonly staged: readonly { readonly name: string; readonly kind: Wire | Native }[]
}

/** `fill` changes what stands in the staging table, before it goes into the table. */
async function loadChunk(
  session: Session,
  table: Table,
  { columns, staged }: Staged,
  rows: readonly Row[],
  fill?: () => Promise<void>,
): Promise<number> {
  for (const { rows: part, forms } of byForms(columns, rows, true)) {
    await session.bulk(STAGE, staged, parametersOf(columns, part))
    await fill?.()
    const result = await session.batch(`${insertSql(table, STAGE, fromStage(forms))};\nTRUNCATE TABLE ${STAGE}`)
    const count = Number(result.rows.at(-1)?.[0] ?? -1)
    if (count !== part.length) throw miscount(session, table.name, 'loaded', part.length, count)
  }
  return rows.length
}

/** A row by itself: in the staging table its values of unlimited length are set piece by piece. */
async function loadLarge(session: Session, table: Table, staged: Staged, { row, columns, pieces }: LargeRow): Promise<number> {
  const source = new PieceSource(pieces)
  const sql = `UPDATE ${STAGE} SET ${columns.map((column, index) => `c${column} = @p${index}`).join(', ')}`
  return await loadChunk(session, table, staged, [row], async () => {
    const parameters = columns.map((at) => {
      const column = staged.columns[at]
      if (column === undefined) throw new RangeError(`There is no column ${at} in ${fullName(table.name)}.`)
      return { kind: wireOf(column).kind, pieces: source.of(at) }
    })
    await source.through(() => session.send(sql, parameters))
  })
}

/** The pieces of several values that come one after the other, apart by value. */
class PieceSource {
  readonly #pieces: AsyncIterator<Piece>
  #ahead: Piece | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(pieces: AsyncIterator<Piece>) {
    this.#pieces = pieces
  }

  /** The pieces of one value; those of the values before it must have been taken. */
  async *of(column: number): AsyncGenerator<Buffer> {
    for (let piece = await this.#next(); piece !== undefined; piece = await this.#next()) {
      if (piece.column !== column) {
        this.#ahead = piece
        return
      }
      yield piece.bytes
    }
  }

  /** Does what takes the pieces. Fails as the source of them did, where it was that. */
  async through(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      throw this.#failure === undefined ? error : this.#failure.error
    }
  }

  async #next(): Promise<Piece | undefined> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead !== undefined) return ahead
    try {
      const next = await this.#pieces.next()
      return next.done === true ? undefined : next.value
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }
}

/** What stands in the staging table in the column's own kind of type is assigned as it is. */
const fromStage =
  (forms: VariantForms) =>
  (column: Column, reference: string): string =>
    nativeOf(column) === undefined
      ? writeExpression(column, arrivingAmong(column, reference, forms.get(column) ?? []))
      : reference

/** Row by row as they are sent, so that no second copy of the chunk is held. */
function* parametersOf(columns: readonly Column[], rows: readonly Row[]): Generator<readonly BulkValue[]> {
  const encoders = columns.map(encoderOf)
  for (const row of rows) yield encoders.map((encode, index) => encode(row[index] ?? null))
}

function encoderOf(column: Column): (cell: Cell) => BulkValue {
  const native = nativeOf(column)
  const wire = wireOf(column)
  return native === undefined ? (cell) => wireValue(cell, wire) : (cell) => nativeValue(cell, native)
}

/**
 * The same rows in chunks of bounded size, large ones by themselves; nothing of one is held here while the next is gathered, since a single
 * row may be large.
 */
class Chunks {
  readonly #batches: AsyncIterator<readonly Row[] | LargeRow>
  #batch: readonly Row[] = []
  #at = 0
  #large: LargeRow | undefined

  constructor(batches: AsyncIterator<readonly Row[] | LargeRow>) {
    this.#batches = batches
  }

  /** [] when there are no more rows. */
  async next(): Promise<readonly Row[] | LargeRow> {
    const chunk: Row[] = []
    let bytes = 0
    while (this.#large === undefined && chunk.length < STAGED_ROWS && bytes < STAGED_BYTES) {
      const row = this.#batch[this.#at]
      if (row !== undefined) {
        this.#at += 1
        chunk.push(row)
        bytes += row.reduce((sum, cell) => sum + 2 * (cell?.length ?? 0), 16)
      } else if (!(await this.#more())) break
    }
    const large = this.#large
    if (chunk.length > 0 || large === undefined) return chunk
    this.#large = undefined
    return large
  }

  async #more(): Promise<boolean> {
    this.#batch = []
    const next = await this.#batches.next()
    if (next.done === true) return false
    if (isLargeRow(next.value)) this.#large = next.value
    else this.#batch = next.value
    this.#at = 0
    return true
  }

  async close(): Promise<void> {
    await this.#batches.return?.()
  }
}
