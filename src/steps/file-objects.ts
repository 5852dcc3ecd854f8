import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { keepingError, refuseShort } from '../base/disk-full.ts'
import { MigrateError } from '../base/errors.ts'
import type { Sqlite } from '../base/sqlite.ts'
import { hashThread, type RunningHash } from '../files/hash-beside.ts'
import { giveBack, Lender } from '../files/lent.ts'
import type { FileEntry } from '../files/port.ts'
import { hashesItself, wholeContent, wholeOf } from '../files/whole.ts'
import type { ComingFile } from './file-coming.ts'
import { SmallContents } from './file-contents.ts'
import { Incoming } from './file-incoming.ts'

/** Smaller contents lie together in packs, and where is a row of the index, committed together with what refers to them. */
const SMALL_BYTES = 128 * 1024
/** Large contents are read in pieces of this size, two of SFTP's largest requests; so many lie idle at most. */
export const READ_BYTES = 510 * 1024
export const pieces = new Lender(READ_BYTES, 16)
/** Larger files than this are gone on with when they were broken off. */
export const RESUMED_BYTES = 2 * 1024 * 1024

export interface KeptContent {
  readonly sha256: string
  readonly size: number
  /** The bytes themselves, when they are small and still to be kept with `small.keep`. */
  readonly small: Buffer | null
  /** Bytes that an earlier try had fetched; absent when there were none. */
  readonly resumedAt?: number
}

/** Contents by their SHA-256, in a folder of the run: small ones in packs, larger ones as files. */
export class Objects {
  readonly #directory: string
  readonly small: SmallContents

  constructor(directory: string, index: Sqlite) {
    this.#directory = directory
    this.small = new SmallContents(directory, index)
  }

