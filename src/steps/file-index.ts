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
