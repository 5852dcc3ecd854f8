import { MigrateError } from '../../base/errors.ts'
import type { Cell } from '../port.ts'
import type { Column } from '../schema.ts'
import { type DateText, dateText, dateTime2Text, dateTimeText, smallDateTimeText, timeText } from './dates.ts'
import { isVariant, variantCell, variantSelect } from './variants.ts'

/**
 * How values become text and come back. A column's codec is its base type as DDL spells it (`decimal(10,3)`, `varchar(50)`), also
 * where the column is declared with an alias type, which CONVERT doesn't take.
 *
 * Text is made and read by the server with a fixed style, so that neither the session's language nor JavaScript's numbers come into
 * it ("CAST and CONVERT (Transact-SQL)", date and time styles 23, 120, 121; xml style 1 keeps white space). What the driver reads
 * without loss isn't converted: it is shorter on the wire, and the old host is spared the work. Dates: dates.ts. Integers travel as they are, which the driver reads without loss (bigint as text). float and real travel as their own IEEE 754
 * bytes, which is exactly what a JavaScript number holds: the lossless style 3 only exists since SQL Server 2016. Their text is
 * ECMAScript's shortest that reads back as the same number.
 */
interface Codec {
  /** The value as it is selected. */
  readonly select: (column: string) => string
  /** The value from the text (or bytes) `value`, for INSERT and UPDATE. Never cuts anything short in silence. */
  readonly write: (value: string) => string
  /** The same for comparing with the column, where it differs. */
  readonly compare?: (value: string, column: Column) => string
  /** The cell from a Date that the driver gives, where it does. */
  readonly date?: DateText
  /** The cell from a number that the driver gives, where that isn't the shortest text. */
  readonly number?: (value: number) => string
  /** What a staging table's column or a parameter must be to hold it. */
  readonly wire: Wire
  /** What a staging table's column may be instead, since the driver writes it without loss: no text then has to be read again there. */
  readonly native?: Native
}

export type Native = 'int' | 'bigint' | 'float' | 'date' | 'datetime' | `decimal(38,${number})`

/** `binary`: bytes, hexadecimal as a cell. `number`: float's and real's own bytes when read. */
export type Wire =
  | { readonly kind: 'text'; readonly length: number | 'max' }
  | { readonly kind: 'binary'; readonly length: number | 'max' }

const text = (length: number | 'max'): Wire => ({ kind: 'text', length })
const binary = (length: number | 'max'): Wire => ({ kind: 'binary', length })

/** Base type name and its arguments: `decimal(10,3)` → `decimal`, [10, 3]; `max` is -1. */
export function parseType(type: string): { readonly name: string; readonly sizes: readonly number[] } {
  const match = /^([a-z0-9_]+)(?:\(([^)]*)\))?$/i.exec(type.trim())
  if (match?.[1] === undefined) return { name: type, sizes: [] }
  const sizes = (match[2] ?? '').split(',').filter((part) => part !== '')
  return { name: match[1].toLowerCase(), sizes: sizes.map((part) => (part.trim().toLowerCase() === 'max' ? -1 : Number(part))) }
}

const plain = (type: string, length: number): Codec => ({
  select: (column) => `CONVERT(nvarchar(${length}), ${column})`,
  write: (value) => `CONVERT(${type}, ${value})`,
  wire: text(length),
})

/** Integers of the type's own bytes: the driver reads them exactly, and the old host is spared the conversion. */
const whole = (type: string): Codec => ({
  ...plain(type, 20),
  select: (column) => column,
  native: type === 'bigint' ? 'bigint' : 'int',
})

const styled = (type: string, length: number, style: number): Codec => ({
  select: (column) => `CONVERT(nvarchar(${length}), ${column}, ${style})`,
  write: (value) => `CONVERT(${type}, ${value}, ${style})`,
  wire: text(length),
})

/** Read as the driver gives it, written from text of a fixed style. */
const dated = (type: string, length: number, style: number, date: DateText): Codec => ({
  ...styled(type, length, style),
  select: (column) => column,
  date,
})

