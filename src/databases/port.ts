import type { Finding } from '../base/errors.ts'
import type { ClosingPower } from './closing-port.ts'
import type { NativePower } from './native-port.ts'
import type { PresencePower } from './presence-port.ts'
import type {
  Fingerprint,
  KeyCells,
  LedgerEntry,
  OrphanRule,
  PackedPrints,
  PrintedRow,
  Printing,
  RangeSum,
  Row,
  RowLimits,
  Transaction,
  WholePrintedRow,
} from './row-port.ts'
import type { Identity, IdentityState, Layout, Schema, Table, TableName } from './schema.ts'
import type { ScratchPower } from './scratch-port.ts'
import type { MarkedStatement, Statement } from './statement.ts'

export * from './row-port.ts'
export * from './statement.ts'

export interface ServerInfo {
  /** `mssql`, `postgres`, …: compared between the hosts and printed, never switched on. */
  readonly engine: string
  /** As the server names itself: "PostgreSQL 15.18", "Microsoft SQL Server 2019 …". */
  readonly product: string
  /** Comparable release, e.g. [15, 18]. */
  readonly version: readonly number[]
  readonly database: string
  readonly user: string
  readonly collation: string
  /** Tells two databases of one name apart, so that a run is bound to its endpoints (law 3). Stable over restarts. */
  readonly fingerprint: string
  /** Whole database, bytes; `null` when the account may not know. */
  readonly sizeBytes: number | null
  /** What else the engine itself compares between two servers (`Database.consequences`): encoding, version of a collation. */
  readonly facts?: Readonly<Record<string, string>>
}

export interface TableSize {
  readonly table: TableName
  /** An estimate from the catalog where there is one. */
  readonly rows: number
  readonly bytes: number
}

export interface ReadOptions {
  /** Only rows whose key comes after this one, in the server's own order. The table must have a key. */
  readonly after?: KeyCells
  /** Only rows whose key comes no later than this one. A reader with `boundary` must honour it. */
  readonly upTo?: KeyCells
  /** At most so many rows. */
  readonly limit?: number
  /**
   * Milliseconds without any row after which the query is cancelled and `database-too-slow` (retrySafe) thrown; the reader can go
   * on with another query. Optional power: a reader may ignore it.
   */
  readonly quietMs?: number
  readonly signal?: AbortSignal
}

/** Rows after one key, up to another; an end that isn't given is open. */
export type KeyRange = Pick<ReadOptions, 'after' | 'upTo'>

/** Whole rows as the engine's own bulk text (COPY, LOAD DATA), passed from host to host without being taken apart. */
export interface Block {
  /** Rows that begin in it. */
  readonly rows: number
  readonly bytes: Buffer
  /** Only of a row that is too large for one block: true when it goes on in the next block, false for the last of it. */
  readonly continues?: boolean | undefined
}

/** Blocks for one table, and the mark under which they are loaded. */
export interface BlockLoad {
  readonly table: Table
  readonly blocks: AsyncIterable<Buffer>
  readonly mark: { readonly run: string; readonly name: string }
}

