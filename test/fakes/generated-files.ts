import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FileEntry, FileHost, FilePowers, ReadOptions, WriteOptions, WrittenFile } from '../../src/files/port.ts'
import { ANY_TIME } from '../../src/files/times.ts'

const PER_FOLDER = 1000
const TIME = 1_700_000_000

/**
 * A host with as many files as wanted, each made when it is asked for: nothing of them is held. What is written to it is hashed and
 * let go. `has`: how many of them it has, all of one edition, whatever is written.
 */
export class GeneratedFiles implements FileHost {
  readonly label: string
  has: number
  /** Every file is another one, and later, in each edition. */
  edition = 0
  /** The contents aren't what they look like by size and time. */
  damaged = false
  written = 0

  constructor(label: string, has: number) {
    this.label = label
    this.has = has
  }

  async powers(): Promise<FilePowers> {
    const able = {
      atomicReplace: true,
      links: true,
      modes: true,
      freeSpace: false,
      times: true,
      lineBreaks: true,
      offsets: true,
      timeSeconds: 1,
      timeRange: ANY_TIME,
      flushes: 'all',
      copies: false,
    } as const
    return { ...able, names: 'bytes', hash: null, foldsCase: false, sealed: true }
  }

  async check(): Promise<readonly []> {
    return []
  }

  async *list(_folder?: string, signal?: AbortSignal): AsyncIterable<FileEntry> {
    for (let index = 0; index < this.has; index += 1) {
      if (index % PER_FOLDER === 0) {
        signal?.throwIfAborted()
        await turn()
        yield { path: folderOf(index), kind: 'folder', size: 0, mode: 0o755, mtimeSeconds: TIME, target: null }
      }
      yield this.#entry(pathOf(index))
    }
  }

  async stat(path: string): Promise<FileEntry | undefined> {
    return this.has === 0 ? undefined : this.#entry(path)
  }

  async read(path: string, _options?: ReadOptions): Promise<Readable> {
    await turn()
    return Readable.from([this.#contentOf(path)])
  }

  async write(_path: string, content: Readable, _options: WriteOptions): Promise<WrittenFile> {
    await turn()
    const hash = createHash('sha256')
    let size = 0
    for await (const chunk of content as AsyncIterable<Buffer>) {
      hash.update(chunk)
      size += chunk.length
    }
    this.written += 1
    return { size, sha256: hash.digest('hex') }
  }

  async makeFolder(): Promise<void> {
    this.written += 1
  }

  async link(): Promise<void> {
    this.written += 1
  }

  async remove(): Promise<void> {
    this.written += 1
  }

  async removeFolder(): Promise<void> {
    this.written += 1
  }

  async sha256(path: string): Promise<string> {
    return createHash('sha256').update(this.#contentOf(path)).digest('hex')
  }

  async hashes(paths: readonly string[]): Promise<readonly null[]> {
    return paths.map(() => null)
  }

  async freeBytes(): Promise<null> {
    return null
  }

  async freeFiles(): Promise<null> {
    return null
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  #entry(path: string): FileEntry {
    const size = this.#contentOf(path).length
    return { path, kind: 'file', size, mode: 0o644, mtimeSeconds: TIME + this.edition, target: null }
  }

  #contentOf(path: string): Buffer {
    return Buffer.from(`the ${this.damaged ? 'damaged' : 'content'} of ${path}, edition ${this.edition}`)
  }
}

/** Nothing of a real host comes within one turn of the event loop, and much is done between two of them: by V8 too. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const folderOf = (index: number): string => `d${String(Math.floor(index / PER_FOLDER)).padStart(6, '0')}`
const pathOf = (index: number): string => `${folderOf(index)}/f${String(index % PER_FOLDER).padStart(4, '0')}.jpg`
