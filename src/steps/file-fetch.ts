import type { Clock } from '../base/clock.ts'
import { codeOf } from '../base/errors.ts'
import type { Pace, Throttle } from '../databases/snapshot/pace.ts'
import type { Choice } from '../files/choice.ts'
import { InFlight } from '../files/in-flight.ts'
import { comparePaths, parentOf } from '../files/paths.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import { proveArrival } from './file-arrival.ts'
import { leadsOutside } from './file-batches.ts'
import { ComingFile } from './file-coming.ts'
import { RESUMED_BYTES } from './file-objects.ts'
import type { FileStore, StoredEntry } from './file-store.ts'
import { untilItsTimeIsOver } from './file-young.ts'
import { apart, inItsTurn } from './old-shop-pace.ts'
import { paced } from './paced-listing.ts'

/** Files under way at once, and how heavy they may be together, bytes. Small ones go many to a round trip. */
const FILES_AT_ONCE = 2048
/** So many at once, and so many for each millisecond of the way, are enough: more of them are only held here, and looked through for nothing. */
const LEAST_AT_ONCE = 128
const AT_ONCE_FOR_MS = 24
export const BYTES_AT_ONCE = 16 * 1024 * 1024
/**
 * Large files under way at once while another step takes up what has come: of two the first is whole sooner than of four, and less is left to
 * take up when the last one is.
 */
const LARGE_WHILE_FOLLOWED = 2
/** From so many small files on, what takes a while to begin on a host is worth it. */
export const MANY = 24

const FULL_PACE = 16
/** How fast files are fetched by what the old shop's answers take. Below the full pace it is so many at once as it says. */
export const FILES_PACE = {
  readers: FULL_PACE,
  manner: {
    what: 'the copy',
    said: ({ readers, pauseMs }: Pace): string => {
      const speed = readers === FULL_PACE ? 'at full speed' : `${readers} ${readers === 1 ? 'file' : 'files'} at a time`
      return `copying ${speed}${apart(pauseMs)}`
    },
    atOnce: (pace: number): number => (pace === FULL_PACE ? FILES_AT_ONCE : pace),
  },
} as const

/** As many files at once as keep a host busy that is so far away. */
export const filesAtOnce = ({ wayMs }: Pick<FileHost, 'wayMs'>): number =>
  Math.min(FILES_AT_ONCE, Math.ceil(LEAST_AT_ONCE + AT_ONCE_FOR_MS * (wayMs?.() ?? FILES_AT_ONCE)))

/** A file that changes at every reading is taken as it is after so many rounds. */
const MOST_ROUNDS = 5

/** What is to be brought to the store, and from where. */
export interface Copying {
  readonly host: FileHost
  readonly store: FileStore
  readonly wanted: Choice
  readonly totalBytes: number
  /** A whole listing of a moment ago: the first round goes by it. The next one looks anew, so that what has changed since is seen. */
  readonly listed?: readonly FileEntry[] | undefined
  readonly throttle?: Throttle | undefined
  /** Another step takes up what has come meanwhile. */
  readonly followed?: boolean
}

/**
 * Brings the store to what the host holds: fetches what isn't there yet, forgets what is gone, and looks again until a round finds
 * nothing changed, so that a file that changed while it was read is read again.
 */
export async function copyToStore({ totalBytes, listed, ...copying }: Copying, run: StepRun): Promise<void> {
  const progress = new Progress(run, totalBytes)
  for (let round = 1; ; round += 1) {
    const known = round === 1 ? listed : undefined
    const fetched = await oneRound({ ...copying, listed: known, round, progress, clock: run.clock }, run)
    if ((fetched === 0 && known === undefined) || round === MOST_ROUNDS) return
  }
}

/** Tells what a host noticed at work that people should know. */
export function tellRemarks(host: FileHost, run: StepRun): void {
  for (const message of host.remarks?.() ?? []) run.emit({ event: 'note', message })
}

interface Round extends Omit<Copying, 'totalBytes'> {
  readonly round: number
  readonly progress: Progress
  readonly clock: Clock
}

async function oneRound(round: Round, run: StepRun): Promise<number> {
  const flight = new InFlight(
    filesAtOnce(round.host),
    BYTES_AT_ONCE,
    run.signal,
    round.followed === true ? LARGE_WHILE_FOLLOWED : undefined,
  )
  try {
    return await fetchChanged(round, flight)
  } finally {
    await flight.settle()
  }
}

