import { createHash } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { keepingError } from '../base/disk-full.ts'
import type { FileEntry } from '../files/port.ts'
import type { Effects } from '../run/step.ts'
import { Objects } from './file-objects.ts'

/** An entry as it was saved; a file with the hash of its content. */
export interface StoredEntry extends FileEntry {
  readonly sha256: string | null
}

export interface SnapshotTotals {
  readonly entries: number
  readonly files: number
  readonly bytes: number
  /** SHA-256 over all entries in order: names this snapshot and proves it whole. */
  readonly digest: string
}

const totalsSchema: z.ZodType<SnapshotTotals> = z.object({ entries: z.int(), files: z.int(), bytes: z.int(), digest: z.string() })

const TABLES = `
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS entries (
    sort BLOB PRIMARY KEY, path TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL, mode INTEGER,
    mtime REAL NOT NULL, target TEXT, sha256 TEXT) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS notes (path TEXT PRIMARY KEY, note TEXT NOT NULL);
  ${Objects.table};`

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
      database = new DatabaseSync(join(directory, 'index.db'))
      // Committed is what a kill can't undo; after a power cut the last commits may be missing, never half there.
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;')
      // In one transaction: a kill leaves all tables or none.
      database.exec(`BEGIN IMMEDIATE; ${TABLES} COMMIT;`)
    } catch (error) {
      database?.close()
      throw keepingError(error, directory)
    }
    return new FileStore(directory, database, effects)
  }

  /** Opens it for reading alone; `undefined` when there is none, or only the empty file of one whose maker was killed at once. */
  static openExisting(directory: string, effects: Effects): FileStore | undefined {
    const path = join(directory, 'index.db')
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
    const row = this.#database.prepare('SELECT * FROM entries WHERE sort = ?').get(sortKey(path))
    return row === undefined ? undefined : fromRow(row)
  }

  /** Entries after `after` (all when it is null), in order, read in pages: the store may be written meanwhile. */
  *entries(after: string | null = null): Generator<StoredEntry> {
    const page = this.#database.prepare('SELECT * FROM entries WHERE sort > ? ORDER BY sort LIMIT ?')
    let last = after === null ? Buffer.alloc(0) : sortKey(after)
    while (true) {
      const rows = page.all(last, PAGE)
      for (const row of rows) yield fromRow(row)
      const end = rows.at(-1)
      if (end === undefined || rows.length < PAGE) return
      last = sortKey(fromRow(end).path)
    }
  }

  /** Keeps an entry, and its content if it is a small one. Returns when it is committed. */
  keep(entry: StoredEntry, small: Buffer | null): Promise<void> {
    return this.#write(() => {
      if (small !== null && entry.sha256 !== null) this.objects.keepSmall(entry.sha256, small)
      this.#database
        .prepare('INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
        .run(sortKey(entry.path), entry.path, entry.kind, entry.size, entry.mode, entry.mtimeSeconds, entry.target, entry.sha256)
    })
  }

  /** Forgets an entry that the old host no longer has. */
  forget(path: string): Promise<void> {
    return this.#write(() => {
      this.#database.prepare('DELETE FROM entries WHERE sort = ?').run(sortKey(path))
    })
  }

  /** Something worth telling about a path: 'changed' while it was read, 'other' kinds that aren't copied. */
  note(path: string, note: string): Promise<void> {
    return this.#write(() => {
      this.#database.prepare('INSERT OR REPLACE INTO notes VALUES (?, ?)').run(path, note)
    })
  }

  notes(): ReadonlyMap<string, string> {
    const rows = this.#database.prepare('SELECT path, note FROM notes ORDER BY path').all()
    return new Map(rows.map((row) => [String(row.path), String(row.note)]))
  }

  /** Counts and hashes everything. */
  totals(): SnapshotTotals {
    const hash = createHash('sha256')
    let [entries, files, bytes] = [0, 0, 0]
    for (const entry of this.entries()) {
      hash.update(`${JSON.stringify(Object.values(entry))}\n`)
      entries += 1
      if (entry.kind !== 'file') continue
      files += 1
      bytes += entry.size
    }
    return { entries, files, bytes, digest: hash.digest('hex') }
  }

  /** Marks the snapshot as whole, and lets the index be read from now on without writing beside it. */
  async complete(): Promise<SnapshotTotals> {
    const totals = this.totals()
    await this.#write(() => {
      this.#database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)').run('complete', JSON.stringify(totals))
    })
    this.#database.exec('PRAGMA journal_mode = DELETE')
    return totals
  }

  /** Of a snapshot that is whole: marked so, its manifest unchanged, every content there. `undefined` otherwise. */
  whole(): SnapshotTotals | undefined {
    const row = this.#database.prepare('SELECT value FROM facts WHERE name = ?').get('complete')
    if (row === undefined) return undefined
    const marked = totalsSchema.parse(JSON.parse(String(row.value)))
    return this.totals().digest === marked.digest && this.missing().next().done === true ? marked : undefined
  }

  /** Files whose content isn't there in its right length. */
  *missing(): Generator<StoredEntry> {
    for (const entry of this.entries()) {
      if (entry.sha256 !== null && !this.objects.has(entry.sha256, entry.size)) yield entry
    }
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
}

/** Bytes that sort like `comparePaths`: `/` becomes 0, which no path holds. */
const sortKey = (path: string): Buffer => Buffer.from(path.replaceAll('/', '\0'), 'utf8')

const rowSchema = z.object({
  path: z.string(),
  kind: z.enum(['file', 'folder', 'link']),
  size: z.int(),
  mode: z.int().nullable(),
  mtime: z.number(),
  target: z.string().nullable(),
  sha256: z.string().nullable(),
})

function fromRow(row: Readonly<Record<string, SQLOutputValue>>): StoredEntry {
  const { path, kind, size, mode, mtime, target, sha256 } = rowSchema.parse({ ...row, sort: undefined })
  return { path, kind, size, mode, mtimeSeconds: mtime, target, sha256 }
}
