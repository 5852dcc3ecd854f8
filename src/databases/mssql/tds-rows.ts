import { giveBack, lendBuffer } from '../buffers.ts'
import { columnsAt, DECIMAL_BYTES, endOfValue, type Kind, type RawColumn } from './tds-columns.ts'

const ROW = 0xd1
const NBC_ROW = 0xd2
const COL_METADATA = 0x81
/** Tokens between rows and around them: 13 bytes, 5 bytes, or their length in two bytes after the first. */
const DONES = [0xfd, 0xfe, 0xff]
const RETURN_STATUS = 0x79
const WITH_LENGTH = [0xa9, 0xaa, 0xab, 0xe3]

/** Thrown where more must come. */
const SHORT = new RangeError('A token of the answer is not whole yet.')

/** Memory of its own that an answer's reader keeps and uses again; what a longer row needed is let go of after it. */
const KEPT_BYTES = 2 ** 20
const FIRST_BYTES = 64 * 1024
const NOTHING = Buffer.alloc(0)

/**
 * Bytes that have come and aren't read yet; what isn't whole waits for more. Nearly every packet ends within a row, so what comes next is
 * put behind it in memory that is used again and again: new memory for each would call the garbage collector all the time (buffers.ts).
 */
class Incoming {
  buffer: Buffer = NOTHING
  at = 0
  #own: Buffer = NOTHING

  add(chunk: Buffer): void {
    const left = this.buffer.length - this.at
    if (left === 0) {
      if (this.#own.length > KEPT_BYTES) this.#own = NOTHING
      this.buffer = chunk
      this.at = 0
      return
    }
    const end = this.buffer.length
    if (this.#isOwn && end + chunk.length <= this.#own.length) {
      chunk.copy(this.#own, end)
      this.buffer = this.#own.subarray(0, end + chunk.length)
      return
    }
    const bytes = left + chunk.length
    // To twice of what is needed: a row that comes in many packets isn't copied again for each of them.
    const own = bytes <= this.#own.length ? this.#own : Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * bytes))
    this.buffer.copy(own, 0, this.at)
    chunk.copy(own, left)
    this.#own = own
    this.buffer = own.subarray(0, bytes)
    this.at = 0
  }

  get #isOwn(): boolean {
    return this.buffer.buffer === this.#own.buffer
  }

  /** What lies there, for whoever looks at it when more has come. */
  given(from: number, to: number): Buffer {
    const bytes = this.buffer.subarray(from, to)
    return this.#isOwn ? Buffer.from(bytes) : bytes
  }

  need(end: number): void {
    if (end > this.buffer.length) throw SHORT
  }
}

/** Rows as they came, each a ROW token, one after the other. */
export interface RawBatch {
  readonly columns: readonly RawColumn[]
  readonly rows: number
  readonly bytes: Buffer
  /** Where the last of them begins. */
  readonly last: number
  /** Rows of which something was left out, likewise. */
  readonly clipped: readonly Buffer[]
  /** Whether one of those came last. */
  readonly endsClipped: boolean
}

/** Enough for a batch. */
const BATCH_BYTES = 256 * 1024

/**
 * Takes the rows out of the answer to one statement, as bytes, and leaves the rest of it as it was. `flagged`: the last column says by a
 * value that something was left out of a row; it is none of the row's own.
 */
export class RowSplitter {
  readonly #flagged: boolean
  readonly #incoming = new Incoming()
  #columns: readonly RawColumn[] = []
  #out: Buffer = Buffer.alloc(0)
  #used = 0
  #rows = 0
  #last = 0
  #clipped: Buffer[] = []
  #endsClipped = false
  /** Set where something came that isn't known: nothing is taken out any more. */
  #blind = false

  constructor(flagged: boolean) {
    this.#flagged = flagged
  }

  get isFull(): boolean {
    return this.#used >= BATCH_BYTES
  }

  get holds(): boolean {
    return this.#rows > 0 || this.#clipped.length > 0
  }