async function fetchChanged(round: Round, flight: InFlight): Promise<number> {
  const { host, store, wanted, listed, progress, throttle } = round
  const kept = store.entries()
  const confirming = store.hasToConfirm()
  const folders: Above[] = []
  let next = kept.next()
  let fetched = 0
  for await (const entry of listed ?? paced(host.list('', flight.signal, wanted.looksInto), throttle, flight.signal)) {
    while (next.done !== true && comparePaths(next.value.path, entry.path) < 0) {
      await store.forget(next.value.path)
      next = kept.next()
    }
    const former = next.done !== true && next.value.path === entry.path ? next.value : undefined
    if (former !== undefined) next = kept.next()
    while (folders.length > 0 && parentOf(entry.path) !== folders.at(-1)?.entry.path) folders.pop()
    if (entry.kind === 'folder') folders.push({ entry, isKept: false, isConfirmed: false })
    if (!wanted(entry.path)) {
      // An earlier snapshot may have wanted it. A folder may be needed still, for what it holds.
      if (former !== undefined && entry.kind !== 'folder') await store.forget(entry.path)
      continue
    }
    if (former !== undefined && isSame(store, entry, former)) {
      if (confirming) await confirm(store, folders, entry)
      progress.has(entry, round.round)
      continue
    }
    for (const above of folders) if (above.entry !== entry) await keepFolder(store, above)
    if (entry.kind === 'file') {
      fetched += 1
      await flight.start(entry.size, () => fetchInTurn(round, entry, flight.signal))
    } else {
      await keepOther(store, entry, former)
    }
  }
  await flight.drain()
  for (; next.done !== true; next = kept.next()) await store.forget(next.value.path)
  return fetched
}

/** A folder on the way down to where the listing is, and whether the store is known to have it as it is. */
interface Above {
  readonly entry: FileEntry
  isKept: boolean
  isConfirmed: boolean
}

/** What an earlier snapshot had of an entry still holds, and of the folders above it; of which it may be the last. */
async function confirm(store: FileStore, folders: readonly Above[], entry: FileEntry): Promise<void> {
  for (const above of folders) {
    if (above.isConfirmed) continue
    above.isConfirmed = true
    if (isKept(store, above.entry)) await store.confirm(above.entry.path)
  }
  if (entry.kind !== 'folder') await store.confirm(entry.path)
}

async function keepFolder(store: FileStore, folder: Above): Promise<void> {
  if (folder.isKept) return
  folder.isKept = true
  if (!isKept(store, folder.entry)) await store.keep({ ...folder.entry, sha256: null }, null)
}

async function keepOther(store: FileStore, entry: FileEntry, former: StoredEntry | undefined): Promise<void> {
  if (isCopied(entry)) return store.keep({ ...entry, sha256: null }, null)
  // What stood there before isn't there any more.
  if (former !== undefined) await store.forget(entry.path)
  return store.note(entry.path, entry.kind === 'other' ? 'other' : 'escapes')
}

const isCopied = (entry: FileEntry): boolean => entry.kind !== 'other' && !leadsOutside(entry)

/** Of a file that isn't there any more, or instead of which a link stands there that leads outside. */
const GONE: readonly string[] = ['file-missing', 'path-escapes-root']
/** What hosts say when they are to read a folder, and of much else. */
export const REFUSED: readonly string[] = ['files-failed', 'file-permission-denied']

/** Whether a file could not be read because it is gone, or something else by now. */
async function isGone(host: FileHost, entry: FileEntry, error: unknown): Promise<boolean> {
  const code = codeOf(error) ?? ''
  return GONE.includes(code) || (REFUSED.includes(code) && (await host.stat(entry.path))?.kind !== entry.kind)
}

/** Nothing is waited for that needn't be: there are many files at once, and what each of them holds meanwhile has to be looked through. */
function fetchInTurn(round: Round, entry: FileEntry, signal: AbortSignal): Promise<void> {
  const over = untilItsTimeIsOver(round.host, entry, round.clock, signal)
  const fetch = (): Promise<void> => fetchFile(round, entry, signal)
  if (over === undefined && round.throttle === undefined) return fetch()
  return Promise.resolve(over).then(() => inItsTurn(round.throttle, signal, fetch))
}

