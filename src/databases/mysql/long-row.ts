import { LENT_BYTES, lendBuffer } from '../buffers.ts'
import type { Block } from '../port.ts'
import { BACKSLASH, CAPITAL_N, copy, escaped, NEWLINE, TAB } from './block-bytes.ts'

/**
 * A piece of a row that is in several blocks begins with a backslash and one of these letters, as no block of whole rows does: more of
 * the row follows, or none. Its text goes on behind them; what a backslash stands before is in the same piece.
 */
const MORE = 80
const LAST = 69
export const MARK_BYTES = 2

/** `undefined` for whole rows. */
export function pieceOf(block: Buffer): { readonly text: Buffer; readonly isLast: boolean } | undefined {
  const kind = block[1]
  if (block[0] !== BACKSLASH || (kind !== MORE && kind !== LAST)) return undefined
  return { text: block.subarray(MARK_BYTES), isLast: kind === LAST }
}

/** Length and what stands before it: "Length-Encoded Integer". */
const HEAD_BYTES = 9

/** Makes blocks of a row whose bytes come in parts. */
export class LongRow {
  readonly #plain: readonly boolean[]
  readonly #give: (block: Block) => void
  readonly #head = Buffer.alloc(HEAD_BYTES)
  #headBytes = 0
  #column = 0
  /** Of the value in hand. */
  #left = 0
  #buffer: Buffer = Buffer.alloc(0)
  #used = 0
  #isBegun = false

  constructor(plain: readonly boolean[], give: (block: Block) => void) {
    this.#plain = plain
    this.#give = give
  }

  add(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.#left > 0) at = this.#value(bytes, at, end)
      else {
        this.#head[this.#headBytes] = bytes[at] ?? 0
        this.#headBytes += 1
        at += 1
        this.#beginValue()
      }
    }
  }

  end(): void {
    const isWhole = !this.#isBegun
    this.#buffer[1] = LAST
    const bytes = this.#buffer.subarray(isWhole ? MARK_BYTES : 0, this.#used)
    this.#give(isWhole ? { rows: 1, bytes } : { rows: 0, bytes, continues: false })
  }

  /** Once all of its length is there. */
  #beginValue(): void {
    const first = this.#head[0] ?? 0
    const more = first < 0xfc ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : 8
    if (this.#headBytes <= more) return
    this.#headBytes = 0
    if (first === 0xfb) {
      this.#room(2)
      this.#buffer[this.#used] = BACKSLASH
      this.#buffer[this.#used + 1] = CAPITAL_N
      this.#used += 2
    } else this.#left = more === 0 ? first : this.#head.readUIntLE(1, Math.min(more, 6))
    if (this.#left === 0) this.#endValue()
  }

  #value(bytes: Buffer, at: number, end: number): number {
    this.#room(2)
    const isPlain = this.#plain[this.#column] === true
    const room = LENT_BYTES - this.#used
    const length = Math.min(end - at, this.#left, isPlain ? room : room >> 1)
    this.#used = (isPlain ? copy : escaped)(bytes, at, at + length, this.#buffer, this.#used)
    this.#left -= length
    if (this.#left === 0) this.#endValue()
    return at + length
  }

  #endValue(): void {
    this.#room(1)
    this.#column += 1
    this.#buffer[this.#used] = this.#column === this.#plain.length ? NEWLINE : TAB
    this.#used += 1
  }

  /** Has room for so many bytes. */
  #room(bytes: number): void {
    if (this.#buffer.length - this.#used >= bytes) return
    if (this.#used > 0) {
      this.#give({ rows: this.#isBegun ? 0 : 1, bytes: this.#buffer.subarray(0, this.#used), continues: true })
      this.#isBegun = true
    }
    this.#buffer = lendBuffer()
    this.#buffer[0] = BACKSLASH
    this.#buffer[1] = MORE
    this.#used = MARK_BYTES
  }
}
