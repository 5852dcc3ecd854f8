import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { keepWhole } from '../base/disk.ts'
import { refuseShort } from '../base/disk-full.ts'
import { codeOf } from '../base/errors.ts'
import { hashThread, type RunningHash } from '../files/hash-beside.ts'
import { giveBack } from '../files/lent.ts'
import type { FileEntry } from '../files/port.ts'
import type { ComingFile } from './file-coming.ts'

/** Between two marks of how far a file has come, bytes: so much may have to be fetched again after a kill. */
const MARK_BYTES = 64 * 1024 * 1024
/** Written in pieces of this size. */
const WRITE_BYTES = 1024 * 1024
/** A shorter part is fetched again. */
const LEAST_BYTES = 1024 * 1024
/** So much of a part's end is fetched once more and compared, before it is gone on with. */
const OVERLAP_BYTES = 64 * 1024

const markSchema = z.object({ bytes: z.int().positive(), sha256: z.string() }).readonly()

/** Where a part stands, and the hash of what has come. */
interface Standing {
  readonly bytes: number
  readonly hash: RunningHash
}

/**
 * A large file on its way from a host into the run's folder, under a name made of its path, size and time: one that has changed since
 * begins anew. Beside it stands how far it is proven to have come, so that neither a broken connection nor a kill begins it anew.
 */
export class Incoming {
  readonly #path: string
  readonly #handle: FileHandle
  #bytes: number
  #marked: number
  #written: number
  #held: Buffer[] = []
  #heldBytes = 0
  #writing: Promise<void> = Promise.resolve()
  #marking: Promise<void> = Promise.resolve()
  readonly #hash: RunningHash
  readonly #coming: ComingFile | undefined

  private constructor(path: string, handle: FileHandle, standing: Standing, coming: ComingFile | undefined) {
    this.#path = path
    this.#handle = handle
    this.#bytes = standing.bytes
    this.#marked = standing.bytes
    this.#written = standing.bytes
    this.#hash = standing.hash
    this.#coming = coming
    coming?.grown(path, standing.bytes)
  }

