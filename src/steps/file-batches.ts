import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { LongList } from '../base/long-list.ts'
import { comparePaths, targetStaysInside } from '../files/paths.ts'
import type { FileEntry, FilePowers } from '../files/port.ts'
import { isSameTime, within } from '../files/times.ts'
import type { FileStore, StoredEntry } from './file-store.ts'

/** So much at most is one change: small enough to plan, journal and undo at a time. */
const BATCH_ENTRIES = 16_000
const BATCH_BYTES = 256 * 1024 * 1024

/** A FileEntry as a journal keeps it. */
export const entrySchema = z
  .object({
    path: z.string(),
    kind: z.enum(['file', 'folder', 'link', 'other']),
    size: z.int(),
    mode: z.int().nullable(),
    mtimeSeconds: z.number(),
    target: z.string().nullable(),
  })
  .readonly()

/** The same with the hash of its content, where that is known. */
export const hashedSchema = entrySchema.unwrap().extend({ sha256: z.string().nullable() }).readonly()

/**
 * A stretch of the snapshot to bring to the new host. Which of its entries are to be written is told by their place in the
 * stretch, so that the journal doesn't grow with the number of files.
 */
export const batchSchema = z
  .object({
    do: z.literal('put'),
    /** Place among the snapshot's batches, from 1, and the snapshot's digest. */
    batch: z.int(),
    snapshot: z.string(),
    /** The stretch: entries after `after` (null: from the beginning) up to `last`. */
    after: z.string().nullable(),
    last: z.string(),
    /** Places in the stretch, from 0: `0-41,43`. */
    write: z.string(),
    files: z.int(),
    bytes: z.int(),
    /** What stands under the names that will be replaced. All others that are written weren't there. */
    before: z.array(entrySchema),
  })
  .readonly()
export type Batch = z.infer<typeof batchSchema>

export interface BatchRules {
  readonly powers: FilePowers
  /** Files that were restored before: what differs now was changed by somebody since, and is left alone. */
  isSettled(batch: number): boolean
  /** Places in a batch of what was found there and isn't what was saved: it is sent again, whatever a listing says of it. */
  wrong(batch: number): ReadonlySet<number>
  /** Files that another step of the run changed after they were restored. */
  readonly rewritten: ReadonlySet<string>
}

/** What the new host has and the snapshot doesn't. */
export type Surplus = (entry: FileEntry) => void | Promise<void>

/**
 * Compares the snapshot with what stands on the new host, both in order, and cuts the snapshot into batches. A batch in which
 * nothing is to be written is given too: the caller knows whether it needs it.
 */
export async function* planBatches(
  store: FileStore,
  digest: string,
  there: AsyncIterable<FileEntry>,
  rules: BatchRules,
  surplus: Surplus,
): AsyncGenerator<Batch> {
  const host = there[Symbol.asyncIterator]()
  let standing = await host.next()
  const before = new LongList<Present>(BATCH_ENTRIES)
  let draft = new Draft(1, digest, null, before)
  for (const entry of store.entries(null, false)) {
    while (standing.done !== true && comparePaths(standing.value.path, entry.path) < 0) {
      await surplus(standing.value)
      standing = await host.next()
    }
    const present = standing.done !== true && standing.value.path === entry.path ? standing.value : undefined
    if (present !== undefined) standing = await host.next()
    draft.add(entry, present, rules)
    if (!draft.isFull()) continue
    yield draft.batch()
    draft = draft.next()
  }
  for (; standing.done !== true; standing = await host.next()) await surplus(standing.value)
  if (draft.entries > 0) yield draft.batch()
}

type Present = z.infer<typeof entrySchema>

class Draft {
  readonly #number: number
  readonly #digest: string
  readonly #after: string | null
  readonly #write: number[] = []
  /** Of all batches, a page for each that replaces something. */
  readonly #before: LongList<Present>
  #wrong: ReadonlySet<number> | undefined
  #last = ''
  #files = 0
  #bytes = 0
  #held = 0
  /** How long the list was before it. */
  readonly #since: number
  entries = 0

  constructor(number: number, digest: string, after: string | null, before: LongList<Present>) {
    this.#number = number
    this.#digest = digest
    this.#after = after
    this.#before = before
    this.#since = before.length
  }

