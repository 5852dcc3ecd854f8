import { MigrateError } from '../../base/errors.ts'

/** How a column's values are measured in a row ([MS-TDS] 2.2.5.4, 2.2.5.5, 2.2.7.19). */
export type Kind = 'fixed' | 'byte-length' | 'decimal' | 'short-length' | 'pieces'

export interface RawColumn {
  readonly kind: Kind
  /** Of a value of `fixed` length. */
  readonly bytes: number
  /** TYPE_INFO, as it is sent in a bulk load too. */
  readonly type: Buffer
}

const NO_METADATA = 0xffff

const FIXED: Readonly<Record<number, number>> = {
  48: 1,
  50: 1,
  52: 2,
  56: 4,
  58: 4,
  59: 4,
  60: 8,
  61: 8,
  62: 8,
  122: 4,
  127: 8,
}
/** Bytes of TYPE_INFO after the first, of types whose values have their length in one byte. */
const BYTE_LENGTH: Readonly<Record<number, number>> = { 36: 1, 38: 1, 104: 1, 109: 1, 110: 1, 111: 1, 40: 0, 41: 1, 42: 1, 43: 1 }
const DECIMALS = [0x6a, 0x6c]
/** The same of types whose values have it in two bytes: a length, and of text a collation. */
const SHORT_LENGTH: Readonly<Record<number, number>> = { 165: 2, 173: 2, 167: 7, 175: 7, 231: 7, 239: 7 }
const UNLIMITED = 0xffff
/** Every decimal has a sign and 16 bytes, the lowest first, as one of 38 digits has ([MS-TDS] 2.2.5.5.1.6). */
export const DECIMAL_BYTES = 17
export const DECIMAL_DIGITS = 38

/** The columns that a COLMETADATA token at `at` describes, and where it ends ([MS-TDS] 2.2.7.4). `need` throws where there isn't so much yet. */
export function columnsAt(
  buffer: Buffer,
  at: number,
  need: (end: number) => void,
): { readonly columns: readonly RawColumn[]; readonly end: number } {
  need(at + 3)
  const count = buffer.readUInt16LE(at + 1)
  const columns: RawColumn[] = []
  let place = at + 3
  if (count === NO_METADATA) return { columns, end: place }
  for (let index = 0; index < count; index += 1) {
    // UserType and flags.
    place += 6
    need(place + 8)
    const column = columnOf(buffer, place)
    columns.push(column.raw)
    place += column.bytes
    need(place + 1)
    place += 1 + 2 * (buffer[place] ?? 0)
    need(place)
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
