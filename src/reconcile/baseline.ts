import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { keepingError } from '../base/disk-full.ts'
import { MigrateError } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { RowReader } from './fingerprint.ts'
import { FingerprintTable } from './fingerprint-table.ts'

/** Where a run keeps its baseline: fingerprints of the rows as restored, before the new host's first write. */
export const baselinePath = (directory: string): string => join(directory, 'baseline.sqlite')

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS baseline_tables (name TEXT PRIMARY KEY, ordinal INTEGER NOT NULL UNIQUE, rows INTEGER NOT NULL);
`

/** The SQLite table that holds a table's fingerprints. */
export const fingerprintTable = (ordinal: number): string => `fingerprints_${ordinal}`

export interface BaselineOptions {
  /** The run's folder. */
  readonly directory: string
  /** The new host's. */
  readonly database: Database
  readonly tables: readonly Table[]
  /** Columns of a table that the playbook leaves out of comparison. */
  readonly ignore?: (table: Table) => readonly string[]
  readonly signal?: AbortSignal
  /** Rows fingerprinted so far, over all tables. */
  readonly onRows?: (rows: number) => void
}

/** One writer at a time for each baseline file: a second transaction would wait inside SQLite and hold up the whole process. */
const writers = new Map<string, Promise<void>>()

/**
 * Fingerprints every row of `tables` into the run's baseline. A table that is in it already is left alone: what was taken before
 * the new host's first write must not be taken again after it. A table is in it whole or not at all.
 * Throws MigrateError `table-without-key` for a table whose rows can't be told apart.
 */
export async function takeBaseline(options: BaselineOptions): Promise<void> {
  const path = baselinePath(options.directory)
  const before = writers.get(path) ?? Promise.resolve()
  const mine = before.then(() => takeAll(options, path))
  const settled = mine.catch(() => undefined)
  writers.set(path, settled)
  try {
    await mine
  } finally {
    if (writers.get(path) === settled) writers.delete(path)
  }
}

async function takeAll(options: BaselineOptions, path: string): Promise<void> {
  await mkdir(options.directory, { recursive: true })
  const store = new DatabaseSync(path)
  try {
    store.exec('PRAGMA synchronous = FULL')
    store.exec(SCHEMA)
    let rows = 0
    for (const table of options.tables) {
      await takeTable(store, table, options, (count) => {
        rows += count
        options.onRows?.(rows)
      })
    }
  } finally {
    store.close()
  }
}

async function takeTable(
  store: DatabaseSync,
  table: Table,
  options: BaselineOptions,
  counted: (rows: number) => void,
): Promise<void> {
  const name = fullName(table.name)
  if (store.prepare('SELECT 1 FROM baseline_tables WHERE name = ?').get(name) !== undefined) return
  if (table.key.length === 0) {
    throw new MigrateError(
      'table-without-key',
      `The rows of ${name} can't be told apart: it has no primary key and no unique key.`,
      {
        hint: `Give it a key, or declare it in the playbook: tables: { ${table.name.name}: copy-only } or skip.`,
      },
    )
  }
  const last = store.prepare('SELECT coalesce(max(ordinal), 0) AS ordinal FROM baseline_tables').get()
  const ordinal = Number(last?.ordinal ?? 0) + 1
  const reader = new RowReader(table, options.ignore?.(table))
  store.exec('BEGIN IMMEDIATE')
  try {
    const fingerprints = new FingerprintTable(store, fingerprintTable(ordinal))
    let rows = 0
    await options.database.read(1, async ([source]) => {
      for await (const batch of source.rows(table, options.signal ? { signal: options.signal } : {})) {
        options.signal?.throwIfAborted()
        for (const row of batch) fingerprints.add(reader.key(row), reader.hash(row))
        rows += batch.length
        counted(batch.length)
      }
    })
    fingerprints.end()
    store.prepare('INSERT INTO baseline_tables (name, ordinal, rows) VALUES (?, ?, ?)').run(name, ordinal, rows)
    store.exec('COMMIT')
  } catch (error) {
    // A full disk takes the transaction back by itself.
    if (store.isTransaction) store.exec('ROLLBACK')
    throw keepingError(error, options.directory)
  }
}

/** Tables that the baseline holds, with their rows; empty when there is none yet. */
export async function baselineTables(
  directory: string,
): Promise<ReadonlyMap<string, { readonly ordinal: number; readonly rows: number }>> {
  const path = baselinePath(directory)
  if (!(await exists(path))) return new Map()
  if (await exists(`${path}-journal`)) takeBackUnfinished(path)
  const store = new DatabaseSync(path, { readOnly: true })
  try {
    // The file alone is there when its maker was killed at once.
    if (store.prepare("SELECT 1 FROM sqlite_master WHERE name = 'baseline_tables'").get() === undefined) return new Map()
    const rows = store.prepare('SELECT name, ordinal, rows FROM baseline_tables').all()
    return new Map(rows.map((row) => [String(row.name), { ordinal: Number(row.ordinal), rows: Number(row.rows) }]))
  } finally {
    store.close()
  }
}

/**
 * A process that was killed while it wrote leaves its transaction's journal. SQLite takes the transaction back when the file is next
 * opened for writing, and refuses to read it otherwise ("Atomic Commit In SQLite", section 4: "Rollback").
 */
function takeBackUnfinished(path: string): void {
  const store = new DatabaseSync(path)
  try {
    store.prepare('SELECT count(*) FROM sqlite_master').get()
  } finally {
    store.close()
  }
}

const exists = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}
