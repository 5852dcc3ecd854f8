import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { codeOf } from '../base/errors.ts'
import { globs } from '../files/globs.ts'
import { nameOf } from '../files/paths.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import { FollowedLog, type TakeLine } from './followed.ts'

/** A folder's logs on a host: those whose name matches, and what rotation makes of them. */
export interface LogPlace {
  readonly files: FileHost
  /** Relative to the root of `files`; '' for the root itself. */
  readonly folder: string
  /** Of the names in it: `access.log`, `u_ex*.log`. */
  readonly pattern: string
  /** As the playbook gives it. */
  readonly written: string
}

export interface LogLook {
  readonly files: number
  /** Bytes that were passed over, because there were too many of them. */
  readonly skippedBytes: number
  /** Logs that are gone or were cut to nothing, and of which nobody kept a copy: their last lines may be missing. */
  readonly lost: readonly string[]
}

/** At most so much of one log is read in a look; of more, the newest. */
const MOST_BYTES = 8 * 1024 * 1024
/** Read of what was there before the watch began, and of its beginning, where a W3C log names its fields. */
const FIRST_BYTES = 256 * 1024
const HEAD_BYTES = 2048
/** A log that grew less than so long before the newest did is still looked into at the first look. */
const RECENT_SECONDS = 3600
const LARGEST_GZIP = 256 * 1024 * 1024

/** `access.log` and what rotation leaves beside it: `access.log.1`, `access.log-20261126.gz`. */
export function matcher(pattern: string): (name: string) => boolean {
  const matches = globs([pattern])
  return (name) => {
    const plain = name.replace(/\.gz$/, '')
    return matches(name) || matches(plain) || matches(plain.replace(/[.-]\d[\d.-]*$/, ''))
  }
}

/**
 * Follows the logs of one place. Every look reads only what is new. A rotated log is read to its end where it went: renamed, copied
 * and cut to nothing, or compressed.
 */
export class LogTail {
  readonly #place: LogPlace
  readonly #matches: (name: string) => boolean
  #logs: readonly FollowedLog[] | undefined
  /** Compressed files that were there at the last look, under whatever name. */
  #packed: ReadonlySet<string> = new Set()

  constructor(place: LogPlace) {
    this.#place = place
    this.#matches = matcher(place.pattern)
  }

