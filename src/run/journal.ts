import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Clock, isoTime } from '../base/clock.ts'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'
import { type JournalEntry, type JournalRecord, recordSchema } from './records.ts'
import { directly, type Effects } from './step.ts'

export const JOURNAL_NAME = 'journal.jsonl'

/** 128 bits of SHA-256: chained from line to line, so a line that was changed, lost or moved shows. */
const SUM_LENGTH = 32
const LINE_START = /^\{"sum":"([0-9a-f]{32})",/
const PREFIX_LENGTH = '{"sum":"",'.length + SUM_LENGTH
const NEWLINE = 0x0a

const bodySchema = z.object({
  n: z.number().int(),
  fence: z.number().int(),
  time: z.string(),
  record: recordSchema,
})

/** Where a journal ends: what the next line is chained to. */
export interface JournalEnd {
  readonly n: number
  readonly sum: string
  readonly fence: number
  /** Length of the whole lines, in bytes. */
  readonly bytes: number
  /** Bytes of a last line that was cut off by a crash, and that count for nothing. */
  readonly tornBytes: number
}

const START: JournalEnd = { n: 0, sum: '', fence: 0, bytes: 0, tornBytes: 0 }

const sumOf = (previous: string, body: Buffer): string =>
  createHash('sha256').update(previous).update('\n').update(body).digest('hex').slice(0, SUM_LENGTH)

/**
 * Reads the journal of a state directory, line by line, giving each whole entry to `each`; memory holds one line at a time.
 * A last line that a crash cut off is left out and counted in `tornBytes`: its effect was never begun. Read-only.
 * `reread` gives the entry once more, from the disk. Returns `undefined` when there is no journal. Throws MigrateError `journal-damaged` for damage anywhere else.
 */
export async function readJournal(
  directory: string,
  each: (entry: JournalEntry, reread: Reread) => void,
): Promise<JournalEnd | undefined> {
  const path = join(directory, JOURNAL_NAME)
  let end = START
  try {
    for await (const line of linesOf(path)) {
      const read = readLine(line.bytes, end)
      if (line.whole && read !== undefined) {
        const reread = rereading(path, end.bytes, line.bytes.length)
        end = { n: read.entry.n, sum: read.sum, fence: read.entry.fence, bytes: end.bytes + line.bytes.length + 1, tornBytes: 0 }
        each(read.entry, reread)
      } else if (isTorn(line, end)) {
        end = { ...end, tornBytes: line.bytes.length + (line.whole ? 1 : 0) }
      } else {
        throw damaged(path, end.n + 1)
      }
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  return end
}

/** Reads an entry from the disk that was found whole before, or written: no need to hold what is seldom asked for. */
export type Reread = () => JournalEntry

const rereading =
  (path: string, offset: number, length: number): Reread =>
  () => {
    const bytes = Buffer.alloc(length)
    const file = openSync(path, 'r')
    try {
      for (let got = 0, read = -1; got < length && read !== 0; got += read)
        read = readSync(file, bytes, got, length - got, offset + got)
    } finally {
      closeSync(file)
    }
    return bodySchema.parse(JSON.parse(bytes.toString('utf8')))
  }

interface Line {
  readonly bytes: Buffer
  /** Ended by a newline. */
  readonly whole: boolean
  readonly last: boolean
}

async function* linesOf(path: string): AsyncIterable<Line> {
  // One line is held back, so that the last one is known as such.
  let held: Buffer | undefined
  let rest: Buffer[] = []
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      if (held !== undefined) yield { bytes: held, whole: true, last: false }
      held = Buffer.concat([...rest, chunk.subarray(from, at)])
      rest = []
      from = at + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
  }
  const tail = Buffer.concat(rest)
  if (held !== undefined) yield { bytes: held, whole: true, last: tail.length === 0 }
  if (tail.length > 0) yield { bytes: tail, whole: false, last: true }
}

function readLine(line: Buffer, previous: JournalEnd): { readonly entry: JournalEntry; readonly sum: string } | undefined {
  const sum = LINE_START.exec(line.subarray(0, PREFIX_LENGTH).toString('latin1'))?.[1]
  if (sum === undefined) return undefined
  const body = Buffer.concat([Buffer.from('{'), line.subarray(PREFIX_LENGTH)])
  if (sumOf(previous.sum, body) !== sum) return undefined
  const entry = bodySchema.parse(JSON.parse(body.toString('utf8')))
  return entry.n === previous.n + 1 ? { entry, sum } : undefined
}

/**
 * A crash leaves the front part of the last line, or a file that was lengthened before its bytes arrived (zeros). A last line
 * that is whole but for its newline was damaged by something else: its effect may have been begun.
 */
function isTorn(line: Line, previous: JournalEnd): boolean {
  if (!line.last) return false
  if (line.bytes.includes(0)) return true
  return !line.whole && readLine(line.bytes.subarray(0, -1), previous) === undefined
}

const damaged = (path: string, lineNumber: number): MigrateError =>
  new MigrateError('journal-damaged', `Line ${lineNumber} of the journal ${path} is damaged. Nothing was changed.`, {
    hint:
      `Put the journal back from a backup of its folder. If there is none, look at what the lines before line ${lineNumber} say ` +
      'was done, and start a new run with --fresh; the damaged journal is kept aside.',
  })

/** Asks whether the journal may still be written; throws when the lock was lost to another process. */
export interface Fence {
  readonly number: number
  assertHeld(): Promise<void>
}

export interface JournalOptions {
  readonly directory: string
  readonly clock: Clock
  readonly fence: Fence
  readonly effects?: Effects
}

/** An entry that is on disk. */
export interface Appended {
  readonly entry: JournalEntry
  readonly reread: Reread
}

/** The journal, opened for writing by the holder of the lock. */
export interface Journal {
  /**
   * Adds a record and returns its entry once it is on disk (fsync). Records of concurrent callers follow one another.
   * Throws MigrateError `run-lock-lost` when the lock went to another process, `journal-write-failed` when the disk refuses;
   * after that, nothing more is accepted: what is on disk then isn't known.
   */
  append(record: JournalRecord): Promise<Appended>
  close(): Promise<void>
}

/**
 * Opens the journal for writing, making it when it isn't there. `end` is where `readJournal` found its end; a torn last line is
 * cut off for good.
 */
export async function openJournal(options: JournalOptions, end: JournalEnd | undefined): Promise<Journal> {
  const path = join(options.directory, JOURNAL_NAME)
  const file = await open(path, 'a')
  if (end === undefined) await syncFolder(options.directory)
  if (end !== undefined && end.tornBytes > 0) {
    await file.truncate(end.bytes)
    await file.sync()
  }
  return new JournalFile(options, path, file, end ?? START)
}

/** Makes a new name in a folder durable. */
export async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

class JournalFile implements Journal {
  readonly #options: JournalOptions
  readonly #path: string
  readonly #file: FileHandle
  #n: number
  #sum: string
  #bytes: number
  #failure: MigrateError | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(options: JournalOptions, path: string, file: FileHandle, end: JournalEnd) {
    this.#options = options
    this.#path = path
    this.#file = file
    this.#n = end.n
    this.#sum = end.sum
    this.#bytes = end.bytes
  }

  append(record: JournalRecord): Promise<Appended> {
    const appended = this.#tail.then(() => this.#append(record))
    this.#tail = appended.catch(() => undefined)
    return appended
  }

  async close(): Promise<void> {
    await this.#tail
    await this.#file.close()
  }

  async #append(record: JournalRecord): Promise<Appended> {
    if (this.#failure !== undefined) throw this.#failure
    const { fence, clock } = this.#options
    const entry: JournalEntry = { n: this.#n + 1, fence: fence.number, time: isoTime(clock.now()), record }
    const body = Buffer.from(JSON.stringify(entry))
    const sum = sumOf(this.#sum, body)
    const line = Buffer.concat([Buffer.from(`{"sum":"${sum}",`), body.subarray(1), Buffer.from('\n')])
    const effects = this.#options.effects ?? directly
    await effects(`journal: ${record.type}`, () => this.#write(line))
    this.#n = entry.n
    this.#sum = sum
    const reread = rereading(this.#path, this.#bytes, line.length - 1)
    this.#bytes += line.length
    return { entry, reread }
  }

  async #write(line: Buffer): Promise<void> {
    try {
      await this.#options.fence.assertHeld()
      await this.#file.appendFile(line)
      await this.#file.datasync()
    } catch (error) {
      this.#failure =
        error instanceof MigrateError
          ? error
          : new MigrateError('journal-write-failed', `The journal ${this.#path} can't be written: ${messageOf(error)}.`, {
              hint: 'Make room or mend the disk that holds the state directory, then run again to resume.',
              cause: error,
            })
      throw this.#failure
    }
  }
}
