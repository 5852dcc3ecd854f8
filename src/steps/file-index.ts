import type { SQLOutputValue } from 'node:sqlite'
import { z } from 'zod'
import type { FileEntry } from '../files/port.ts'

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

/** Bytes that sort like `comparePaths`: `/` becomes 0, which no path holds. */
export const sortKey = (path: string): Buffer => Buffer.from(path.replaceAll('/', '\0'), 'utf8')

const isKind = (kind: string): kind is FileEntry['kind'] => ['file', 'folder', 'link', 'other'].includes(kind)

/** Of a row of `entries`, in the order in which `fromColumns` takes them. */
const ENTRY_COLUMNS = 'path, kind, size, mode, mtime, target, entries.sha256'
/** Where the hash is among them. */
export const HASH_COLUMN = 6
/** Entries with the places of their contents, which `expect` takes. */
const PLACED = `SELECT ${ENTRY_COLUMNS}, pack, start, length`
const WITH_PLACES = 'FROM entries LEFT JOIN contents ON contents.sha256 = unhex(entries.sha256)'
/** Those after a place in their order. */
export const PLACED_PAGE = `${PLACED} ${WITH_PLACES} WHERE sort > ? ORDER BY sort LIMIT ?`
export const BARE_PAGE = `SELECT ${ENTRY_COLUMNS} FROM entries WHERE sort > ? ORDER BY sort LIMIT ?`
/** Those that came after one. */
export const ARRIVED = `${PLACED}, arrival ${WITH_PLACES} WHERE arrival > ? ORDER BY arrival LIMIT ?`

export const fromRow = ({ path, kind, size, mode, mtime, target, sha256 }: Row): StoredEntry =>
  fromColumns([path, kind, size, mode, mtime, target, sha256])

type Row = Readonly<Record<string, SQLOutputValue>>

/** Written by this class alone; a million of them are read in a row, so they are looked at no longer than needed. */
export function fromColumns(row: readonly (SQLOutputValue | undefined)[]): StoredEntry {
  const [path, kind, size, mode, mtime, target, sha256] = row
  const known = String(kind)
  return {
    path: String(path),
    kind: isKind(known) ? known : 'other',
    size: Number(size),
    mode: mode === null || mode === undefined ? null : Number(mode),
    mtimeSeconds: Number(mtime),
    target: target === null || target === undefined ? null : String(target),
    sha256: sha256 === null || sha256 === undefined ? null : String(sha256),
  }
}
