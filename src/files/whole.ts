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
export const digestOf = (content: Readable): (() => string) | undefined => digests.get(content)

const known = new WeakMap<Readable, Whole>()

/**
 * A stream of bytes that are at hand already. Who knows how takes them with `wholeOf` and leaves the stream alone: for a small file the
 * stream's own work costs more than everything else. `sha256`: when it is known, so that it isn't counted again.
 */
export function wholeContent(bytes: Buffer, sha256 = hash('sha256', bytes, 'hex')): Readable {
  let isGiven = false
  const stream = new Readable({
    highWaterMark: 0,
    read() {
      if (!isGiven && bytes.length > 0) this.push(bytes)
      else this.push(null)
      isGiven = true
    },
  })
  known.set(stream, { bytes, sha256 })
  digests.set(stream, () => sha256)
  return stream
}

/** What `wholeContent` was made of; `undefined` for other streams. */
export const wholeOf = (content: Readable): Whole | undefined => known.get(content)
