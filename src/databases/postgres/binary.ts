import { MigrateError } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import { type Column, fullName, readableColumns, type Table } from '../schema.ts'
import { dateText, timestampText, timeText } from './binary-dates.ts'
import { doubleText, numericText, realText } from './binary-numbers.ts'

/**
 * COPY's binary format (PostgreSQL documentation, COPY, "Binary Format"): it spares both servers the text of every value, and takes
 * fewer bytes. It is used for tables whose columns are all of the types below, of which the bytes mean the same in every release and
 * on every server. Others name types by numbers that differ between two databases (arrays, composite types), or are seldom enough to
 * stay text.
 */
const DECODERS: Readonly<Record<string, (bytes: Buffer) => string>> = {
  boolean: (bytes) => (bytes[0] === 0 ? 'f' : 't'),
  smallint: (bytes) => String(bytes.readInt16BE()),
  integer: (bytes) => String(bytes.readInt32BE()),
  bigint: (bytes) => String(bytes.readBigInt64BE()),
  oid: (bytes) => String(bytes.readUInt32BE()),
  numeric: numericText,
  real: realText,
  'double precision': doubleText,
  text: utf8,
  'character varying': utf8,
  character: utf8,
  bpchar: utf8,
  json: utf8,
  // A byte with the version of what follows, always 1 (src/backend/utils/adt/jsonb.c, jsonb_send).
  jsonb: (bytes) => utf8(bytes.subarray(1)),
  bytea: (bytes) => `\\x${bytes.toString('hex')}`,
  uuid: uuidText,
  date: dateText,
  'time without time zone': timeText,
  'timestamp without time zone': (bytes) => timestampText(bytes, ''),
  'timestamp with time zone': (bytes) => timestampText(bytes, '+00'),
}

/** True when a table's rows are copied in COPY's binary format. Both hosts tell by the columns alone. */
export function isBinary(table: Table): boolean {
  const columns = readableColumns(table)
  return columns.length > 0 && columns.every(({ codec }) => Object.hasOwn(DECODERS, codec))
}

/** What stands before the first row: the signature, no flags, no extension. */
export const BINARY_HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
/** What stands after the last: −1 where a row has the number of its columns. */
export const BINARY_TRAILER = Buffer.from([0xff, 0xff])

/** Whole rows of the binary format as cells, each the text that the server gives for it. Throws `fault` for anything else. */
export function rowsOfBinary(table: Table, bytes: Buffer): readonly Row[] {
  const columns = readableColumns(table)
  const decoders = columns.map(decoderOf)
  const rows: Row[] = []
  let at = 0
  while (at < bytes.length) {
    if (bytes.readInt16BE(at) !== columns.length)
      throw new MigrateError(
        'fault',
        `A row of ${fullName(table.name)} hasn't got ${columns.length} values. This is a fault in migrate.`,
      )
    at += 2
    rows.push(
      decoders.map((decode): Cell => {
        const length = bytes.readInt32BE(at)
        at += 4
        if (length === -1) return null
        at += length
        return decode(bytes.subarray(at - length, at))
      }),
    )
  }
  return rows
}

function decoderOf({ name, codec }: Column): (bytes: Buffer) => string {
  const decoder = DECODERS[codec]
  if (decoder !== undefined) return decoder
  throw new MigrateError(
    'fault',
    `The column ${name} has the type ${codec}, which isn't read as bytes. This is a fault in migrate.`,
  )
}

function utf8(bytes: Buffer): string {
  return UTF8.decode(bytes)
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
