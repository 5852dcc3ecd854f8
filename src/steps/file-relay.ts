import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { askedAtOnce } from '../files/asked-at-once.ts'
import type { InFlight } from '../files/in-flight.ts'
import type { FileEntry, FilePowers } from '../files/port.ts'
import { BeforeImages } from './before-images.ts'
import { isRight, refuseOtherKind } from './file-batches.ts'
import { type Passed, Passing } from './file-passing.ts'
import { InTurn, type Putting, putEntry, removeOurs, sideBySide } from './file-put.ts'
import { FileStore, type SnapshotTotals, type StoredEntry } from './file-store.ts'
import { RelayRecords } from './relay-records.ts'

/** Puts the files of a snapshot on the new host while it is being taken. Which they are is known only when it is whole. */
export const relaySchema = z.object({ do: z.literal('relay'), from: z.string() }).readonly()
export type Relay = z.infer<typeof relaySchema>

/** How long to wait before looking for further files of a snapshot that is still being taken: what comes meanwhile is taken up together. */
const LOOK_AGAIN_MS = 20
/** Entries taken from the store, and noted before they are put, at a time. */
const AT_ONCE = 1000
/** Of a file that is larger it is asked before it is put whether it is still so on the old host. */
const WORTH_ASKING_BYTES = 1024 * 1024
const LISTED = 'listed'

/** What the relay works with. */
export interface Relaying extends Putting {
  /** The snapshot that is being taken. */
  readonly directory: string
  readonly listed: () => AsyncIterable<FileEntry>
  /** To the new host. */
  readonly connections: number
  /** Files that another step of the run changed after they were restored. */
  readonly rewritten: ReadonlySet<string>
}

/** The snapshot's totals, and whether the host took the times of all files. */
type Relayed = Pick<SnapshotTotals, 'digest'> & { readonly isTimed: boolean }

/**
 * Puts each file of the snapshot on the new host as it comes, until the snapshot is whole and all of it stands. What it put and the snapshot has no more is taken back. May be cut off at any instant and begun again.
 */
export async function relay(work: Relaying, change: Relay): Promise<Relayed> {
  const records = RelayRecords.open(work.run, work.effects)
  const before = BeforeImages.open(work.run, work.step, change, work.effects)
  const store = FileStore.openExisting(work.directory, work.effects)
  try {
    if (store === undefined) throw vanished(work)
    // Asked side by side: each takes some round trips, while the snapshot goes on.
    work.host.prepare?.('write')
    const standing = records.standing.fact(LISTED) === undefined ? askedAtOnce(work.listed()) : undefined
    const powers = await work.host.powers()
    if (standing !== undefined) await noteStanding(records.standing, standing, work)
    const isTimed = await new Relayer({ ...work, store, records, before, powers }).run()
    await takeBackGone({ ...work, records, before }, store)
    const totals = store.marked()
    if (totals === undefined) throw vanished(work)
    return { digest: totals.digest, isTimed }
  } finally {
    store?.close()
    before.close()
    records.close()
    restStore(work)
  }
}

/** The snapshot is whole, and its maker may have left it to us to let its index rest. */
function restStore({ directory, effects }: Relaying): void {
  const store = FileStore.openExisting(directory, effects)
  const isWhole = store?.marked() !== undefined
  store?.close()
  if (!isWhole) return
  const own = FileStore.open(directory, effects)
  own.rest()
  own.close()
}

/** Before anything is put there: what is on the new host is not ours. */
async function noteStanding(standing: FileStore, listed: AsyncIterable<FileEntry>, { run }: Relaying): Promise<void> {
  let kept: Promise<void>[] = []
  for await (const entry of listed) {
    kept.push(standing.keep({ ...entry, sha256: null }, null))
    if (kept.length < AT_ONCE) continue
    await Promise.all(kept)
    kept = []
  }
  await Promise.all(kept)
  run.signal.throwIfAborted()
  await standing.setFact(LISTED, '')
}

interface Parts extends Relaying {
  readonly store: FileStore
  readonly records: RelayRecords
  readonly before: BeforeImages
  readonly powers: FilePowers
}

class Relayer {
  readonly #parts: Parts
  readonly #passing: Passing
  #bytes = 0
  #isTimed = true

  constructor(parts: Parts) {
    this.#parts = parts
    this.#passing = new Passing(parts)
  }

