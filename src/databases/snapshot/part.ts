import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import * as zlib from 'node:zlib'
import { codeOf, MigrateError } from '../../base/errors.ts'
import { free, freed, LENT_BYTES, lendBuffer } from '../buffers.ts'
import type { KeyCells } from '../port.ts'
import type { LargeBytes } from './json-lines.ts'
import type { Part } from './manifest.ts'

/** A part is closed when it holds so much, before compression. Bounds what a kill costs. */
export interface PartLimits {
  readonly rows: number
  readonly bytes: number
}

export const partLimits: PartLimits = { rows: 5_000_000, bytes: 64 * 2 ** 20 }

/** So little is packed or unpacked in a fraction of a millisecond: quicker than a thread is asked to do it. */
export const AT_ONCE_BYTES = 32 * 1024
/** Of compressed and decompressed data, at once. */
export const CHUNK_BYTES = 256 * 1024
/** Up to here a part is held in memory to be checked; a larger one is read twice. */
const HELD_BYTES = 4 * 2 ** 20
export const LENGTH_BYTES = 4

/** Some rows on their way to a part. */
export interface Chunk {
  readonly rows: number
  readonly bytes: Buffer | LargeBytes
  /** The key of its last row where rows come in key order; `null` otherwise. */
  readonly lastKey: KeyCells | null
  /** See Block: the next chunk belongs into the same part. */
  readonly continues?: boolean | undefined
}

/** A full disk as the reader needs it said; anything else as it was. */
export function diskError(error: unknown, file: string): unknown {
  if (codeOf(error) !== 'ENOSPC' && codeOf(error) !== 'EDQUOT') return error
  return new MigrateError(
    'disk-full',
    `The disk of the run's folder is full: ${file} couldn't be written. Neither host was changed.`,
    {
      hint: 'Make room there, or choose another folder with --state, then run again: whole parts are kept.',
      cause: error,
    },
  )
}

export const damaged = (part: Part, why: string, cause?: unknown): MigrateError =>
  new MigrateError(
    'snapshot-damaged',
    `${part.file} of the snapshot (${part.table}, part ${part.part}) is damaged: ${why}. No row of it was loaded.`,
    {
      hint: 'Put the file back from a copy and run again; or take the snapshot again with --fresh.',
      ...(cause === undefined ? {} : { cause }),
    },
  )

/** The part's bytes as they lie on disk, once they have proven to be those that were written. */
async function provenBytes(file: string, part: Part): Promise<Buffer | Readable> {
  try {
    if (part.storedBytes <= HELD_BYTES) {
      const held = await readAt(file, part.offset, part.storedBytes)
      prove(part, createHash('sha256').update(held).digest('hex'))
      return held
    }
    const hash = createHash('sha256')
    await pipeline(streamOf(file, part), hash)
    prove(part, hash.digest('hex'))
    return streamOf(file, part)
  } catch (error) {
    if (error instanceof MigrateError) throw error
    throw damaged(part, codeOf(error) === 'ENOENT' ? 'the file is gone' : "the file can't be read", error)
  }
}

const streamOf = (file: string, { offset, storedBytes }: Part): Readable =>
  createReadStream(file, { highWaterMark: CHUNK_BYTES, start: offset, end: offset + storedBytes - 1 })

async function readAt(file: string, offset: number, length: number): Promise<Buffer> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

function prove(part: Part, sha256: string): void {
  if (sha256 !== part.sha256) throw damaged(part, 'its checksum differs from the one written with it')
}

async function* plainBytes(file: string, part: Part): AsyncGenerator<Buffer> {
  const packed = await provenBytes(file, part)
  if (Buffer.isBuffer(packed) && part.bytes < AT_ONCE_BYTES) {
    yield zlib.zstdDecompressSync(packed)
    return
  }
  const source = Buffer.isBuffer(packed) ? Readable.from([packed], { objectMode: false }) : packed
  const plain = zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES })
  // A consumer that stops early destroys `plain`; pipeline then closes the file, and its complaint is about that alone.
  const piped = pipeline(source, plain)
  piped.catch(() => undefined)
  yield* freed(plain)
  await piped
  if (Buffer.isBuffer(packed)) free(packed.buffer)
}

/**
 * The chunks of a part, each as it was written. The checksum is proven before the first is handed out.
 * Throws `snapshot-damaged` when anything is missing or more than was written.
 */
export async function* readChunks(file: string, part: Part): AsyncGenerator<Buffer> {
  let bytes = 0
  let filled = 0
  let target: Buffer = Buffer.alloc(LENGTH_BYTES)
  let isLength = true
  for await (const piece of plainBytes(file, part)) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.copy(target, filled, at)
      at += taken
      filled += taken
      if (filled < target.length) continue
      if (!isLength) {
        bytes += target.length
        yield target
      }
      target = isLength ? roomFor(target.readUInt32BE()) : Buffer.alloc(LENGTH_BYTES)
      filled = 0
      isLength = !isLength
    }
  }
  if (bytes !== part.bytes || !isLength || filled > 0)
    throw damaged(part, `it holds ${bytes} bytes of rows instead of ${part.bytes}`)
}

const roomFor = (bytes: number): Buffer =>
  bytes > LENT_BYTES / 2 && bytes <= LENT_BYTES ? lendBuffer().subarray(0, bytes) : Buffer.allocUnsafe(bytes)
