import { z } from 'zod'
import type { PackedPrints, PrintedRow } from '../databases/port.ts'
import type { RowState } from './difference.ts'
import { keyDigest, keyText } from './fingerprint.ts'

const DIGEST_BYTES = 12
const PRINT_BYTES = 8
const MODULUS = 1n << 64n

/** A row of the baseline: the digest of its key (`''` in a table without a key), and how it stood. */
export interface BaseRow {
  readonly digest: string
  readonly state: RowState
}

/** Some thousand rows of the baseline, in the new host's order of keys, as they are kept on disk. */
export interface PackedLeaf {
  /** `keyText` of its last row; '' in a table without a key. */
  readonly last: string
  readonly rows: number
  readonly sum: bigint
  /** 12 bytes of the key's digest (none without a key) and 8 of the fingerprint, row after row. */
  readonly prints: Uint8Array
  /** `rest` and cells apart of each row as JSON; `null` where the table has no columns apart. */
  readonly apart: string | null
}

const apartSchema = z.array(z.tuple([z.string(), z.array(z.string().nullable())]))

/** `a + b` as sums of fingerprints add up: modulo 2^64. */
export const addSums = (a: bigint, b: bigint): bigint => (a + b) % MODULUS

export function packLeaf(rows: readonly PrintedRow[]): PackedLeaf {
  const keyed = rows.some((row) => row.key.length > 0)
  const size = PRINT_BYTES + (keyed ? DIGEST_BYTES : 0)
  const prints = Buffer.alloc(rows.length * size)
  let sum = 0n
  rows.forEach((row, at) => {
    const hex = keyed ? keyDigest(keyText(row.key)) + row.print : row.print
    if (prints.write(hex, at * size, 'hex') !== size) throw new TypeError(`${row.print} is no fingerprint`)
    sum += prints.readBigUInt64BE((at + 1) * size - PRINT_BYTES)
  })
  const last = rows.at(-1)?.key ?? []
  const hasApart = rows.some((row) => row.apart.length > 0)
  return {
    last: keyed ? keyText(last) : '',
    rows: rows.length,
    sum: sum % MODULUS,
    prints,
    apart: hasApart ? JSON.stringify(rows.map((row) => [row.rest, row.apart])) : null,
  }
}

/** The same of rows that the server packed. */
export function packedLeaf({ rows, prints, last }: PackedPrints): PackedLeaf {
  const size = prints.length / rows
  // In halves: a row by a BigInt of its own would take longer than all the rest.
  let [high, low] = [0, 0]
  for (let end = size; end <= prints.length; end += size) {
    high += prints.readUInt32BE(end - PRINT_BYTES)
    low += prints.readUInt32BE(end - PRINT_BYTES / 2)
  }
  const sum = ((BigInt(high) << 32n) + BigInt(low)) % MODULUS
  return { last: last.length === 0 ? '' : keyText(last), rows, sum, prints, apart: null }
}

export function unpackLeaf({ rows, prints, apart }: Pick<PackedLeaf, 'rows' | 'prints' | 'apart'>): readonly BaseRow[] {
  const bytes = Buffer.from(prints.buffer, prints.byteOffset, prints.byteLength)
  const size = rows === 0 ? 0 : bytes.length / rows
  const beside = apart === null ? undefined : apartSchema.parse(JSON.parse(apart))
  return Array.from({ length: rows }, (_, at) => {
    const end = (at + 1) * size
    const print = bytes.toString('hex', end - PRINT_BYTES, end)
    const [rest, cells] = beside?.[at] ?? [print, []]
    return { digest: bytes.toString('hex', at * size, end - PRINT_BYTES), state: { print, rest, apart: cells } }
  })
}
