import { hash } from 'node:crypto'
import { Readable } from 'node:stream'

/** A content that is at hand, with its SHA-256 in hexadecimal. */
export interface Whole {
  readonly bytes: Buffer
  readonly sha256: string
}

/** Of streams that hash what they give by themselves: for asking once they have ended. */
const digests = new WeakMap<Readable, () => string>()

/** Says that a stream hashes what it gives: `digest` is asked once it has ended, for the SHA-256 in hexadecimal. */
export function hashesItself(stream: Readable, digest: () => string): Readable {
  digests.set(stream, digest)
  return stream
}

/** The SHA-256 of a stream that hashes itself, to be asked once it has ended; `undefined` for other streams. */
export const digestOf = (content: Readable): (() => string) | undefined =>
  content instanceof WholeContent ? () => content.sha256 : digests.get(content)

class WholeContent extends Readable implements Whole {
  readonly bytes: Buffer
  readonly sha256: string
  #isGiven = false

  constructor(bytes: Buffer, sha256: string) {
    super({ highWaterMark: 0 })
    this.bytes = bytes
    this.sha256 = sha256
  }

  override _read(): void {
    this.push(this.#isGiven || this.bytes.length === 0 ? null : this.bytes)
    this.#isGiven = true
  }
}

/**
 * A stream of bytes that are at hand already. Who knows how takes them with `wholeOf` and leaves the stream alone: for a small file the
 * stream's own work costs more than everything else. `sha256`: when it is known, so that it isn't counted again.
 */
export const wholeContent = (bytes: Buffer, sha256 = hash('sha256', bytes, 'hex')): Readable => new WholeContent(bytes, sha256)

/** What `wholeContent` was made of; `undefined` for other streams. */
export const wholeOf = (content: Readable): Whole | undefined => (content instanceof WholeContent ? content : undefined)
