import { createHash } from 'node:crypto'
import type { Finding } from '../base/errors.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import { InFlight } from '../files/in-flight.ts'
import { comparePaths } from '../files/paths.ts'
import type { FileEntry, FileHost, FilePowers } from '../files/port.ts'
import type { Effects, StepRun } from '../run/step.ts'
import { isNewer, type Place, Places } from './file-batches.ts'
import { BYTES_AT_ONCE, filesAtOnce } from './file-fetch.ts'
import type { FileStore, StoredEntry } from './file-store.ts'
import { LongNames } from './long-names.ts'
import { selectionOf } from './snapshot-files.ts'

/** What of the restored files is compared: every content, some contents, or sizes alone. Kinds, sizes and links always are. */
export type HowVerified = 'all' | 'sample' | 'sizes'

/** Of a sample, one file in so many. */
const SAMPLED = 20
/** Files that the host is asked at once to hash, and how many bytes they may have together. */
const ASKED_AT_ONCE = 200
const ASKED_BYTES = 256 * 1024 * 1024

/** What came of looking: `wrong` has the places of what isn't right, for each batch of the snapshot. */
export interface Verified {
  readonly findings: readonly Finding[]
  readonly wrong: readonly { readonly batch: number; readonly places: readonly number[] }[]
}

export interface Restored {
  readonly host: FileHost
  readonly powers: FilePowers
  readonly store: FileStore
  /** Files that another step of the run changed after they were restored. */
  readonly rewritten: ReadonlyMap<string, string>
  readonly effects: Effects
}

/** Compares what stands on the new host with what was saved: one listing, and the contents by the host's own hash or by reading them. */
export async function verifyRestored(
  { host, powers, store, rewritten, effects }: Restored,
  run: StepRun,
  how: HowVerified = 'all',
): Promise<Verified> {
  const flight = new InFlight(filesAtOnce(host), BYTES_AT_ONCE, run.signal)
  const proof = new Proof(host, flight, run, powers.hash !== null)
  const places = new Places()
  try {
    for await (const { entry, present } of paired(store, host, flight.signal)) {
      const at = places.next(entry)
      if (present === undefined) proof.wrong.add(entry.path, at)
      else if (isExchanged(entry, present)) proof.isChanged(entry)
      else if (present.kind !== entry.kind) proof.wrong.add(entry.path, at)
      else if (entry.kind === 'file' && !rewritten.has(entry.path))
        await proof.file({ entry, at, isNewer: isNewer(entry, present, powers) }, present, how)
    }
    await proof.ask()
    await flight.drain()
  } finally {
    await flight.settle()
  }
  return { findings: await proof.findings(powers.hash, how, effects), wrong: proof.wrong.ofBatches(places.batch) }
}

/**
 * Whether a link stands where a file was put, the other way round, or a link that leads elsewhere: somebody's doing. A link is read back when it
 * is made (`putEntry`), and has no time of its own to tell by.
 */
function isExchanged(entry: FileEntry, present: FileEntry): boolean {
  const plain: readonly FileEntry['kind'][] = ['file', 'link']
  return (
    plain.includes(entry.kind) && plain.includes(present.kind) && (entry.kind !== present.kind || entry.target !== present.target)
  )
}

interface Pending {
  readonly entry: StoredEntry
  readonly at: Place
  readonly isNewer: boolean
}

/** What isn't right: for people, and for sending it again. */
class Wrong {
  readonly names = new LongNames()
  readonly #places = new Map<number, number[]>()

  add(path: string, { batch, place }: Place): void {
    this.names.add(path)
    const places = this.#places.get(batch)
    if (places === undefined) this.#places.set(batch, [place])
    else places.push(place)
  }

  /** Of each of so many batches, also of those in which all is right. */
  ofBatches(count: number): Verified['wrong'] {
    return Array.from({ length: count }, (_, index) => {
      const places = this.#places.get(index + 1) ?? []
      return { batch: index + 1, places: places.sort((a, b) => a - b) }
    })
  }
}

/** What was looked at so far, and what came of it. */
class Proof {
  readonly wrong = new Wrong()
  readonly #changed = new LongNames()
  readonly #host: FileHost
  readonly #flight: InFlight
  readonly #run: StepRun
  readonly #hashesThere: boolean
  #pending: Pending[] = []
  #pendingBytes = 0
  readonly #hashed = new Count()
  readonly #read = new Count()
  readonly #sized = new Count()

  constructor(host: FileHost, flight: InFlight, run: StepRun, hashesThere: boolean) {
    this.#host = host
    this.#flight = flight
    this.#run = run
    this.#hashesThere = hashesThere
  }

