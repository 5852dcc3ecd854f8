import { hash } from 'node:crypto'
import { MigrateError } from '../../base/errors.ts'
import type { Cell, PackedPrints, Printing, ReadOptions } from '../port.ts'
import type { Table } from '../schema.ts'
import type { Connections } from './connection.ts'
import { keyColumns, keyOrder, rangeCondition } from './keys.ts'
import { printExpression } from './print-sql.ts'
import { unprinted } from './prints.ts'
import type { Collector } from './rows.ts'
import type { Session } from './session.ts'
import { stream } from './stream.ts'
import { quoteName, quoteTable } from './values.ts'
import { Field } from './wire.ts'

const NUMBER_BYTES = 8
const PRINT_BYTES = 8
const DIGEST_BYTES = 12
const HALF = 2 ** 32
/** Numbers of so many characters are exact in JavaScript. */
const SAFE_DIGITS = 15
/** Hexadecimal digits of half a fingerprint. */
const HALF_DIGITS = 8
const DIGIT_ZERO = 0x30
const MINUS = 0x2d

/** True of a key that is whole numbers alone, which the server spells in one way; with ZEROFILL it doesn't. */
export const hasNumbersKey = (table: Table): boolean =>
  table.key.length > 0 &&
  keyColumns(table).every(({ type, nullable }) => /^(tiny|small|medium|big)?int\b(?!.*zerofill)/i.test(type) && !nullable)

/** See the port; of a table with such a key. */
export function packedPrints(
  session: Session,
  connections: Connections,
  table: Table,
  printing: Printing,
  rows: number,
  options: ReadOptions,
): AsyncGenerator<PackedPrints> {
  const list = [...table.key.map(quoteName), `HEX(${printExpression(table, printing)})`].join(', ')
  const sql = `SELECT ${list} FROM ${quoteTable(table.name)}${rangeCondition(table, options)}${keyOrder(table)}`
  return stream(session, connections, sql, new PackedCollector(table, rows), options)
}

/** Packs rows as they come in: taken apart as cells first, they take several times as long. */
class PackedCollector implements Collector<PackedPrints> {
  readonly wholeBytes = Number.POSITIVE_INFINITY
  readonly #table: Table
  readonly #keys: number
  readonly #rowBytes: number
  readonly #most: number
  readonly #field = new Field()
  readonly #whole: PackedPrints[] = []
  #prints: Buffer
  #filled = 0
  /** Keys of these rows, where one of them is beyond 64 bits with a sign (BIGINT UNSIGNED). */
  #texts: (readonly string[])[] | undefined

  constructor(table: Table, rows: number) {
    this.#table = table
    this.#keys = table.key.length
    this.#rowBytes = this.#keys * NUMBER_BYTES + PRINT_BYTES
    this.#most = rows * this.#rowBytes
    this.#prints = Buffer.allocUnsafe(this.#most)
  }

  get ready(): boolean {
    return this.#whole.length > 0
  }

  add(packet: Buffer, start: number, _end: number): void {
    let [at, to, fits] = [start, this.#filled, true]
    for (let key = 0; key < this.#keys; key += 1) {
      at = this.#field.read(packet, at)
      fits = this.#number(packet, to) && fits
      to += NUMBER_BYTES
    }
    if (!fits) this.#texts ??= this.#packedTexts()
    this.#texts?.push(this.#textsOf(packet, start))
    this.#field.read(packet, at)
    this.#print(packet, to)
    this.#filled += this.#rowBytes
    if (this.#filled === this.#most) this.#end()
  }

  addPart(): void {
    throw new MigrateError('fault', 'A fingerprint came in parts. This is a fault in migrate.')
  }

  take(isEnd: boolean): PackedPrints | undefined {
    if (isEnd && this.#filled > 0) this.#end()
    return this.#whole.shift()
  }

  #end(): void {
    const rows = this.#filled / this.#rowBytes
    const prints = this.#prints.subarray(0, this.#filled)
    if (this.#texts === undefined)
      this.#whole.push({ rows, prints, last: numbersAt(prints, rows - 1, this.#rowBytes, this.#keys) })
    else this.#whole.push({ rows, prints: withDigests(prints, this.#texts, this.#rowBytes), last: this.#texts.at(-1) ?? [] })
    this.#prints = Buffer.allocUnsafe(this.#most)
    this.#filled = 0
    this.#texts = undefined
  }

  /** Writes the number that the field holds; false where it is larger than what has room. */
  #number(packet: Buffer, to: number): boolean {
    const { start, end } = this.#field
    if (end - start > SAFE_DIGITS) {
      const number = BigInt(packet.toString('latin1', start, end))
      this.#prints.writeBigInt64BE(BigInt.asIntN(64, number), to)
      return BigInt.asIntN(64, number) === number
    }
    const isNegative = packet[start] === MINUS
    let number = 0
    for (let at = isNegative ? start + 1 : start; at < end; at += 1) number = number * 10 + (packet[at] ?? 0) - DIGIT_ZERO
    if (isNegative) number = -number
    this.#prints.writeInt32BE(Math.floor(number / HALF), to)
    this.#prints.writeInt32BE(number | 0, to + NUMBER_BYTES / 2)
    return true
  }

  /** Writes the fingerprint that the field holds in hexadecimal digits, as many as it has. */
  #print(packet: Buffer, to: number): void {
    const { start, end } = this.#field
    if (start === -1) throw unprinted(this.#table)
    const middle = Math.max(start, end - HALF_DIGITS)
    this.#prints.writeUInt32BE(hexAt(packet, start, middle), to)
    this.#prints.writeUInt32BE(hexAt(packet, middle, end), to + PRINT_BYTES / 2)
  }

  /** Keys of the rows that are packed by now. */
  #packedTexts(): (readonly string[])[] {
    const rows = this.#filled / this.#rowBytes
    return Array.from({ length: rows }, (_, row) => numbersAt(this.#prints, row, this.#rowBytes, this.#keys))
  }

  #textsOf(packet: Buffer, start: number): readonly string[] {
    const field = new Field()
    let at = start
    return Array.from({ length: this.#keys }, () => {
      at = field.read(packet, at)
      return packet.toString('latin1', field.start, field.end)
    })
  }
}

/** Of digits 0 to 9 and A to F, eight at most. */
function hexAt(bytes: Buffer, from: number, to: number): number {
  let number = 0
  for (let at = from; at < to; at += 1) {
    const code = bytes[at] ?? 0
    number = number * 16 + (code < 0x40 ? code - DIGIT_ZERO : (code & 0xdf) - 0x37)
  }
  return number
}

const numbersAt = (prints: Buffer, row: number, rowBytes: number, keys: number): readonly string[] =>
  Array.from({ length: keys }, (_, at) => String(prints.readBigInt64BE(row * rowBytes + at * NUMBER_BYTES)))

/** The same fingerprints behind the digests of their rows' keys. */
function withDigests(prints: Buffer, keys: readonly (readonly Cell[])[], rowBytes: number): Buffer {
  const packed = Buffer.allocUnsafe(keys.length * (DIGEST_BYTES + PRINT_BYTES))
  keys.forEach((key, row) => {
    const to = row * (DIGEST_BYTES + PRINT_BYTES)
    hash('sha256', JSON.stringify(key), 'buffer').copy(packed, to, 0, DIGEST_BYTES)
    prints.copy(packed, to + DIGEST_BYTES, (row + 1) * rowBytes - PRINT_BYTES, (row + 1) * rowBytes)
  })
  return packed
}