// money keeps four digits, of which CONVERT's default style shows two; decimal of the same range shows them all.
const money = (type: string, digits: number): Codec => ({
  select: (column) => `CONVERT(nvarchar(24), CONVERT(decimal(${digits},4), ${column}))`,
  write: (value) => `CONVERT(${type}, CONVERT(decimal(${digits},4), ${value}))`,
  wire: text(24),
  native: 'decimal(38,4)',
})

/**
 * A decimal of at most 15 digits is the nearest to exactly one double, of which toFixed gives those digits back (IEEE 754: 53 bits
 * hold 15 decimal digits); longer ones travel as text.
 */
const decimal = (type: string, precision: number, scale: number): Codec =>
  precision > 15
    ? { ...plain(type, 41), native: `decimal(38,${scale})` }
    : {
        ...plain(type, 41),
        select: (column) => column,
        number: (value) => value.toFixed(scale),
        native: `decimal(38,${scale})`,
      }

const floating = (type: string): Codec => ({
  select: (column) => column,
  write: (value) => `CONVERT(${type}, ${value})`,
  wire: text(40),
  native: 'float',
})

/**
 * Text in the column's code page. It is written as Unicode and converted by the assignment, which uses the column's collation and
 * refuses what is too long; CONVERT would use the database's and cut it. To be compared, it is converted to as long a text as there is,
 * so that nothing is cut until it equals what it isn't.
 */
const codePage = (length: number): Codec => {
  const wide = length === -1 || length > 4000 ? 'max' : length
  const size = length === -1 ? 'max' : 8000
  return {
    select: (column) => `CONVERT(nvarchar(${wide}), ${column})`,
    write: (value) => value,
    compare: (value, column) =>
      `CONVERT(varchar(${size}), ${value}${column.collation === null ? '' : ` COLLATE ${column.collation}`})`,
    wire: text(wide),
  }
}

const asIs = (wire: Wire): Codec => ({ select: (column) => column, write: (value) => value, wire })

/** Compared by the column's collation also where the value stands in a table of its own, which has the database's (error 468). */
const unicode = (wire: Wire): Codec => ({
  ...asIs(wire),
  compare: (value, { collation }) => (collation === null ? value : `${value} COLLATE ${collation}`),
})

const unlimited = (type: string, wire: Wire): Codec => ({
  select: (column) => `CONVERT(${type}, ${column})`,
  write: (value) => value,
  wire,
})

/**
 * The bytes that the type's own Write gives and its Read takes, both of which CONVERT calls ("Write (Database Engine)", remarks; "Spatial
 * types - geometry (Transact-SQL)", casting: to varbinary by an explicit conversion).
 */
const clr = (type: string): Codec => ({
  select: (column) => `CONVERT(varbinary(max), ${column})`,
  write: (value) => `CONVERT(${type}, ${value})`,
  wire: binary('max'),
})

const size = (sizes: readonly number[], otherwise: number): number | 'max' => {
  const given = sizes[0] ?? otherwise
  return given === -1 ? 'max' : given
}

/** The codec of a base type; `undefined` for a type that can't be carried faithfully. */
function codecOf(type: string): Codec | undefined {
  const { name, sizes } = parseType(type)
  switch (name) {
    case 'bit':
    case 'tinyint':
    case 'smallint':
    case 'int':
    case 'bigint':
      return whole(name)
    case 'decimal':
    case 'numeric':
      return decimal(type, sizes[0] ?? 18, sizes[1] ?? 0)
    case 'money':
      return money(name, 19)
    case 'smallmoney':
      return money(name, 10)
    case 'float':
    case 'real':
      return floating(name)
    case 'uniqueidentifier':
      return plain(name, 36)
    case 'char':
    case 'varchar':
      return codePage(sizes[0] ?? 1)
    case 'nchar':
    case 'nvarchar':
      return unicode(text(size(sizes, 1)))
    case 'text':
    case 'ntext':
      return unlimited('nvarchar(max)', text('max'))
    case 'binary':
    case 'varbinary':
      return asIs(binary(size(sizes, 1)))
    case 'image':
      return unlimited('varbinary(max)', binary('max'))
    default:
      return dateCodec(name, type, sizes[0] ?? 7) ?? specialCodec(name)
  }
}

