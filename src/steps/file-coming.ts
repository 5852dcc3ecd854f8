import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { MigrateError } from '../base/errors.ts'
import { hashThread } from '../files/hash-beside.ts'
import type { FileEntry } from '../files/port.ts'
import { hashesItself } from '../files/whole.ts'
import type { StoredEntry } from './file-index.ts'
import { pieces, READ_BYTES } from './file-objects.ts'

/** Nothing came of a file that was passed on while it came: it may come once more. */
export const CAME_TO_NOTHING = 'file-came-to-nothing'

/** Of each store, by its folder: the large files that are coming into it at this moment. */
const underWay = new Map<string, Set<ComingFile>>()

export const comingTo = (directory: string): readonly ComingFile[] => [...(underWay.get(directory) ?? [])]

/** A large file on its way into a store: whoever follows the store may read what has come of it while more comes. */
export class ComingFile {
  readonly entry: FileEntry
  readonly #directory: string
  #path: string | undefined
  #bytes = 0
  /** Once it is over: what the store has of it now; `undefined` when nothing came of it. */
  #end: { readonly stored: StoredEntry | undefined } | undefined
  #changed: (() => void)[] = []

  private constructor(directory: string, entry: FileEntry) {
    this.#directory = directory
    this.entry = entry
  }

  /** Call `end`, whatever becomes of it. */
  static begin(directory: string, entry: FileEntry): ComingFile {
    const file = new ComingFile(directory, entry)
    const all = underWay.get(directory) ?? new Set()
    underWay.set(directory, all.add(file))
    return file
  }

  /** So many of its first bytes are in that file. */
  grown(path: string, bytes: number): void {
    this.#path = path
    this.#bytes = bytes
    this.#tell()
  }

  /** `stored`: it is in the store as that, committed. */
  end(stored: StoredEntry | undefined): void {
    this.#end = { stored }
    const all = underWay.get(this.#directory)
    all?.delete(this)
    if (all?.size === 0) underWay.delete(this.#directory)
    this.#tell()
  }

  /** Some of it can be read. */
  get hasBegun(): boolean {
    return this.#path !== undefined && this.#end === undefined
  }

  /**
   * Its bytes as they come. The stream ends well only when the store has the file, with these very bytes, and `whole` has returned, which is told of
   * it; otherwise it fails with `CAME_TO_NOTHING`. `signal`: who reads it waits for further bytes no more.
   */
  content(whole: (stored: StoredEntry) => Promise<void>, signal: AbortSignal): Readable {
    let sha256 = ''
    const told = (stored: StoredEntry): Promise<void> => {
      sha256 = stored.sha256 ?? ''
      return whole(stored)
    }
    const wake = (): void => this.#tell()
    signal.addEventListener('abort', wake, { once: true })
    const stream = Readable.from(this.#followed(told, signal), { objectMode: false, highWaterMark: 1 })
    stream.once('close', () => signal.removeEventListener('abort', wake))
    return hashesItself(stream, () => sha256)
  }

  async *#followed(whole: (stored: StoredEntry) => Promise<void>, signal: AbortSignal): AsyncGenerator<Buffer> {
    const path = this.#path ?? ''
    // Should the thread be lost, it is put as any other, from the store.
    const hash = hashThread.begin(this.entry.size, () => Promise.reject(cameToNothing(this.entry.path)))
    const handle = await open(path).catch(() => undefined)
    try {
      if (handle === undefined) throw cameToNothing(this.entry.path)
      for (let at = 0; ; ) {
        await this.#until(at + READ_BYTES, signal)
        const length = Math.min(READ_BYTES, this.#bytes - at)
        if (length <= 0) break
        const piece = pieces.lend(length)
        const { bytesRead } = await handle.read(piece, 0, length, at)
        // It was cut short for another try.
        if (bytesRead !== length) throw cameToNothing(this.entry.path)
        const wait = hash.update(piece)
        if (wait !== undefined) await wait
        at += length
        yield piece
      }
      const stored = this.#end?.stored
      if (stored === undefined || stored.sha256 === null || (await hash.soFar()) !== stored.sha256)
        throw cameToNothing(this.entry.path)
      await whole(stored)
    } finally {
      hash.end()
      await handle?.close()
    }
  }

  /** So many bytes are there, or it is over. */
  async #until(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.#end === undefined && this.#bytes < bytes) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    }
  }

  #tell(): void {
    for (const wake of this.#changed.splice(0)) wake()
  }
}

export const cameToNothing = (path: string): MigrateError =>
  new MigrateError(CAME_TO_NOTHING, `${path} did not come whole from the old host, and was not put on the new one.`, {
    retrySafe: true,
  })