  /**
   * Takes in a content. A large one is on disk under its hash when this returns, whole; a small one is handed back for
   * `small.keep`, which belongs into its transaction.
   */
  async take(content: Readable): Promise<KeptContent> {
    const whole = wholeOf(content)
    if (whole !== undefined && whole.bytes.length <= SMALL_BYTES)
      return { sha256: whole.sha256, size: whole.bytes.length, small: whole.bytes }
    const hash = createHash('sha256')
    const chunks: Buffer[] = []
    let size = 0
    let large: LargeFile | undefined
    try {
      for await (const chunk of content as AsyncIterable<Buffer>) {
        hash.update(chunk)
        size += chunk.length
        chunks.push(chunk)
        if (size <= SMALL_BYTES) continue
        large ??= await LargeFile.create(this.#directory)
        await large.write(chunks.splice(0))
      }
      await large?.sync()
    } catch (error) {
      await large?.discard()
      throw keepingError(error, this.#directory)
    }
    const sha256 = hash.digest('hex')
    if (large === undefined) return { sha256, size, small: Buffer.concat(chunks) }
    await large.keepAs(this.#path(sha256), size)
    return { sha256, size, small: null }
  }

  /**
   * Takes in a host's file. A large one that was broken off before goes on where it stood, when size and time are the same and the host has
   * the same bytes there; what comes of it before the host breaks off is left for the next try. `from` opens the file at an offset.
   * `coming` is told of a large one's bytes as they come.
   */
  takeFrom(entry: FileEntry, from: (offset: number) => Promise<Readable>, coming?: ComingFile): Promise<KeptContent> {
    return entry.size <= RESUMED_BYTES ? from(0).then((content) => this.take(content)) : this.#takeLarge(entry, from, coming)
  }

  async #takeLarge(
    entry: FileEntry,
    from: (offset: number) => Promise<Readable>,
    coming: ComingFile | undefined,
  ): Promise<KeptContent> {
    const { incoming, content, resumedAt } = await Incoming.open(this.#directory, entry, from, coming)
    let isOurs = false
    try {
      for await (const chunk of content) {
        isOurs = true
        await incoming.write(chunk)
        isOurs = false
      }
    } catch (error) {
      // What broke here (a full disk) leaves a part of unknown state; what broke there left a good one.
      await (isOurs ? incoming.discard() : incoming.leave())
      throw keepingError(error, this.#directory)
    }
    const size = incoming.bytes
    let sha256: string
    try {
      sha256 = await incoming.sha256()
      if (size <= SMALL_BYTES) return { sha256, size, small: await incoming.takeOut() } // it has shrunk
      await incoming.keepAs(this.#path(sha256))
    } catch (error) {
      throw keepingError(error, this.#directory)
    }
    return { sha256, size, small: null, ...(resumedAt === 0 ? {} : { resumedAt }) }
  }

  has(sha256: string, size: number): boolean {
    if (size > SMALL_BYTES) return existsSync(this.#path(sha256)) && statSync(this.#path(sha256)).size === size
    return this.small.has(sha256, size)
  }

  /** Removes a large content, which nothing is to refer to any more; small ones lie among others. */
  async drop({ sha256, size }: { readonly sha256: string | null; readonly size: number }): Promise<void> {
    if (sha256 !== null && size > SMALL_BYTES) await rm(this.#path(sha256), { force: true })
  }

  /** The content, checked while it is read: the stream fails at its end when the bytes are not those of the hash. */
  read(sha256: string, size: number): Readable {
    if (size > SMALL_BYTES) {
      const path = this.#path(sha256)
      const bytes = checked(piecesOf(path), sha256, () => hashThread.begin(size, () => createReadStream(path)))
      // It ends well only when its hash is that one.
      return hashesItself(Readable.from(bytes, { objectMode: false, highWaterMark: 1 }), () => sha256)
    }
    const bytes = this.small.read(sha256)
    if (bytes === undefined) throw damaged(sha256)
    return wholeContent(bytes, sha256)
  }

  #path(sha256: string): string {
    return join(this.#directory, 'objects', sha256.slice(0, 2), sha256)
  }
}

/** A content too large for the index, on its way to its name. */
class LargeFile {
  readonly #path: string
  readonly #handle: Awaited<ReturnType<typeof open>>

  private constructor(path: string, handle: Awaited<ReturnType<typeof open>>) {
    this.#path = path
    this.#handle = handle
  }

  static async create(directory: string): Promise<LargeFile> {
    const folder = join(directory, 'incoming')
    await mkdir(folder, { recursive: true })
    const path = join(folder, randomUUID())
    return new LargeFile(path, await open(path, 'wx', 0o600))
  }

  async write(chunks: readonly Buffer[]): Promise<void> {
    const { bytesWritten } = await this.#handle.writev([...chunks])
    refuseShort(
      bytesWritten,
      chunks.reduce((sum, { length }) => sum + length, 0),
    )
    for (const chunk of chunks) giveBack(chunk)
  }

  async sync(): Promise<void> {
    await this.#handle.datasync()
  }

  async keepAs(path: string, size: number): Promise<void> {
    await this.#handle.close()
    if (existsSync(path) && statSync(path).size === size) return rm(this.#path, { force: true })
    await mkdir(join(path, '..'), { recursive: true })
    await rename(this.#path, path)
  }

  async discard(): Promise<void> {
    await this.#handle.close()
    await rm(this.#path, { force: true })
  }
}

/** A file's bytes, the next piece always being read ahead. */
async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  const handle = await open(path)
  let position = 0
  const read = async (): Promise<Buffer> => {
    const piece = pieces.lend(READ_BYTES)
    const { bytesRead } = await handle.read(piece, 0, READ_BYTES, position)
    position += bytesRead
    return bytesRead === READ_BYTES ? piece : piece.subarray(0, bytesRead)
  }
  const readAhead = (): Promise<Buffer> => {
    const reading = read()
    reading.catch(() => undefined) // thrown to the reader when it comes to it, unless it stopped before
    return reading
  }
  let next = readAhead()
  try {
    for (let piece = await next; piece.length > 0; piece = await next) {
      next = readAhead()
      yield piece
    }
  } finally {
    await Promise.allSettled([next])
    await handle.close()
  }
}

async function* checked(content: AsyncIterable<Buffer>, sha256: string, begin: () => RunningHash): AsyncGenerator<Buffer> {
  const hash = begin()
  try {
    for await (const chunk of content) {
      const wait = hash.update(chunk)
      if (wait !== undefined) await wait
      yield chunk
    }
    if ((await hash.soFar()) !== sha256) throw damaged(sha256)
  } finally {
    hash.end()
  }
}

const damaged = (sha256: string): MigrateError =>
  new MigrateError(
    'snapshot-damaged',
    `A file content kept in the run's folder (${sha256.slice(0, 12)}…) is missing or damaged. It was not sent.`,
    {
      hint: 'Remove the "files" folder in the run’s folder and run again: the files are fetched anew from the old host.',
    },
  )
