import { createHash } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Readable } from 'node:stream'
import { keepingError } from '../base/disk-full.ts'
import type { Effects } from '../run/step.ts'
import {
  type Arrived,
  addArrivals,
  fromRow,
  isBusy,
  type SnapshotTotals,
  type StoredEntry,
  sortKey,
  TABLES,
  totalsSchema,
} from './file-index.ts'
import { dropUnused } from './file-leftovers.ts'
import { Objects } from './file-objects.ts'

export type { SnapshotTotals, StoredEntry } from './file-index.ts'

const INDEX = 'index.db'
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
  readonly #directory: string
  readonly #database: DatabaseSync
  readonly #effects: Effects
  readonly #statements = new Map<string, StatementSync>()
  #lastArrival: number | undefined
  #queue: (() => void)[] = []
  #flushing: Promise<void> | undefined

  private constructor(directory: string, database: DatabaseSync, effects: Effects) {
    this.#directory = directory
    this.#database = database
    this.#effects = effects
    this.objects = new Objects(directory, database)
  }

  /** Opens the store for writing, made when missing. Close it. */
  static open(directory: string, effects: Effects): FileStore {
    let database: DatabaseSync | undefined
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      database = new DatabaseSync(join(directory, INDEX))
      // Committed is what a kill can't undo; after a power cut the last commits may be missing, never half there.
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;')
      // In one transaction: a kill leaves all tables or none.
      database.exec(`BEGIN IMMEDIATE; ${TABLES}`)
      addArrivals(database)
      database.exec('COMMIT')
    } catch (error) {
      database?.close()
      throw keepingError(error, directory)
    }
    return new FileStore(directory, database, effects)
  }

  /** Opens it for reading alone; `undefined` when there is none, or only the empty file of one whose maker was killed at once. */
  static openExisting(directory: string, effects: Effects): FileStore | undefined {
    const path = join(directory, INDEX)
    if (!existsSync(path)) return undefined
    const database = new DatabaseSync(path, { readOnly: true })
    if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'facts'").get() !== undefined) {
      return new FileStore(directory, database, effects)
    }
    database.close()
    return undefined
  }

  static remove(directory: string, effects: Effects): Promise<void> {
    return effects('files: remove the snapshot', () => rm(directory, { recursive: true, force: true }))
  }

  entry(path: string): StoredEntry | undefined {
    const row = this.#prepared('SELECT * FROM entries WHERE sort = ?').get(sortKey(path))
    return row === undefined ? undefined : fromRow(row)
  }

  /** Entries after `after` (all when it is null), in order, read in pages: the store may be written meanwhile. */
  *entries(after: string | null = null): Generator<StoredEntry> {
    for (const page of this.#pages(after)) yield* page
  }

  *#pages(after: string | null): Generator<readonly StoredEntry[]> {
    const page = this.#prepared('SELECT * FROM entries WHERE sort > ? ORDER BY sort LIMIT ?')
    let last = after === null ? Buffer.alloc(0) : sortKey(after)
    while (true) {
      const entries = page.all(last, PAGE).map(fromRow)
      yield entries
      const end = entries.at(-1)
      if (end === undefined || entries.length < PAGE) return
      last = sortKey(end.path)
    }
  }

  /** Entries in the order in which they came, those after a place in it; one that changed meanwhile comes again. */
  arrivedAfter(arrival: number, most: number): readonly Arrived[] {
    const rows = this.#prepared('SELECT * FROM entries WHERE arrival > ? ORDER BY arrival LIMIT ?').all(arrival, most)
    return rows.map((row) => ({ entry: fromRow(row), arrival: Number(row.arrival) }))
  }

  /** Keeps an entry, and its content if it is a small one. Returns when it is committed. */
  keep(entry: StoredEntry, small: Buffer | null): Promise<void> {
    return this.#write(() => {
      if (small !== null && entry.sha256 !== null) this.objects.keepSmall(entry.sha256, small)
      const sort = sortKey(entry.path)
      const former = this.#prepared('SELECT sha256 FROM entries WHERE sort = ?').get(sort)?.sha256 ?? null
      if (former !== null && former !== entry.sha256) this.#setFact(OUTDATED, '')
      const { path, kind, size, mode, mtimeSeconds, target, sha256 } = entry
      this.#prepared('INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
        sort,
        path,
        kind,
        size,
        mode,
        mtimeSeconds,
        target,
        sha256,
        this.#nextArrival(),
      )
    })
  }

  /** True when an entry is known from an earlier snapshot alone: it has to be seen once more before it counts as arrived. */
  hasToConfirm(): boolean {
    return this.#prepared('SELECT 1 FROM entries WHERE arrival IS NULL').get() !== undefined
  }

  /** The entry of an earlier snapshot is there as it was. */
  confirm(path: string): Promise<void> {
    const confirmed = 'UPDATE entries SET arrival = ? WHERE sort = ? AND arrival IS NULL'
    return this.#write(() => void this.#prepared(confirmed).run(this.#nextArrival(), sortKey(path)))
  }

  /** Forgets an entry that the old host no longer has. */
  forget(path: string): Promise<void> {
    return this.#write(() => {
      this.#prepared('DELETE FROM entries WHERE sort = ?').run(sortKey(path))
      this.#setFact(OUTDATED, '')
    })
  }

  /** Something worth telling about a path: 'changed' while it was read, 'other' kinds that aren't copied. */
  note(path: string, note: string): Promise<void> {
    return this.#write(() => void this.#prepared('INSERT OR REPLACE INTO notes VALUES (?, ?)').run(path, note))
  }

  notes(): ReadonlyMap<string, string> {
    const rows = this.#prepared('SELECT path, note FROM notes ORDER BY path').all()
    return new Map(rows.map((row) => [String(row.path), String(row.note)]))
  }

  noteOf(path: string): string | undefined {
    const row = this.#prepared('SELECT note FROM notes WHERE path = ?').get(path)
    return row === undefined ? undefined : String(row.note)
  }

  /** Something to know about the whole store, by name. */
  fact(name: string): string | undefined {
    const row = this.#prepared('SELECT value FROM facts WHERE name = ?').get(name)
    return row === undefined ? undefined : String(row.value)
  }

  setFact(name: string, value: string): Promise<void> {
    return this.#write(() => this.#setFact(name, value))
  }

  /** Counts and hashes everything, in turns with whatever else is going on. */
  async totals(): Promise<SnapshotTotals> {
    const hash = createHash('sha256')
    let [entries, files, bytes] = [0, 0, 0]
    for (const page of this.#pages(null)) {
      for (const entry of page) {
        hash.update(`${JSON.stringify(Object.values(entry))}\n`)
        entries += 1
        if (entry.kind !== 'file') continue
        files += 1
        bytes += entry.size
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    return { entries, files, bytes, digest: hash.digest('hex') }
  }

  /** Marks the snapshot as whole, drops contents that nothing refers to any more, and lets the index rest. */
  async complete(): Promise<SnapshotTotals> {
    const totals = await this.totals()
    await this.setFact(COMPLETE, JSON.stringify(totals))
    if (this.fact(OUTDATED) !== undefined) {
      await this.#effects('files: drop what nothing refers to', () => dropUnused(this.#database, this.#directory))
      await this.#write(() => void this.#prepared('DELETE FROM facts WHERE name = ?').run(OUTDATED))
    }
    this.rest()
    return totals
  }

  /** Takes the mark of a whole snapshot away, before anything of it changes. What it was told of single paths is forgotten. */
  reopen(): Promise<void> {
    return this.#write(() => {
      this.#prepared('DELETE FROM facts WHERE name = ?').run(COMPLETE)
      this.#prepared('DELETE FROM notes').run()
    })
  }

  /** Lets the index be read without writing beside it, as far as nobody else is at work on it: whoever is will do it. */
  rest(): void {
    try {
      this.#database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE;')
    } catch (error) {
      if (!isBusy(error)) throw error
    } finally {
      this.#database.exec('PRAGMA busy_timeout = 5000')
    }
  }

  /** What the snapshot was marked with when it became whole; not proof that it still is. */
  marked(): SnapshotTotals | undefined {
    const value = this.fact(COMPLETE)
    return value === undefined ? undefined : totalsSchema.parse(JSON.parse(value))
  }

  /** Of a snapshot that is whole: marked so, its manifest unchanged, every content there. `undefined` otherwise. */
  async whole(): Promise<SnapshotTotals | undefined> {
    const marked = this.marked()
    if (marked === undefined || (await this.totals()).digest !== marked.digest) return undefined
    for (const page of this.#pages(null)) {
      for (const { sha256, size } of page) if (sha256 !== null && !this.objects.has(sha256, size)) return undefined
      await new Promise((resolve) => setImmediate(resolve))
    }
    return marked
  }

  content(entry: StoredEntry): Readable {
    return this.objects.read(entry.sha256 ?? '', entry.size)
  }

  close(): void {
    this.#database.close()
  }

  /** Commits together what is asked for in one turn of the event loop. */
  #write(work: () => void): Promise<void> {
    this.#queue.push(work)
    this.#flushing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      const queue = this.#queue
      this.#queue = []
      this.#flushing = undefined
      return this.#effects('files: keep', async () => this.#commit(queue))
    })
    return this.#flushing
  }

  #commit(queue: readonly (() => void)[]): void {
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      for (const work of queue) work()
      this.#database.exec('COMMIT')
    } catch (error) {
      // A full disk takes the transaction back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw keepingError(error, this.#directory)
    }
  }

  #setFact(name: string, value: string): void {
    this.#prepared('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(name, value)
  }

  #nextArrival(): number {
    this.#lastArrival ??= Number(this.#prepared('SELECT max(arrival) AS last FROM entries').get()?.last ?? 0)
    this.#lastArrival += 1
    return this.#lastArrival
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const made = this.#database.prepare(sql)
    this.#statements.set(sql, made)
    return made
  }
}
