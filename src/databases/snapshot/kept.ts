import { giveBack } from '../buffers.ts'
import type { Part } from './manifest.ts'

/** Memory that parts may take which were saved and are still to be loaded. */
const MOST_BYTES = 64 * 2 ** 20

const followed = new Map<string, KeptParts>()

/** What of the snapshot in this folder is kept for whoever follows it; `undefined` when nobody does. */
export const keptIn = (directory: string): KeptParts | undefined => followed.get(directory)

/**
 * Chunks of parts that were saved a moment ago, for a restore that follows the snapshot in the same process: it needn't read, prove
 * and unpack again what has just been written. What finds no room here is read from disk, which holds all of it.
 */
export class KeptParts {
  readonly #directory: string
  readonly #parts = new Map<string, readonly Buffer[]>()
  #bytes = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  /** From now on what is saved in this folder is kept, until `end`. One at a time may follow. */
  static follow(directory: string): KeptParts {
    const kept = new KeptParts(directory)
    followed.set(directory, kept)
    return kept
  }

  end(): void {
    if (followed.get(this.#directory) === this) followed.delete(this.#directory)
    this.#parts.clear()
  }

  /** Takes up a part that is being written. */
  begin(): Keeping {
    return new Keeping(this)
  }

  has(part: Part): boolean {
    return this.#parts.has(nameOf(part))
  }

  /** The part's chunks, once. They are the very ones that were written: the checksum is part of the name. */
  take(part: Part): readonly Buffer[] | undefined {
    const chunks = this.#parts.get(nameOf(part))
    if (chunks === undefined) return undefined
    this.#parts.delete(nameOf(part))
    this.release(chunks)
    return chunks
  }

  /** Makes room for a chunk; false when there is none. */
  reserve(chunk: Buffer): boolean {
    if (this.#bytes + chunk.buffer.byteLength > MOST_BYTES) return false
    this.#bytes += chunk.buffer.byteLength
    return true
  }

  release(chunks: readonly Buffer[]): void {
    this.#bytes -= chunks.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
  }

  put(part: Pick<Part, 'file' | 'offset' | 'sha256'>, chunks: readonly Buffer[]): void {
    if (followed.get(this.#directory) === this) this.#parts.set(nameOf(part), chunks)
    else this.release(chunks)
  }
}

const nameOf = ({ file, offset, sha256 }: Pick<Part, 'file' | 'offset' | 'sha256'>): string => `${file} ${offset} ${sha256}`

/** The chunks of one part, kept as they are written, as long as there is room for all of them. */
export class Keeping {
  readonly #kept: KeptParts
  #chunks: Buffer[] | undefined = []

  constructor(kept: KeptParts) {
    this.#kept = kept
  }

  /** A chunk that was written, whose owner this becomes; one that isn't kept is given back. Nothing: one that is on disk alone. */
  add(chunk: Buffer | undefined): void {
    if (chunk === undefined) this.drop()
    else if (this.#chunks !== undefined && this.#kept.reserve(chunk)) this.#chunks.push(chunk)
    else {
      this.drop()
      giveBack(chunk)
    }
  }

  /** All of it is on disk. */
  done(part: Pick<Part, 'file' | 'offset' | 'sha256'>): void {
    if (this.#chunks !== undefined) this.#kept.put(part, this.#chunks)
    this.#chunks = undefined
  }

  drop(): void {
    this.#kept.release(this.#chunks ?? [])
    for (const chunk of this.#chunks ?? []) giveBack(chunk)
    this.#chunks = undefined
  }
}
