import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { connectionLost } from '../failures.ts'
import { giveBack, Lender } from '../lent.ts'
import type { WriteOptions, WrittenFile } from '../port.ts'
import { afterFirst } from '../resume.ts'
import { within } from '../times.ts'
import { digestOf, wholeOf } from '../whole.ts'
import { OPEN, type SftpChannel, STATUS, statusOf } from './channel.ts'

/** One request at most, bytes: what OpenSSH takes (limits@openssh.com); a server that says nothing takes 32 KiB. */
const REQUEST = 255 * 1024
/** The reader gets pieces of about this size, of one or more requests. */
const PIECE = 255 * 1024
/** Asked for ahead of a file's reader, bytes, at first, and of all readers together, at most. It grows while the reader has to wait. */
const FIRST_AHEAD = 1024 * 1024
const MOST_AHEAD = 8 * 1024 * 1024
/** Flushed at a time, bytes: a disk must be done with them before a server that answers nothing meanwhile is taken for lost. */
const FLUSHED_BYTES = 256 * 1024 * 1024
/** Written and not yet acknowledged, bytes: OpenSSH's channel window is 2 MiB, the rest waits here; nothing waits where several files are written. */
const WINDOW = 2 * 1024 * 1024
const MOST_WRITTEN = 2 * WINDOW

/** Memory of pieces; so much of it, at most, lies idle. */
const pieces = new Lender(PIECE, MOST_AHEAD / PIECE)

const noop = (): void => undefined

/** Large files that are read, and written, at this moment: what is held of them weighs together. */
let [readers, writers] = [0, 0]
const mostAhead = (): number => Math.max(FIRST_AHEAD, MOST_AHEAD / Math.max(1, readers))

interface Piece {
  readonly at: number
  readonly bytes: Buffer
  /** What each of its requests brought. */
  readonly answers: Promise<readonly number[]>
  isHere: boolean
}

/** What of a file is read. */
export interface Stretch {
  readonly label: string
  readonly path: string
  /** Its whole path on the host. */
  readonly full: string
  readonly offset: number
  /** The file's length where it is known: no more is read than that. */
  readonly size: number | null
  /** Throws when what was opened lies outside the root; asked beside the first bytes, which are given to nobody before it is answered. */
  within(): Promise<void>
}

/**
 * The bytes of a file, which is open as long as it is read. Throws MigrateError `files-connection-lost` when the server ends it before its
 * length, unless it has become shorter since: whoever looks at it again sees that.
 */
export async function* readOpened(channel: SftpChannel, stretch: Stretch): AsyncGenerator<Buffer> {
  const handle = await channel.open(stretch.full, OPEN.read)
  const within = stretch.within()
  within.catch(noop)
  try {
    for await (const piece of readAhead(channel, handle, stretch)) {
      await within
      yield piece
    }
    await within
  } finally {
    if (!channel.isLost) await channel.close(handle)
  }
}

/**
 * In order, several requests ahead of the reader. A short answer is asked again from where it ended, so a server with smaller answers works
 * too.
 */
async function* readAhead(channel: SftpChannel, handle: Buffer, stretch: Stretch): AsyncGenerator<Buffer> {
  const isLarge = (stretch.size ?? 0) > FIRST_AHEAD
  if (isLarge) readers += 1
  try {
    yield* readPieces(channel, handle, stretch)
  } finally {
    if (isLarge) readers -= 1
  }
}

async function* readPieces(channel: SftpChannel, handle: Buffer, stretch: Stretch): AsyncGenerator<Buffer> {
  const { offset, size } = stretch
  const request = Math.min(REQUEST, channel.maxTransfer)
  const whole = Math.max(1, Math.floor(PIECE / request)) * request
  const end = size ?? Number.POSITIVE_INFINITY
  let ahead: Piece[] = []
  let next = offset
  // Of a file whose length isn't known a little is asked for first: it may be all.
  let window = size === null ? request : FIRST_AHEAD
  while (true) {
    for (let asked = next - (ahead[0]?.at ?? next); asked < window && next < end; ) {
      const length = Math.min(whole, end - next, window)
      ahead.push(ask(channel, handle, next, length, request))
      next += length
      asked += length
    }
    const first = ahead.shift()
    if (first === undefined) return
    window = Math.min(mostAhead(), first.isHere ? window : window * 2)
    const got = beginning(await first.answers, request)
    if (got === 0) {
      if (size !== null) await refuseCutShort(channel, stretch, first.at)
      return
    }
    if (got === first.bytes.length) {
      yield first.bytes
      continue
    }
    yield first.bytes.subarray(0, got)
    ahead = []
    next = first.at + got
    window = request
  }
}

async function refuseCutShort(channel: SftpChannel, { label, path, full, size }: Stretch, got: number): Promise<void> {
  const { size: now } = await channel.stat(full)
  if (now >= (size ?? 0))
    throw connectionLost(label, path, new Error(`${got} of ${now} bytes came, though the host said that it was all`))
}

function ask(channel: SftpChannel, handle: Buffer, at: number, length: number, request: number): Piece {
  const bytes = pieces.lend(length)
  const asked: Promise<number>[] = []
  for (let start = 0; start < length; start += request)
    asked.push(channel.read(handle, bytes.subarray(start, start + request), at + start))
  const piece: Piece = { at, bytes, answers: Promise.all(asked), isHere: false }
  piece.answers.then(() => {
    piece.isHere = true
  }, noop) // a failure is awaited by the reader, unless it stops before
  return piece
}

