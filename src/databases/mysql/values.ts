import { MigrateError } from '../../base/errors.ts'
import type { Cell } from '../port.ts'
import type { Column, Table, TableName } from '../schema.ts'

/** A name as SQL spells it, always quoted: `it``s`. */
export const quoteName = (name: string): string => `\`${name.replaceAll('`', '``')}\``

/** A text constant; needs a session without NO_BACKSLASH_ESCAPES, which ours never has. */
export const quoteText = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`

export const quoteTable = (name: TableName): string => quoteName(name.name)

export const quoteNames = (names: readonly string[]): string => names.map(quoteName).join(', ')

/**
 * How a column's values become text and come back; kept in `Column.codec`.
 *
 * | codec | cell |
 * | --- | --- |
 * | `number` | whole numbers, decimals, years: the digits as the server prints them |
 * | `double` | float and double as the shortest text that reads back as the same number |
 * | `plain` | dates and times as the server prints them |
 * | `address` | uuid, inet4, inet6, likewise; they take no bytes without a character set |
 * | `text` | text that the server turns to utf8mb4 and back without loss |
 * | `ascii` | text of the character set ascii; a byte that isn't ASCII is refused |
 * | `bytes CHARSET` | text in any other character set: its own bytes, hexadecimal |
 * | `json` | MySQL's JSON as text |
 * | `enum`, `set` | the members' text; ' ' for an enum's error value, which has number 0 and prints as '' |
 * | `bit`, `binary` | bytes, hexadecimal; geometry in MySQL's internal form with its SRID, vectors |
 *
 * FLOAT prints six digits ("Floating-Point Types", and C.2.4.8 "Problems with Floating-Point Values" in MySQL's reference manual);
 * multiplied by the double 1 it is printed as a double, with every digit, and -0 stays -0.
 */
type Codec =
  | 'ascii'
  | 'number'
  | 'double'
  | 'plain'
  | 'address'
  | 'text'
  | 'json'
  | 'enum'
  | 'set'
  | 'bit'
  | 'binary'
  | `bytes ${string}`

/** The codec of a type that no version of migrate knows: reading and writing it are refused. */
export const UNKNOWN_CODEC = 'unknown'

const CODECS: Readonly<Record<string, Codec>> = Object.fromEntries([
  ...['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'year'].map((type) => [type, 'number']),
  ...['float', 'double'].map((type) => [type, 'double']),
  ...['date', 'time', 'datetime', 'timestamp'].map((type) => [type, 'plain']),
  ...['uuid', 'inet4', 'inet6'].map((type) => [type, 'address']),
  ...['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob', 'vector'].map((type) => [type, 'binary']),
  ...['geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon'].map((type) => [
    type,
    'binary',
  ]),
  ...['geometrycollection', 'geomcollection'].map((type) => [type, 'binary']),
  ...['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext'].map((type) => [type, 'text']),
  ...['json', 'enum', 'set', 'bit'].map((type) => [type, type]),
])

/**
 * The codec for a column of information_schema: its `DATA_TYPE`, its character set, and those character sets that the server was
 * seen to turn to utf8mb4 and back without loss.
 */
export function codecOf(dataType: string, charset: string | null, lossless: ReadonlySet<string>): string {
  const codec = CODECS[dataType.toLowerCase()]
  if (codec !== 'text') return codec ?? UNKNOWN_CODEC
  if (charset === 'ascii') return 'ascii'
  return charset === null || lossless.has(charset) ? 'text' : `bytes ${charset}`
}

/** True for cells that are bytes in hexadecimal. */
export const isHex = (codec: string): boolean => codec === 'binary' || codec === 'bit' || codec.startsWith('bytes ')

/** True for codecs whose text holds nothing but printable ASCII, no backslash among it. */
export const isAscii = (codec: string): boolean => ['number', 'double', 'plain', 'address'].includes(codec)

const known = (column: Column): string => {
  if (column.codec !== UNKNOWN_CODEC) return column.codec
  throw new MigrateError(
    'column-type-unsupported',
    `Column ${column.name} has the type ${column.type}, which migrate can't copy faithfully.`,
    { hint: 'Leave its table out in the playbook (`tables: { NAME: skip }`) and copy it by hand.' },
  )
}

/** What is selected for a cell; `reference` is the quoted column. The connection's results are utf8mb4. */
export function selectExpression(column: Column, reference: string): string {
  const codec = known(column)
  if (codec === 'double') return `${reference} * 1e0`
  if (codec === 'enum') return `IF(${reference} = 0, ' ', ${reference})`
  return codec === 'ascii' || codec.startsWith('bytes ') ? `CAST(${reference} AS BINARY)` : reference
}

