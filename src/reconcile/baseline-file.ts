import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { Sqlite } from '../base/sqlite.ts'
import type { KeyCells, Printing } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { type BaseRow, unpackLeaf } from './baseline-leaf.ts'
import { keyCells } from './fingerprint.ts'

/** Where a run keeps its baseline: fingerprints of the rows as restored, before the new host's first write. */
export const baselinePath = (directory: string): string => join(directory, 'baseline.sqlite')

/** The blobs come last in a leaf's record, so that its key and sum are read without them. */
export const BASELINE_SCHEMA = `
  CREATE TABLE IF NOT EXISTS baseline_tables (
    ordinal INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, method TEXT NOT NULL, printing TEXT NOT NULL, key_order TEXT,
    rows INTEGER NOT NULL, sum TEXT NOT NULL, complete INTEGER NOT NULL,
    begun_rows INTEGER, begun_sum TEXT, written INTEGER
  );
  CREATE TABLE IF NOT EXISTS leaves (
    id INTEGER PRIMARY KEY, last TEXT NOT NULL, rows INTEGER NOT NULL, sum TEXT NOT NULL, prints BLOB NOT NULL, apart TEXT
  );
`

/** A leaf's id is its table's ordinal and its own number. */
export const LEAVES_A_TABLE = 2 ** 32

const printingSchema = z.object({ columns: z.array(z.string()), apart: z.array(z.string()) })

/** A table in the baseline. */
export interface BaselineTable {
  readonly ordinal: number
  /** How its rows were fingerprinted. */
  readonly method: string
  readonly printing: Printing
  /** `keyOrder` of the new host: how its leaves are sorted. */
  readonly keyOrder: string | undefined
  readonly rows: number
  /** Sum of all its fingerprints, modulo 2^64. */
  readonly sum: bigint
  /** Whether the new host was written to before the baseline was complete; `undefined` as long as nobody has asked. */
  readonly written: boolean | undefined
}

/** A leaf without its rows. */
export interface LeafBound {
  readonly leaf: number
  readonly last: KeyCells
  readonly rows: number
  readonly sum: bigint
}

export const tableOf = (row: Readonly<Record<string, unknown>>): BaselineTable => ({
  ordinal: Number(row.ordinal),
  method: String(row.method),
  printing: printingSchema.parse(JSON.parse(String(row.printing))),
  keyOrder: typeof row.key_order === 'string' ? row.key_order : undefined,
  rows: Number(row.rows),
  sum: BigInt(String(row.sum)),
  written: row.written === null ? undefined : row.written === 1,
})

/** Tables that the baseline holds whole, by name; empty when there is none yet. */
export async function baselineTables(directory: string): Promise<ReadonlyMap<string, BaselineTable>> {
  const file = await openBaseline(directory)
  if (file === undefined) return new Map()
  try {
    return file.tables()
  } finally {
    file.close()
  }
}

/** True when the run's baseline is there with every table that was begun. */
export async function hasWholeBaseline(directory: string): Promise<boolean> {
  const file = await openBaseline(directory)
  if (file === undefined) return false
  try {
    return file.isWhole
  } finally {
    file.close()
  }
}

/** The run's baseline, opened for reading; `undefined` when there is none. To be closed. */
export async function openBaseline(directory: string): Promise<BaselineFile | undefined> {
  const path = baselinePath(directory)
  if (!existsSync(path)) return undefined
  if (existsSync(`${path}-journal`)) takeBackUnfinished(path)
  const store = new DatabaseSync(path, { readOnly: true })
  // The file alone is there when its maker was killed at once.
  if (store.prepare("SELECT 1 FROM sqlite_master WHERE name = 'leaves'").get() !== undefined) return new BaselineFile(store)
  store.close()
  return undefined
}

/** Reads a baseline. */
export class BaselineFile {
  readonly #store: Sqlite

  constructor(store: DatabaseSync) {
    this.#store = new Sqlite(store)
  }

  tables(): ReadonlyMap<string, BaselineTable> {
    const rows = this.#store.prepared('SELECT * FROM baseline_tables WHERE complete = 1 ORDER BY ordinal').all()
    return new Map(rows.map((row) => [String(row.name), tableOf(row)]))
  }

  /**
   * False where its making was cut off: of a table that it doesn't hold yet, every row would seem to have been born on both hosts, and one
   * that the old host has changed since would be taken for two.
   */
  get isWhole(): boolean {
    const row = this.#store.prepared('SELECT count(*) AS n, coalesce(min(complete), 0) AS whole FROM baseline_tables').get()
    return Number(row?.n ?? 0) > 0 && row?.whole === 1
  }

  table(table: Table): BaselineTable | undefined {
    const row = this.#store.prepared('SELECT * FROM baseline_tables WHERE complete = 1 AND name = ?').get(fullName(table.name))
    return row === undefined ? undefined : tableOf(row)
  }

  /** All leaves of a table in order, without their rows. */
  bounds({ ordinal }: BaselineTable): readonly LeafBound[] {
    return this.#store
      .prepared('SELECT id, last, rows, sum FROM leaves WHERE id >= ? AND id < ? ORDER BY id')
      .all(ordinal * LEAVES_A_TABLE, (ordinal + 1) * LEAVES_A_TABLE)
      .map((row) => ({
        leaf: Number(row.id) % LEAVES_A_TABLE,
        last: row.last === '' ? [] : keyCells(String(row.last)),
        rows: Number(row.rows),
        sum: BigInt(String(row.sum)),
      }))
  }

  /** The rows of one leaf. */
  leaf({ ordinal }: BaselineTable, leaf: number): readonly BaseRow[] {
    const row = this.#store.prepared('SELECT rows, prints, apart FROM leaves WHERE id = ?').get(ordinal * LEAVES_A_TABLE + leaf)
    if (row === undefined || !(row.prints instanceof Uint8Array)) throw new TypeError(`the baseline has no leaf ${leaf}`)
    return unpackLeaf({ rows: Number(row.rows), prints: row.prints, apart: row.apart === null ? null : String(row.apart) })
  }

  close(): void {
    this.#store.database.close()
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
