import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { z } from 'zod'
import { codeOf } from '../base/errors.ts'
import type { FileEntry } from '../files/port.ts'
import { Objects } from './file-objects.ts'

/** An entry as it was saved; a file with the hash of its content. */
export interface StoredEntry extends FileEntry {
  readonly sha256: string | null
}

/** An entry with its place in the order in which the entries came. */
export interface Arrived {
  readonly entry: StoredEntry
  readonly arrival: number
}

export interface SnapshotTotals {
  readonly entries: number
  readonly files: number
  readonly bytes: number
  /** SHA-256 over all entries in order: names this snapshot and proves it whole. */
  readonly digest: string
}

export const totalsSchema: z.ZodType<SnapshotTotals> = z.object({
  entries: z.int(),
  files: z.int(),
  bytes: z.int(),
  digest: z.string(),
})

export const TABLES = `
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS entries (
    sort BLOB PRIMARY KEY, path TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL, mode INTEGER,
    mtime REAL NOT NULL, target TEXT, sha256 TEXT, arrival INTEGER) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS notes (path TEXT PRIMARY KEY, note TEXT NOT NULL);
  ${Objects.table};`

/** For an index that an earlier version of this program made, too. */
export function addArrivals(database: DatabaseSync): void {
  const columns = database.prepare('PRAGMA table_info(entries)').all()
  if (!columns.some((column) => column.name === 'arrival')) database.exec('ALTER TABLE entries ADD COLUMN arrival INTEGER')
  database.exec('CREATE INDEX IF NOT EXISTS arrivals ON entries(arrival)')
}

/** SQLITE_BUSY ("Result and Error Codes" in SQLite's documentation). */
export const isBusy = (error: unknown): boolean =>
  codeOf(error) === 'ERR_SQLITE_ERROR' && Number(Reflect.get(Object(error), 'errcode')) % 256 === 5

/** Bytes that sort like `comparePaths`: `/` becomes 0, which no path holds. */
export const sortKey = (path: string): Buffer => Buffer.from(path.replaceAll('/', '\0'), 'utf8')

const isKind = (kind: string): kind is FileEntry['kind'] => ['file', 'folder', 'link', 'other'].includes(kind)

/** Written by this class alone; a million of them are read in a row, so they are looked at no longer than needed. */
export function fromRow(row: Readonly<Record<string, SQLOutputValue>>): StoredEntry {
  const { mode, target, sha256 } = row
  const kind = String(row.kind)
  return {
    path: String(row.path),
    kind: isKind(kind) ? kind : 'other',
    size: Number(row.size),
    mode: mode === null || mode === undefined ? null : Number(mode),
    mtimeSeconds: Number(row.mtime),
    target: target === null || target === undefined ? null : String(target),
    sha256: sha256 === null || sha256 === undefined ? null : String(sha256),
  }
}