  /**
   * Opens the part and, with it, the file on the host from where the part ends (from its beginning when there is none, or when the host has
   * something else there now). `coming` is told how far it has come.
   */
  static async open(
    directory: string,
    entry: FileEntry,
    from: (offset: number) => Promise<Readable>,
    coming?: ComingFile,
  ): Promise<{ readonly incoming: Incoming; readonly content: AsyncIterable<Buffer>; readonly resumedAt: number }> {
    const folder = join(directory, 'incoming')
    await mkdir(folder, { recursive: true })
    const name = createHash('sha256')
      .update(JSON.stringify([entry.path, entry.size, entry.mtimeSeconds]))
      .digest('hex')
      .slice(0, 32)
    const path = join(folder, `${name}.part`)
    const begin = (): RunningHash => hashThread.begin(entry.size, () => incoming?.again() ?? createReadStream(path))
    let incoming: Incoming | undefined
    const standing = await proven(path, entry.size, begin)
    if (standing !== undefined) {
      const content = await goOn(path, standing.bytes, from).catch((error: unknown) => {
        if (codeOf(error) === 'files-failed') return undefined // a host that can't begin in the middle
        throw error
      })
      if (content !== undefined) {
        const handle = await open(path, 'r+')
        await handle.truncate(standing.bytes)
        incoming = new Incoming(path, handle, standing, coming)
        return { incoming, content, resumedAt: standing.bytes }
      }
      standing.hash.end()
    }
    await rm(`${path}.mark`, { force: true })
    const handle = await open(path, 'w', 0o600)
    incoming = new Incoming(path, handle, { bytes: 0, hash: begin() }, coming)
    try {
      return { incoming, content: await from(0), resumedAt: 0 }
    } catch (error) {
      await incoming.discard()
      throw error
    }
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Returns when what was given before is written: the next bytes may come in meanwhile. */
  async write(chunk: Buffer): Promise<void> {
    const wait = this.#hash.update(chunk)
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    this.#bytes += chunk.length
    if (this.#heldBytes >= WRITE_BYTES) await this.#writeHeld()
    if (this.#bytes - this.#marked >= MARK_BYTES) await this.#mark()
    if (wait !== undefined) await wait
  }

  /** SHA-256 of all that has come, in hexadecimal. Where that can't be told, nothing is left of it. */
  async sha256(): Promise<string> {
    try {
      return await this.#hash.soFar()
    } catch (error) {
      await this.discard()
      throw error
    }
  }

  /** What has come, from the disk. */
  async again(): Promise<Readable> {
    await this.#writeHeld()
    await this.#writing
    return createReadStream(this.#path)
  }

  async #writeHeld(): Promise<void> {
    await this.#writing
    const [chunks, length] = [this.#held, this.#heldBytes]
    this.#held = []
    this.#heldBytes = 0
    if (length === 0) return
    const at = this.#written
    this.#written += length
    this.#writing = this.#handle.writev(chunks, at).then(({ bytesWritten }) => {
      refuseShort(bytesWritten, length)
      for (const chunk of chunks) giveBack(chunk)
      this.#coming?.grown(this.#path, at + length)
    })
    this.#writing.catch(() => undefined)
  }

  async #settle(): Promise<void> {
    await this.#writeHeld()
    await this.#writing
    await this.#marking
  }

  /** The file is whole: it gets its name among the contents. */
  async keepAs(path: string): Promise<void> {
    await this.#settle()
    this.#hash.end()
    await this.#handle.datasync()
    await this.#handle.close()
    await mkdir(join(path, '..'), { recursive: true })
    await rename(this.#path, path)
    await rm(`${this.#path}.mark`, { force: true })
  }

  /** The host stopped in the middle: what has come stays for the next try. */
  async leave(): Promise<void> {
    if (this.#bytes < LEAST_BYTES) return this.discard()
    try {
      await this.#mark()
      await this.#settle()
    } finally {
      this.#hash.end()
      await this.#handle.close()
    }
  }

  /** All its bytes, and nothing left of it. */
  async takeOut(): Promise<Buffer> {
    await this.#settle()
    const bytes = await readFile(this.#path)
    await this.discard()
    return bytes
  }

  async discard(): Promise<void> {
    this.#hash.end()
    await Promise.allSettled([this.#writing, this.#marking])
    await this.#handle.close()
    for (const path of [this.#path, `${this.#path}.mark`]) await rm(path, { force: true })
  }

  /** The bytes are on disk before the mark says so, and the mark is whole or the last one. */
  async #mark(): Promise<void> {
    const bytes = this.#bytes
    const hashed = this.#hash.soFar()
    hashed.catch(() => undefined) // thrown at the end
    this.#marked = bytes
    await this.#writeHeld()
    const [before, writing] = [this.#marking, this.#writing]
    this.#marking = (async () => {
      await before
      await writing
      await this.#handle.datasync()
      await keepWhole(`${this.#path}.mark`, JSON.stringify({ bytes, sha256: await hashed }))
    })()
    this.#marking.catch(() => undefined) // thrown at the end
  }
}

/** How far a part has come by its mark, when its bytes are those that the mark speaks of. */
async function proven(path: string, size: number, begin: () => RunningHash): Promise<Standing | undefined> {
  const text = await readFile(`${path}.mark`, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  const mark = text === undefined ? undefined : markIn(text)
  if (mark === undefined || mark.bytes > size) return undefined
  const hash = begin()
  let bytes = 0
  for await (const chunk of createReadStream(path, { end: mark.bytes - 1 }) as AsyncIterable<Buffer>) {
    await hash.update(chunk)
    bytes += chunk.length
  }
  if (bytes === mark.bytes && (await hash.soFar()) === mark.sha256) return { bytes, hash }
  hash.end()
  return undefined
}

/** One that a power cut has left empty or damaged is none. */
function markIn(text: string): z.infer<typeof markSchema> | undefined {
  try {
    return markSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The file's bytes after the part's, once the host has the part's end where the part has it; `undefined` when it hasn't. */
async function goOn(
  path: string,
  bytes: number,
  from: (offset: number) => Promise<Readable>,
): Promise<AsyncIterable<Buffer> | undefined> {
  const start = Math.max(0, bytes - OVERLAP_BYTES)
  const own = createReadStream(path, { start, end: bytes - 1 })
  const pieces: Buffer[] = []
  for await (const chunk of own as AsyncIterable<Buffer>) pieces.push(chunk)
  const wanted = Buffer.concat(pieces)
  const content = await from(start)
  const chunks = (content as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  let seen = Buffer.alloc(0)
  while (seen.length < wanted.length) {
    const next = await chunks.next()
    if (next.done === true) break
    seen = Buffer.concat([seen, next.value])
  }
  if (!seen.subarray(0, wanted.length).equals(wanted)) {
    content.destroy()
    return undefined
  }
  return rest(seen.subarray(wanted.length), chunks)
}

async function* rest(first: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (first.length > 0) yield first
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
  } finally {
    await chunks.return?.()
  }
}