  /** Returns whether the host took the times of all files. */
  async run(): Promise<boolean> {
    await sideBySide(this.#parts, async (flight) => {
      // A file that changed meanwhile comes again, and waits for the first.
      const inTurn = new InTurn()
      for await (const arrived of this.#arrivals(flight)) {
        for (const coming of await this.#noted(arrived)) {
          // One that is only waited for weighs nothing by itself.
          const size = coming.passed === undefined ? coming.entry.size : 0
          await inTurn.start(flight, { ...coming.entry, size }, () => this.#put(coming, flight.signal))
        }
      }
      await flight.drain()
    })
    return this.#isTimed
  }

  async *#arrivals(flight: InFlight): AsyncGenerator<readonly StoredEntry[]> {
    const { store, run } = this.#parts
    for (let last = 0; ; ) {
      flight.signal.throwIfAborted()
      this.#passing.begin(flight)
      // Asked before looking: what came until then is seen by that look.
      const isWhole = store.marked() !== undefined
      const isOver = !run.isFollowing()
      const arrived = store.arrivedAfter(last, AT_ONCE)
      last = arrived.at(-1)?.arrival ?? last
      if (arrived.length > 0) yield arrived.map(({ entry }) => entry)
      else if (isWhole) return
      else if (isOver) throw vanished(this.#parts)
      if (arrived.length < AT_ONCE && !isWhole) await run.clock.sleep(LOOK_AGAIN_MS, flight.signal)
    }
  }

  /** What is to be done about each of them. Those that will be put are noted as such, all together, before the first of them is. */
  async #noted(arrived: readonly StoredEntry[]): Promise<readonly Coming[]> {
    const { records, powers, rewritten } = this.#parts
    const paths = arrived.map(({ path }) => path)
    const [standing, before] = [records.standing.entriesAt(paths), records.put.entriesAt(paths)]
    const notes: Promise<void>[] = []
    const coming = arrived.map((entry): Coming => {
      if (rewritten.has(entry.path)) return { entry, is: 'there', stood: undefined }
      const [stood, put] = [standing.get(entry.path), before.get(entry.path)]
      const passed = this.#passing.take(entry.path)
      if (passed !== undefined) return { entry, is: 'new', stood, passed }
      // It was put there before this relay was cut off; or it stood there already.
      if (put !== undefined && isSameEntry(put, entry)) return { entry, is: 'put before', stood }
      if (put === undefined && stood !== undefined && isRight(entry, stood, powers)) return { entry, is: 'there', stood }
      const isOtherKind = put !== undefined && stood === undefined && (put.kind === 'folder') !== (entry.kind === 'folder')
      if (isOtherKind) return { entry, is: 'new', stood, formerly: put }
      notes.push(...this.#note(entry, put))
      return { entry, is: 'new', stood }
    })
    await Promise.all(notes)
    return coming
  }

