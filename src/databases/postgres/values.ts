import { MigrateError } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import type { TableName } from '../schema.ts'

/** A name as SQL spells it, always quoted: "Order ""x""". */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** A text constant; needs standard_conforming_strings, which every session has on. */
export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`

export const quoteTable = (name: TableName): string => `${quoteName(name.schema)}.${quoteName(name.name)}`

export const quoteNames = (names: readonly string[]): string => names.map(quoteName).join(', ')

/**
 * Settings that fix how values are printed and read, the same on both hosts (PostgreSQL documentation, "Client Connection
 * Defaults"). lc_monetary is pinned because `money` is an integer that the locale only dresses up: printed and read in one
 * locale, the integer survives. row_security off turns silently missing rows into an error. A database closed to writers (closing.ts)
 * is closed to the shop, not to the one who opens it again.
 */
export const sessionSettings: Readonly<Record<string, string>> = {
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  row_security: 'off',
  default_transaction_read_only: 'off',
  search_path: 'pg_catalog',
  lock_timeout: '10s',
  idle_in_transaction_session_timeout: '0',
  check_function_bodies: 'off',
  synchronize_seqscans: 'off',
}

const BACKSLASH = /\\/
const ESCAPE = /\\(.)/gs
const ESCAPED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

const decodeCell = (text: string): Cell => {
  if (!BACKSLASH.test(text)) return text
  if (text === '\\N') return null
  // bytea, which may be large: all but its first character is shared with the line.
  if (text.startsWith('\\\\x') && text.indexOf('\\', 2) === -1) return text.slice(1)
  return text.replace(ESCAPE, (_all, character: string) => ESCAPED[character] ?? character)
}

/** One line of COPY's text format, without its newline, as cells (PostgreSQL documentation, COPY, "Text Format"). */
export function decodeLine(line: string, columns: number): Row {
  if (columns === 0) return []
  const cells = line.split('\t')
  return line.includes('\\') ? cells.map(decodeCell) : cells
}

const MUST_ESCAPE = /[\\\n\r\t]/
const MUST_ESCAPE_ALL = /[\\\n\r\t]/g
const ENCODED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const encodeCell = (cell: Cell): string => {
  if (cell === null) return '\\N'
  if (cell.startsWith('\\x') && !MUST_ESCAPE.test(cell.slice(1))) return `\\${cell}`
  return MUST_ESCAPE.test(cell) ? cell.replace(MUST_ESCAPE_ALL, (character) => ENCODED[character] ?? character) : cell
}

/**
 * Rows as COPY's text format reads them. Throws `value-not-storable` for text that isn't Unicode (half of a surrogate pair),
 * which UTF-8 would silently replace.
 */
export function encodeRows(rows: readonly Row[]): Buffer {
  const text = rows.map((row) => `${row.map(encodeCell).join('\t')}\n`).join('')
  if (!text.isWellFormed()) {
    throw new MigrateError(
      'value-not-storable',
      'A value holds half of a character (a lone surrogate), which UTF-8 has no bytes for. Nothing of this batch was written.',
    )
  }
  return Buffer.from(text, 'utf8')
}
