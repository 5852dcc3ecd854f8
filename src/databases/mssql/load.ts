import { MigrateError, messageOf } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { type Held, isLargeRow, isRaw, type LargeRow, type Piece, type RawRowsBlock } from './blocks.ts'
import { refusesBulk } from './errors.ts'
import type { BulkValue } from './flow.ts'
import { insertSql, miscount } from './insert.ts'
import { quoteTable } from './names.ts'
import { rowBytes } from './paging.ts'
import { cellsOf } from './raw-cells.ts'
import { rawTargets } from './raw-tables.ts'
import type { Session } from './session.ts'
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

/** Whether a server takes rows as another one sent them; false from when it refused some. */
export interface RawLoading {
  taken: boolean
}

/**
 * Loads rows inside the running transaction; returns how many. Rows as another server sent them are bulk loaded as they are. Of others the
 * driver's bulk load converts some types with loss, so these are bulk loaded as text or bytes into a temporary table and converted by the
 * server on their way into the table ("SET IDENTITY_INSERT"). Where the server refuses rows as they are, throws `bulk-load-refused`
 * (retrySafe), and from then on they go the way of the others.
 */
export async function loadRows(session: Session, table: Table, rows: AsyncIterable<Held>, raw: RawLoading): Promise<number> {
  const stage = new Stage(session, table)
  const chunks = new Chunks(rows[Symbol.asyncIterator]())
  let total = 0
  try {
    while (true) {
      const next = await chunks.next()
      const count = isRaw(next)
        ? await (raw.taken
            ? loadRaw(session, table, next, chunks, raw)
            : stage.load(cellsOf(next.columns, next.codePages, next.bytes)))
        : isLargeRow(next)
          ? await stage.loadLarge(next)
          : await stage.load(next)
      if (count === 0) break
      total += count
    }
  } finally {
    await chunks.close()
  }
  await stage.drop()
  return total
}

/** Rows of the same columns by one bulk load, as they come. An identity is kept since it is among the columns, as SqlBulkCopy keeps it. */
async function loadRaw(session: Session, table: Table, first: RawRowsBlock, chunks: Chunks, raw: RawLoading): Promise<number> {
  // Without it a server may count nothing ("Configure the user options Server Configuration Option").
  await session.batch('SET NOCOUNT OFF')
  let count = 0
  const source = new Source()
  async function* batches(): AsyncGenerator<Buffer> {
    for (let next: RawRowsBlock | undefined = first; next !== undefined; next = await source.next(chunks.nextRaw(first.told))) {
      count += next.count
      // The driver writes the first row's token.
      yield next.bytes.subarray(1)
    }
  }
  try {
    const taken = await source.through(session.bulkRaw(quoteTable(table.name), rawTargets(table, first.columns), batches()))
    if (taken !== count) throw miscount(session, table.name, 'loaded', count, taken)
    return count
  } catch (error) {
    if (!refusesBulk(error)) throw error
    raw.taken = false
    throw bulkRefused(session, table, error)
  }
}

const bulkRefused = (session: Session, table: Table, cause: unknown): MigrateError =>
  new MigrateError(
    'bulk-load-refused',
    `${session.where.label} doesn't take the rows of ${fullName(table.name)} as the other server sent them: ${messageOf(cause)} None of them was loaded.`,
    { hint: 'They are tried again by themselves, by way of a temporary table, which is slower.', retrySafe: true, cause },
  )

/** The temporary table, made when it is first needed. */
class Stage {
  readonly #session: Session
  readonly #table: Table
  readonly #columns: readonly Column[]
  readonly #staged: readonly { readonly name: string; readonly kind: Wire | Native }[]
  #isMade = false

  constructor(session: Session, table: Table) {
    this.#session = session
    this.#table = table
    this.#columns = readableColumns(table)
    this.#staged = this.#columns.map((column, index) => ({ name: `c${index}`, kind: nativeOf(column) ?? wireOf(column) }))
  }

