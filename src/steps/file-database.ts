import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { keepingError } from '../base/disk-full.ts'
import { codeOf, MigrateError } from '../base/errors.ts'
import { Sqlite } from '../base/sqlite.ts'
import { SmallContents } from './file-contents.ts'

/** Of what a store keeps and how; in the index as SQLite's `user_version`. 1, which said 0, had small contents as rows of the index. */
const FORMAT = 2
/** Thrown for a store of another format. */
export const OTHER_FORMAT = 'run-of-another-version'

const TABLES = `
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS entries (
    sort BLOB PRIMARY KEY, path TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL, mode INTEGER,
    mtime REAL NOT NULL, target TEXT, sha256 TEXT, arrival INTEGER) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS arrivals ON entries(arrival);
  CREATE TABLE IF NOT EXISTS notes (path TEXT PRIMARY KEY, note TEXT NOT NULL);
  ${SmallContents.tables};
  PRAGMA user_version = ${FORMAT};`

/** As long is waited for another one that is at work on an index. */
const PATIENCE_MS = 5000

const connect = (directory: string, readOnly: boolean): DatabaseSync =>
  new DatabaseSync(indexPath(directory), { readOnly, timeout: PATIENCE_MS })

export const indexPath = (directory: string): string => join(directory, 'index.db')

/**
 * The index of a store for writing, made when missing. `toDisk`: a commit outlives a power cut too; otherwise the last of them may be
 * missing then, never half there. Throws MigrateError `disk-full`, `run-of-another-version`.
 */
export function openIndex(directory: string, toDisk: boolean): Sqlite {
  let database: DatabaseSync | undefined
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    database = connect(directory, false)
    const index = new Sqlite(database)
    database.exec(`PRAGMA synchronous = ${toDisk ? 'FULL' : 'NORMAL'}`)
    // One of another format stays as it is, down to how its changes are written.
    if (hasTables(database)) refuseOtherFormat(database, directory)
    database.exec('PRAGMA journal_mode = WAL')
    // A kill leaves all tables or none.
    if (!hasTables(database)) index.transaction(() => index.database.exec(TABLES))
    return index
  } catch (error) {
    database?.close()
    throw keepingError(error, directory)
  }
}

/** The same for reading alone; `undefined` when there is none, or only the empty file of one whose maker was killed at once. */
export function openIndexToRead(directory: string): Sqlite | undefined {
  if (!existsSync(indexPath(directory))) return undefined
  try {
    return readIndex(directory)
  } catch (error) {
    if (!hasCode(error, READ_ONLY)) throw error
    takeBackUnfinished(directory)
    return readIndex(directory)
  }
}

function readIndex(directory: string): Sqlite | undefined {
  const database = connect(directory, true)
  try {
    if (hasTables(database)) {
      refuseOtherFormat(database, directory)
      return new Sqlite(database)
    }
  } catch (error) {
    database.close()
    throw error
  }
  database.close()
  return undefined
}

/**
 * Whoever was killed while it wrote without a write-ahead log, as at a change of that mode, leaves a journal that the next one has to play
 * back before anything can be read; one that may only read can't (SQLITE_READONLY_ROLLBACK, "Result and Error Codes" in SQLite's
 * documentation). To read is enough to have that done.
 */
function takeBackUnfinished(directory: string): void {
  const database = connect(directory, false)
  try {
    hasTables(database)
  } finally {
    database.close()
  }
}

/** Lets an index be read without writing beside it, as far as nobody else is at work on it: whoever is will do it. */
export function restIndex({ database }: Sqlite): void {
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE;')
  } catch (error) {
    if (!hasCode(error, BUSY)) throw error
  } finally {
    database.exec(`PRAGMA busy_timeout = ${PATIENCE_MS}`)
  }
}

const hasTables = (database: DatabaseSync): boolean =>
  database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'facts'").get() !== undefined

function refuseOtherFormat(database: DatabaseSync, directory: string): void {
  const format = Number(database.prepare('PRAGMA user_version').get()?.user_version)
  if (format === FORMAT) return
  throw new MigrateError(
    OTHER_FORMAT,
    `The files in ${directory} were kept by another version of migrate (format ${Math.max(1, format)}; this one has ${FORMAT}). Nothing was changed.`,
    {
      hint: 'Go on with the version that began this run; or begin a new one with --fresh, which fetches the files anew and sends only those that the new host lacks.',
    },
  )
}

/** SQLITE_BUSY and SQLITE_READONLY ("Result and Error Codes" in SQLite's documentation), of which there are several kinds each. */
const BUSY = 5
const READ_ONLY = 8

const hasCode = (error: unknown, code: number): boolean =>
  codeOf(error) === 'ERR_SQLITE_ERROR' && Number(Reflect.get(Object(error), 'errcode')) % 256 === code
