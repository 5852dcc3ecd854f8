import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { Lender } from './lent.ts'

/** Large files are read in pieces of this size; so many of them, at most, lie idle. */
const PIECE_BYTES = 256 * 1024
const lender = new Lender(PIECE_BYTES, 16)

/** A file's first bytes, no more than so many: one that grows is no longer than it was. Throws the system's errors. */
export async function readSmall(full: string | Buffer, flags: number, bytes: number): Promise<Buffer> {
  const handle = await open(full, flags)
  try {
    const whole = Buffer.allocUnsafe(bytes)
    let got = 0
    for (let more = -1; more !== 0 && got < bytes; got += more) more = (await handle.read(whole, got, bytes - got, got)).bytesRead
    return whole.subarray(0, got)
  } finally {
    await handle.close()
  }
}

/** An open file's bytes from `offset` to its end, or to `size` where that is given; closes it. `failed` makes the error to be told. */
export function readOpened(
  handle: FileHandle,
  offset: number,
  size: number | null,
  failed: (error: unknown) => unknown,
): Readable {
  const end = size ?? Number.POSITIVE_INFINITY
  const pieces = async function* (): AsyncGenerator<Buffer> {
    for (let at = offset; at < end; ) {
      const length = Math.min(PIECE_BYTES, end - at)
      const piece = lender.lend(length)
      const { bytesRead } = await handle.read(piece, 0, length, at).catch((error: unknown) => {
        throw failed(error)
      })
      if (bytesRead === 0) return
      at += bytesRead
      yield bytesRead === length ? piece : piece.subarray(0, bytesRead)
    }
  }
  const stream = Readable.from(pieces(), { objectMode: false })
  // Not by the generator: one that was never begun would close nothing.
  stream.once('close', () => void handle.close())
  return stream
}
