import { TYPES } from 'tedious'
import { MigrateError } from '../../base/errors.ts'
import { dateTimeParts, daysSinceYearOne } from './dates.ts'
import { DECIMAL_BYTES, DECIMAL_DIGITS } from './tds-columns.ts'
import { type Native, parseType, type Wire } from './values.ts'

type DataType = (typeof TYPES)['Int']

/** A type of the driver that takes values as their text. */
const fromText = (type: DataType, write: (buffer: Parameters<DataType['writeValue']>[0], text: string) => void): DataType => ({
  ...type,
  validate: (value) => value,
  writeValue: (buffer, { value }) => {
    if (typeof value === 'string') write(buffer, value)
    else buffer.writeUInt8(0)
  },
})

/** The driver's own would write -0 as 0: it takes every number for text first. */
export const exactFloat: DataType = { ...TYPES.Float, validate: (value) => value }

const NATIVE: Readonly<Record<Exclude<Native, `decimal${string}`>, DataType>> = {
  int: TYPES.Int,
  bigint: fromText(TYPES.BigInt, (buffer, text) => {
    buffer.writeUInt8(8)
    buffer.writeBigInt64LE(BigInt(text))
  }),
  float: exactFloat,
  date: fromText(TYPES.Date, (buffer, text) => {
    buffer.writeUInt8(3)
    buffer.writeUInt24LE(daysSinceYearOne(text))
  }),
  datetime: fromText(TYPES.DateTime, (buffer, text) => {
    const { days, ticks } = dateTimeParts(text)
    buffer.writeUInt8(8)
    buffer.writeInt32LE(days)
    buffer.writeUInt32LE(ticks)
  }),
}

function decimalType(scale: number): DataType {
  return fromText(TYPES.Decimal, (buffer, text) => {
    const { negative, digits } = decimalDigits(text, scale)
    buffer.writeUInt8(DECIMAL_BYTES)
    buffer.writeUInt8(negative ? 0 : 1)
    buffer.writeBigUInt64LE(digits & 0xffff_ffff_ffff_ffffn)
    buffer.writeBigUInt64LE(digits >> 64n)
  })
}

/** The digits of a decimal's text with so many decimals, as one number. Throws `fault` for a text that has more of them. */
function decimalDigits(text: string, scale: number): { readonly negative: boolean; readonly digits: bigint } {
  const [, sign = '', whole, fraction = ''] = /^(-?)(\d*)(?:\.(\d*))?$/.exec(text) ?? []
  if (whole === undefined || fraction.length > scale)
    throw new MigrateError('fault', `"${text}" is no number with ${scale} decimals. This is a fault in migrate.`)
  return { negative: sign === '-', digits: BigInt(`0${whole}${fraction.padEnd(scale, '0')}`) }
}

interface BulkType {
  readonly type: DataType
  readonly options: { readonly length?: number; readonly precision?: number; readonly scale?: number }
}

/** A staging table's column for the driver's bulk load. */
export function bulkType(kind: Wire | Native): BulkType {
  if (typeof kind !== 'string') {
    const length = kind.length === 'max' ? Number.POSITIVE_INFINITY : kind.length
    return { type: kind.kind === 'binary' ? TYPES.VarBinary : TYPES.NVarChar, options: { length } }
  }
  if (!isDecimal(kind)) return { type: NATIVE[kind], options: {} }
  const scale = parseType(kind).sizes[1] ?? 0
  return { type: decimalType(scale), options: { precision: DECIMAL_DIGITS, scale } }
}

const isDecimal = (kind: Native): kind is `decimal(38,${number})` => kind.startsWith('decimal')

/** A column of a bulk load of rows as they came: TYPE_INFO as it came too, and the type as INSERT BULK declares it. */
export interface RawTarget {
  /** Without its brackets, one inside doubled: the driver puts it between them. */
  readonly name: string
  readonly declaration: string
  readonly type: Buffer
  readonly nullable: boolean
}

/** The first column writes whole rows, but for the first one's token, which the driver writes; the others nothing. */
export const rawType = (type: Buffer, declaration: string, isFirst: boolean): DataType => ({
  ...TYPES.VarBinary,
  declaration: () => declaration,
  writeTypeInfo: (buffer) => buffer.writeBuffer(type),
  validate: (value) => value,
  writeValue: (buffer, { value }) => {
    if (isFirst && Buffer.isBuffer(value)) buffer.writeBuffer(value)
  },
})
