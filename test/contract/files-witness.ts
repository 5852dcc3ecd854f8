import { Readable } from 'node:stream'
import { expect } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { FileEntry, FileHost, ReadOptions, WriteOptions, WrittenFile } from '../../src/files/port.ts'
import { wholeContent, wholeOf } from '../../src/files/whole.ts'
import { sha256, type Truth } from './files-kit.ts'

/** A call is tried so often, as a person runs again, or the runner does. */
const MOST_TRIES = 60
/** What a broken line may be called; anything else is told at once. */
const OF_THE_LINE = /^files-(?!disk-full)/

/**
 * A host whose every word is held against what stands there: bytes that it gave as a file's, and hashes of what it wrote. A call that fails
 * by name is tried again. Failures without a name are thrown as they are.
 */
export class Witness {
  readonly host: FileHost
  /** Calls that failed by name so far. */
  failures = 0
  /** Wrong bytes so far of which the host's own hash, or reading back, has told that they are wrong. */
  noticed = 0
  readonly #inner: FileHost
  readonly #truth: Truth
  /** SHA-256 of what was written, by path, as far as nobody has touched it since. */
  readonly #written = new Map<string, string>()

  constructor(inner: FileHost, truth: Truth) {
    this.#inner = inner
    this.#truth = truth
    const own: Partial<FileHost> = {
      read: (path, options) => this.#read(path, options),
      write: (path, content, options) => this.#write(path, content, options),
      list: (...args) => this.#list(...args),
    }
    this.host = new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(own, name) ?? Reflect.get(target, name)
        if (typeof value !== 'function' || name in own) return value
        const call = (...args: readonly unknown[]): unknown => Reflect.apply(value, target, args)
        return name === 'close' || name === 'remarks' || name === 'prepare' ? call : this.#changing(name, call)
      },
    })
  }

  /** All that was written is what was reported of it, or the host itself tells that it isn't. */
  async borneOut(): Promise<void> {
    for (const [path, hash] of this.#written) {
      const bytes = this.#truth.read(path)
      if (bytes === undefined || sha256(bytes) !== hash) await this.#isNoticed(path, hash)
    }
  }

  #changing(name: string | symbol, call: (...args: readonly unknown[]) => unknown) {
    return (...args: readonly unknown[]): Promise<unknown> => {
      if (name === 'remove' || name === 'link' || name === 'removeFolder') this.#written.delete(String(args[0]))
      return this.#tried(async () => call(...args))
    }
  }

  async #tried<T>(work: () => Promise<T>): Promise<T> {
    for (let left = MOST_TRIES; ; left -= 1) {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof MigrateError && OF_THE_LINE.test(error.code)) || left === 1) throw error
        this.failures += 1
      }
    }
  }

  /** Goes on where it broke off, as the snapshot does. */
  async #read(path: string, options: ReadOptions = {}): Promise<Readable> {
    const start = options.offset ?? 0
    const pieces: Buffer[] = []
    let got = 0
    await this.#tried(async () => {
      const stream = await this.#inner.read(path, { ...options, offset: start + got })
      for await (const piece of stream as AsyncIterable<Buffer>) {
        pieces.push(Buffer.from(piece))
        got += piece.length
      }
    })
    const bytes = Buffer.concat(pieces)
    const right = this.#truth.read(path)?.subarray(start)
    if (right !== undefined && !bytes.equals(right)) await this.#isNoticed(path, sha256(bytes))
    return Readable.from([bytes])
  }

  async #write(path: string, content: Readable, options: WriteOptions): Promise<WrittenFile> {
    const isWhole = wholeOf(content) !== undefined
    const pieces: Buffer[] = []
    for await (const piece of content as AsyncIterable<Buffer>) pieces.push(Buffer.from(piece))
    const again = (): Readable => (isWhole ? wholeContent(Buffer.concat(pieces)) : Readable.from(pieces))
    const written = await this.#tried(() => this.#inner.write(path, again(), { ...options, again }))
    expect(written.sha256).toBe(sha256(Buffer.concat(pieces)))
    this.#written.set(path, written.sha256)
    const bytes = this.#truth.read(path)
    if (bytes === undefined || sha256(bytes) !== written.sha256) await this.#isNoticed(path, written.sha256)
    return written
  }

  async *#list(...args: Parameters<FileHost['list']>): AsyncGenerator<FileEntry> {
    yield* await this.#tried(async () => {
      const entries: FileEntry[] = []
      for await (const entry of this.#inner.list(...args)) entries.push(entry)
      return entries
    })
  }

  /** Wrong bytes where the line is sealed are a fault; elsewhere whoever compares them finds out, or was told before that nobody can. */
  async #isNoticed(path: string, hash: string): Promise<void> {
    const { sealed, hash: hashes } = await this.#tried(() => this.#inner.powers())
    expect(sealed, `${path} is wrong, and the line was sealed`).toBe(false)
    const found = hashes === null ? await this.#readBack(path) : (await this.#tried(() => this.#inner.hashes([path])))[0]
    expect(found, `${path} is wrong, and reported as right`).not.toBe(hash)
    this.noticed += 1
  }

  #readBack(path: string): Promise<string> {
    return this.#tried(() => this.#inner.sha256(path))
  }
}
