import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'

/** Parts shorter than this are not worth the asking: they are sent anew. */
export const LEAST_PART = 1024 * 1024

/** SHA-256 of a content's first bytes, hexadecimal; `undefined` when it has fewer. The rest isn't read. */
export async function hashOfBeginning(content: Readable, bytes: number): Promise<string | undefined> {
  const hash = createHash('sha256')
  let left = bytes
  for await (const chunk of content as AsyncIterable<Buffer>) {
    const piece = chunk.subarray(0, left)
    hash.update(piece)
    left -= piece.length
    if (left === 0) break
  }
  return left === 0 ? hash.digest('hex') : undefined
}

/**
 * How many bytes of a content stand in a part that an earlier try left: all of the part when its hash is that of the content's
 * beginning, none otherwise.
 */
export async function provenBytes(
  again: (() => Readable) | undefined,
  partBytes: number | null | undefined,
  partHash: () => Promise<string>,
): Promise<number> {
  if (again === undefined || partBytes === null || partBytes === undefined || partBytes < LEAST_PART) return 0
  const wanted = await hashOfBeginning(again(), partBytes)
  return wanted !== undefined && wanted === (await partHash()) ? partBytes : 0
}

/** Passes a content on without its first `skipped` bytes; `seen` is told of every byte, the first ones too. */
export async function* afterFirst(
  content: AsyncIterable<Buffer>,
  skipped: number,
  seen: (bytes: Buffer) => void,
): AsyncGenerator<Buffer> {
  let left = skipped
  for await (const chunk of content) {
    seen(chunk)
    const piece = left === 0 ? chunk : chunk.subarray(Math.min(left, chunk.length))
    left -= chunk.length - piece.length
    if (piece.length > 0) yield piece
  }
}
