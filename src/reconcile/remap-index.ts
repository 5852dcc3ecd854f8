import type { StatementSync } from 'node:sqlite'
import { openPrivate } from '../base/sqlite.ts'
import { isLedgerAction, type LedgerAction, type LedgerEntry } from '../databases/port.ts'
import { keyCells } from './fingerprint.ts'

/** What the ledgers last say of one row, seen from the direction in which rows are carried. */
export interface CarriedRow {
  readonly sourceKey: string
  readonly targetKey: string
  readonly action: LedgerAction
  readonly sourceState: string
  readonly targetState: string
  readonly at: string
}

/**
 * How a row that was born on the source stands while a pass is under way: its turn comes; it was set aside for a person; or it was left
 * for the next pass. What refers to it must wait with it.
 */
export type Waiting = 'coming' | 'parked' | 'later'

/** The target's key of a row that has nothing there and never will: as many NULLs as the key has columns. No row has it. */
export const nowhere = (columns: number): string => JSON.stringify(Array(columns).fill(null))

export const isNowhere = (key: string): boolean => keyCells(key).every((cell) => cell === null)

const PAGE_ROWS = 1000

const SCHEMA = `
  CREATE TABLE carried (
    table_name TEXT NOT NULL, source_key TEXT NOT NULL, target_key TEXT NOT NULL, action TEXT NOT NULL,
    source_state TEXT NOT NULL, target_state TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (table_name, source_key)
  ) WITHOUT ROWID;
  CREATE INDEX carried_target ON carried (table_name, target_key);
  CREATE TABLE waiting (table_name TEXT NOT NULL, key TEXT NOT NULL, how TEXT NOT NULL, PRIMARY KEY (table_name, key)) WITHOUT ROWID;
  CREATE TABLE unsettled (table_name TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (table_name, key)) WITHOUT ROWID;
`

/**
 * What the ledgers of both hosts say, and what of this pass isn't done yet, by row. Kept in a private SQLite file that is gone with the
 * process: memory doesn't grow with the number of rows.
 */
export class CarriedIndex {
  readonly #store = openPrivate(16_384)
  readonly #put: StatementSync
  readonly #bySource: StatementSync
  readonly #byTarget: StatementSync
  readonly #wait: StatementSync
  readonly #waiting: StatementSync
  readonly #arrive: StatementSync
  readonly #unsettle: StatementSync
  readonly #unsettled: StatementSync
  readonly #settle: StatementSync
  readonly #loaded = new Set<string>()
  /** Tables that a ledger names: most aren't named, and asking takes longer than not. */
  readonly #named = new Set<string>()

  constructor() {
    this.#store.exec(SCHEMA)
    this.#put = this.#store.prepare(`
      INSERT INTO carried VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (table_name, source_key) DO UPDATE SET
        target_key = excluded.target_key, action = excluded.action, source_state = excluded.source_state,
        target_state = excluded.target_state, at = excluded.at
      WHERE excluded.at >= at`)
    this.#bySource = this.#store.prepare('SELECT * FROM carried WHERE table_name = ? AND source_key = ?')
    // Left to itself, SQLite goes through the whole table by its key: carrying many rows would take the square of their number.
    this.#byTarget = this.#store.prepare(
      'SELECT * FROM carried INDEXED BY carried_target WHERE table_name = ? AND target_key = ?',
    )
    this.#wait = this.#store.prepare('INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)')
    this.#waiting = this.#store.prepare('SELECT how FROM waiting WHERE table_name = ? AND key = ?')
    this.#arrive = this.#store.prepare('DELETE FROM waiting WHERE table_name = ? AND key = ?')
    this.#unsettle = this.#store.prepare('INSERT OR REPLACE INTO unsettled VALUES (?, ?)')
    this.#unsettled = this.#store.prepare('SELECT 1 FROM unsettled WHERE table_name = ? AND key = ?')
    this.#settle = this.#store.prepare('DELETE FROM unsettled WHERE table_name = ? AND key = ?')
  }

  isLoaded(table: string): boolean {
    return this.#loaded.has(table)
  }

  /** Takes over all that the ledgers say of a table, oldest first. */
  async load(table: string, pages: AsyncIterable<readonly LedgerEntry[]>): Promise<void> {
    if (this.#named.delete(table)) this.#store.prepare('DELETE FROM carried WHERE table_name = ?').run(table)
    for await (const entries of pages) for (const entry of entries) this.add({ ...entry, table })
    this.#loaded.add(table)
  }

  /** The ledger of a table is to be read again before it is next asked for. */
  forget(table: string): void {
    this.#loaded.delete(table)
  }

  add({ table, sourceKey, targetKey, action, sourceState, targetState, at }: LedgerEntry): void {
    this.#named.add(table)
    this.#put.run(table, sourceKey, targetKey, action, sourceState, targetState, at)
  }

  /** What is last known of a row of the source. */
  of(table: string, sourceKey: string): CarriedRow | undefined {
    const row = this.#bySource.get(table, sourceKey)
    return row === undefined ? undefined : carriedRow(row)
  }

  /** The rows of the source that a row of the target stands for. */
  standingFor(table: string, targetKey: string): readonly CarriedRow[] {
    return this.#byTarget.all(table, targetKey).map(carriedRow)
  }

  /** What the ledgers last say of each row of a table, some at a time: nothing of it may change meanwhile. */
  *pages(table: string): Generator<readonly CarriedRow[]> {
    let page: CarriedRow[] = []
    for (const row of this.all(table)) {
      page.push(row)
      if (page.length < PAGE_ROWS) continue
      yield page
      page = []
    }
    if (page.length > 0) yield page
  }

  /** Every row of a table that a ledger names. */
  *all(table: string): Generator<CarriedRow> {
    if (!this.#named.has(table)) return
    for (const row of this.#store.prepare('SELECT * FROM carried WHERE table_name = ?').iterate(table)) yield carriedRow(row)
  }

  /** Rows whose deletion was carried, and that weren't born anew since. */
  deletions(table: string): number {
    if (!this.#named.has(table)) return 0
    const row = this.#store.prepare("SELECT count(*) AS n FROM carried WHERE table_name = ? AND action = 'deleted'").get(table)
    return Number(row?.n ?? 0)
  }

  setWaiting(table: string, key: string, how: Waiting): void {
    this.#wait.run(table, key, how)
  }

  waiting(table: string, key: string): Waiting | undefined {
    const how = this.#waiting.get(table, key)?.how
    return how === 'coming' || how === 'parked' || how === 'later' ? how : undefined
  }

  arrived(table: string, key: string): void {
    this.#arrive.run(table, key)
  }

  /** A row of the target of which it isn't decided yet what it will be: nothing is merged into it. */
  setUnsettled(table: string, targetKey: string): void {
    this.#unsettle.run(table, targetKey)
  }

  isUnsettled(table: string, targetKey: string): boolean {
    return this.#unsettled.get(table, targetKey) !== undefined
  }

  settled(table: string, targetKey: string): void {
    this.#settle.run(table, targetKey)
  }

  /** Forgets what wasn't done: a new plan says it anew. */
  startAnew(): void {
    this.#store.exec('DELETE FROM waiting; DELETE FROM unsettled')
  }
}

function carriedRow(row: Readonly<Record<string, unknown>>): CarriedRow {
  const action = String(row.action)
  if (!isLedgerAction(action)) throw new TypeError(`${action} is no action of the ledger`)
  return {
    sourceKey: String(row.source_key),
    targetKey: String(row.target_key),
    action,
    sourceState: String(row.source_state),
    targetState: String(row.target_state),
    at: String(row.at),
  }
}