/** Rows read by one connection at one point in time where the engine allows it. */
export interface Reader {
  /** True when all tables read through this reader are of one instant. */
  readonly consistent: boolean
  /**
   * Batches of rows (at most a few thousand each, bounded bytes), in key order when the table has a key. Back-pressure: nothing
   * is read ahead beyond a bounded buffer. Ending the iteration early releases the connection.
   * Throws MigrateError `database-connection-lost` (retrySafe) when the connection breaks.
   */
  rows(table: Table, options?: ReadOptions): AsyncIterable<readonly Row[]>
  /**
   * The same rows as `rows`, in no set order, as blocks in the database's `blockFormat`; the values are the same to the byte.
   * Bounded memory, back-pressure and errors as for `rows`. Optional power: together with `Database.loadBlocks`.
   */
  blocks?(table: Table, options?: ReadOptions): AsyncIterable<Block>
  /**
   * The key of the row that is the `rows`th one after the key `after` (after none: from the first), in the server's own order of
   * keys; `undefined` when fewer are left. Asked of an index where there is one, not of the rows. The table must have a key.
   * Optional power: without it, a table is read by one reader from end to end.
   */
  boundary?(table: Table, rows: number, after?: KeyCells, signal?: AbortSignal): Promise<KeyCells | undefined>
  /** The checksum of the rows between two keys, computed by the server; all rows without them. Optional power: with `fingerprintMethod`. */
  sum?(table: Table, printing: Printing, range?: Pick<ReadOptions, 'after' | 'upTo' | 'signal'>): Promise<RangeSum>
  /**
   * `sum` of several ranges, none of which overlaps another, asked for together: one for each, in their order. At most 1,000. Optional
   * power: with `fingerprintMethod`; without it, ranges are asked for one by one.
   */
  sums?(table: Table, printing: Printing, ranges: readonly KeyRange[], signal?: AbortSignal): Promise<readonly RangeSum[]>
  /**
   * How many rows each of these tables has (64 at most), and a checksum over what the server itself notes of each row's last write: another
   * one after any row was inserted, changed or deleted, the same as long as none was. Takes a fraction of what `sum` takes. Optional power.
   */
  stamps?(tables: readonly Table[], signal?: AbortSignal): Promise<readonly RangeSum[]>
  /** Weaker checksums of tables' content, in a fraction of `sum`'s time, for this server alone; it may have none. Optional power: for want of `stamps`. */
  glances?(tables: readonly Table[], signal?: AbortSignal): Promise<readonly (bigint | undefined)[]>
  /** How many rows a table has, counted by the server, which sends none of them: exact while nobody writes there. Optional power. */
  count?(table: Table, signal?: AbortSignal): Promise<number>
  /** As `rows`, but fingerprints computed by the server. Optional power: with `fingerprintMethod`. */
  prints?(table: Table, printing: Printing, options?: ReadOptions): AsyncIterable<readonly PrintedRow[]>
  /** `prints` where no column is apart, packed, `rows` at a time but for the last; `undefined` of a table that isn't worth it. Optional power. */
  packedPrints?(table: Table, printing: Printing, rows: number, options?: ReadOptions): AsyncIterable<PackedPrints> | undefined
  /**
   * `prints` of the rows in several ranges, none of which overlaps another, asked for together; in no set order. At most 1,000 ranges.
   * Optional power: with `fingerprintMethod`; without it, ranges are asked for one by one.
   */
  printsWithin?(
    table: Table,
    printing: Printing,
    ranges: readonly KeyRange[],
    signal?: AbortSignal,
  ): AsyncIterable<readonly PrintedRow[]>
  /** Looks at what is to be read, for all readers, as soon as their snapshot stands. Optional power: together with `settle`. */
  note?(tables: readonly Table[]): Promise<void>
  /** Proves that what was read since `note`, or the last time, was of the snapshot, and lets go of it; throws `table-rewritten` (retrySafe) else. */
  settle?(): Promise<void>
}

/** `read`: a snapshot and comparisons; `write`: all that is done to a new host; `identities`: moving identities, nothing else. */
export type RightsPurpose = 'read' | 'write' | 'identities'

/**
 * A database on one host. The contract, kept by every adapter and fake, is tested by test/contract/database.ts.
 *
 * Errors are MigrateErrors: `database-unreachable`, `database-login-failed`, `database-missing`, `database-permission-denied`,
 * `database-connection-lost` (retrySafe where nothing was written), `database-disk-full`, `database-timeout` (a question that
 * took longer than the playbook gives it), `database-statement-failed` (message with the server's own words and the statement's
 * first line).
 *
 * Every call ends within two seconds of the stop that its step works under (base/stop.ts), with the stop's reason: what it was
 * writing is rolled back, also when the server doesn't answer.
 */
export interface Database {
  /** For messages: "old database shop on old.example.com". Never holds a password. */
  readonly label: string
  info(): Promise<ServerInfo>
  /** More of `ServerInfo.facts`, which only `consequences` looks at and which takes a question of its own. Optional power. */
  furtherFacts?(): Promise<Readonly<Record<string, string>>>
  /** The whole schema, without migrate's own tables (`migrate_marks`, `migrate_ledger`). */
  schema(): Promise<Schema>
  /** Its layout alone, the tables in no set order, where that takes the server less than all of it. Optional power. */
  layout?(): Promise<Layout>
  /** Its tables alone, where that takes the server less. Optional power. */
  tables?(): Promise<readonly Table[]>
  sizes(): Promise<readonly TableSize[]>
  /** What this account may not do that `purpose` needs, each finding with the GRANT statement to run. Read-only. */
  missingRights(purpose: RightsPurpose): Promise<readonly Finding[]>