  /** What was taken out so far. */
  take(): RawBatch | undefined {
    if (!this.holds) return undefined
    const columns = this.#flagged ? this.#columns.slice(0, -1) : this.#columns
    const bytes = this.#out.subarray(0, this.#used)
    const [rows, last, clipped, endsClipped] = [this.#rows, this.#last, this.#clipped, this.#endsClipped]
    const batch = { columns, rows, bytes, last, clipped, endsClipped }
    this.#out = Buffer.alloc(0)
    this.#used = 0
    this.#rows = 0
    this.#clipped = []
    return batch
  }

  add(chunk: Buffer): void {
    this.#incoming.add(chunk)
  }

  /** Takes rows out, and gives what comes after them; 'full' where the rows must be taken first, undefined where more must come. */
  next(): Buffer | 'full' | undefined {
    if (this.#blind) return this.#rest()
    if (this.#takeRows()) return 'full'
    const incoming = this.#incoming
    const begun = incoming.at
    try {
      while (incoming.at < incoming.buffer.length && !this.#isAtRow && !this.#blind)
        incoming.at = this.#skip(incoming.buffer[incoming.at] ?? 0, incoming.at)
    } catch (error) {
      if (error !== SHORT) throw error
    }
    if (incoming.at > begun) return incoming.given(begun, incoming.at)
    return this.#blind ? this.#rest() : undefined
  }

  get #isAtRow(): boolean {
    const token = this.#incoming.buffer[this.#incoming.at]
    return token === ROW || token === NBC_ROW
  }

  /** True where there is no room for more. */
  #takeRows(): boolean {
    try {
      while (this.#isAtRow) {
        if (this.isFull) return true
        this.#row(this.#incoming.at)
      }
    } catch (error) {
      if (error !== SHORT) throw error
    }
    return false
  }

  /** At the end: what is left, which can't be whole. */
  #rest(): Buffer | undefined {
    const rest = this.#incoming.given(this.#incoming.at, this.#incoming.buffer.length)
    this.#incoming.at = this.#incoming.buffer.length
    return rest.length === 0 ? undefined : rest
  }

  /** The end of a token that is no row. */
  #skip(token: number, at: number): number {
    const incoming = this.#incoming
    if (token === COL_METADATA) {
      const { columns, end } = columnsAt(incoming.buffer, at, (end) => incoming.need(end))
      if (columns.length > 0) this.#columns = columns
      return end
    }
    const end = this.#endOf(token, at)
    incoming.need(end)
    return end
  }

  #endOf(token: number, at: number): number {
    if (DONES.includes(token)) return at + 13
    if (token === RETURN_STATUS) return at + 5
    if (WITH_LENGTH.includes(token)) {
      this.#incoming.need(at + 3)
      return at + 3 + this.#incoming.buffer.readUInt16LE(at + 1)
    }
    this.#blind = true
    return at
  }

  #row(at: number): void {
    const before = this.#used
    try {
      const isClipped = this.#copyRow(at)
      this.#endsClipped = isClipped
      if (isClipped) {
        this.#clipped.push(Buffer.from(this.#out.subarray(before, this.#used)))
        this.#used = before
      } else {
        this.#last = before
        this.#rows += 1
      }
    } catch (error) {
      this.#used = before
      throw error
    }
  }

  /** Copies a row, with all NULLs in their places and decimals of one length; true for one that was clipped. */
  #copyRow(start: number): boolean {
    const incoming = this.#incoming
    const { buffer } = incoming
    const columns = this.#columns
    const end = buffer.length
    const isNbc = buffer[start] === NBC_ROW
    const bitmap = start + 1
    let at = bitmap + (isNbc ? (columns.length + 7) >> 3 : 0)
    if (at > end) throw SHORT
    let from = at
    this.#reserve(1 + 32 * columns.length)
    this.#out[this.#used] = ROW
    this.#used += 1
    const own = this.#flagged ? columns.length - 1 : columns.length
    for (let index = 0; index < own; index += 1) {
      const column = columns[index]
      if (column === undefined) break
      if (isNbc && ((buffer[bitmap + (index >> 3)] ?? 0) & (1 << (index & 7))) !== 0) {
        this.#copy(from, at)
        this.#null(column.kind)
        from = at
        continue
      }
      if (column.kind === 'decimal') {
        if (at >= end) throw SHORT
        const length = buffer[at] ?? 0
        if (at + 1 + length > end) throw SHORT
        if (length > 0 && length < DECIMAL_BYTES) {
          this.#copy(from, at)
          this.#widen(at + 1, length)
          from = at + 1 + length
        }
        at += 1 + length
      } else at = endOfValue(buffer, at, column)
      if (at > end) throw SHORT
    }
    this.#copy(from, at)
    let isClipped = false
    if (this.#flagged) {
      const isNull = isNbc && ((buffer[bitmap + (own >> 3)] ?? 0) & (1 << (own & 7))) !== 0
      if (!isNull) {
        if (at >= end) throw SHORT
        const length = buffer[at] ?? 0
        isClipped = length > 0
        at += 1 + length
        if (at > end) throw SHORT
      }
    }
    incoming.at = at
    return isClipped
  }

  #copy(from: number, to: number): void {
    if (to <= from) return
    this.#reserve(to - from)
    this.#used += this.#incoming.buffer.copy(this.#out, this.#used, from, to)
  }

  #null(kind: Kind): void {
    const bytes = kind === 'pieces' ? 8 : kind === 'short-length' ? 2 : 1
    this.#reserve(bytes)
    this.#out.fill(kind === 'pieces' || kind === 'short-length' ? 0xff : 0, this.#used, this.#used + bytes)
    this.#used += bytes
  }

  #widen(at: number, length: number): void {
    this.#reserve(1 + DECIMAL_BYTES)
    this.#out[this.#used] = DECIMAL_BYTES
    this.#out.fill(0, this.#used + 1, this.#used + 1 + DECIMAL_BYTES)
    this.#incoming.buffer.copy(this.#out, this.#used + 1, at, at + length)
    this.#used += 1 + DECIMAL_BYTES
  }

  #reserve(bytes: number): void {
    if (this.#out.length === 0) this.#out = lendBuffer()
    if (this.#used + bytes <= this.#out.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#used + bytes))
    this.#out.copy(larger, 0, 0, this.#used)
    giveBack(this.#out)
    this.#out = larger
  }
}