/** Bytes up to where an answer was short. */
function beginning(counts: readonly number[], request: number): number {
  const short = counts.findIndex((count) => count < request)
  return short === -1 ? counts.length * request : short * request + (counts[short] ?? 0)
}

/**
 * A file that fits into one request, whole: four requests, the last three sent together. `null` when it isn't that long any more, or stands
 * under its name no more: a link that was put there since it was listed could lead anywhere.
 */
export async function readSmall(channel: SftpChannel, full: string, size: number): Promise<Buffer | null> {
  if (size > channel.maxTransfer) return null
  const handle = await channel.open(full, OPEN.read)
  const bytes = Buffer.allocUnsafe(size)
  const [count, , stands] = await Promise.all([channel.read(handle, bytes, 0), channel.close(handle), channel.lstat(full)])
  return count === size && stands.isFile() ? bytes : null
}

/** The name under which a file is written, whole, on the host. */
export interface PartName {
  readonly full: string
  /** An earlier try has left something there: another name is taken, which its own rename, if that is under way still, can't move. */
  change(): void
}

/**
 * Writes a new file under `part` (an earlier leftover is removed first) and sets its mode and time. `from`: so many of the content's
 * bytes stand there already, and are gone on from. `flushes`: whether so many are to be on the host's disk when it returns. Throws whatever the content or the server throws; the handle is closed by then.
 */
export async function writePart(
  channel: SftpChannel,
  part: PartName,
  content: Readable,
  options: WriteOptions & { flushes(bytes: number): Promise<boolean> },
  signal: AbortSignal | undefined,
  from = 0,
): Promise<WrittenFile> {
  const handle = from > 0 ? await channel.open(part.full, OPEN.write) : await openNew(channel, part, options.mode)
  writers += 1
  const digest = digestOf(content)
  const hash = digest === undefined ? createHash('sha256') : undefined
  let size = from
  let flushed = from
  try {
    const request = Math.min(REQUEST, channel.maxTransfer)
    const ahead = new Unanswered()
    const whole = from === 0 ? wholeOf(content) : undefined
    const given = whole === undefined ? afterFirst(content, from, (seen) => hash?.update(seen)) : [whole.bytes]
    for await (const bytes of given) {
      signal?.throwIfAborted()
      for (let at = 0; at < bytes.length; at += request) {
        const piece = bytes.subarray(at, at + request)
        const isLast = at + request >= bytes.length
        ahead.add(piece.length, channel.write(handle, piece, size), isLast ? bytes : undefined)
        size += piece.length
        await ahead.until(writers > 1 ? WINDOW : MOST_WRITTEN)
      }
      if (size - flushed < FLUSHED_BYTES || !(await options.flushes(size))) continue
      flushed = size
      ahead.add(0, channel.flush(handle), undefined)
    }
    const attributes = attributesOf(options)
    const set = channel.setHandleAttributes(handle, attributes).catch((error: unknown) => {
      if (statusOf(error) !== STATUS.unsupported) throw error
      return channel.setAttributes(part.full, attributes)
    })
    set.catch(noop)
    if (await options.flushes(size)) ahead.add(0, channel.flush(handle), undefined)
    await ahead.all()
    await set
  } catch (error) {
    await channel.close(handle).catch(noop) // the first error says more
    throw error
  } finally {
    writers -= 1
  }
  await channel.close(handle)
  return { size, sha256: hash?.digest('hex') ?? digest?.() ?? '' }
}

/** What was written and not yet acknowledged. */
class Unanswered {
  readonly #writes: { readonly length: number; readonly answer: Promise<void>; readonly ends: Buffer | undefined }[] = []
  #bytes = 0

  /** `ends`: the piece of the content that ends with this write. */
  add(length: number, answer: Promise<void>, ends: Buffer | undefined): void {
    answer.catch(noop) // awaited below, unless an earlier one fails
    this.#writes.push({ length, answer, ends })
    this.#bytes += length
  }

  /** Returns when everything is answered. */
  async all(): Promise<void> {
    await this.until(0)
    for (const { answer } of this.#writes.splice(0)) await answer
  }

  /** Returns when no more than so many bytes are left. */
  async until(most: number): Promise<void> {
    for (let first = this.#writes[0]; first !== undefined && this.#bytes > most; first = this.#writes[0]) {
      await first.answer
      this.#writes.shift()
      this.#bytes -= first.length
      // What was sent before it is answered, too.
      if (first.ends !== undefined) giveBack(first.ends)
    }
  }
}

async function openNew(channel: SftpChannel, part: PartName, mode: number | null): Promise<Buffer> {
  // Written as private as can be: it may hold passwords, and gets its own mode when it is whole.
  const open = (): Promise<Buffer> =>
    channel.open(part.full, OPEN.write | OPEN.create | OPEN.exclusive, mode === null ? null : 0o600)
  try {
    return await open()
  } catch (error) {
    if (statusOf(error) !== STATUS.failure) throw error
    await channel.remove(part.full).catch(noop) // opened again below, which tells what is wrong
    part.change()
    return open()
  }
}

/** Times are unsigned numbers of 32 bits (draft-ietf-secsh-filexfer-02, section 5): until 2106. One of before 1970 would become a late one. */
export const TIMES = [0, 2 ** 32 - 1] as const

function attributesOf({ mode, mtimeSeconds }: WriteOptions) {
  const time = within(TIMES, Math.floor(mtimeSeconds))
  return { ...(mode === null ? {} : { mode: mode & 0o7777 }), atime: time, mtime: time }
}