  /**
   * Runs `work` with up to `connections` readers that share one snapshot where the engine and account allow it
   * (`consistent`), otherwise plain readers. Holds no locks that a writer would wait for. `work` may not ask this database anything
   * but through the readers: with a single connection, it would wait for itself.
   */
  read<T>(connections: number, work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>): Promise<T>
  /** Rows with these keys, in no set order; absent keys are absent. At most 1,000 keys. */
  rowsByKey(table: Table, keys: readonly KeyCells[]): Promise<readonly Row[]>
  /**
   * Names how this server fingerprints the rows of `table` ("postgres-md5-1"): fingerprints of two hosts, or of two moments, are
   * compared only where it is the same. `undefined` where it can't (rows longer than its hash function takes); they are then
   * computed here, from the rows. Optional power: together with all that is named for it.
   */
  fingerprintMethod?(table: Table): Promise<string | undefined>
  /** `rowsByKey`, each row with its fingerprint, both of one instant. Optional power: with `fingerprintMethod`. */
  printedByKey?(table: Table, printing: Printing, keys: readonly KeyCells[]): Promise<readonly WholePrintedRow[]>
  /** Rows with these fingerprints, every copy: for tables without a key. At most 1,000. Optional power: with `fingerprintMethod`. */
  printedByPrint?(table: Table, printing: Printing, prints: readonly Fingerprint[]): Promise<readonly WholePrintedRow[]>
  /** The rows of a block of `blockFormat`, as `Reader.rows` gives them, without those that are in several. Optional power: together with `loadBlocks`. */
  unpackBlock?(table: Table, bytes: Buffer): readonly Row[]

  /** What an older or lesser server than `source` means for what is carried; [] when it is none. Pure. */
  consequences?(source: ServerInfo, target: ServerInfo): readonly Finding[]
  /**
   * What this server lacks to take `schema`: extensions, accounts that policies name, features of a later release. Each finding names
   * what wants it. Read-only; asked of the new host before anything is created.
   */
  unmet?(schema: Schema): Promise<readonly Finding[]>
  /**
   * Rows of the schema's tables that are too large to be read, or for what the new host takes (`limits`), by table, key and column.
   * Read-only; asked of the old host in `check`.
   */
  oversize?(schema: Schema, limits?: RowLimits): Promise<readonly Finding[]>
  /**
   * Rows that refer to a parent which isn't there, though a foreign key says so, by table and key. Read-only, for a bounded time; asked of
   * the old host in `check`. Optional power: where rows can stand against a foreign key that the new host will look at.
   */
  orphans?(schema: Pick<Schema, 'tables' | 'foreignKeys'>): Promise<readonly Finding[]>
  /** Views that no longer work, and so can't be made anew, by name. Asked of the old host in `check`. Optional power. */
  broken?(schema: Pick<Schema, 'objects'>): Promise<readonly Finding[]>
  /** What this server takes; asked of the new host in `check`. Optional power. */
  rowLimits?(): Promise<RowLimits>

