import { MigrateError } from '../base/errors.ts'

/** Every buffer that is lent has so many bytes. */
export const LENT_BYTES = 512 * 1024
/** So many are kept for the next who asks. */
const MOST_IDLE = 160

const lent = new WeakSet<ArrayBufferLike>()
const idle: Buffer[] = []

/**
 * A buffer of LENT_BYTES, its content undefined. Memory outside of the JavaScript heap that comes and goes makes the garbage
 * collector look through the whole heap every 32 MiB, which takes a copy of a database as long as the copying itself: so rows travel
 * in few buffers that are used again.
 */
export function lendBuffer(): Buffer {
  const again = idle.pop()
  if (again !== undefined) return again
  const fresh = Buffer.allocUnsafeSlow(LENT_BYTES)
  lent.add(fresh.buffer)
  return fresh
}

/** One of so many bytes is freed at once: several of that size could lie about before the garbage collector comes. */
const FREED_BYTES = 8 * 2 ** 20

/**
 * Gives back what was lent, or a view of it, by whoever used it last: its content changes from now on. Any other buffer is left to the
 * garbage collector, as one is that was lent and isn't given back; but a large one is freed and empty from now on.
 */
export function giveBack({ buffer, byteLength }: Buffer): void {
  if (!lent.has(buffer)) {
    if (byteLength >= FREED_BYTES && byteLength === buffer.byteLength) free(buffer)
    return
  }
  if (idle.some((each) => each.buffer === buffer))
    throw new MigrateError('fault', 'A buffer was given back twice. This is a fault in migrate.')
  if (idle.length < MOST_IDLE) idle.push(Buffer.from(buffer, 0, LENT_BYTES))
}

/** Smaller ones may be shared with others (Buffer.poolSize). */
const OWN_BYTES = 128 * 1024

/**
 * The pieces of a stream that cuts them from large buffers of its own, as those of zlib do: a buffer is freed when its last piece was used,
 * without waiting for the garbage collector, which would be called for the sake of them alone (see `lendBuffer`). So a piece may be
 * used until the next is asked for, and no longer. That another buffer comes doesn't say that the one before is done with: a stream whose
 * reader lags joins pieces in a buffer of their own.
 */
export async function* freed(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let last: ArrayBufferLike | undefined
  for await (const piece of pieces) {
    yield piece
    last = piece.buffer
    if (piece.byteOffset + piece.byteLength === last.byteLength) free(last)
  }
  free(last)
}

/** Frees the memory of a buffer that nobody uses any more, when it is large and its own. */
export function free(buffer: ArrayBufferLike | undefined): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= OWN_BYTES && !lent.has(buffer)) buffer.transfer(0)
}
