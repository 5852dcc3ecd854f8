import { LineReader, type LoggedRequest } from './lines.ts'

/** Bytes before the place reached by which a file is known again. */
const ANCHOR_BYTES = 128
/** A longer line is none of an access log. */
const LONGEST_LINE = 64 * 1024
const NOTHING = Buffer.alloc(0)

/** Lines that weren't understood are told as `undefined`. */
export type TakeLine = (request: LoggedRequest | undefined, lineBytes: number) => void

/** How far one log was read. It is known again by what stood just before that place: names and sizes change when logs are rotated. */
export class FollowedLog {
  path: string
  size: number
  mtimeSeconds: number
  offset: number
  readonly lines: LineReader
  #anchor: Buffer
  /** The beginning of a line whose end wasn't there yet. */
  #partial: Buffer
  #skipsLine: boolean
  /** Whose last line may end in this file's first: a log that was copied and cut to nothing in the middle of a line. */
  #before: FollowedLog | undefined

  constructor(entry: { path: string; size: number; mtimeSeconds: number }, offset: number, before?: FollowedLog) {
    this.path = entry.path
    this.size = entry.size
    this.mtimeSeconds = entry.mtimeSeconds
    this.offset = offset
    this.lines = new LineReader(before === undefined ? undefined : before.lines)
    this.#anchor = NOTHING
    this.#partial = NOTHING
    this.#skipsLine = false
    this.#before = before
  }

  /** Where reading must begin, so that the file can be known again. */
  get anchorOffset(): number {
    return this.offset - this.#anchor.length
  }

  /** False for one of which nothing was read yet: any file could be it. */
  get isKnown(): boolean {
    return this.#anchor.length > 0
  }

  /**
   * Reads on from a source that begins at byte `start`. Returns false, with nothing taken, when it isn't this log; stops after
   * `most` bytes of it.
   */
  async readOn(source: AsyncIterable<Buffer>, start: number, take: TakeLine, most = Number.POSITIVE_INFINITY): Promise<boolean> {
    let skip = this.anchorOffset - start
    let head = NOTHING
    let known = !this.isKnown
    let taken = 0
    for await (const chunk of source) {
      const bytes = chunk.subarray(Math.min(skip, chunk.length))
      skip -= chunk.length - bytes.length
      if (known) this.#feed(bytes, take)
      else {
        head = Buffer.concat([head, bytes])
        if (head.length < this.#anchor.length) continue
        if (!head.subarray(0, this.#anchor.length).equals(this.#anchor)) return false
        known = true
        this.#feed(head.subarray(this.#anchor.length), take)
      }
      taken += bytes.length
      if (taken >= most) return true
    }
    return known
  }

  /** Goes on at `offset`, leaving out what lies before it. */
  jump(offset: number): void {
    this.offset = offset
    this.#anchor = NOTHING
    this.#partial = NOTHING
    this.#skipsLine = true
  }

  #feed(bytes: Buffer, take: TakeLine): void {
    if (bytes.length === 0) return
    this.offset += bytes.length
    this.#anchor = Buffer.from(Buffer.concat([this.#anchor, bytes.subarray(-ANCHOR_BYTES)]).subarray(-ANCHOR_BYTES))
    const data = this.#partial.length === 0 ? bytes : Buffer.concat([this.#partial, bytes])
    const end = data.lastIndexOf(0x0a) + 1
    this.#partial = Buffer.from(data.subarray(end))
    if (this.#partial.length > LONGEST_LINE) {
      this.#partial = NOTHING
      this.#skipsLine = true
    }
    if (end > 0) for (const line of data.toString('utf8', 0, end - 1).split('\n')) this.#take(line.replace(/\r$/, ''), take)
  }

  #take(line: string, take: TakeLine): void {
    if (this.#skipsLine) {
      this.#skipsLine = false
      return
    }
    const before = this.#before
    this.#before = undefined
    const request = this.lines.read(line)
    if (before !== undefined && typeof request !== 'object' && before.#partial.length > 0 && !line.startsWith('#')) {
      const whole = before.lines.read(before.#partial.toString('utf8') + line)
      if (typeof whole === 'object') {
        before.#partial = NOTHING
        take(whole, line.length)
        return
      }
    }
    if (request !== 'nothing') take(request, line.length)
  }
}
