import type { ForeignKey, Table, TableName } from './schema.ts'

/**
 * One column's value as text that the same engine reads back without loss; `null` is SQL NULL.
 * The adapter chooses the text (style, time zone, hexadecimal for bytes) and uses the same on both hosts, so two cells hold the
 * same value exactly when their texts are equal. No value passes through a JavaScript number or Date that could lose any of it (law 7).
 */
export type Cell = string | null

/** Cells in the order of `readableColumns(table)`, unless said otherwise. */
export type Row = readonly Cell[]

/** Cells of the table's key columns, in the key's order. */
export type KeyCells = readonly Cell[]

export const ledgerActions = ['inserted', 'updated', 'deleted', 'merged', 'remapped', 'skipped'] as const
export type LedgerAction = (typeof ledgerActions)[number]

export const isLedgerAction = (text: string | null | undefined): text is LedgerAction =>
  ledgerActions.some((action) => action === text)

export interface LedgerEntry {
  readonly run: string
  readonly table: string
  /** JSON array of the key's cells on the source, and on the target. */
  readonly sourceKey: string
  readonly targetKey: string
  readonly action: LedgerAction
  /** How the row stood on each host when it was carried, as reconcile spells it (opaque here); '' where there was none. */
  readonly sourceState: string
  readonly targetState: string
  /** ISO 8601, by migrate's own clock. */
  readonly at: string
}

/**
 * 64 bits of a hash over a row's cells: 16 hexadecimal digits in lower case. Two rows of equal cells have equal ones wherever
 * `Database.fingerprintMethod` is the same; two different rows share one with a chance of 2^-64.
 */
export type Fingerprint = string

/** What of each row of a table is fingerprinted, by the names of its columns; the server's own (computed, rowversion) never. */
export interface Printing {
  /** All that is compared: the readable columns but those that the playbook leaves out. */
  readonly columns: readonly string[]
  /** Those among them whose cells come beside the fingerprint, since the playbook gives them a rule of their own. */
  readonly apart: readonly string[]
}

/** A row's fingerprint instead of the row. */
export interface PrintedRow {
  /** Cells of the key; [] where the table has none. */
  readonly key: KeyCells
  /** Of all `columns`. */
  readonly print: Fingerprint
  /** Of the `columns` that aren't apart; the same as `print` when none is apart. */
  readonly rest: Fingerprint
  /** Cells of the columns apart, in their order. */
  readonly apart: Row
}

export interface WholePrintedRow extends PrintedRow {
  readonly row: Row
}

/** Fingerprints of some rows that follow one another, without what can be told from them. */
export interface PackedPrints {
  readonly rows: number
  /**
   * Of each row its key and the 8 bytes of `print`. The key, where it is nothing but whole numbers, as 8 bytes each (signed, big-endian);
   * of any other the first 12 bytes of SHA-256 over a JSON array of its cells; nothing in a table without one.
   */
  readonly prints: Buffer
  /** The last row's key. */
  readonly last: KeyCells
}

/** Checksum over the rows between two keys: it doesn't depend on their order. */
export interface RangeSum {
  readonly rows: number
  /** Sum of the fingerprints (`print`) as unsigned numbers, modulo 2^64. */
  readonly sum: bigint
}

/** How long a row may be at most on a server, as the text of a statement, bytes; `null` without a limit. */
export interface RowLimits {
  /** One that is loaded. */
  readonly load: number | null
  /** One that is carried. */
  readonly write: number | null
}

/** Row changes of one transaction on the target. */
export interface Transaction {
  /** Rows with these keys, locked until the transaction ends. Absent keys are absent from the result. Order not defined. */
  lock(table: Table, keys: readonly KeyCells[]): Promise<readonly Row[]>
  /** Identity values are kept. A row whose key exists already is an error, never replaced. */
  insert(table: Table, rows: readonly Row[]): Promise<void>
  /** Sets every writable column but the key and identity of the row with this key. Throws when it isn't there. */
  update(table: Table, row: Row): Promise<void>
  delete(table: Table, keys: readonly KeyCells[]): Promise<void>
  /**
   * Which of these parents (cells of `foreignKey.parentColumns`) still have a child row on this host: deleting one would fail,
   * or cascade into rows that nobody decided about. Children that this transaction deleted don't count.
   */
  referenced(foreignKey: ForeignKey, parents: readonly Row[]): Promise<readonly Row[]>
  ledger(entries: readonly LedgerEntry[]): Promise<void>
  /**
   * What the ledger says of a run's rows with these keys on the source, newest last: as it stands now, and not as it stood when this
   * transaction began. Where the engine can, whoever asks the same meanwhile, in another transaction, can't end before this one has: what
   * isn't there yet has no row to be locked. At most 1,000 keys.
   */
  carried(run: string, table: string, sourceKeys: readonly string[]): Promise<readonly LedgerEntry[]>
  /** `lock`, each row with its fingerprint as it stands. Optional power: with `fingerprintMethod`. */
  lockPrinted?(table: Table, printing: Printing, keys: readonly KeyCells[]): Promise<readonly WholePrintedRow[]>
  /**
   * Rows, locked, of which `columns` equal one of `values` by the server's own rules (collation, trailing spaces); a NULL equals
   * nothing. At most 1,000 values.
   */
  find(table: Table, columns: readonly string[], values: readonly Row[]): Promise<readonly Row[]>
  /** Inserts one row whose identity `column` the server numbers (the row's own cell there is left out); returns the number. */
  insertNumbered(table: Table, row: Row, column: string): Promise<string>
  /** Deletes at most `count` of the rows that equal `row` in every readable column; returns how many. For tables without a key. */
  removeCopies(table: Table, row: Row, count: number): Promise<number>
  /**
   * How many rows have these fingerprints, as this transaction sees them; absent ones are absent. At most 1,000; reads the whole table.
   * Nothing is locked. Optional power: with `printedByPrint`, for tables without a key.
   */
  countPrints?(table: Table, printing: Printing, prints: readonly Fingerprint[]): Promise<ReadonlyMap<Fingerprint, number>>
  /** The fingerprint of the rows that equal `row` in every readable column; `undefined` when there is none. Optional power: the same. */
  printOf?(table: Table, printing: Printing, row: Row): Promise<Fingerprint | undefined>
  /** Generated columns are never written; foreign keys stay enforced; triggers of `tables` are off until the transaction ends. */
}

/** A foreign key's rows without a parent, removed after a fuzzy snapshot (design.md, "Data"). */
export interface OrphanRule {
  readonly child: TableName
  readonly columns: readonly string[]
  readonly parent: TableName
  readonly parentColumns: readonly string[]
}
