import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type RowState, stateText } from './difference.ts'

export type SideName = 'source' | 'target'

/**
 * One host's rows that aren't as in the baseline, in the private SQLite file of a comparison: memory doesn't grow with them. `now` and
 * `base` are `stateText`; NULL where there is no row. `asked` marks rows that were looked up since the ledger names them: they are as
 * in the baseline. What finds no counterpart while a host is read is left here too, and joined at the end.
 */
export class SideStore {
  readonly #store: DatabaseSync
  readonly #name: SideName
  readonly #change: StatementSync
  readonly #leaveRow: StatementSync
  readonly #leaveBase: StatementSync
  /** Prepared when it is first wanted: it needs the other side's tables. */
  #nameKey: StatementSync | undefined
  /** Whether anything was left, and whether anything at all was written: for most tables neither, and asking takes longer than the rest. */
  #anyLeft = false
  #any = false

  /** Makes its tables in `store`; to be emptied before each further table that is compared. */
  constructor(store: DatabaseSync, name: SideName) {
    this.#store = store
    this.#name = name
    store.exec(`
      CREATE TABLE ${name}_side (
        digest TEXT PRIMARY KEY, key TEXT, now TEXT, base TEXT, leaf INTEGER, asked INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
      CREATE INDEX ${name}_gone ON ${name}_side (leaf) WHERE key IS NULL;
      CREATE TABLE ${name}_left_rows (digest TEXT PRIMARY KEY, key TEXT NOT NULL, now TEXT NOT NULL) WITHOUT ROWID;
      CREATE TABLE ${name}_left_base (digest TEXT PRIMARY KEY, base TEXT NOT NULL, leaf INTEGER NOT NULL) WITHOUT ROWID;
    `)
    this.#change = store.prepare(
      `INSERT INTO ${name}_side (digest, key, now, base, leaf, asked) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
    )
    // A reader without a snapshot may meet a row twice while it moves; the later reading counts.
    this.#leaveRow = store.prepare(
      `INSERT INTO ${name}_left_rows (digest, key, now) VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET now = excluded.now`,
    )
    this.#leaveBase = store.prepare(`INSERT OR REPLACE INTO ${name}_left_base (digest, base, leaf) VALUES (?, ?, ?)`)
  }

  changed(digest: string, key: string, now: RowState, base: RowState): void {
    this.#any = true
    this.#change.run(digest, key, stateText(now), stateText(base), null, 0)
  }

  /** A row that was looked up by its key: `null` where it isn't there. */
  asked(digest: string, key: string, now: RowState | null): void {
    this.#any = true
    this.#change.run(digest, key, now === null ? null : stateText(now), null, null, 1)
  }

  leaveRow(digest: string, key: string, now: RowState): void {
    this.#anyLeft = true
    this.#leaveRow.run(digest, key, stateText(now))
  }

  leaveBase(digest: string, base: RowState, leaf: number): void {
    this.#anyLeft = true
    this.#leaveBase.run(digest, stateText(base), leaf)
  }

  /** Joins what was left; returns how many rows turned out to be as in the baseline. */
  settle(): number {
    if (!this.#anyLeft) return 0
    this.#anyLeft = false
    this.#any = true
    const [rows, base] = [`${this.#name}_left_rows`, `${this.#name}_left_base`]
    const same = this.#store.prepare(
      `SELECT count(*) AS n FROM ${rows} AS r JOIN ${base} AS b ON b.digest = r.digest AND b.base = r.now`,
    )
    const matched = Number(same.get()?.n ?? 0)
    this.#store.exec(`
      INSERT INTO ${this.#name}_side (digest, key, now, base, leaf)
        SELECT r.digest, r.key, r.now, b.base, b.leaf FROM ${rows} AS r LEFT JOIN ${base} AS b ON b.digest = r.digest
         WHERE b.digest IS NULL OR b.base <> r.now
      ON CONFLICT (digest) DO NOTHING;
      INSERT INTO ${this.#name}_side (digest, key, now, base, leaf)
        SELECT b.digest, NULL, NULL, b.base, b.leaf FROM ${base} AS b
         WHERE NOT EXISTS (SELECT 1 FROM ${rows} AS r WHERE r.digest = b.digest)
      ON CONFLICT (digest) DO NOTHING;
      DELETE FROM ${rows};
      DELETE FROM ${base};
    `)
    return matched
  }

  /** Forgets everything, for the next table. */
  clear(): void {
    if (!this.#any && !this.#anyLeft) return
    this.#any = false
    this.#anyLeft = false
    for (const table of ['side', 'left_rows', 'left_base']) this.#store.exec(`DELETE FROM ${this.#name}_${table}`)
  }

  /** Leaves of the baseline with rows that are gone from this host and that nobody can name (`nameless`). */
  namelessLeaves(): readonly number[] {
    if (!this.#any) return []
    const leaves = this.#store.prepare(`SELECT DISTINCT leaf FROM ${this.#name}_side AS s WHERE ${this.#nameless} ORDER BY leaf`)
    return leaves.all().map((row) => Number(row.leaf))
  }

  /** How many such rows there are. */
  namelessCount(): number {
    if (!this.#any) return 0
    return Number(this.#store.prepare(`SELECT count(*) AS n FROM ${this.#name}_side AS s WHERE ${this.#nameless}`).get()?.n ?? 0)
  }

  get #nameless(): string {
    const other = this.#name === 'source' ? 'target' : 'source'
    return `key IS NULL AND NOT EXISTS (SELECT 1 FROM ${other}_side AS o WHERE o.digest = s.digest AND o.asked = 0)`
  }

  /** Names one of them; false where the key is none of theirs. */
  nameKey(digest: string, key: string): boolean {
    this.#nameKey ??= this.#store.prepare(`UPDATE ${this.#name}_side AS s SET key = ? WHERE digest = ? AND ${this.#nameless}`)
    return Number(this.#nameKey.run(key, digest).changes) > 0
  }
}
