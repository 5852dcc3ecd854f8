import { Readable } from 'node:stream'
import type { Clock } from '../../src/base/clock.ts'
import type { FileEntry, ListDepth, ReadOptions, WriteOptions, WrittenFile } from '../../src/files/port.ts'
import { MemoryFiles } from './memory-files.ts'

/** What a host takes for its work, milliseconds of the clock. */
export interface Costs {
  /** Of each thing that is asked of it, also of each file that is read or written. */
  readonly request: number
  /** Of a mebibyte over its line, which all connections share. */
  readonly mebibyte: number
  /** So many things it does at once. */
  readonly connections: number
}

/** Bytes that go over a line at a time. */
const PIECE = 256 * 1024

/**
 * A host in memory whose work costs time of a clock that a test winds: a request keeps one of its connections for as long as it takes, and
 * bytes go over its line one after another.
 */
export class CostlyFiles extends MemoryFiles {
  readonly #clock: Clock
  readonly #costs: Costs
  readonly #waiting: (() => void)[] = []
  #taken = 0
  /** When the line will have carried all that was given to it. */
  #lineIsFree = 0

  constructor(label: string, clock: Clock, costs: Costs) {
    super(label)
    this.#clock = clock
    this.#costs = costs
  }

  override async *list(folder?: string, signal?: AbortSignal, depth?: ListDepth): AsyncIterable<FileEntry> {
    await this.#connected(async () => undefined)
    yield* super.list(folder, signal, depth)
  }

  override stat(path: string): Promise<FileEntry | undefined> {
    return this.#connected(() => super.stat(path))
  }

  override makeFolder(path: string, mode: number | null): Promise<void> {
    return this.#connected(() => super.makeFolder(path, mode))
  }

  override async read(path: string, options?: ReadOptions): Promise<Readable> {
    const leave = await this.#enter()
    const content = await super.read(path, options)
    return Readable.from(this.#carried(content, leave), { objectMode: false, highWaterMark: 1 })
  }

  override async write(path: string, content: Readable, options: WriteOptions, signal?: AbortSignal): Promise<WrittenFile> {
    const leave = await this.#enter()
    return super.write(path, Readable.from(this.#carried(content, leave)), options, signal)
  }

  async #connected<T>(work: () => Promise<T>): Promise<T> {
    const leave = await this.#enter()
    try {
      return await work()
    } finally {
      leave()
    }
  }

  /** Takes a connection, and what a request costs. */
  async #enter(): Promise<() => void> {
    if (this.#taken >= this.#costs.connections) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#taken += 1
    await this.#clock.sleep(this.#costs.request)
    return () => {
      const next = this.#waiting.shift()
      if (next === undefined) this.#taken -= 1
      else next()
    }
  }

  async *#carried(content: AsyncIterable<Buffer>, leave: () => void): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of content) {
        for (let at = 0; at < chunk.length; at += PIECE) {
          const piece = chunk.subarray(at, at + PIECE)
          await this.#carry(piece.length)
          yield piece
        }
      }
    } finally {
      leave()
    }
  }

  #carry(bytes: number): Promise<void> {
    const now = this.#clock.monotonic()
    this.#lineIsFree = Math.max(now, this.#lineIsFree) + (bytes * this.#costs.mebibyte) / 2 ** 20
    return this.#clock.sleep(this.#lineIsFree - now)
  }
}