  add(entry: StoredEntry, present: FileEntry | undefined, rules: BatchRules): void {
    const place = this.entries
    this.entries += 1
    this.#held += entry.size
    this.#last = entry.path
    if (present !== undefined) {
      const isWrong = this.#isWrong(place, rules) && !isNewer(entry, present, rules.powers)
      if (!isWrong && (isRight(entry, present, rules.powers) || rules.isSettled(this.#number))) return
      if (rules.rewritten.has(entry.path)) return
      refuseOtherKind(entry, present)
      this.#before.add({ ...present })
    }
    this.#write.push(place)
    if (entry.kind !== 'file') return
    this.#files += 1
    this.#bytes += entry.size
  }

  #isWrong(place: number, rules: BatchRules): boolean {
    this.#wrong ??= rules.wrong(this.#number)
    return this.#wrong.has(place)
  }

  isFull(): boolean {
    return isFull(this.entries, this.#held)
  }

  next(): Draft {
    return new Draft(this.#number + 1, this.#digest, this.#last, this.#before)
  }

  /** Ends the draft. What it replaces is read when it is wanted: of all batches it would be too much. */
  batch(): Batch {
    const before = this.#before
    const page = before.length > this.#since ? before.pageCount - 1 : undefined
    before.endPage()
    return {
      do: 'put',
      batch: this.#number,
      snapshot: this.#digest,
      after: this.#after,
      last: this.#last,
      write: rangesOf(this.#write),
      files: this.#files,
      bytes: this.#bytes,
      get before() {
        return page === undefined ? [] : [...before.page(page)]
      },
    }
  }
}

const isFull = (entries: number, bytes: number): boolean => entries >= BATCH_ENTRIES || bytes >= BATCH_BYTES

/** Where an entry of the snapshot lies: the batch, from 1, and the place in it, from 0. */
export interface Place {
  readonly batch: number
  readonly place: number
}

/** Tells the places of a snapshot's entries, of all of them in their order: those that `planBatches` gives them. */
export class Places {
  batch = 1
  #entries = 0
  #bytes = 0

  next({ size }: StoredEntry): Place {
    if (isFull(this.#entries, this.#bytes)) {
      this.batch += 1
      this.#entries = 0
      this.#bytes = 0
    }
    const place = this.#entries
    this.#entries += 1
    this.#bytes += size
    return { batch: this.batch, place }
  }
}

/** The entries of a batch that are to be written, in order. */
export function* entriesOf(store: FileStore, batch: Batch): Generator<StoredEntry> {
  const wanted = placesOf(batch.write)
  let place = 0
  for (const entry of store.entries(batch.after)) {
    if (wanted.has(place)) yield entry
    place += 1
    if (entry.path === batch.last) return
  }
}

/** The mode that a folder gets: its owner keeps access, or the copy itself could not fill it. */
export const folderMode = (mode: number | null): number | null => (mode === null ? null : mode | 0o700)

/** Whether an entry of the new host is what the snapshot has, as far as a listing tells: kind, length, time, mode, target. */
export function isRight(entry: StoredEntry, present: FileEntry, powers: FilePowers): boolean {
  if (entry.kind !== present.kind) return false
  if (entry.kind === 'link') return entry.target === present.target
  const wanted = entry.kind === 'folder' ? folderMode(entry.mode) : entry.mode
  if (powers.modes && wanted !== null && present.mode !== wanted) return false
  if (entry.kind === 'folder') return true
  return entry.size === present.size && isSameTime(entry.mtimeSeconds, present.mtimeSeconds, powers)
}

/** Somebody has changed a file there after it was put there, as far as its time tells. */
export const isNewer = (entry: StoredEntry, present: FileEntry, { times, timeRange }: FilePowers): boolean =>
  times && present.kind === 'file' && Math.floor(present.mtimeSeconds) > Math.floor(within(timeRange, entry.mtimeSeconds))

/** Whether a link leads out of the site's folder, or may: no host makes such a one, so that it could never be put back. */
export const leadsOutside = (entry: FileEntry): boolean =>
  entry.kind === 'link' && !targetStaysInside(entry.path, entry.target ?? '', null)

export function refuseOtherKind(entry: StoredEntry, present: FileEntry): void {
  if (leadsOutside(present))
    throw new MigrateError(
      'restore-link-outside',
      `${entry.path} on the new host is a link to ${present.target}, outside the site's folder: once replaced, it could not be put back. It was left as it is.`,
      { hint: `Move ${entry.path} on the new host out of the way, or exclude it in the playbook, then run again.` },
    )
  const clash = (entry.kind === 'folder') !== (present.kind === 'folder') || present.kind === 'other'
  if (!clash) return
  throw new MigrateError(
    'restore-kind-differs',
    `${entry.path} is a ${entry.kind} on the old host and a ${present.kind} on the new one. It was left as it is.`,
    {
      hint: `Move ${entry.path} on the new host out of the way, then run again.`,
    },
  )
}

/** Ascending numbers as text: [0, 1, 2, 5] → `0-2,5`. */
export function rangesOf(places: readonly number[]): string {
  const ranges: string[] = []
  for (let start = 0; start < places.length; ) {
    let end = start
    while (places[end + 1] === (places[end] ?? 0) + 1) end += 1
    ranges.push(end === start ? `${places[start]}` : `${places[start]}-${places[end]}`)
    start = end + 1
  }
  return ranges.join(',')
}

export function placesOf(ranges: string): ReadonlySet<number> {
  const places = new Set<number>()
  for (const range of ranges.split(',')) {
    if (range === '') continue
    const [first = 0, last = first] = range.split('-').map(Number)
    for (let place = first; place <= last; place += 1) places.add(place)
  }
  return places
}
