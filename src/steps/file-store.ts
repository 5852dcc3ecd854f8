import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { keepingError } from '../base/disk-full.ts'
import type { Sqlite } from '../base/sqlite.ts'
import type { Effects } from '../run/step.ts'
import { openIndex, openIndexToRead, restIndex } from './file-database.ts'
import {
  ARRIVED,
  type Arrived,
  BARE_PAGE,
  fromColumns,
  fromRow,
  HASH_COLUMN,
  PLACED_PAGE,
  type SnapshotTotals,
  type StoredEntry,
  sortKey,
  totalsSchema,
} from './file-index.ts'
import { dropUnused } from './file-leftovers.ts'
import { Objects } from './file-objects.ts'

export type { SnapshotTotals, StoredEntry } from './file-index.ts'

/** Facts of a store. */
const COMPLETE = 'complete'
/** Something was replaced or forgotten: contents may lie there that nothing refers to. */
const OUTDATED = 'outdated'

const PAGE = 1000

/**
 * A snapshot of files in the run's folder: a manifest of every entry in the order of `comparePaths`, and contents by their hash.
 * Crash-safe: what was committed stays, also after a kill; entries are committed together with their small contents, and a large
 * content is under its name before its entry is. Memory doesn't grow with the number of files.
 */
export class FileStore {
  readonly objects: Objects
  readonly directory: string
  readonly #index: Sqlite
  readonly #effects: Effects
  readonly #toDisk: boolean
  #lastArrival: number | undefined
  #queue: (() => void)[] = []
  #syncs = false
  #flushing: Promise<void> | undefined

  private constructor(directory: string, index: Sqlite, effects: Effects, toDisk: boolean) {
    this.directory = directory
    this.#index = index
    this.#effects = effects
    this.#toDisk = toDisk
    this.objects = new Objects(directory, index)
  }

  /**
   * Opens the store for writing, made when missing. `toDisk`: what was committed outlives a power cut too, for things that can't be fetched
   * again. Close it. Throws MigrateError `disk-full`, `run-of-another-version`.
   */
  static open(directory: string, effects: Effects, { toDisk = false } = {}): FileStore {
    const store = new FileStore(directory, openIndex(directory, toDisk), effects, toDisk)
    try {
      store.objects.small.proveUnsynced()
    } catch (error) {
      store.close()
      throw keepingError(error, directory)
    }
    return store
  }

  /** Opens it for reading alone; `undefined` when there is none, or only the empty file of one whose maker was killed at once. */
  static openExisting(directory: string, effects: Effects): FileStore | undefined {
    const index = openIndexToRead(directory)
    return index === undefined ? undefined : new FileStore(directory, index, effects, false)
  }

  static remove(directory: string, effects: Effects): Promise<void> {
    return effects('files: remove the snapshot', () => rm(directory, { recursive: true, force: true }))
  }

  entry(path: string): StoredEntry | undefined {
    const row = this.#index.prepared('SELECT * FROM entries WHERE sort = ?').get(sortKey(path))
    return row === undefined ? undefined : fromRow(row)
  }

  /**
   * Entries after `after` (all when it is null), in order, read in pages: the store may be written meanwhile. `placed`: their contents are going
   * to be asked for, and where they lie is found out sooner for a page than for each.
   */
  *entries(after: string | null = null, placed = true): Generator<StoredEntry> {
    for (const page of this.#pages(after, placed)) yield* page
  }

  /** Those of another store's entries of which this one has none under their paths. */
  *lacking(other: FileStore): Generator<StoredEntry> {
    for (const page of other.#pages(null, false)) {
      const own = this.entriesAt(page.map(({ path }) => path))
      yield* page.filter(({ path }) => !own.has(path))
    }
  }

  *#pages(after: string | null, placed: boolean): Generator<readonly StoredEntry[]> {
    let last = after === null ? Buffer.alloc(0) : sortKey(after)
    while (true) {
      const rows = this.#index.rows(placed ? PLACED_PAGE : BARE_PAGE, last, PAGE)
      if (placed) this.objects.small.expect(rows, HASH_COLUMN)
      const entries = rows.map(fromColumns)
      yield entries
      const end = entries.at(-1)
      if (end === undefined || entries.length < PAGE) return
      last = sortKey(end.path)
    }
  }

