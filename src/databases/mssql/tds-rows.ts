import { MigrateError } from '../../base/errors.ts'
import { lendBuffer } from '../buffers.ts'

/** How a column's values are measured in a row ([MS-TDS] 2.2.5.4, 2.2.5.5, 2.2.7.19). */
export type Kind = 'fixed' | 'byte-length' | 'decimal' | 'short-length' | 'pieces'

export interface RawColumn {
  readonly kind: Kind
  /** Of a value of `fixed` length. */
  readonly bytes: number
  /** TYPE_INFO, as it is sent in a bulk load too. */
  readonly type: Buffer
}

const ROW = 0xd1
const NBC_ROW = 0xd2
const COL_METADATA = 0x81
const NO_METADATA = 0xffff
/** Tokens between rows and around them: 13 bytes, 5 bytes, or their length in two bytes after the first. */
const DONES = [0xfd, 0xfe, 0xff]
const RETURN_STATUS = 0x79
const WITH_LENGTH = [0xa9, 0xaa, 0xab, 0xe3]

const FIXED: Readonly<Record<number, number>> = {
  0x30: 1,
  0x32: 1,
  0x34: 2,
  0x38: 4,
  0x3a: 4,
  0x3b: 4,
  0x3c: 8,
  0x3d: 8,
  0x3e: 8,
  0x7a: 4,
  0x7f: 8,
}
/** Bytes of TYPE_INFO after the first, of types whose values have their length in one byte. */
const BYTE_LENGTH: Readonly<Record<number, number>> = { 0x24: 1, 0x26: 1, 0x68: 1, 0x6d: 1, 0x6e: 1, 0x6f: 1, 0x28: 0, 0x29: 1, 0x2a: 1, 0x2b: 1 }
const DECIMALS = [0x6a, 0x6c]
/** The same of types whose values have it in two bytes: a length, and of text a collation. */
const SHORT_LENGTH: Readonly<Record<number, number>> = { 0xa5: 2, 0xad: 2, 0xa7: 7, 0xaf: 7, 0xe7: 7, 0xef: 7 }
const UNLIMITED = 0xffff
/** Every decimal has a sign and 16 bytes, the lowest first, as one of 38 digits has ([MS-TDS] 2.2.5.5.1.6). */
export const DECIMAL_BYTES = 17
const DECIMAL_DIGITS = 38

/** Thrown where more must come. */
const SHORT = new RangeError('A token of the answer is not whole yet.')

/** Bytes that have come and aren't read yet; what isn't whole waits for more. */
class Incoming {
  buffer: Buffer = Buffer.alloc(0)
  at = 0

  add(chunk: Buffer): void {
    this.buffer = this.at === this.buffer.length ? chunk : Buffer.concat([this.buffer.subarray(this.at), chunk])
    this.at = 0
  }

  need(end: number): void {
    if (end > this.buffer.length) throw SHORT
  }
}

/** The columns that a COLMETADATA token at `at` describes, and where it ends. */
function columnsAt(incoming: Incoming, at: number): { readonly columns: readonly RawColumn[]; readonly end: number } {
  const { buffer } = incoming
  incoming.need(at + 3)
  const count = buffer.readUInt16LE(at + 1)
  const columns: RawColumn[] = []
  let place = at + 3
  if (count === NO_METADATA) return { columns, end: place }
  for (let index = 0; index < count; index += 1) {
    // UserType and flags.
    place += 6
    incoming.need(place + 8)
    const column = columnOf(buffer, place)
    columns.push(column.raw)
    place += column.bytes
    incoming.need(place + 1)
    place += 1 + 2 * (buffer[place] ?? 0)
    incoming.need(place)
  }
  return { columns, end: place }
}

function columnOf(buffer: Buffer, at: number): { readonly raw: RawColumn; readonly bytes: number } {
  const type = buffer[at] ?? 0
  const info = (kind: Kind, more: number, bytes = 0) => ({
    raw: { kind, bytes, type: Buffer.from(buffer.subarray(at, at + 1 + more)) },
    bytes: 1 + more,
  })
  const fixed = FIXED[type]
  if (fixed !== undefined) return info('fixed', 0, fixed)
  const byteLength = BYTE_LENGTH[type]
  if (byteLength !== undefined) return info('byte-length', byteLength)
  if (DECIMALS.includes(type)) {
    const scale = buffer[at + 3] ?? 0
    return { raw: { kind: 'decimal', bytes: 0, type: Buffer.from([type, DECIMAL_BYTES, DECIMAL_DIGITS, scale]) }, bytes: 4 }
  }
  const short = SHORT_LENGTH[type]
  if (short !== undefined) return info(buffer.readUInt16LE(at + 1) === UNLIMITED ? 'pieces' : 'short-length', short)
  throw new MigrateError('fault', `A type 0x${type.toString(16)} came where none was asked for. This is a fault in migrate.`)
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

  /** What was taken out so far. */
  take(): RawBatch | undefined {
    if (this.#rows === 0 && this.#clipped.length === 0) return undefined
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
    if (incoming.at > begun) return incoming.buffer.subarray(begun, incoming.at)
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
    const rest = this.#incoming.buffer.subarray(this.#incoming.at)
    this.#incoming.at = this.#incoming.buffer.length
    return rest.length === 0 ? undefined : rest
  }

  /** The end of a token that is no row. */
  #skip(token: number, at: number): number {
    const incoming = this.#incoming
    if (token === COL_METADATA) {
      const { columns, end } = columnsAt(incoming, at)
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
    this.#out = larger
  }
}

/** Where a value ends; beyond the buffer's end where it isn't whole. */
export function endOfValue(buffer: Buffer, at: number, { kind, bytes }: Pick<RawColumn, 'kind' | 'bytes'>): number {
  const end = buffer.length
  switch (kind) {
    case 'fixed':
      return at + bytes
    case 'byte-length':
    case 'decimal':
      return at < end ? at + 1 + (buffer[at] ?? 0) : end + 1
    case 'short-length': {
      if (at + 2 > end) return end + 1
      const length = (buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8)
      return length === UNLIMITED ? at + 2 : at + 2 + length
    }
    case 'pieces':
      return endOfPieces(buffer, at)
  }
}

/** [MS-TDS] 2.2.5.2.3: the whole length, all ones for NULL; then pieces with their own, the last of which is 0. */
function endOfPieces(buffer: Buffer, at: number): number {
  const end = buffer.length
  if (at + 8 > end) return end + 1
  if (buffer.readUInt32LE(at + 4) === 0xffff_ffff && buffer.readUInt32LE(at) === 0xffff_ffff) return at + 8
  for (let place = at + 8; place + 4 <= end; ) {
    const length = buffer.readUInt32LE(place)
    place += 4 + length
    if (length === 0) return place
  }
  return end + 1
}