  /** `fill` changes what stands in it, before it goes into the table. */
  async load(rows: readonly Row[], fill?: () => Promise<void>): Promise<number> {
    if (!this.#isMade && rows.length > 0) await this.#session.batch(stageSql(this.#columns))
    this.#isMade ||= rows.length > 0
    for (const { rows: part, forms } of byForms(this.#columns, rows, true)) {
      await this.#session.bulk(STAGE, this.#staged, parametersOf(this.#columns, part))
      await fill?.()
      const sql = `${insertSql(this.#table, STAGE, fromStage(forms))};\nTRUNCATE TABLE ${STAGE}`
      const count = Number((await this.#session.batch(sql)).rows.at(-1)?.[0] ?? -1)
      if (count !== part.length) throw miscount(this.#session, this.#table.name, 'loaded', part.length, count)
    }
    return rows.length
  }

  /** A row by itself: its values of unlimited length are set here as they come. */
  async loadLarge({ row, columns, pieces }: LargeRow): Promise<number> {
    const source = new PieceSource(pieces)
    const sql = `UPDATE ${STAGE} SET ${columns.map((column, index) => `c${column} = @p${index}`).join(', ')}`
    return await this.load([row], async () => {
      const parameters = columns.map((at) => {
        const column = this.#columns[at]
        if (column === undefined) throw new RangeError(`There is no column ${at} in ${fullName(this.#table.name)}.`)
        return { kind: wireOf(column).kind, pieces: source.of(at) }
      })
      if (columns.length > 0) await source.through(this.#session.send(sql, parameters))
      await source.end()
    })
  }

  async drop(): Promise<void> {
    if (this.#isMade) await this.#session.batch(`DROP TABLE ${STAGE}`)
  }
}

/** Has a source's own error told, and not what is said of it by whoever takes from the source meanwhile. */
class Source {
  #failure: { readonly error: unknown } | undefined

  /** Something that the source was asked for. */
  async next<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }

  /** What takes from the source. Fails as the source did, where it was that. */
  async through<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      throw this.#failure === undefined ? error : this.#failure.error
    }
  }
}

/** The pieces of several values that come one after the other, apart by value. */
class PieceSource extends Source {
  readonly #pieces: AsyncIterator<Piece>
  #ahead: Piece | undefined

  constructor(pieces: AsyncIterator<Piece>) {
    super()
    this.#pieces = pieces
  }

  /** The pieces of one value; those of the values before it must have been taken. */
  async *of(column: number): AsyncGenerator<Buffer> {
    for (let piece = await this.#take(); piece !== undefined; piece = await this.#take()) {
      if (piece.column !== column) {
        this.#ahead = piece
        return
      }
      yield piece.bytes
    }
  }

  /** Nothing is to be left. */
  async end(): Promise<void> {
    if ((await this.#take()) !== undefined) throw new RangeError('A piece of a value came after the last one.')
  }

  async #take(): Promise<Piece | undefined> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead !== undefined) return ahead
    const next = await this.next(this.#pieces.next())
    return next.done === true ? undefined : next.value
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
 * The same rows in chunks of bounded size, large ones and those that are bytes by themselves; nothing of one is held here while the next is
 * gathered, since a single row may be large.
 */
class Chunks {
  readonly #batches: AsyncIterator<Held>
  #batch: readonly Row[] = []
  #at = 0
  #apart: LargeRow | RawRowsBlock | undefined

  constructor(batches: AsyncIterator<Held>) {
    this.#batches = batches
  }

  /** [] when there are no more rows. */
  async next(): Promise<Held> {
    const chunk: Row[] = []
    let bytes = 0
    while (this.#apart === undefined && chunk.length < STAGED_ROWS && bytes < STAGED_BYTES) {
      const row = this.#batch[this.#at]
      if (row !== undefined) {
        this.#at += 1
        chunk.push(row)
        bytes += rowBytes(row)
      } else if (!(await this.#more())) break
    }
    const apart = this.#apart
    if (chunk.length > 0 || apart === undefined) return chunk
    this.#apart = undefined
    return apart
  }

  /** What comes next where that is rows as bytes, of these columns. */
  async nextRaw(told: string): Promise<RawRowsBlock | undefined> {
    if (this.#apart === undefined && this.#batch[this.#at] === undefined && !(await this.#more())) return undefined
    const apart = this.#apart
    if (apart === undefined || !isRaw(apart) || apart.told !== told) return undefined
    this.#apart = undefined
    return apart
  }

  async #more(): Promise<boolean> {
    this.#batch = []
    const next = await this.#batches.next()
    if (next.done === true) return false
    if (isLargeRow(next.value) || isRaw(next.value)) this.#apart = next.value
    else this.#batch = next.value
    this.#at = 0
    return true
  }

  async close(): Promise<void> {
    await this.#batches.return?.()
  }
}