/** The same for blocks, where results come in the column's own bytes. An enum travels as its number. */
export function rawExpression(column: Column, reference: string): string {
  const codec = known(column)
  if (codec === 'double') return `${reference} * 1e0`
  return codec === 'enum' ? `${reference} + 0` : reference
}

const NUMBER = /^-?\d+(\.\d+)?$/
const HEX = /^[0-9a-f]*$/i

const fault = (column: Column): MigrateError =>
  new MigrateError('fault', `A value for column ${column.name} isn't in the form of its type. This is a fault in migrate.`)

/** A number or hexadecimal text goes into SQL without quotes: it must be nothing else. */
function proven(pattern: RegExp, text: string, column: Column): string {
  if (!pattern.test(text)) throw fault(column)
  return text
}

/** Half of a character (a lone surrogate) has no bytes in UTF-8, and would be replaced in silence. */
function wellFormed(text: string, column: Column): string {
  if (text.isWellFormed()) return text
  throw new MigrateError(
    'value-not-storable',
    `A value of column ${column.name} holds half of a character (a lone surrogate), which UTF-8 has no bytes for. Nothing of this batch was written.`,
  )
}

/**
 * The SQL that stores a cell. An enum's error value can't be written in strict mode: see `isEnumError`. Text as bytes goes in without a word
 * on its character set, which is the column's: with one, MySQL 9 warns of bytes that stand for no character (x'98' in cp1251), which old
 * rows may hold.
 */
export function writeExpression(column: Column, cell: Cell): string {
  if (cell === null) return 'NULL'
  const codec = known(column)
  if (codec === 'number') return proven(NUMBER, cell, column)
  if (codec === 'enum' && isEnumError(column, cell)) return '0'
  if (isHex(codec)) return `x'${proven(HEX, cell, column)}'`
  return quoteText(wellFormed(cell, column))
}

/** A member never ends in a space ("The ENUM Type"), so this stands for the value number 0. */
export const isEnumError = (column: Column, cell: Cell): boolean => column.codec === 'enum' && cell === ' '

/** The SQL that a key's column is compared with, so that comparing agrees with the server's own order. */
export function compareExpression(column: Column, cell: Cell): string {
  if (cell === null) return 'NULL'
  const codec = known(column)
  if (codec === 'double') return /e/i.test(cell) ? cell : `${proven(NUMBER, cell, column)}e0`
  if (codec === 'bit') return String(BigInt(`0x${cell === '' ? '0' : proven(HEX, cell, column)}`))
  if (codec === 'enum') return String(cell === ' ' ? 0 : memberNumber(column, cell))
  if (codec === 'set') return String(setNumber(column, cell))
  if (codec.startsWith('bytes ')) return `_${codec.slice('bytes '.length)} x'${proven(HEX, cell, column)}'`
  return writeExpression(column, cell)
}

/** True where the server takes no two cells for one key: no text, whose collation may ('Ann' and 'ANN', 'a' and 'a '), and no double (0 and -0). */
export const isComparedExactly = ({ codec }: Column): boolean =>
  ['number', 'plain', 'address', 'bit', 'enum', 'set'].includes(codec)

/** Enums and sets sort by number but compare with text by text: the number it is. */
function memberNumber(column: Column, text: string): number {
  const at = membersOf(column.type).indexOf(text)
  if (at === -1) throw fault(column)
  return at + 1
}

const setNumber = (column: Column, text: string): bigint =>
  text === '' ? 0n : text.split(',').reduce((sum, member) => sum | (1n << BigInt(memberNumber(column, member) - 1)), 0n)

const ESCAPES: Readonly<Record<string, string>> = { "''": "'", '\\0': '\0', '\\n': '\n', '\\r': '\r' }

/** The members of `enum('a','it''s')` or a set, in order. */
export const membersOf = (type: string): readonly string[] =>
  [...type.matchAll(/'((?:[^'\\]|''|\\.)*)'/gs)].map((match) =>
    (match[1] ?? '').replace(/''|\\./gs, (found) => ESCAPES[found] ?? found.slice(1)),
  )

/** The character set of a collation: its name's first part. */
const charsetOf = (collation: string): string => collation.split('_')[0] ?? ''

/**
 * A table as its blocks hold it: text in other character sets than UTF-8 in its own bytes. Cells of the one are no cells of the other.
 */
export function asInBlocks(table: Table): Table {
  const raw = (column: Column): Column => {
    const isText = column.codec === 'text' || column.codec === 'set' || column.codec === 'ascii'
    if (!isText || column.collation === null || /^utf8(mb[34])?$/.test(charsetOf(column.collation))) return column
    return { ...column, codec: `bytes ${charsetOf(column.collation)}` }
  }
  return { ...table, columns: table.columns.map(raw) }
}
