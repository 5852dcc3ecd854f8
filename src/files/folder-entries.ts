import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { noTemporaryRoom } from '../base/disk-full.ts'
import { openPrivate } from '../base/sqlite.ts'
import { comparePaths, joinPath, nameOf } from './paths.ts'
import type { FileEntry } from './port.ts'

/** So many are held as they are; a folder has seldom more. */
const MOST_HELD = 8192
const KINDS = ['file', 'folder', 'link', 'other'] as const
const CACHE_KIB = 2048

/**
 * The entries of one folder in the order of `comparePaths`. Memory: a few mebibytes, however many there are. Those of a large folder are kept
 * and sorted by SQLite, in the folder for temporary files where they are too many for its cache. Throws MigrateError `disk-full` when that is.
 */
export class FolderEntries {
  readonly #folder: string
  #held: FileEntry[] = []
  #kept: Kept | undefined
  length = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  add(entry: FileEntry): void {
    this.length += 1
    if (this.#kept === undefined && this.#held.length < MOST_HELD) {
      this.#held.push(entry)
      return
    }
    this.#kept ??= new Kept(this.#folder)
    for (const each of this.#held) this.#kept.add(each)
    this.#held = []
    this.#kept.add(entry)
  }

  /** Once all are there. */
  sort(): this {
    const from = this.#folder.length
    this.#held.sort((a, b) => comparePaths(a.path, b.path, from))
    return this
  }

  /** May be read several times, also at once; but not once they are closed. */
  *[Symbol.iterator](): Generator<FileEntry> {
    yield* this.#kept?.entries() ?? this.#held
  }

  /** Paths of the folders among them, in order. */
  *folders(): Generator<string> {
    if (this.#kept !== undefined) yield* this.#kept.folders()
    else for (const { kind, path } of this.#held) if (kind === 'folder') yield path
  }

  /** Gives back what they take of memory and disk; entries that nobody closes go with the last who knows them. */
  close(): void {
    this.#kept?.close()
  }
}

class Kept {
  readonly #folder: string
  readonly #database: DatabaseSync
  readonly #insert: StatementSync

  constructor(folder: string) {
    this.#folder = folder
    this.#database = openPrivate(CACHE_KIB)
    // SQLite sorts texts by their UTF-8 bytes, as `comparePaths` does.
    this.#database.exec('CREATE TABLE entries (name TEXT, kind INTEGER, size REAL, mode INTEGER, mtime REAL, target TEXT)')
    this.#insert = this.#database.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)')
  }

  add({ path, kind, size, mode, mtimeSeconds, target }: FileEntry): void {
    try {
      this.#insert.run(nameOf(path), KINDS.indexOf(kind), size, mode, mtimeSeconds, target)
    } catch (error) {
      throw noTemporaryRoom(error, LISTING)
    }
  }

  *entries(): Generator<FileEntry> {
    for (const [name, kind, size, mode, mtime, target] of this.#rows('SELECT * FROM entries ORDER BY name'))
      yield {
        path: joinPath(this.#folder, String(name)),
        kind: KINDS[Number(kind)] ?? 'other',
        size: Number(size),
        mode: mode === null ? null : Number(mode),
        mtimeSeconds: Number(mtime),
        target: target === null ? null : String(target),
      }
  }

  *folders(): Generator<string> {
    const folders = `SELECT name FROM entries WHERE kind = ${KINDS.indexOf('folder')} ORDER BY name`
    for (const [name] of this.#rows(folders)) yield joinPath(this.#folder, String(name))
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  *#rows(sql: string): Generator<readonly unknown[]> {
    const statement = this.#database.prepare(sql)
    statement.setReturnArrays(true)
    try {
      for (const row of statement.iterate() as Iterable<unknown>) {
        if (!Array.isArray(row)) throw new Error('SQLite gave rows in another form than was asked for.')
        yield row
      }
    } catch (error) {
      throw noTemporaryRoom(error, LISTING)
    }
  }
}

const LISTING = 'the listing of a large folder'