  async file(pending: Pending, present: FileEntry, how: HowVerified): Promise<void> {
    const { entry } = pending
    if (present.size !== entry.size) return this.#differs(pending)
    if (how === 'sizes' || (how === 'sample' && !isSampled(entry.path))) return this.#sized.add(entry.size)
    if (!this.#hashesThere) return this.#flight.start(entry.size, () => this.#readBack(pending))
    this.#pending.push(pending)
    this.#pendingBytes += entry.size
    if (this.#pending.length >= ASKED_AT_ONCE || this.#pendingBytes >= ASKED_BYTES) await this.ask()
  }

  isChanged({ path }: FileEntry): void {
    this.#changed.add(path)
  }

  /** Has the host hash what has gathered; what it can't is read back. */
  async ask(): Promise<void> {
    const asked = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    if (asked.length === 0) return
    await this.#flight.start(0, async () => {
      const paths = asked.map(({ entry }) => entry.path)
      const hashes = await this.#host.hashes(paths, this.#flight.signal)
      for (const [index, pending] of asked.entries()) {
        const hash = hashes[index] ?? null
        if (hash === null) await this.#readBack(pending)
        else this.#judge(pending, hash, this.#hashed)
      }
    })
  }

  async #readBack(pending: Pending): Promise<void> {
    this.#judge(pending, await this.#host.sha256(pending.entry.path, this.#flight.signal), this.#read)
  }

  #judge(pending: Pending, hash: string, count: Count): void {
    const { entry } = pending
    if (hash !== entry.sha256) {
      this.#differs(pending)
      return
    }
    count.add(entry.size)
    this.#run.progress(this.#hashed.bytes + this.#read.bytes, null, 'bytes', entry.path)
  }

  #differs({ entry, at, isNewer }: Pending): void {
    if (isNewer) this.isChanged(entry)
    else this.wrong.add(entry.path, at)
  }

  async findings(hash: string | null, how: HowVerified, effects: Effects): Promise<readonly Finding[]> {
    const { label } = this.#host
    const found: Finding[] = []
    if (this.#hashed.files > 0)
      found.push(
        info('restored-files-hashed', `${this.#hashed}, were hashed by ${label} itself (${hash}): every byte as it was saved.`),
      )
    if (this.#read.files > 0 || (this.#hashed.files === 0 && how !== 'sizes'))
      found.push(info('restored-files-read-back', `${this.#read}, were read back from ${label}: every byte as it was saved.`))
    if (this.#sized.files > 0) {
      const why = `the playbook says verify: ${how}`
      found.push(
        info(
          'restored-files-sized',
          `${this.#sized}, have the right size on ${label}; their contents were not compared (${why}).`,
        ),
      )
    }
    return [...found, ...(await this.#changedFindings(effects)), ...(await this.#wrongFindings(effects))]
  }

  async #changedFindings(effects: Effects): Promise<readonly Finding[]> {
    const names = await this.#changed.told(this.#run, effects, 'changed-since-restored')
    if (this.#changed.count === 0) return []
    const files = `${formatCount(this.#changed.count)} files on ${this.#host.label}`
    return [info('restored-files-changed-since', `${files} were changed after they were restored, and are left alone: ${names}.`)]
  }

  async #wrongFindings(effects: Effects): Promise<readonly Finding[]> {
    const names = await this.wrong.names.told(this.#run, effects, 'wrong-on-the-new-host')
    const { count } = this.wrong.names
    if (count === 0) return []
    return [
      {
        severity: 'error',
        code: 'restored-files-differ',
        message: `${formatCount(count)} files on ${this.#host.label} are missing or not what was saved: ${names}.`,
        hint: 'Run again: they are sent anew, and what stands there now is kept for a rollback. If it happens again, look at that host’s disk.',
      },
    ]
  }
}

class Count {
  files = 0
  bytes = 0

  add(bytes: number): void {
    this.files += 1
    this.bytes += bytes
  }

  toString(): string {
    return `${formatCount(this.files)} files, ${formatBytes(this.bytes)}`
  }
}

/** Always the same ones, spread evenly: chosen by the hash of the path. */
const isSampled = (path: string): boolean => createHash('sha256').update(path).digest().readUInt32BE(0) % SAMPLED === 0

/** Every saved entry with what stands under its path on the host. */
async function* paired(
  store: FileStore,
  host: FileHost,
  signal: AbortSignal,
): AsyncGenerator<{ readonly entry: StoredEntry; readonly present: FileEntry | undefined }> {
  const listing = host.list('', signal, selectionOf(store).looksInto)[Symbol.asyncIterator]()
  try {
    let standing = await listing.next()
    for (const entry of store.entries(null, false)) {
      while (standing.done !== true && comparePaths(standing.value.path, entry.path) < 0) standing = await listing.next()
      const isThere = standing.done !== true && standing.value.path === entry.path
      yield { entry, present: isThere ? standing.value : undefined }
    }
  } finally {
    await listing.return?.()
  }
}

const info = (code: string, message: string): Finding => ({ severity: 'info', code, message })
