import { MigrateError } from '../../base/errors.ts'
import { free } from '../buffers.ts'
import type { Cell, Row } from '../port.ts'
import type { Column, Table } from '../schema.ts'
import { MOST_ROW_CHARACTERS, tooLargeRow } from './oversize.ts'
import { isAscii, isHex } from './values.ts'
import { Field } from './wire.ts'

/** What rows are made into while they come in: whole batches, handed on in order. */
export interface Collector<T> {
  add(packet: Buffer, start: number, end: number): void
  /** A row of more bytes than this comes in parts, by `addPart`. */
  readonly wholeBytes: number
  addPart(bytes: Buffer, start: number, end: number, isLast: boolean): void
  /** A whole batch; the last one too when `isEnd`. */
  take(isEnd: boolean): T | undefined
  /** True when a whole batch waits to be taken. */
  readonly ready: boolean
}

const BATCH_ROWS = 1000
const BATCH_BYTES = 2 ** 20
/** Of a row that comes in parts, when so much is there, the lengths of its first values tell whether all of it can be taken. */
const LOOK_BYTES = 64 * 1024
/** A value's length takes at most so many ("Length-Encoded Integer"). */
const LENGTH_BYTES = 9
/** More of a key says no more to a person. */
const SHOWN_BYTES = 100

type Encoding = 'utf8' | 'latin1' | 'hex'

const encodingOf = (column: Column): Encoding => (isHex(column.codec) ? 'hex' : isAscii(column.codec) ? 'latin1' : 'utf8')

/** A packet of the protocol has fewer bytes than one more: a longer row comes in several. */
const PACKET_BYTES = 0xfffffe

/** Rows as cells; each must fit into one string, and stands here whole. */
export class CellCollector implements Collector<readonly Row[]> {
  readonly wholeBytes = PACKET_BYTES
  readonly #encodings: readonly Encoding[]
  readonly #columns: readonly Column[]
  readonly #table: Table | undefined
  readonly #field = new Field()
  #whole: Row[][] = []
  #batch: Row[] = []
  #bytes = 0
  #parts: Buffer[] = []
  #partBytes = 0

  /** `table`: whose readable columns come first among them, for messages. */
  constructor(columns: readonly Column[], table?: Table) {
    this.#columns = columns
    this.#table = table
    this.#encodings = columns.map(encodingOf)
  }

  get ready(): boolean {
    return this.#whole.length > 0
  }

  addPart(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    const before = this.#partBytes
    this.#parts.push(Buffer.from(bytes.subarray(start, end)))
    this.#partBytes += end - start
    if (before < LOOK_BYTES && this.#partBytes >= LOOK_BYTES) this.#refuseTooLarge(Buffer.concat(this.#parts))
    if (!isLast && this.#partBytes <= MOST_ROW_CHARACTERS + LENGTH_BYTES * (this.#columns.length + 1)) return
    const row = Buffer.concat(this.#parts.splice(0))
    this.#partBytes = 0
    this.#refuseTooLarge(row)
    this.add(row, 0, row.length)
    free(row.buffer)
  }

  /** Throws `row-too-large` for the row that begins here, by the lengths of its values as far as they stand in it. */
  #refuseTooLarge(row: Buffer): void {
    const sizes: number[] = []
    const cells: Cell[] = []
    let at = 0
    for (const encoding of this.#encodings) {
      if (row.length - at < LENGTH_BYTES) break
      at = this.#field.read(row, at)
      const { start, end } = this.#field
      const bytes = start === -1 ? 0 : end - start
      sizes.push(encoding === 'hex' ? 2 * bytes : bytes)
      cells.push(start === -1 ? null : row.toString('utf8', start, Math.min(end, start + SHOWN_BYTES)))
    }
    const characters = sizes.reduce((sum, size) => sum + size, 0)
    if (characters <= MOST_ROW_CHARACTERS) return
    const largest = this.#columns[sizes.indexOf(Math.max(...sizes))]
    throw tooLargeRow(this.#table, cells, largest?.name ?? '', characters)
  }

  add(packet: Buffer, start: number, end: number): void {
    const row: Cell[] = []
    let at = start
    for (const encoding of this.#encodings) {
      at = this.#field.read(packet, at)
      if (this.#field.start === -1) row.push(null)
      else row.push(this.#cell(packet, encoding, row.length))
    }
    this.#batch.push(row)
    this.#bytes += end - start
    if (this.#batch.length < BATCH_ROWS && this.#bytes < BATCH_BYTES) return
    this.#whole.push(this.#batch)
    this.#batch = []
    this.#bytes = 0
  }

  #cell(packet: Buffer, encoding: Encoding, at: number): string {
    const { start, end } = this.#field
    const text = packet.toString(encoding, start, end)
    // What isn't UTF-8 is decoded to U+FFFD; the same character may also have been there.
    if (encoding === 'utf8' && text.includes('\ufffd') && !Buffer.from(text).equals(packet.subarray(start, end)))
      throw notUnicode(this.#columns[at])
    return text
  }

  take(isEnd: boolean): readonly Row[] | undefined {
    const next = this.#whole.shift()
    if (next !== undefined || !isEnd || this.#batch.length === 0) return next
    const last = this.#batch
    this.#batch = []
    return last
  }
}

export const notUnicode = (column: Column | undefined): MigrateError =>
  new MigrateError(
    'value-not-text',
    `A value of column ${column?.name} holds bytes that are no text in the column's own character set, so it can't be read as text. Nothing was changed.`,
    { hint: 'Find it with  SELECT … WHERE HEX(column) <> HEX(CONVERT(column USING utf8mb4))  and mend it on the old host.' },
  )