function dateCodec(name: string, type: string, scale: number): Codec | undefined {
  switch (name) {
    case 'date':
      return { ...dated(type, 10, 23, dateText), native: 'date' }
    case 'time':
      return dated(type, 16, 121, timeText(scale))
    case 'smalldatetime':
      return dated(type, 19, 120, smallDateTimeText)
    case 'datetime':
      return { ...dated(type, 23, 121, dateTimeText), native: 'datetime' }
    case 'datetime2':
      return dated(type, 27, 121, dateTime2Text(scale))
    // The driver drops the offset.
    case 'datetimeoffset':
      return styled(type, 34, 121)
    default:
      return undefined
  }
}

function specialCodec(name: string): Codec | undefined {
  switch (name) {
    case 'xml':
      return {
        select: (column) => `CONVERT(nvarchar(max), ${column})`,
        write: (value) => `CONVERT(xml, ${value}, 1)`,
        wire: text('max'),
      }
    case 'hierarchyid':
    case 'geometry':
    case 'geography':
      return clr(name)
    // What is written is a sql_variant already: variants.ts, `arriving`.
    case 'sql_variant':
      return { select: variantSelect, write: (value) => value, wire: text('max') }
    default:
      return undefined
  }
}

/** True when values of this base type arrive as they left. */
export const isCarried = (type: string): boolean => codecOf(type) !== undefined

function codec(column: Column): Codec {
  const found = codecOf(column.codec)
  if (found !== undefined) return found
  throw new MigrateError(
    'column-type-unsupported',
    `Column ${column.name} has the type ${column.type}, which migrate can't copy faithfully.`,
    {
      hint: 'Leave its table out in the playbook (`tables: { NAME: skip }`) and copy it by hand.',
    },
  )
}

/** Text whose bytes mean what their column's code page says. */
export const isCodePage = ({ codec }: Column): boolean => /^(?:(?:var)?char|text)/.test(codec)

/** The select list's item for a column; `reference` is the quoted column, with its table's alias if need be. */
export const selectExpression = (column: Column, reference: string): string => codec(column).select(reference)

/** SQL that turns the text or bytes `value` into the column's value, to be stored. */
export const writeExpression = (column: Column, value: string): string => codec(column).write(value)

/** SQL that turns the text or bytes `value` into the column's value, to be compared with the column by the server's own rules. */
export function compareExpression(column: Column, value: string): string {
  const { compare, write } = codec(column)
  return compare === undefined ? write(value) : compare(value, column)
}

/** How a column's cells travel to the server. */
export const wireOf = (column: Column): Wire => codec(column).wire

/** What makes a cell of a column's value as the driver gives it. */
export function decoderOf(column: Column): (value: unknown) => Cell {
  const { date, number } = codec(column)
  if (isVariant(column)) return (value) => variantCell(cellOf(value))
  if (number !== undefined) return (value) => (typeof value === 'number' ? number(value) : cellOf(value))
  return date === undefined ? cellOf : (value) => (value instanceof Date ? date(value) : cellOf(value))
}

/** How a column may be staged in its own kind of type; `undefined` where only text or bytes keep it exactly. */
export const nativeOf = (column: Column): Native | undefined => codec(column).native

/** A cell → what a bulk load takes for it in a column of that kind: dates, bigint and decimals as their text. */
export const nativeValue = (cell: Cell, native: Native): number | Cell =>
  cell !== null && (native === 'int' || native === 'float') ? Number(cell) : cell

/** A value as the driver gives it → the cell. */
export function cellOf(value: unknown): Cell {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (typeof value === 'number') return floatText(value)
  if (typeof value === 'boolean') return value ? '1' : '0'
  throw new MigrateError(
    'fault',
    `A value of type ${typeof value} came back where text was asked for. This is a fault in migrate.`,
  )
}

/** The shortest text that reads back as the same number; the sign of zero kept. */
export const floatText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

/** A cell → what the driver sends for it. */
export const wireValue = (cell: Cell, wire: Wire): string | Buffer | null =>
  cell === null || wire.kind === 'text' ? cell : Buffer.from(cell, 'hex')