  /** Entries in the order in which they came, those after a place in it; one that changed meanwhile comes again. */
  arrivedAfter(arrival: number, most: number): readonly Arrived[] {
    const rows = this.#index.rows(ARRIVED, arrival, most)
    this.objects.small.expect(rows, HASH_COLUMN)
    return rows.map((row) => ({ entry: fromColumns(row), arrival: Number(row.at(-1)) }))
  }

  /** Those of the paths that the store has, by their paths. */
  entriesAt(paths: readonly string[]): ReadonlyMap<string, StoredEntry> {
    const found = new Map<string, StoredEntry>()
    if (this.#index.prepared('SELECT 1 FROM entries LIMIT 1').get() === undefined) return found
    this.#index.reading(() => {
      for (const path of paths) {
        const entry = this.entry(path)
        if (entry !== undefined) found.set(path, entry)
      }
    })
    return found
  }

  /** Keeps an entry, and its content if it is a small one. Returns when it is committed. */
  keep(entry: StoredEntry, small: Buffer | null): Promise<void> {
    return this.#write(() => {
      if (small !== null && entry.sha256 !== null) this.objects.small.keep(entry.sha256, small)
      const { path, kind, size, mode, mtimeSeconds, target, sha256 } = entry
      const sort = sortKey(path)
      const row = [sort, path, kind, size, mode, mtimeSeconds, target, sha256, this.#nextArrival()] as const
      // Nearly all are new, which is found out by the way.
      const added = this.#index.prepared('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING')
      if (added.run(...row).changes !== 0) return
      const former = this.#index.prepared('SELECT sha256 FROM entries WHERE sort = ?').get(sort)?.sha256 ?? null
      if (former !== null && former !== sha256) this.#setFact(OUTDATED, '')
      this.#index.prepared('INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(...row)
    })
  }

  /** True when an entry is known from an earlier snapshot alone: it has to be seen once more before it counts as arrived. */
  hasToConfirm(): boolean {
    return this.#index.prepared('SELECT 1 FROM entries WHERE arrival IS NULL').get() !== undefined
  }

  /** The entry of an earlier snapshot is there as it was. */
  confirm(path: string): Promise<void> {
    const confirmed = 'UPDATE entries SET arrival = ? WHERE sort = ? AND arrival IS NULL'
    return this.#write(() => void this.#index.prepared(confirmed).run(this.#nextArrival(), sortKey(path)))
  }

  /** Forgets an entry that the old host no longer has. */
  forget(path: string): Promise<void> {
    return this.#write(() => {
      this.#index.prepared('DELETE FROM entries WHERE sort = ?').run(sortKey(path))
      this.#setFact(OUTDATED, '')
    })
  }

  /** Something worth telling about a path: 'changed' while it was read, 'other' kinds that aren't copied. */
  note(path: string, note: string): Promise<void> {
    return this.#write(() => void this.#index.prepared('INSERT OR REPLACE INTO notes VALUES (?, ?)').run(path, note))
  }

  /** Paths of which this was noted. */
  *noted(note: string): Generator<string> {
    for (const { path } of this.#index.prepared('SELECT path FROM notes WHERE note = ?').iterate(note)) yield String(path)
  }

  noteOf(path: string): string | undefined {
    const row = this.#index.prepared('SELECT note FROM notes WHERE path = ?').get(path)
    return row === undefined ? undefined : String(row.note)
  }

  /** Something to know about the whole store, by name. */
  fact(name: string): string | undefined {
    const row = this.#index.prepared('SELECT value FROM facts WHERE name = ?').get(name)
    return row === undefined ? undefined : String(row.value)
  }

  setFact(name: string, value: string): Promise<void> {
    return this.#write(() => this.#setFact(name, value))
  }

  /** Counts and hashes everything, in turns with whatever else is going on; `isRight`, which looks at contents, may end it, with `undefined`. */
  async #totals(isRight: ((entry: StoredEntry) => boolean) | null): Promise<SnapshotTotals | undefined> {
    const hash = createHash('sha256')
    let [entries, files, bytes] = [0, 0, 0]
    for (const page of this.#pages(null, isRight !== null)) {
      let text = ''
      for (const entry of page) {
        if (isRight?.(entry) === false) return undefined
        text += `${JSON.stringify(Object.values(entry))}\n`
        entries += 1
        if (entry.kind !== 'file') continue
        files += 1
        bytes += entry.size
      }
      hash.update(text)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return { entries, files, bytes, digest: hash.digest('hex') }
  }

  /** Marks the snapshot as whole, drops contents that nothing refers to any more, and lets the index rest. */
  async complete(): Promise<void> {
    const totals = await this.#totals(null)
    // From now on no commit can be lost by a power cut: where a content was moved to is known before the pack that it came from is removed.
    this.#index.database.exec('PRAGMA synchronous = FULL')
    await this.#write(() => this.#setFact(COMPLETE, JSON.stringify(totals)), true)
    if (this.fact(OUTDATED) !== undefined) {
      await this.#effects('files: drop what nothing refers to', () =>
        dropUnused(this.#index.database, this.directory, this.objects.small),
      )
      await this.#write(() => void this.#index.prepared('DELETE FROM facts WHERE name = ?').run(OUTDATED))
    }
    this.rest()
  }

  /** Takes the mark of a whole snapshot away, before anything of it changes. What it was told of single paths is forgotten. */
  reopen(): Promise<void> {
    return this.#write(() => {
      this.#index.prepared('DELETE FROM facts WHERE name = ?').run(COMPLETE)
      this.#index.prepared('DELETE FROM notes').run()
    })
  }

  /** Lets the index be read without writing beside it, as far as nobody else is at work on it: whoever is will do it. */
  rest(): void {
    restIndex(this.#index)
  }

  /** What the snapshot was marked with when it became whole; not proof that it still is. */
  marked(): SnapshotTotals | undefined {
    const value = this.fact(COMPLETE)
    return value === undefined ? undefined : totalsSchema.parse(JSON.parse(value))
  }

  /** Of a snapshot that is whole: marked so, its manifest unchanged, every content there. `undefined` otherwise. */
  async whole(): Promise<SnapshotTotals | undefined> {
    const marked = this.marked()
    if (marked === undefined) return undefined
    const totals = await this.#totals(({ sha256, size }) => sha256 === null || this.objects.has(sha256, size))
    return totals?.digest === marked.digest ? marked : undefined
  }

  content(entry: StoredEntry): Readable {
    return this.objects.read(entry.sha256 ?? '', entry.size)
  }

  close(): void {
    this.objects.small.close()
    this.#index.database.close()
  }

  /** Commits together what is asked for in one turn of the event loop. `toDisk`: all contents are on disk before that commit. */
  #write(work: () => void, toDisk = this.#toDisk): Promise<void> {
    this.#queue.push(work)
    this.#syncs ||= toDisk
    this.#flushing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      const [queue, syncs] = [this.#queue, this.#syncs]
      this.#queue = []
      this.#syncs = false
      this.#flushing = undefined
      return this.#effects('files: keep', async () => this.#commit(queue, syncs))
    })
    return this.#flushing
  }

  #commit(queue: readonly (() => void)[], toDisk: boolean): void {
    try {
      this.objects.small.transaction(toDisk, () => {
        for (const work of queue) work()
      })
    } catch (error) {
      throw keepingError(error, this.directory)
    }
  }

  #setFact(name: string, value: string): void {
    this.#index.prepared('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(name, value)
  }

  #nextArrival(): number {
    this.#lastArrival ??= Number(this.#index.prepared('SELECT max(arrival) AS last FROM entries').get()?.last ?? 0)
    this.#lastArrival += 1
    return this.#lastArrival
  }
}