  /** Statements that create the schema, in an order that works. Pure: touches nothing. */
  ddl(schema: Schema): readonly Statement[]
  /** Names of marks that stand on this database for a run; [] when migrate never wrote here. Read-only. */
  marks(run: string): Promise<ReadonlySet<string>>
  /**
   * Runs a statement and sets the mark in one transaction. With the mark already there it does nothing: exactly once.
   * Creates `migrate_marks` when missing.
   */
  execute(sql: string, mark: { readonly run: string; readonly name: string }): Promise<void>
  /**
   * `execute` for several statements, in their order, with few questions to the server: each exactly once. When one fails, its own
   * error is thrown, nothing after it was run, and the marks tell what stands before it. Optional power.
   */
  executeTogether?(statements: readonly MarkedStatement[]): Promise<void>
  /**
   * Runs the statement that takes another one back, and removes the mark, in one transaction. With the mark already gone it
   * does nothing.
   */
  retract(sql: string | null, mark: { readonly run: string; readonly name: string }): Promise<void>
  /**
   * Loads rows into a table and sets the mark, all in one transaction: all of them or none, exactly once; identity values kept.
   * Returns the rows loaded, 0 when the mark was there. Rows are streamed.
   */
  load(table: Table, rows: AsyncIterable<readonly Row[]>, mark: { readonly run: string; readonly name: string }): Promise<number>
  /** Names the format of blocks, with a version ("postgres-copy-text-1"): blocks are only loaded where it is the same. */
  readonly blockFormat?: string
  /** `load` for blocks as a reader of the same `blockFormat` gave them. Each buffer holds whole rows, or is part of one: then all of it comes, in its order. */
  loadBlocks?(table: Table, blocks: AsyncIterable<Buffer>, mark: { readonly run: string; readonly name: string }): Promise<number>
  /**
   * `loadBlocks` for several small loads in one transaction: all of them or none. Returns the rows of each, 0 for one whose mark was
   * there. Optional power: together with `loadBlocks`.
   */
  loadTogether?(loads: readonly BlockLoad[]): Promise<readonly number[]>
  /** Gathers the statistics that the server plans its queries by, once a table's rows and indexes stand. Optional power. */
  analyse?(tables: readonly Table[]): Promise<void>
  /** Deletes rows without a parent; returns how many. Null columns have no parent to miss. */
  deleteOrphans(rule: OrphanRule): Promise<number>
  /** Removes `migrate_marks` and `migrate_ledger`. */
  removeOwnTables(): Promise<void>

  /** Every identity and sequence as it stands now on the server, not as the schema was read. */
  identities(schema: Pick<Layout, 'identities'>): Promise<readonly IdentityState[]>
  /**
   * Moves an identity so that the next value handed out lies beyond `value` (above it, or below for a negative increment), also
   * on a table that never had rows. Never moves it back. Reads it back and throws when it didn't hold. Beyond the last value there is none:
   * a server that can keep a numbering there, as one that is used up, does so; any other throws.
   */
  raiseIdentity(identity: Identity, value: bigint): Promise<void>
  /** A statement by which a person moves an identity so, where the account may not. Pure. Optional power. */
  raiseSql?(identity: Identity, value: bigint): string
  /** Sets an identity back to where it stood (undo of a raise): `last` as IdentityState gives it. */
  resetIdentity(identity: Identity, state: IdentityState): Promise<void>

  /**
   * One short transaction on `tables`' rows, triggers off inside it, constraints enforced. Rolled back when `work` throws.
   * A deadlock or a lock time-out ends as a retrySafe error, everything rolled back.
   */
  transaction<T>(tables: readonly Table[], work: (transaction: Transaction) => Promise<T>): Promise<T>
  /**
   * Ledger entries of a run for a table, newest last; with `keys`, only those of rows that have one of them on either host (at most
   * 1,000). [] when there is no ledger.
   */
  ledgerEntries(run: string, table: string, keys?: readonly string[]): Promise<readonly LedgerEntry[]>
  /** The whole of it in bounded batches, since a ledger may be as long as a table. */
  ledgerPages(run: string, table: string): AsyncIterable<readonly LedgerEntry[]>

  /**
   * Why the shop's account can write no row at present, as the server says it of itself: "it is a standby", "its data files are full";
   * `undefined` when nothing that it says stands in the way. Writes nothing. Optional power.
   */
  refusesRows?(): Promise<string | undefined>

  /** Absent where the engine's own tools can't be used from here. */
  readonly native?: NativePower
  /** Absent where a database can't be closed to writers. */
  readonly closing?: ClosingPower
  /** Absent where no databases can be made. */
  readonly scratch?: ScratchPower
  /** Optional power: where two servers may have one fingerprint. */
  readonly presence?: PresencePower

  /** Statements of a `sql` step, in one transaction where the engine allows it; returns the rows each affected or returned. */
  runStatements(statements: readonly string[]): Promise<readonly number[]>
  close(): Promise<void>
}
