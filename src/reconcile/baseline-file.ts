import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { z } from 'zod'
import { codeOf } from '../base/errors.ts'
import type { KeyCells, Printing } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { type BaseRow, type PackedLeaf, unpackLeaf } from './baseline-leaf.ts'
import { keyCells } from './fingerprint.ts'

/** Where a run keeps its baseline: fingerprints of the rows as restored, before the new host's first write. */
export const baselinePath = (directory: string): string => join(directory, 'baseline.sqlite')

/** The blobs come last in a leaf's record, so that its key and sum are read without them. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS baseline_tables (
    ordinal INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, method TEXT NOT NULL, printing TEXT NOT NULL,
    rows INTEGER NOT NULL, sum TEXT NOT NULL, complete INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS leaves (
    id INTEGER PRIMARY KEY, last TEXT NOT NULL, rows INTEGER NOT NULL, sum TEXT NOT NULL, prints BLOB NOT NULL, apart TEXT
  );
`

/** A leaf's id is its table's ordinal and its own number. */
const LEAVES_A_TABLE = 2 ** 32

const printingSchema = z.object({ columns: z.array(z.string()), apart: z.array(z.string()) })

/** A table in the baseline. */
export interface BaselineTable {
  readonly ordinal: number
  /** How its rows were fingerprinted. */
  readonly method: string
  readonly printing: Printing
  readonly rows: number
  /** Sum of all its fingerprints, modulo 2^64. */
  readonly sum: bigint
}

/** A leaf without its rows. */
export interface LeafBound {
  readonly leaf: number
  readonly last: KeyCells
  readonly rows: number
  readonly sum: bigint
}

const tableOf = (row: Readonly<Record<string, unknown>>): BaselineTable => ({
  ordinal: Number(row.ordinal),
  method: String(row.method),
  printing: printingSchema.parse(JSON.parse(String(row.printing))),
  rows: Number(row.rows),
  sum: BigInt(String(row.sum)),
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

/** The run's baseline, opened for reading; `undefined` when there is none. To be closed. */
export async function openBaseline(directory: string): Promise<BaselineFile | undefined> {
  const path = baselinePath(directory)
  if (!(await exists(path))) return undefined
  if (await exists(`${path}-journal`)) takeBackUnfinished(path)
  const store = new DatabaseSync(path, { readOnly: true })
  // The file alone is there when its maker was killed at once.
  if (store.prepare("SELECT 1 FROM sqlite_master WHERE name = 'leaves'").get() !== undefined) return new BaselineFile(store)
  store.close()
  return undefined
}

/** Reads a baseline. */
export class BaselineFile {
  readonly #store: DatabaseSync

  constructor(store: DatabaseSync) {
    this.#store = store
  }

  tables(): ReadonlyMap<string, BaselineTable> {
    const rows = this.#store.prepare('SELECT * FROM baseline_tables WHERE complete = 1 ORDER BY ordinal').all()
    return new Map(rows.map((row) => [String(row.name), tableOf(row)]))
  }

  table(table: Table): BaselineTable | undefined {
    const row = this.#store.prepare('SELECT * FROM baseline_tables WHERE complete = 1 AND name = ?').get(fullName(table.name))
    return row === undefined ? undefined : tableOf(row)
  }

  /** All leaves of a table in order, without their rows. */
  bounds({ ordinal }: BaselineTable): readonly LeafBound[] {
    return this.#store
      .prepare('SELECT id, last, rows, sum FROM leaves WHERE id >= ? AND id < ? ORDER BY id')
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
    const row = this.#store.prepare('SELECT rows, prints, apart FROM leaves WHERE id = ?').get(ordinal * LEAVES_A_TABLE + leaf)
    if (row === undefined || !(row.prints instanceof Uint8Array)) throw new TypeError(`the baseline has no leaf ${leaf}`)
    return unpackLeaf({ rows: Number(row.rows), prints: row.prints, apart: row.apart === null ? null : String(row.apart) })
  }

  close(): void {
    this.#store.close()
  }
}

/** Writes a baseline, table after table, leaf after leaf. */
export class BaselineWriter {
  readonly #store: DatabaseSync
  readonly #insert: StatementSync

  constructor(path: string) {
    this.#store = new DatabaseSync(path)
    this.#store.exec('PRAGMA synchronous = FULL')
    this.#store.exec(SCHEMA)
    this.#insert = this.#store.prepare('INSERT INTO leaves (id, last, rows, sum, prints, apart) VALUES (?, ?, ?, ?, ?, ?)')
  }

  /** The table as far as it is kept; begun when it isn't yet. */
  begin(name: string, method: string, printing: Printing): BaselineTable & { readonly complete: boolean } {
    const find = this.#store.prepare('SELECT * FROM baseline_tables WHERE name = ?')
    if (find.get(name) === undefined) {
      this.#store
        .prepare(
          `INSERT INTO baseline_tables (ordinal, name, method, printing, rows, sum, complete)
           SELECT coalesce(max(ordinal), 0) + 1, ?, ?, ?, 0, '0', 0 FROM baseline_tables`,
        )
        .run(name, method, JSON.stringify(printing))
    }
    const row = find.get(name) ?? {}
    return { ...tableOf(row), complete: row.complete === 1 }
  }

  /** How far a table is kept. */
  progress({ ordinal }: BaselineTable): { readonly leaves: number; readonly last: KeyCells | undefined } {
    const row = this.#store
      .prepare('SELECT id, last FROM leaves WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1')
      .get(ordinal * LEAVES_A_TABLE, (ordinal + 1) * LEAVES_A_TABLE)
    if (row === undefined) return { leaves: 0, last: undefined }
    return { leaves: (Number(row.id) % LEAVES_A_TABLE) + 1, last: row.last === '' ? undefined : keyCells(String(row.last)) }
  }

  /** Forgets what is kept of a table. */
  forget({ ordinal }: BaselineTable): void {
    this.#together(() => {
      this.#store
        .prepare('DELETE FROM leaves WHERE id >= ? AND id < ?')
        .run(ordinal * LEAVES_A_TABLE, (ordinal + 1) * LEAVES_A_TABLE)
      this.#store.prepare('DELETE FROM baseline_tables WHERE ordinal = ?').run(ordinal)
    })
  }

  /** Keeps further leaves of a table, and how far it is with them: all or none. */
  add({ ordinal }: BaselineTable, first: number, leaves: readonly PackedLeaf[], rows: number, sum: bigint): void {
    this.#together(() => {
      leaves.forEach((leaf, at) => {
        const id = ordinal * LEAVES_A_TABLE + first + at
        this.#insert.run(id, leaf.last, leaf.rows, String(leaf.sum), leaf.prints, leaf.apart)
      })
      this.#store.prepare('UPDATE baseline_tables SET rows = ?, sum = ? WHERE ordinal = ?').run(rows, String(sum), ordinal)
    })
  }

  complete({ ordinal }: BaselineTable): void {
    this.#store.prepare('UPDATE baseline_tables SET complete = 1 WHERE ordinal = ?').run(ordinal)
  }

  #together(work: () => void): void {
    this.#store.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#store.exec('COMMIT')
    } catch (error) {
      // A full disk takes the transaction back by itself.
      if (this.#store.isTransaction) this.#store.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.#store.close()
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
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
