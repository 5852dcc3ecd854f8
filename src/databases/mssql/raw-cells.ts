import { MigrateError } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import { dateTime2Cell, dateTimeCell, dateTimeOffsetCell, dayCell, smallDateTimeCell, timeCell } from './raw-dates.ts'
import { endOfValue, type RawColumn } from './tds-columns.ts'
import { floatText } from './values.ts'

/** What makes a cell of a value's bytes, which are those of its type ([MS-TDS] 2.2.5.5). */
type Decoder = (bytes: Buffer) => Cell

/** The driver's names of the columns' code pages. */
type CodePages = readonly (string | null | undefined)[]

/** The rows in `bytes` as cells: the same that Reader.rows gives. */
export function cellsOf(columns: readonly RawColumn[], codePages: CodePages, bytes: Buffer): readonly Row[] {
  const cellAt = columns.map((column, index) => readerOf(column, codePages[index]))
  const rows: Row[] = []
  for (let at = 0; at < bytes.length; ) {
    const bounds = boundsOf(columns, bytes, at)
    rows.push(cellAt.map((read, index) => read(bytes, bounds, index)))
    at = bounds.at(-1) ?? bytes.length
  }
  return rows
}

/** Cells of the one row in `bytes`, of the columns at `places`, in their order: nothing is made of the others, which may not be readable here. */
export function cellsAt(columns: readonly RawColumn[], codePages: CodePages, bytes: Buffer, places: readonly number[]): Row {
  const bounds = boundsOf(columns, bytes, 0)
  return places.map((place) => {
    const column = columns[place]
    return column === undefined ? null : readerOf(column, codePages[place])(bytes, bounds, place)
  })
}

/** Where the values of the row at `start` begin, each of which ends where the next begins, and at last where the row ends. */
function boundsOf(columns: readonly RawColumn[], bytes: Buffer, start: number): readonly number[] {
  const bounds = [start + 1]
  for (const column of columns) bounds.push(endOfValue(bytes, bounds.at(-1) ?? start, column))
  return bounds
}

/** What makes a cell of the column's value, given the bounds of its row and the column's place. */
function readerOf({ type, kind }: RawColumn, codePage: CodePages[number]) {
  const decode = decoderFor(type, codePage)
  return (bytes: Buffer, bounds: readonly number[], place: number): Cell => {
    const value = valueIn(bytes, bounds[place] ?? 0, bounds[place + 1] ?? 0, kind)
    return value === null ? null : decode(value)
  }
}

/** A value without its length; `null` for NULL. */
function valueIn(bytes: Buffer, at: number, end: number, kind: RawColumn['kind']): Buffer | null {
  switch (kind) {
    case 'fixed':
      return bytes.subarray(at, end)
    case 'byte-length':
    case 'decimal':
      return end === at + 1 ? null : bytes.subarray(at + 1, end)
    case 'short-length':
      return bytes.readUInt16LE(at) === 0xffff ? null : bytes.subarray(at + 2, end)
    case 'pieces':
      return joined(bytes, at, end)
  }
}

function joined(bytes: Buffer, at: number, end: number): Buffer | null {
  if (end === at + 8) return null
  const pieces: Buffer[] = []
  for (let place = at + 8; place + 4 < end; ) {
    const length = bytes.readUInt32LE(place)
    pieces.push(bytes.subarray(place + 4, place + 4 + length))
    place += 4 + length
  }
  return Buffer.concat(pieces)
}

const integer: Decoder = (bytes) => {
  if (bytes.length === 1) return String(bytes.readUInt8())
  if (bytes.length === 8) return String(bytes.readBigInt64LE())
  return String(bytes.readIntLE(0, bytes.length))
}
const bit: Decoder = (bytes) => (bytes[0] === 0 ? '0' : '1')
const float: Decoder = (bytes) => floatText(bytes.length === 4 ? bytes.readFloatLE() : bytes.readDoubleLE())
const unicode: Decoder = (bytes) => bytes.toString('utf16le')
const hexadecimal: Decoder = (bytes) => bytes.toString('hex')

/** A whole number as text with so many decimals. */
function scaled(digits: bigint, negative: boolean, scale: number): string {
  const text = String(digits).padStart(scale + 1, '0')
  const sign = negative && digits !== 0n ? '-' : ''
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
}

const decimal =
  (scale: number): Decoder =>
  (bytes) => {
    const digits = bytes.readBigUInt64LE(1) + (bytes.readBigUInt64LE(9) << 64n)
    return scaled(digits, bytes[0] === 0, scale)
  }

/** The upper half of money's eight bytes comes first. */
const money: Decoder = (bytes) => {
  const amount =
    bytes.length === 4 ? BigInt(bytes.readInt32LE()) : (BigInt(bytes.readInt32LE(0)) << 32n) + BigInt(bytes.readUInt32LE(4))
  return scaled(amount < 0n ? -amount : amount, amount < 0n, 4)
}

/** The first three parts lowest byte first. */
const identifier: Decoder = (bytes) => {
  const part = (from: number, to: number, turned: boolean): string => {
    const some = Buffer.from(bytes.subarray(from, to))
    return (turned ? some.reverse() : some).toString('hex')
  }
  return [part(0, 4, true), part(4, 6, true), part(6, 8, true), part(8, 10, false), part(10, 16, false)].join('-').toUpperCase()
}

/** Names of the WHATWG's Encoding Standard. */
const ENCODINGS: Readonly<Record<string, string>> = {
  CP874: 'windows-874',
  CP932: 'shift_jis',
  CP936: 'gbk',
  CP949: 'euc-kr',
  CP950: 'big5',
  'utf-8': 'utf-8',
}

function codePage(name: string | null | undefined): Decoder {
  const label = ENCODINGS[name ?? ''] ?? (/^CP125\d$/.test(name ?? '') ? `windows-${name?.slice(2)}` : undefined)
  if (label !== undefined) {
    const decoder = new TextDecoder(label, { ignoreBOM: true })
    return (bytes) => decoder.decode(bytes)
  }
  return () => {
    throw new MigrateError(
      'snapshot-format-unknown',
      `Text of the code page ${name ?? 'of its column'} is read by its server alone.`,
      {
        hint: 'It is copied as it is; to see it, look at the row on one of the hosts.',
      },
    )
  }
}

function decoderFor(type: Buffer, page: string | null | undefined): Decoder {
  const [id = 0, one = 0] = type
  switch (id) {
    case 0x32:
    case 0x68:
      return bit
    case 0x30:
    case 0x34:
    case 0x38:
    case 0x7f:
    case 0x26:
      return integer
    case 0x3b:
    case 0x3e:
    case 0x6d:
      return float
    case 0x3c:
    case 0x7a:
    case 0x6e:
      return money
    case 0x6a:
    case 0x6c:
      return decimal(type[3] ?? 0)
    case 0x24:
      return identifier
    case 0xe7:
    case 0xef:
      return unicode
    case 0xa5:
    case 0xad:
      return hexadecimal
    case 0xa7:
    case 0xaf:
      return codePage(page)
    default:
      return dateDecoder(id, one)
  }
}

function dateDecoder(id: number, scale: number): Decoder {
  switch (id) {
    case 0x28:
      return dayCell
    case 0x29:
      return (bytes) => timeCell(bytes, scale)
    case 0x2a:
      return (bytes) => dateTime2Cell(bytes, scale)
    case 0x2b:
      return (bytes) => dateTimeOffsetCell(bytes, scale)
    default:
      return (bytes) => (bytes.length === 4 ? smallDateTimeCell(bytes) : dateTimeCell(bytes))
  }
}