async function fetchFile(from: Round, entry: FileEntry, signal: AbortSignal): Promise<void> {
  const { store, round, progress } = from
  try {
    await fetched(from, entry, signal)
  } catch (error) {
    if (!(await isGone(from.host, entry, error))) throw error
    // Removed since it was listed, or something else by now, which the next round sees. If all of them list it, it has a name that the host can't be asked for.
    if (round === MOST_ROUNDS) await store.note(entry.path, 'vanished')
    return
  }
  if (round > 1) await store.note(entry.path, round === MOST_ROUNDS ? 'unsettled' : 'changed')
  progress.has(entry, round)
}

async function fetched({ host, store, followed }: Round, entry: FileEntry, signal: AbortSignal): Promise<void> {
  const coming = followed === true && entry.size > RESUMED_BYTES ? ComingFile.begin(store.directory, entry) : undefined
  let kept: StoredEntry | undefined
  try {
    const taken = await store.objects.takeFrom(entry, (offset) => host.read(entry.path, { entry, offset, signal }), coming)
    const stored: StoredEntry = { ...entry, size: taken.size, sha256: taken.sha256 }
    await proveArrival(host, entry, taken, signal)
    await store.keep(stored, taken.small)
    kept = stored
  } finally {
    coming?.end(kept)
  }
}

/** What a snapshot will hold, and what of it the store doesn't have yet. */
export interface Outstanding {
  readonly files: number
  readonly bytes: number
  readonly fetchFiles: number
  readonly fetchBytes: number
  /** Something differs: also a folder, a link, or what the host no longer has. */
  readonly differs: boolean
}

/** Compares the store with what the host holds now: all that it lists, which `seen` is told of. */
export async function outstanding(
  listing: AsyncIterable<FileEntry>,
  store: FileStore | undefined,
  wanted: Choice,
  seen: (entry: FileEntry) => void = () => undefined,
): Promise<Outstanding> {
  const found = { files: 0, bytes: 0, fetchFiles: 0, fetchBytes: 0, differs: false }
  const kept = store?.entries()
  let next = kept?.next()
  for await (const entry of listing) {
    seen(entry)
    while (next !== undefined && next.done !== true && comparePaths(next.value.path, entry.path) < 0) {
      found.differs = true
      next = kept?.next()
    }
    const former = next?.done !== true && next?.value.path === entry.path ? next.value : undefined
    if (former !== undefined) next = kept?.next()
    const isMeant = wanted(entry.path) && isCopied(entry)
    if (former !== undefined && !isMeant && (entry.kind !== 'folder' || wanted(entry.path))) found.differs = true
    if (!isMeant) continue
    const isThere = store !== undefined && former !== undefined && isSame(store, entry, former)
    if (!isThere) found.differs = true
    if (entry.kind !== 'file') continue
    found.files += 1
    found.bytes += entry.size
    if (isThere) continue
    found.fetchFiles += 1
    found.fetchBytes += entry.size
  }
  return { ...found, differs: found.differs || (next !== undefined && next.done !== true) }
}

/** The same entry as when it was saved, content at hand. */
export function isKept(store: FileStore, entry: FileEntry): boolean {
  const kept = store.entry(entry.path)
  return kept !== undefined && isSame(store, entry, kept)
}

function isSame(store: FileStore, entry: FileEntry, kept: StoredEntry): boolean {
  if (kept.kind !== entry.kind || kept.mode !== entry.mode || kept.target !== entry.target) return false
  if (entry.kind !== 'file') return true
  const same = kept.size === entry.size && kept.mtimeSeconds === entry.mtimeSeconds
  return same && kept.sha256 !== null && store.objects.has(kept.sha256, kept.size)
}

/** Bytes that the store has of what the host holds. */
class Progress {
  readonly #run: StepRun
  readonly #total: number
  #bytes = 0

  constructor(run: StepRun, total: number) {
    this.#run = run
    this.#total = total
  }

  has(entry: FileEntry, round: number): void {
    if (entry.kind !== 'file' || round > 1) return
    this.#bytes += entry.size
    this.#run.progress(this.#bytes, Math.max(this.#total, this.#bytes), 'bytes', entry.path)
  }
}
