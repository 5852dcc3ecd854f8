import { isUtf8 } from 'node:buffer'
import { TextDecoder } from 'node:util'
import { MigrateError } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { BACKSLASH, CAPITAL_N, NEWLINE, TAB } from './block-bytes.ts'
import { pieceOf } from './long-row.ts'
import { notUnicode } from './rows.ts'
import { asInBlocks, isAscii, isHex, membersOf } from './values.ts'

/** MySQL's character sets of one byte that the platform decodes to the very same characters, and its names for them. */
const DECODED: Readonly<Record<string, string>> = {
  latin1: 'windows-1252',
  latin2: 'iso-8859-2',
  latin7: 'iso-8859-13',
  koi8r: 'koi8-r',
  macroman: 'macintosh',
}

/**
 * See the port. Throws `block-not-readable` for a table with text in another character set of one byte: its bytes are all that a block
 * holds.
 */
export function unpackBlock(table: Table, bytes: Buffer): readonly Row[] {
  if (pieceOf(bytes) !== undefined) return []
  const columns = readableColumns(table)
  const raw = readableColumns(asInBlocks(table))
  const decoders = columns.map((column, at) => {
    const codec = raw[at]?.codec ?? ''
    return codec === column.codec || column.codec === 'ascii' ? undefined : decoderOf(table, codec.slice('bytes '.length))
  })
  const rows: Row[] = []
  for (let at = 0; at < bytes.length; ) {
    const row: Cell[] = []
    at = unpackRow(bytes, at, raw, row)
    rows.push(
      row.map((cell, place) => {
        if (cell === null || columns[place] === raw[place]) return cell
        const own = Buffer.from(cell, 'hex')
        return decoders[place]?.decode(own) ?? own.toString('latin1')
      }),
    )
  }
  return rows
}

function decoderOf(table: Table, charset: string): TextDecoder {
  const label = DECODED[charset]
  if (label !== undefined) return new TextDecoder(label, { ignoreBOM: true })
  throw new MigrateError(
    'block-not-readable',
    `${fullName(table.name)} holds text in the character set ${charset}, so that its saved rows can be loaded but not read here.`,
  )
}

/** Fills `row` from the line that begins at `start`; returns where the next one begins. */
function unpackRow(block: Buffer, start: number, columns: readonly Column[], row: Cell[]): number {
  let at = start
  for (const column of columns) {
    const begin = at
    let isEscaped = false
    for (; at < block.length && block[at] !== TAB && block[at] !== NEWLINE; at += 1) {
      if (block[at] !== BACKSLASH) continue
      isEscaped = true
      at += 1
    }
    row.push(cellOf(block.subarray(begin, at), isEscaped, column))
    at += 1
  }
  return at
}

function cellOf(value: Buffer, isEscaped: boolean, column: Column): Cell {
  if (value.length === 2 && value[0] === BACKSLASH && value[1] === CAPITAL_N) return null
  const bytes = isEscaped ? unescaped(value) : value
  if (column.codec === 'enum') return memberOf(column, Number(bytes.toString('latin1')))
  if (isHex(column.codec)) return bytes.toString('hex')
  if (isAscii(column.codec)) return bytes.toString('latin1')
  if (!isUtf8(bytes)) throw notUnicode(column)
  return bytes.toString('utf8')
}

const memberOf = (column: Column, number: number): string => (number === 0 ? ' ' : (membersOf(column.type)[number - 1] ?? ''))

function unescaped(value: Buffer): Buffer {
  const result = Buffer.allocUnsafe(value.length)
  let to = 0
  for (let at = 0; at < value.length; at += 1) {
    if (value[at] === BACKSLASH) at += 1
    result[to] = value[at] ?? 0
    to += 1
  }
  return result.subarray(0, to)
}
