import { MigrateError } from '../../base/errors.ts'
import { giveBack } from '../buffers.ts'
import type { Block, Cell, KeyRange, PackedPrints, Printing } from '../port.ts'
import { type Column, fullName, keyPositions, readableColumns, type Table } from '../schema.ts'
import { cellText, hashOf, orderOf, rangeOf } from './prints.ts'
import { ownRows } from './relation.ts'

const DIGEST_BYTES = 12
const PRINT_BYTES = 8
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

/** For COPY's binary format: the key's cells as text and its digest, where there is one, and the fingerprint. */
export function packedPrintsSql(table: Table, printing: Printing, options: KeyRange): string {
  const digest = `substr(sha256(convert_to(${keyJson(table)}, 'UTF8')), 1, ${DIGEST_BYTES})`
  const key = table.key.length === 0 ? [] : [...keyColumns(table).map(cellText), digest]
  const list = [...key, hashOf(table, printing.columns)].join(', ')
  return `SELECT ${list} FROM ${ownRows(table)} AS t${rangeOf(table, options)}${orderOf(table)}`
}

/** The answer of `packedPrintsSql` in COPY's binary format, so many rows at a time. The row's parts are copied as they lie in it. */
export async function* packed(blocks: AsyncIterable<Block>, table: Table, rows: number): AsyncGenerator<PackedPrints> {
  const keys = table.key.length
  const parts = keys > 0 ? [DIGEST_BYTES, PRINT_BYTES] : [PRINT_BYTES]
  const rowBytes = parts.reduce((sum, size) => sum + size)
  const columns = keys + parts.length
  let prints = Buffer.allocUnsafe(rows * rowBytes)
  let filled = 0
  let last: readonly Cell[] = []
  for await (const { bytes } of blocks) {
    for (let at = 0; at < bytes.length; ) {
      const begun = at
      if (bytes.readInt16BE(at) !== columns) throw otherwise(table)
      at += COUNT_BYTES
      for (let key = 0; key < keys; key += 1) at += LENGTH_BYTES + Math.max(0, bytes.readInt32BE(at))
      for (const size of parts) {
        if (bytes.readInt32BE(at) !== size) throw otherwise(table)
        at += LENGTH_BYTES
        for (let byte = 0; byte < size; byte += 1) prints[filled + byte] = bytes[at + byte] ?? 0
        at += size
        filled += size
      }
      if (filled === prints.length || at === bytes.length) last = keyOf(bytes, begun + COUNT_BYTES, keys)
      if (filled < prints.length) continue
      yield { rows, prints, last }
      prints = Buffer.allocUnsafe(rows * rowBytes)
      filled = 0
    }
    giveBack(bytes)
  }
  if (filled > 0) yield { rows: filled / rowBytes, prints: prints.subarray(0, filled), last }
}

function keyOf(bytes: Buffer, from: number, keys: number): readonly Cell[] {
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