  /** That it will be put there. Cut off right after, it may stand there or what was put before. */
  #note(entry: StoredEntry, put: StoredEntry | undefined): readonly Promise<void>[] {
    const { records } = this.#parts
    const former = put?.sha256 ?? null
    const isNoted = former !== null && former !== entry.sha256
    return [...(isNoted ? [records.put.note(entry.path, former)] : []), records.put.keep(entry, null)]
  }

  async #put(coming: Coming, signal: AbortSignal): Promise<void> {
    const { entry, is, passed } = coming
    if (passed !== undefined && (await this.#hasPassed(entry, await passed))) return this.#tell(entry)
    if (entry.size > WORTH_ASKING_BYTES && !this.#isCurrent(entry)) return
    try {
      if (is === 'new' || (is === 'put before' && !(await this.#stands(entry)))) await this.#write(coming, signal)
    } catch (error) {
      // The old host changed it meanwhile, and its former content is gone from the store: the new one comes.
      if (this.#isCurrent(entry)) throw error
    }
    this.#tell(entry)
  }

  /** False for one that is to be put still: it came to nothing on the way, or has become another one since. */
  async #hasPassed(entry: StoredEntry, { stood, isTimed }: Passed): Promise<boolean> {
    if (stood !== undefined && !isTimed) this.#isTimed = false
    if (stood !== undefined && (isSameEntry(stood, entry) || !this.#isCurrent(entry))) return true
    if (stood !== undefined && stood.kind !== entry.kind) await this.#makeRoom(stood)
    await Promise.all(this.#note(entry, stood))
    return false
  }

  #tell({ size, path }: StoredEntry): void {
    this.#bytes += size
    this.#parts.run.progress(this.#bytes, null, 'bytes', path)
  }

  #isCurrent(entry: StoredEntry): boolean {
    const now = this.#parts.store.entry(entry.path)
    return now !== undefined && isSameEntry(now, entry)
  }

  async #stands(entry: StoredEntry): Promise<boolean> {
    const present = await this.#parts.host.stat(entry.path)
    return present !== undefined && isRight(entry, present, this.#parts.powers)
  }

  async #write({ entry, stood, formerly }: Coming, signal: AbortSignal): Promise<void> {
    const { before, host, store } = this.#parts
    if (stood !== undefined) {
      refuseOtherKind(entry, stood)
      await before.save(host, entry.path, signal)
    }
    if (formerly !== undefined) {
      await this.#makeRoom(formerly)
      await Promise.all(this.#note(entry, formerly))
    }
    if (!(await putEntry(host, store, entry, signal))) this.#isTimed = false
  }

  /** A folder came in a file's place on the old host, or a file in a folder's: what was put of the former goes first. */
  async #makeRoom(former: StoredEntry): Promise<void> {
    const { records } = this.#parts
    const all = [former]
    for (const entry of former.kind === 'folder' ? records.put.entries(former.path) : []) {
      if (!entry.path.startsWith(`${former.path}/`)) break
      all.push(entry)
    }
    for (const entry of all.reverse()) {
      await takeBackEntry(this.#parts, entry)
      await records.put.forget(entry.path)
    }
  }
}

/** An entry that has come: to be put, put by an earlier try (which is to be seen), or standing there as it should. */
interface Coming {
  readonly entry: StoredEntry
  readonly is: 'new' | 'put before' | 'there'
  /** What stood under its path before the relay. */
  readonly stood: StoredEntry | undefined
  /** What was put there, of another kind: it goes first, and only then this one is noted. */
  readonly formerly?: StoredEntry
  /** It was sent while it came, or is being sent still. */
  readonly passed?: Promise<Passed>
}

const isSameEntry = (a: StoredEntry, b: StoredEntry): boolean =>
  a.kind === b.kind && a.sha256 === b.sha256 && a.mtimeSeconds === b.mtimeSeconds && a.mode === b.mode && a.target === b.target

type TakingBack = Putting & { readonly records: RelayRecords; readonly before: BeforeImages }

/** What was put and then went from the old host, before the snapshot was whole. */
async function takeBackGone(from: TakingBack, store: FileStore): Promise<void> {
  const folders: StoredEntry[] = []
  for (const entry of store.lacking(from.records.put)) {
    if (entry.kind === 'folder') folders.push(entry)
    else await takeBackEntry(from, entry)
    await from.records.put.forget(entry.path)
  }
  for (const folder of folders.reverse()) await takeBackEntry(from, folder)
}

async function takeBackEntry({ host, run, records, before }: TakingBack, entry: StoredEntry): Promise<void> {
  if (records.standing.entry(entry.path) !== undefined) return before.giveBack(host, entry.path, run.signal)
  if (entry.kind === 'folder') return host.removeFolder(entry.path)
  return removeOurs(host, entry, run, records.put.noteOf(entry.path))
}

/** Takes back all that was relayed: the new host is as it stood before. */
export async function takeBackRelay(from: Putting, change: Relay): Promise<void> {
  const records = RelayRecords.open(from.run, from.effects)
  const before = BeforeImages.open(from.run, from.step, change, from.effects)
  try {
    const parts = { ...from, records, before }
    await sideBySide(from, async (flight) => {
      for (const entry of records.put.entries())
        if (entry.kind !== 'folder') await flight.start(0, () => takeBackEntry(parts, entry))
      await flight.drain()
    })
    // Only paths are held, and only of folders.
    const folders = [...records.put.entries()].flatMap((entry) => (entry.kind === 'folder' ? [entry] : []))
    for (const folder of folders.reverse()) await takeBackEntry(parts, folder)
    await from.host.sweep?.()
  } finally {
    before.close()
    records.close()
  }
  await RelayRecords.remove(from.run, from.effects)
}

const vanished = ({ directory, step }: Relaying): MigrateError =>
  new MigrateError(
    'snapshot-missing',
    `The snapshot that ${step} was following is not whole, and nobody goes on with it in ${directory}. What was put on the new host so far stays.`,
    { hint: 'Run again: the snapshot goes on, and what is missing is sent.' },
  )
