import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { WriteOptions, WrittenFile } from '../port.ts'
import { afterFirst } from '../resume.ts'
import { OPEN, type SftpChannel, STATUS, statusOf } from './channel.ts'

/** Requests of one file under way at once: with 32 KiB each 2 MiB, as much as ssh2's channel window. */
const WINDOW = 64
const CHUNK = 32 * 1024

const noop = (): void => undefined

/**
 * The bytes of an open file from `offset` on, in order, several requests ahead of the reader. `size`: its length where known, and
 * then no more is read than that. A short answer is asked again from where it ended, so a server with smaller answers works too.
 */
export async function* readAhead(
  channel: SftpChannel,
  handle: Buffer,
  offset: number,
  size: number | null,
): AsyncGenerator<Buffer> {
  const chunk = Math.min(CHUNK, channel.maxTransfer)
  const end = size ?? Number.POSITIVE_INFINITY
  const ahead: { readonly at: number; readonly answer: Promise<Buffer | null> }[] = []
  let next = offset
  let window = size === null ? 1 : WINDOW
  while (true) {
    for (; ahead.length < window && next < end; next += chunk) {
      const answer = channel.read(handle, Math.min(chunk, end - next), next)
      answer.catch(noop) // awaited below, unless the reader stops before
      ahead.push({ at: next, answer })
    }
    const first = ahead.shift()
    if (first === undefined) return
    const bytes = await first.answer
    if (bytes === null) return
    yield bytes
    if (bytes.length < chunk && first.at + bytes.length < end) {
      ahead.length = 0
      next = first.at + bytes.length
      window = 1
    } else {
      window = Math.min(WINDOW, window * 2)
    }
  }
}

/** A file that fits into one request, whole: three requests, the last two sent together. */
export async function readSmall(channel: SftpChannel, full: string, size: number): Promise<Readable | null> {
  if (size === 0 || size > Math.min(CHUNK, channel.maxTransfer)) return null
  const handle = await channel.open(full, OPEN.read)
  const [bytes] = await Promise.all([channel.read(handle, size, 0), channel.close(handle)])
  if (bytes !== null && bytes.length < size) return null
  const stream = new Readable({ read: noop })
  if (bytes !== null) stream.push(bytes)
  stream.push(null)
  return stream
}

/**
 * Writes a new file under `part` (an earlier leftover is removed first) and sets its mode and time. `from`: so many of the content's
 * bytes stand there already, and are gone on from. Throws whatever the content or the server throws; the handle is closed by then.
 */
export async function writePart(
  channel: SftpChannel,
  part: string,
  content: Readable,
  options: WriteOptions,
  signal: AbortSignal | undefined,
  from = 0,
): Promise<WrittenFile> {
  const handle = from > 0 ? await channel.open(part, OPEN.write) : await openNew(channel, part, options.mode)
  const hash = createHash('sha256')
  let size = from
  try {
    const chunk = Math.min(CHUNK, channel.maxTransfer)
    const ahead: Promise<void>[] = []
    for await (const bytes of afterFirst(content, from, (seen) => hash.update(seen))) {
      signal?.throwIfAborted()
      for (let at = 0; at < bytes.length; at += chunk) {
        const piece = bytes.subarray(at, at + chunk)
        const answer = channel.write(handle, piece, size)
        answer.catch(noop) // awaited below, unless an earlier one fails
        ahead.push(answer)
        size += piece.length
        if (ahead.length >= WINDOW) await ahead.shift()
      }
    }
    const attributes = attributesOf(options)
    const set = channel.setHandleAttributes(handle, attributes).catch((error: unknown) => {
      if (statusOf(error) !== STATUS.unsupported) throw error
      return channel.setAttributes(part, attributes)
    })
    set.catch(noop)
    await Promise.all(ahead)
    await set
  } catch (error) {
    await channel.close(handle).catch(noop) // the first error says more
    throw error
  }
  await channel.close(handle)
  return { size, sha256: hash.digest('hex') }
}

async function openNew(channel: SftpChannel, part: string, mode: number | null): Promise<Buffer> {
  // Written as private as can be: it may hold passwords, and gets its own mode when it is whole.
  const open = (): Promise<Buffer> => channel.open(part, OPEN.write | OPEN.create | OPEN.exclusive, mode === null ? null : 0o600)
  try {
    return await open()
  } catch (error) {
    if (statusOf(error) !== STATUS.failure) throw error
    await channel.remove(part).catch(noop) // opened again below, which tells what is wrong
    return open()
  }
}

const attributesOf = (options: WriteOptions) => ({
  ...(options.mode === null ? {} : { mode: options.mode & 0o7777 }),
  atime: Math.floor(options.mtimeSeconds),
  mtime: Math.floor(options.mtimeSeconds),
})