  /** `take` is told every new line; `fresh` is false for lines that were there before the first look. Throws what the files host throws. */
  async look(take: (fresh: boolean) => TakeLine, signal?: AbortSignal): Promise<LogLook> {
    const entries = await this.#list(signal)
    const look = new Look(this.#place.files, entries, this.#packed, signal)
    const before = this.#logs
    if (before === undefined) await look.begin(take(false))
    else await look.goOn(before, take(true))
    this.#logs = look.logs
    this.#packed = new Set(entries.filter(isGzip).map(sameness))
    return { files: look.logs.length, skippedBytes: look.skippedBytes, lost: look.lost }
  }

  async #list(signal: AbortSignal | undefined): Promise<readonly FileEntry[]> {
    const found: FileEntry[] = []
    for await (const entry of this.#place.files.list(this.#place.folder, signal, 'here'))
      if (entry.kind === 'file' && this.#matches(nameOf(entry.path))) found.push(entry)
    return found
  }
}

const isGzip = ({ path }: FileEntry): boolean => path.endsWith('.gz')
const sameness = ({ size, mtimeSeconds }: FileEntry): string => `${size} ${mtimeSeconds}`
const isSame = (log: FollowedLog, entry: FileEntry): boolean => log.size === entry.size && log.mtimeSeconds === entry.mtimeSeconds

/** One look at a listing: which of the files are the logs that were followed, and what is new in them. */
class Look {
  readonly #files: FileHost
  readonly #plain: readonly FileEntry[]
  readonly #packed: readonly FileEntry[]
  readonly #signal: AbortSignal | undefined
  readonly logs: FollowedLog[] = []
  readonly lost: string[] = []
  skippedBytes = 0

  constructor(files: FileHost, entries: readonly FileEntry[], known: ReadonlySet<string>, signal: AbortSignal | undefined) {
    this.#files = files
    this.#plain = entries.filter((entry) => !isGzip(entry)).toSorted((a, b) => b.mtimeSeconds - a.mtimeSeconds)
    this.#packed = entries.filter((entry) => isGzip(entry) && !known.has(sameness(entry)) && entry.size <= LARGEST_GZIP)
    this.#signal = signal
  }

  /** The end of what is there: enough to know the format and the last minutes. */
  async begin(take: TakeLine): Promise<void> {
    for (const entry of this.#plain) {
      const isRecent = this.#isRecent(entry)
      const log = new FollowedLog(entry, isRecent ? 0 : entry.size)
      this.logs.push(log)
      if (!isRecent) continue
      if (entry.size > FIRST_BYTES) {
        await this.#readHead(log)
        log.jump(entry.size - FIRST_BYTES)
      }
      await log.readOn(await this.#open(entry.path, log.offset), log.offset, take, MOST_BYTES)
    }
  }

  /** Written to within an hour of the newest. */
  #isRecent({ mtimeSeconds }: { readonly mtimeSeconds: number }): boolean {
    return (this.#plain[0]?.mtimeSeconds ?? 0) - mtimeSeconds < RECENT_SECONDS
  }

  async #readHead(log: FollowedLog): Promise<void> {
    let head = ''
    for await (const chunk of await this.#open(log.path, 0)) {
      head += chunk.toString('latin1')
      if (head.length >= HEAD_BYTES || !head.startsWith('#')) break
    }
    for (const line of head.split(/\r?\n/).slice(0, -1)) if (line.startsWith('#')) log.lines.read(line)
  }

  async goOn(before: readonly FollowedLog[], take: TakeLine): Promise<void> {
    const paths = new Map(before.map((log) => [log.path, log]))
    const moved: FollowedLog[] = []
    for (const log of before) {
      const entry = this.#plain.find(({ path }) => path === log.path)
      if (entry === undefined || !(await this.#goesOn(log, entry, take))) moved.push(log)
    }
    for (const log of moved) await this.#findAgain(log, take)
    for (const entry of this.#plain.filter((each) => !this.#isTaken(each))) {
      await this.#readNew(entry, paths.get(entry.path), take)
    }
  }

  readonly #taken = new Set<string>()
  #isTaken(entry: FileEntry): boolean {
    return this.#taken.has(entry.path)
  }

  #keep(log: FollowedLog, entry: FileEntry): true {
    log.path = entry.path
    log.size = entry.size
    log.mtimeSeconds = entry.mtimeSeconds
    this.#taken.add(entry.path)
    this.logs.push(log)
    return true
  }

  /** Reads on in the file under the same name, if it is the same one. */
  async #goesOn(log: FollowedLog, entry: FileEntry, take: TakeLine): Promise<boolean> {
    // A listing may be late about the size of a file that is open (NTFS): the newest one is always asked itself.
    const isNewest = entry === this.#plain[0]
    // Equal sizes may be chance: only a log that was at rest for long is taken for itself unseen.
    if (isSame(log, entry) && !isNewest && (!log.isKnown || !this.#isRecent(entry))) return this.#keep(log, entry)
    if (entry.size < log.offset && !isNewest) return false
    return await this.#readOn(log, entry, take)
  }

  async #readOn(log: FollowedLog, entry: FileEntry, take: TakeLine): Promise<boolean> {
    const waiting = entry.size - log.offset
    if (waiting > MOST_BYTES) {
      const { offset } = log
      if (!(await this.#read(log, entry, () => undefined, 0))) return false
      const to = entry.size - MOST_BYTES
      this.skippedBytes += to - offset
      log.jump(to)
    }
    return (await this.#read(log, entry, take, MOST_BYTES)) && this.#keep(log, entry)
  }

  async #read(log: FollowedLog, entry: FileEntry, take: TakeLine, most: number): Promise<boolean> {
    const start = log.anchorOffset
    try {
      return await log.readOn(await this.#open(entry.path, start), start, take, most)
    } catch (error) {
      this.#signal?.throwIfAborted()
      // Some hosts refuse to begin behind a file's end: then it isn't the one that was longer.
      if (entry.size < log.offset) return false
      throw error
    }
  }

  /** Looks for a log that isn't under its name any more. */
  async #findAgain(log: FollowedLog, take: TakeLine): Promise<void> {
    const candidates = this.#plain
      .filter((entry) => !this.#isTaken(entry) && entry.size >= log.offset)
      .toSorted((a, b) => Number(isSame(log, b)) - Number(isSame(log, a)))
    for (const entry of candidates) {
      if (log.isKnown ? await this.#readOn(log, entry, take) : isSame(log, entry) && this.#keep(log, entry)) return
    }
    if (!log.isKnown || (await this.#readPacked(log, take))) return
    if (this.#isRecent(log)) this.lost.push(log.path)
  }

  /** True when one of the compressed files is this log; what it got since is read then. */
  async #readPacked(log: FollowedLog, take: TakeLine): Promise<boolean> {
    for (const entry of this.#packed) {
      if ((await this.#unpackedLength(entry)) < log.offset) continue
      const unpacked = pipeline(await this.#open(entry.path, 0), createGunzip(), () => undefined)
      try {
        if (await log.readOn(unpacked, 0, take)) return true
      } catch (error) {
        // What isn't whole is no copy of it.
        if (!/^Z_/.test(codeOf(error) ?? '')) throw error
      }
    }
    return false
  }

  /** Of the last member, modulo 2^32 (RFC 1952, section 2.3.1). */
  async #unpackedLength(entry: FileEntry): Promise<number> {
    const bytes: Buffer[] = []
    for await (const chunk of await this.#open(entry.path, Math.max(0, entry.size - 4))) bytes.push(chunk)
    const end = Buffer.concat(bytes)
    return end.length < 4 ? 0 : end.readUInt32LE(end.length - 4)
  }

  async #readNew(entry: FileEntry, predecessor: FollowedLog | undefined, take: TakeLine): Promise<void> {
    const log = new FollowedLog(entry, 0, predecessor)
    if (entry.size > MOST_BYTES) {
      await this.#readHead(log)
      log.jump(entry.size - MOST_BYTES)
      this.skippedBytes += log.offset
    }
    await log.readOn(await this.#open(entry.path, log.offset), log.offset, take, MOST_BYTES)
    this.#keep(log, entry)
  }

  /** Not bounded by the size that the listing said, which may be late. */
  async #open(path: string, offset: number): Promise<AsyncIterable<Buffer> & Readable> {
    return (await this.#files.read(path, { offset, ...(this.#signal && { signal: this.#signal }) })) as AsyncIterable<Buffer> &
      Readable
  }
}
