import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import * as zlib from 'node:zlib'
import { freed, giveBack } from '../buffers.ts'
import type { KeyCells } from '../port.ts'
import type { LargeBytes } from './json-lines.ts'
import { AT_ONCE_BYTES, CHUNK_BYTES, type Chunk, diskError, LENGTH_BYTES, type PartLimits } from './part.ts'

/**
 * zstd's level 1 packs rows at several hundred MB/s and within a few percent of its default level's size; with a window of 128 KiB, which
 * a processor's own memory holds, a quarter faster still and no worse: rows are like those near them.
 */
const PACKING = { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1, [zlib.constants.ZSTD_c_windowLog]: 17 } }

export interface WrittenPart {
  readonly rows: number
  readonly bytes: number
  readonly storedBytes: number
  readonly sha256: string
  readonly lastKey: KeyCells | null
  /** True when there are no more rows. */
  readonly ended: boolean
}

/**
 * Appends a part to a file: each chunk with its length before it (four bytes, big-endian), all of it compressed, until the limits are
 * reached or the chunks end. Pulls from `chunks` no faster than the disk takes it, and leaves it open. Compression runs in the
 * thread pool. `done` is given each chunk's bytes once they aren't needed here any more, or nothing where they never stood together. The
 * caller brings the file to disk. Throws `disk-full`.
 */
export async function writePart(
  file: Pick<FileHandle, 'appendFile'>,
  path: string,
  chunks: AsyncIterator<Chunk>,
  limits: PartLimits,
  done: (bytes: Buffer | undefined) => void = (bytes) => bytes && giveBack(bytes),
): Promise<WrittenPart> {
  const source = new PartSource(chunks, limits)
  const hash = createHash('sha256')
  let storedBytes = 0
  const store = async (piece: Buffer): Promise<void> => {
    hash.update(piece)
    storedBytes += piece.length
    await file.appendFile(piece)
  }
  const first: (Buffer | LargeBytes)[] = []
  try {
    while (source.bytes < AT_ONCE_BYTES) {
      const next = await source.next()
      if (next === undefined) break
      first.push(next)
    }
    if (source.isOver && source.bytes < AT_ONCE_BYTES)
      await store(zlib.zstdCompressSync(Buffer.concat(first.flatMap((bytes) => [lengthOf(bytes), ...piecesOf(bytes)])), PACKING))
    else await pack(first.splice(0), source, store, done)
  } catch (error) {
    throw diskError(error, path)
  }
  for (const bytes of first) done(Buffer.isBuffer(bytes) ? bytes : undefined)
  const { rows, bytes, lastKey, ended } = source
  return { rows, bytes, storedBytes, sha256: hash.digest('hex'), lastKey, ended }
}

/** Compresses chunks, and stores what comes of it meanwhile. Ends when both have; throws what failed first. */
async function pack(
  first: readonly (Buffer | LargeBytes)[],
  source: PartSource,
  store: (piece: Buffer) => Promise<void>,
  done: (bytes: Buffer | undefined) => void,
): Promise<void> {
  const packer = zlib.createZstdCompress({ chunkSize: CHUNK_BYTES, ...PACKING })
  let failure: { readonly error: unknown } | undefined
  const failed = (error: unknown): void => {
    failure ??= { error }
    packer.destroy()
  }
  const take = async (bytes: Buffer | LargeBytes): Promise<void> => {
    await written(packer, lengthOf(bytes))
    for (const piece of piecesOf(bytes)) await written(packer, piece)
    done(Buffer.isBuffer(bytes) ? bytes : undefined)
  }
  const storing = (async () => {
    for await (const piece of freed(packer)) await store(piece)
  })().catch(failed)
  try {
    for (const bytes of first) await take(bytes)
    for (let next = await source.next(); next !== undefined; next = await source.next()) await take(next)
    packer.end()
  } catch (error) {
    failed(error)
  }
  await storing
  if (failure !== undefined) throw failure.error
}

/**
 * Resolves when a stream has done with a buffer. Of one that is destroyed while it waits for its reader, zlib never says so (Node 24.21):
 * its end does then.
 */
const written = (stream: Writable, bytes: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    const closed = (): void => reject(new Error('The stream was closed before it had taken everything.'))
    stream.once('close', closed)
    stream.write(bytes, (error) => {
      stream.off('close', closed)
      if (error) reject(error)
      else resolve()
    })
  })

const piecesOf = (bytes: Buffer | LargeBytes): Iterable<Buffer> => (Buffer.isBuffer(bytes) ? [bytes] : bytes.pieces())

function lengthOf(bytes: Buffer | LargeBytes): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(bytes.length)
  return length
}

/** A part's chunks, counted. */
class PartSource {
  readonly #chunks: AsyncIterator<Chunk>
  readonly #limits: PartLimits
  rows = 0
  bytes = 0
  lastKey: KeyCells | null = null
  ended = false
  /** A row of which more is to come. */
  #open = false

  constructor(chunks: AsyncIterator<Chunk>, limits: PartLimits) {
    this.#chunks = chunks
    this.#limits = limits
  }

  /** True when nothing more comes into this part. */
  get isOver(): boolean {
    return this.ended || (!this.#open && (this.rows >= this.#limits.rows || this.bytes >= this.#limits.bytes))
  }

  async next(): Promise<Buffer | LargeBytes | undefined> {
    while (!this.isOver) {
      const next = await this.#chunks.next()
      if (next.done === true) {
        this.ended = true
        return undefined
      }
      if (next.value.rows === 0 && next.value.continues === undefined) continue
      this.#open = next.value.continues === true
      this.rows += next.value.rows
      this.bytes += next.value.bytes.length
      this.lastKey = next.value.lastKey
      return next.value.bytes
    }
    return undefined
  }
}
