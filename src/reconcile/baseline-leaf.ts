import { z } from 'zod'
import type { Cell, PackedPrints, PrintedRow } from '../databases/port.ts'
import type { RowState } from './difference.ts'
import { keyDigest, keyText } from './fingerprint.ts'

const DIGEST_BYTES = 12
const PRINT_BYTES = 8
/** A key's cell that is a whole number of 64 bits. */
const NUMBER_BYTES = 8
const MODULUS = 1n << 64n

/** A row of the baseline: by what its key is found, and how it stood. */
export interface BaseRow {
  /** `keyText` where it is kept as it is, else `keyDigest` of that; '' in a table without a key. */
  readonly id: string
  readonly state: RowState
}

/** Whether it is a key itself that a row of the baseline is found by. */
export const isKeyText = (id: string): boolean => id.startsWith('[')

/** Some thousand rows of the baseline, in the new host's order of keys, as they are kept on disk. */
export interface PackedLeaf {
  /** `keyText` of its last row; '' in a table without a key. */
  readonly last: string
  readonly rows: number
  readonly sum: bigint
  /**
   * Row after row the key and 8 bytes of the fingerprint. A key of whole numbers stands there itself, 8 bytes each, signed; of any other,
   * 12 bytes of its digest. A row's length tells which: with numbers alone it is a multiple of 8.
   */
  readonly prints: Uint8Array
  /** `rest` and cells apart of each row as JSON; `null` where the table has no columns apart. */
  readonly apart: string | null
}

const apartSchema = z.array(z.tuple([z.string(), z.array(z.string().nullable())]))

/** `a + b` as sums of fingerprints add up: modulo 2^64. */
export const addSums = (a: bigint, b: bigint): bigint => (a + b) % MODULUS

export function packLeaf(rows: readonly PrintedRow[]): PackedLeaf {
  const cells = rows[0]?.key.length ?? 0
  const exact = cells === 0 ? undefined : packExactly(rows, cells)
  const prints = exact ?? packDigests(rows, cells > 0)
  const hasApart = rows.some((row) => row.apart.length > 0)
  return {
    last: cells === 0 ? '' : keyText(rows.at(-1)?.key ?? []),
    rows: rows.length,
    sum: sumOf(prints, rows.length),
    prints,
    apart: hasApart ? JSON.stringify(rows.map((row) => [row.rest, row.apart])) : null,
  }
}

function packDigests(rows: readonly PrintedRow[], keyed: boolean): Buffer {
  const size = PRINT_BYTES + (keyed ? DIGEST_BYTES : 0)
  const prints = Buffer.alloc(rows.length * size)
  rows.forEach((row, at) => {
    writeHex(prints, keyed ? keyDigest(keyText(row.key)) + row.print : row.print, at * size, size)
  })
  return prints
}

/** `undefined` where a cell of a key isn't a whole number of 64 bits, spelt as it is always spelt. */
function packExactly(rows: readonly PrintedRow[], cells: number): Buffer | undefined {
  const size = cells * NUMBER_BYTES + PRINT_BYTES
  const prints = Buffer.alloc(rows.length * size)
  let at = 0
  for (const { key, print } of rows) {
    for (const cell of key) {
      if (!writeNumber(prints, cell, at)) return undefined
      at += NUMBER_BYTES
    }
    writeHex(prints, print, at, PRINT_BYTES)
    at += PRINT_BYTES
  }
  return at === prints.length ? prints : undefined
}

function writeHex(bytes: Buffer, hex: string, at: number, size: number): void {
  if (bytes.write(hex, at, size, 'hex') !== size || hex.length !== 2 * size)
    throw new TypeError(`${hex.slice(-2 * PRINT_BYTES)} is no fingerprint`)
}

/** Numbers of so many characters are exact in JavaScript. */
const SAFE_DIGITS = 15
const HALF = 2 ** 32

/** False, and nothing of use written, where the cell isn't the one way to write a number. */
function writeNumber(bytes: Buffer, cell: Cell, at: number): boolean {
  if (cell === null) return false
  if (cell.length <= SAFE_DIGITS) {
    const number = Number(cell)
    if (!Number.isSafeInteger(number) || String(number) !== cell) return false
    bytes.writeInt32BE(Math.floor(number / HALF), at)
    bytes.writeInt32BE(number | 0, at + NUMBER_BYTES / 2)
    return true
  }
  if (!/^-?\d{15,19}$/.test(cell)) return false
  const number = BigInt(cell)
  if (BigInt.asIntN(64, number) !== number || String(number) !== cell) return false
  bytes.writeBigInt64BE(number, at)
  return true
}

/** The same of rows that the server packed. */
export function packedLeaf({ rows, prints, last }: PackedPrints): PackedLeaf {
  return { last: last.length === 0 ? '' : keyText(last), rows, sum: sumOf(prints, rows), prints, apart: null }
}

/** Sum of the fingerprints of so many rows. */
function sumOf(prints: Buffer, rows: number): bigint {
  const size = prints.length / rows
  // In halves: a row by a BigInt of its own would take longer than all the rest.
  let [high, low] = [0, 0]
  for (let end = size; end <= prints.length; end += size) {
    high += prints.readUInt32BE(end - PRINT_BYTES)
    low += prints.readUInt32BE(end - PRINT_BYTES / 2)
  }
  return ((BigInt(high) << 32n) + BigInt(low)) % MODULUS
}

export function unpackLeaf({ rows, prints, apart }: Pick<PackedLeaf, 'rows' | 'prints' | 'apart'>): readonly BaseRow[] {
  const bytes = Buffer.from(prints.buffer, prints.byteOffset, prints.byteLength)
  const size = rows === 0 ? 0 : bytes.length / rows
  const beside = apart === null ? undefined : apartSchema.parse(JSON.parse(apart))
  const idAt = size === PRINT_BYTES ? () => '' : size % NUMBER_BYTES === 0 ? numbersAt : digestAt
  return Array.from({ length: rows }, (_, at) => {
    const end = (at + 1) * size
    const print = bytes.toString('hex', end - PRINT_BYTES, end)
    const [rest, cells] = beside?.[at] ?? [print, []]
    return { id: idAt(bytes, at * size, end - PRINT_BYTES), state: { print, rest, apart: cells } }
  })
}

const digestAt = (bytes: Buffer, from: number, to: number): string => bytes.toString('hex', from, to)

/** `keyText` of the numbers that stand there. */
function numbersAt(bytes: Buffer, from: number, to: number): string {
  const cells: string[] = []
  for (let at = from; at < to; at += NUMBER_BYTES) {
    const high = bytes.readInt32BE(at)
    const number = high * HALF + bytes.readUInt32BE(at + NUMBER_BYTES / 2)
    cells.push(Number.isSafeInteger(number) ? String(number) : String(bytes.readBigInt64BE(at)))
  }
  return `["${cells.join('","')}"]`
}
