import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Rows of one INSERT: a call into SQLite costs about as much as a row. */
const ROWS_AT_ONCE = 50

/** A SQLite table of keys and fingerprints, filled many rows at a time. Everything is in it only after `end`. */
export class FingerprintTable {
  readonly #store: DatabaseSync
  readonly #name: string
  readonly #many: StatementSync
  #waiting: string[] = []

  /** Makes the table; `name` is one of our own. */
  constructor(store: DatabaseSync, name: string) {
    this.#store = store
    this.#name = name
    store.exec(`CREATE TABLE ${name} (key TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID`)
    this.#many = this.#insert(ROWS_AT_ONCE)
  }

  add(key: string, hash: string): void {
    this.#waiting.push(key, hash)
    if (this.#waiting.length < 2 * ROWS_AT_ONCE) return
    this.#many.run(...this.#waiting)
    this.#waiting = []
  }

  end(): void {
    const rows = this.#waiting.length / 2
    if (rows > 0) this.#insert(rows).run(...this.#waiting)
    this.#waiting = []
  }

  #insert(rows: number): StatementSync {
    const values = Array(rows).fill('(?, ?)').join(', ')
    // A reader without a snapshot may meet a row twice while it moves; the later reading counts.
    return this.#store.prepare(
      `INSERT INTO ${this.#name} (key, hash) VALUES ${values} ON CONFLICT (key) DO UPDATE SET hash = excluded.hash`,
    )
  }
}
