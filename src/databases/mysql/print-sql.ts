import { createHash } from 'node:crypto'
import { MigrateError } from '../../base/errors.ts'
import type { Printing } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { quoteName, UNKNOWN_CODEC } from './values.ts'

/**
 * A row's fingerprint as the server computes it. SHA-256 over the row's framed cells gives 64 hexadecimal digits; the fingerprint's
 * high half is the CRC-32 of them all, its low half the CRC-32 of the first 20. Of a SHA-256, these are 64 well mixed bits: the CRCs only
 * fold them. A CRC-32 of the cells themselves would not do: it is linear, so that values swapped between two rows change a sum of
 * such by 0 in one case of some 9,000 (tried), and one with another seed says nothing new of rows of equal length.
 *
 * It costs a fifth of what the cells' texts cost, as SHA-1 would, which MySQL has no more since 9.6 ("Legacy Hashing Component"). Its
 * digits as a number (CONV) would take longer than the hash itself; a variable keeps it from being computed twice. That such a variable
 * is set before it is read within one expression is how servers do it, not what MySQL's manual promises ("User-Defined Variables"):
 * `knownAnswer` (prints.ts) asks each server.
 */
export const hashExpression = (text: string): string => `(CRC32(${HASH} := SHA2(${text}, 256)) << 32 | CRC32(LEFT(${HASH}, 20)))`

/** Session variable that holds the last SHA-256; NULL where there was none. */
export const HASH = '@migrate_print'

const VERSION = 'mysql-sha2-1'

/**
 * Bytes of text that are framed whole, all columns together; what would exceed it goes in as its SHA-256. "If the result would be longer
 * than max_allowed_packet", a string function gives NULL with no more than a warning ("String Functions and Operators").
 */
const INLINE_BYTES = 512 * 1024
/** A server that takes no more than this at once can't be trusted with `INLINE_BYTES` and what stands around them. */
export const LEAST_PACKET = 2 * INLINE_BYTES

/** How a column's cell stands in the text that is hashed. */
type Frame =
  /** Digits, or a date: text without a comma, so that the comma after it ends it; nothing at all for NULL. */
  | 'plain'
  /** The SHA-256 of its bytes. */
  | 'digest'
  /** Its length in bytes, and the bytes; no length for NULL. */
  | 'bytes'

const PLAIN = new Set(['number', 'double', 'plain', 'address', 'enum', 'set', 'bit'])

/** The longest value of a type of text or bytes; a character has four bytes at most. */
function mostBytes(column: Column): number {
  const [, name = '', length] = /^(\w+)(?:\((\d+)\))?/.exec(column.type.toLowerCase()) ?? []
  if (/^(var)?(char|binary)$/.test(name)) return Math.min(4 * Number(length ?? 1), 65_535)
  if (/^tiny(text|blob)$/.test(name)) return 255
  return /^(text|blob)$/.test(name) ? 65_535 : Number.POSITIVE_INFINITY
}

/** True of a column whose values may be longer than what is framed whole. */
export const isLong = (column: Column): boolean => !PLAIN.has(column.codec) && !Number.isFinite(mostBytes(column))

interface Framed {
  readonly column: Column
  readonly frame: Frame
}

function framesOf(columns: readonly Column[]): readonly Framed[] {
  let room = INLINE_BYTES
  return columns.map((column) => {
    if (PLAIN.has(column.codec)) return { column, frame: 'plain' }
    const bytes = mostBytes(column)
    if (bytes > room) return { column, frame: 'digest' }
    room -= bytes
    return { column, frame: 'bytes' }
  })
}

/**
 * The text whose hash is a row's: one text for each content, by which it can be told apart again from its beginning. Text stands in its
 * column's own bytes (CAST … AS BINARY), so that neither collations nor character sets have a say, or can be mixed illegally.
 */
export function framedText(columns: readonly Column[]): string {
  const frames = framesOf(columns).toSorted((a, b) => Number(a.frame === 'bytes') - Number(b.frame === 'bytes'))
  const pieces = frames.flatMap(({ column, frame }, at) => piecesOf(column, frame, at === frames.length - 1))
  return pieces.length === 0 ? "''" : `CONCAT_WS(',', ${pieces.join(', ')})`
}

function piecesOf(column: Column, frame: Frame, isLast: boolean): readonly string[] {
  const name = quoteName(column.name)
  if (frame !== 'bytes') {
    const text = frame === 'digest' ? `SHA2(${name}, 256)` : plainText(column, name)
    return [column.nullable ? `IFNULL(${text}, '')` : text]
  }
  const bytes = column.codec === 'binary' ? name : `CAST(${name} AS BINARY)`
  if (column.nullable) return [`IFNULL(LENGTH(${name}), '')`, bytes]
  return isLast ? [bytes] : [`LENGTH(${name})`, bytes]
}

function plainText(column: Column, name: string): string {
  if (column.codec === 'double') return `${name} * 1e0`
  if (column.codec === 'address') return `CAST(${name} AS CHAR)`
  return ['enum', 'set', 'bit'].includes(column.codec) ? `${name} + 0` : name
}

/** The readable columns of these names, in their order. */
export function columnsOf(table: Table, names: readonly string[]): readonly Column[] {
  const columns = readableColumns(table)
  return names.map((name) => {
    const column = columns.find((each) => each.name === name)
    if (column !== undefined) return column
    throw new MigrateError(
      'fault',
      `${fullName(table.name)} has no column ${name} to be fingerprinted. This is a fault in migrate.`,
    )
  })
}

export const printExpression = (table: Table, printing: Printing): string =>
  hashExpression(framedText(columnsOf(table, printing.columns)))

/** The same without the columns apart; `undefined` where there are none. */
export const restExpression = (table: Table, { columns, apart }: Printing): string | undefined =>
  apart.length === 0
    ? undefined
    : hashExpression(
        framedText(
          columnsOf(
            table,
            columns.filter((name) => !apart.includes(name)),
          ),
        ),
      )

/**
 * Names the method together with all of the table's columns on which the hashed text depends: two hosts with the same give equal
 * fingerprints to equal rows. `undefined` where a column can't be read at all.
 */
export function printMethod(table: Table): string | undefined {
  const columns = readableColumns(table)
  if (columns.some((column) => column.codec === UNKNOWN_CODEC)) return undefined
  const signature = columns.map((column) => [column.name.toLowerCase(), column.codec, column.nullable, ...detailsOf(column)])
  return `${VERSION}-${createHash('sha256').update(JSON.stringify(signature)).digest('hex').slice(0, 16)}`
}

/** Members stand by their numbers, text in its own character set, and whether it is framed whole depends on its type's length. */
function detailsOf(column: Column): readonly (string | number)[] {
  if (column.codec === 'enum' || column.codec === 'set') return [column.type]
  if (PLAIN.has(column.codec)) return []
  const bytes = mostBytes(column)
  // A character has the same bytes in every UTF-8, also where one of three bytes goes by an older name.
  const charset = (column.collation?.split('_')[0] ?? '').replace(/^utf8mb[34]$/, 'utf8')
  return [charset, Number.isFinite(bytes) ? bytes : 'long']
}
