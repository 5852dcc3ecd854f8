import { giveBack, LENT_BYTES, lendBuffer } from '../buffers.ts'
import type { Block } from '../port.ts'
import type { Column } from '../schema.ts'
import { BACKSLASH, CAPITAL_N, copy, escaped, NEWLINE, TAB } from './block-bytes.ts'
import { LongRow } from './long-row.ts'
import type { Collector } from './rows.ts'
import { isAscii } from './values.ts'
import { Field } from './wire.ts'

/**
 * Rows as LOAD DATA reads them by its defaults ("LOAD DATA Statement", "Field and Line Handling"): tabs between values, a newline
 * after a row, a backslash before a tab, newline or backslash in a value, `\N` for NULL. Values are in the column's own bytes.
 * A row that is too long for one block comes in pieces (long-row.ts).
 */
export const BLOCK_FORMAT = 'mysql-load-data-2'

/** Of a longer row nobody knows whether it fits in a block: each byte may get a backslash before it. */
const WHOLE_BYTES = LENT_BYTES / 4
/** So little doesn't keep a lent buffer from others: many small tables may wait to be loaded. */
const SMALL_BYTES = LENT_BYTES / 8

/** Rows as blocks, in lent buffers. */
export class BlockCollector implements Collector<Block> {
  readonly wholeBytes = WHOLE_BYTES
  readonly #plain: readonly boolean[]
  readonly #field = new Field()
  #buffer: Buffer = Buffer.alloc(0)
  #used = 0
  #rows = 0
  #whole: Block[] = []
  #long: LongRow | undefined

  constructor(columns: readonly Column[]) {
    this.#plain = columns.map((column) => isAscii(column.codec) || column.codec === 'enum')
  }

  get ready(): boolean {
    return this.#whole.length > 0
  }

  add(packet: Buffer, start: number, end: number): void {
    const columns = this.#plain.length
    // Each byte may get a backslash before it, each NULL takes two bytes, each value a tab.
    const most = 2 * (end - start) + 3 * columns
    if (this.#used + most > this.#buffer.length) this.#begin()
    const buffer = this.#buffer
    const field = this.#field
    let to = this.#used
    let at = start
    for (let column = 0; column < columns; column += 1) {
      at = field.read(packet, at)
      if (field.start === -1) {
        buffer[to] = BACKSLASH
        buffer[to + 1] = CAPITAL_N
        to += 2
      } else if (this.#plain[column] === true) to = copy(packet, field.start, field.end, buffer, to)
      else to = escaped(packet, field.start, field.end, buffer, to)
      buffer[to] = TAB
      to += 1
    }
    buffer[to - 1] = NEWLINE
    this.#used = to
    this.#rows += 1
  }

  take(isEnd: boolean): Block | undefined {
    if (isEnd) this.#close()
    return this.#whole.shift()
  }

  addPart(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (this.#long === undefined) this.#close()
    this.#long ??= new LongRow(this.#plain, (block) => this.#whole.push(block))
    this.#long.add(bytes, start, end)
    if (!isLast) return
    this.#long.end()
    this.#long = undefined
  }

  /** Ends the block in hand and begins another, which has room for a row that comes whole. */
  #begin(): void {
    this.#close()
    this.#buffer = lendBuffer()
  }

  #close(): void {
    if (this.#rows === 0) return
    const bytes = this.#buffer.subarray(0, this.#used)
    if (this.#used < SMALL_BYTES) {
      this.#whole.push({ rows: this.#rows, bytes: Buffer.from(bytes) })
      giveBack(this.#buffer)
    } else this.#whole.push({ rows: this.#rows, bytes })
    this.#rows = 0
    this.#used = 0
    this.#buffer = Buffer.alloc(0)
  }
}
