/** Blocks of a tar archive (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar's manual, "Basic Tar Format"). */
export const BLOCK = 512

export interface Member {
  /** Bytes of the name as they stand in the archive. */
  readonly name: Buffer
  readonly size: number
  /** `0` a file, `L` a name too long for the header, others: links, folders, devices. */
  readonly type: string
}

/** A header for a plain file. `name`: ASCII, at most 100 characters. The time may be any that fits into 11 octal digits; others become 0. */
export function fileHeader(name: string, size: number, mode: number, mtimeSeconds: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  const mtime = Math.floor(mtimeSeconds)
  block.write(name, 0, 100, 'latin1')
  block.write(octal(mode & 0o7777, 7), 100, 'latin1')
  block.write('0000000\x000000000\x00', 108, 'latin1') // nobody's account counts: who unpacks owns it
  block.write(octal(size, 11), 124, 'latin1')
  block.write(octal(fitsTime(mtime) ? mtime : 0, 11), 136, 'latin1')
  block.write('0', 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  block.write(`${octal(sumOf(block), 6)} `, 148, 'latin1')
  return block
}

/** Whether a time can be told by a header; before 1970 and after 2242 it can't. */
export const fitsTime = (mtimeSeconds: number): boolean => mtimeSeconds >= 0 && mtimeSeconds < 8 ** 11

/** Bytes that fill a content up to whole blocks. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK

/** What a header tells; `null` for the block of zeros that ends an archive, `undefined` for what is no header. */
export function readHeader(block: Buffer): Member | null | undefined {
  const sum = Number.parseInt(block.toString('latin1', 148, 156), 8)
  if (Number.isNaN(sum)) return block.every((byte) => byte === 0) ? null : undefined
  if (sum !== sumOf(block)) return undefined
  const size = Number.parseInt(block.toString('latin1', 124, 136), 8)
  const end = block.subarray(0, 100).indexOf(0)
  const name = block.subarray(0, end === -1 ? 100 : end)
  return Number.isNaN(size) ? undefined : { name: Buffer.from(name), size, type: String.fromCharCode(block[156] ?? 0) }
}

/** The header's checksum, counted with eight spaces in its own place. */
function sumOf(block: Buffer): number {
  let sum = 8 * 0x20
  for (let at = 0; at < 148; at += 1) sum += block[at] ?? 0
  for (let at = 156; at < BLOCK; at += 1) sum += block[at] ?? 0
  return sum
}

const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`
