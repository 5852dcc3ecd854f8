import { MigrateError } from '../../base/errors.ts'
import { giveBack } from '../buffers.ts'
import type { Block, Cell, KeyRange, PackedPrints, Printing } from '../port.ts'
import { type Column, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import { cellText, hashOf, orderOf, rangeOf } from './prints.ts'
import { ownRows } from './relation.ts'
import { quoteName } from './values.ts'

const DIGEST_BYTES = 12
const PRINT_BYTES = 8
const NUMBER_BYTES = 8
/** Before a row stands the number of its values, and before each value its length (COPY, "Binary Format"). */
const COUNT_BYTES = 2
const LENGTH_BYTES = 4

/** Types of which no text holds what JSON escapes. */
const PLAIN_IN_JSON = /^(smallint|integer|bigint|numeric|real|double precision|date|uuid|timestamp with(out)? time zone)$/

/** SQL for a row's key as one text, as the port spells it: a JSON array of its cells. */
function keyJson(table: Table): string {
  const cells = keyColumns(table).map((column) => {
    const text = PLAIN_IN_JSON.test(column.codec) ? `'"' || ${cellText(column)} || '"'` : `to_json(${cellText(column)})::text`
    return `coalesce(${text}, 'null')`
  })
  return `'[' || ${cells.join(" || ',' || ")} || ']'`
}

const keyColumns = (table: Table): readonly Column[] => {
  const columns = readableColumns(table)
  return keyPositions(table).flatMap((at) => columns[at] ?? [])
}

/**
 * Whether a key is whole numbers alone, which are sent as they are: a server that takes three million narrow rows' fingerprints a second
 * takes a fifth of that with a SHA-256 of each key.
 */
const isNumbers = (columns: readonly Column[]): boolean =>
  columns.every(({ codec, nullable }) => /^(small|big)?int(eger)?$/.test(codec) && !nullable)

/** For COPY's binary format: the key as whole numbers, or its cells as text and its digest, where there is one; and the fingerprint. */
export function packedPrintsSql(table: Table, printing: Printing, options: KeyRange): string {
  const list = [...keyList(table), hashOf(table, printing.columns)].join(', ')
  return `SELECT ${list} FROM ${ownRows(table)} AS t${rangeOf(table, options)}${orderOf(table)}`
}

function keyList(table: Table): readonly string[] {
  const columns = keyColumns(table)
  if (isNumbers(columns)) return columns.map(({ name }) => `t.${quoteName(name)}::bigint`)
  return [...columns.map(cellText), `substr(sha256(convert_to(${keyJson(table)}, 'UTF8')), 1, ${DIGEST_BYTES})`]
}

/** How rows come, and what of them is kept. */
interface Form {
  /** Columns before those that are kept. */
  readonly passed: number
  /** Bytes of those that are kept. */
  readonly parts: readonly number[]
  /** The key of the row that begins here, behind its number of values. */
  readonly keyOf: (bytes: Buffer, at: number) => readonly Cell[]
}

function formOf(table: Table): Form {
  const keys = table.key.length
  if (isNumbers(keyColumns(table))) {
    const parts = [...table.key.map(() => NUMBER_BYTES), PRINT_BYTES]
    return { passed: 0, parts, keyOf: (bytes, at) => numbersOf(bytes, at, keys) }
  }
  return { passed: keys, parts: [DIGEST_BYTES, PRINT_BYTES], keyOf: (bytes, at) => textsOf(bytes, at, keys) }
}

/** The answer of `packedPrintsSql` in COPY's binary format, so many rows at a time. The row's parts are copied as they lie in it. */
export async function* packed(blocks: AsyncIterable<Block>, table: Table, rows: number): AsyncGenerator<PackedPrints> {
  const { passed, parts, keyOf } = formOf(table)
  const rowBytes = parts.reduce((sum, size) => sum + size)
  const columns = passed + parts.length
  let prints = Buffer.allocUnsafe(rows * rowBytes)
  let filled = 0
  let last: readonly Cell[] = []
  for await (const { bytes } of blocks) {
    for (let at = 0; at < bytes.length; ) {
      const begun = at
      if (bytes.readInt16BE(at) !== columns) throw otherwise(table)
      at += COUNT_BYTES
      for (let key = 0; key < passed; key += 1) at += LENGTH_BYTES + Math.max(0, bytes.readInt32BE(at))
      for (const size of parts) {
        if (bytes.readInt32BE(at) !== size) throw otherwise(table)
        at += LENGTH_BYTES
        for (let byte = 0; byte < size; byte += 1) prints[filled + byte] = bytes[at + byte] ?? 0
        at += size
        filled += size
      }
      if (filled === prints.length || at === bytes.length) last = keyOf(bytes, begun + COUNT_BYTES)
      if (filled < prints.length) continue
      yield { rows, prints, last }
      prints = Buffer.allocUnsafe(rows * rowBytes)
      filled = 0
    }
    giveBack(bytes)
  }
  if (filled > 0) yield { rows: filled / rowBytes, prints: prints.subarray(0, filled), last }
}

const numbersOf = (bytes: Buffer, from: number, keys: number): readonly Cell[] =>
  Array.from({ length: keys }, (_, at) => String(bytes.readBigInt64BE(from + at * (LENGTH_BYTES + NUMBER_BYTES) + LENGTH_BYTES)))

function textsOf(bytes: Buffer, from: number, keys: number): readonly Cell[] {
  let at = from
  return Array.from({ length: keys }, (): Cell => {
    const length = bytes.readInt32BE(at)
    at += LENGTH_BYTES + Math.max(0, length)
    return length < 0 ? null : UTF8.decode(bytes.subarray(at - length, at))
  })
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const otherwise = (table: Table): MigrateError =>
  new MigrateError(
    'fault',
    `The fingerprints of ${fullName(table.name)} came otherwise than they were asked for. This is a fault in migrate.`,
  )
