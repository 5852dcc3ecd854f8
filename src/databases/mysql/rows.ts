import { MigrateError } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import type { Column } from '../schema.ts'
import { isAscii, isHex } from './values.ts'
import { Field } from './wire.ts'

/** What rows are made into while they come in: whole batches, handed on in order. */
export interface Collector<T> {
  add(packet: Buffer, start: number, end: number): void
  /** A whole batch; the last one too when `isEnd`. */
  take(isEnd: boolean): T | undefined
  /** True when a whole batch waits to be taken. */
  readonly ready: boolean
}

const BATCH_ROWS = 1000
const BATCH_BYTES = 2 ** 20

type Encoding = 'utf8' | 'latin1' | 'hex'

const encodingOf = (column: Column): Encoding => (isHex(column.codec) ? 'hex' : isAscii(column.codec) ? 'latin1' : 'utf8')

/** Rows as cells. */
export class CellCollector implements Collector<readonly Row[]> {
  readonly #encodings: readonly Encoding[]
  readonly #columns: readonly Column[]
  readonly #field = new Field()
  #whole: Row[][] = []
  #batch: Row[] = []
  #bytes = 0

  constructor(columns: readonly Column[]) {
    this.#columns = columns
    this.#encodings = columns.map(encodingOf)
  }

  get ready(): boolean {
    return this.#whole.length > 0
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
