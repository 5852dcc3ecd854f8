import type { Database } from '../../src/databases/port.ts'

/**
 * What an adapter or a fake gives to the contract suite (test/contract/database.ts): new databases, and a way to do to them what
 * a shop does, other than through the adapter.
 */
export interface DatabaseHost {
  /** A new, empty database, owned by an account that may do everything in it. */
  database(): Promise<ShopDatabase>
  /** Ends servers and proxies that the host started. */
  close(): Promise<void>
}

/** Values by column name, as text; `null` is NULL. Text goes to the server as a parameter, and is converted there. */
export type Values = Readonly<Record<string, string | null>>

/**
 * The tables of the contract's shop. `createShop` makes them, in the engine's own DDL, in its default schema; names are lower case.
 *
 * | table | columns |
 * | --- | --- |
 * | customers | id identity PK; email unicode text(120) NOT NULL UNIQUE; name unicode text(80) NULL; note unlimited unicode text NULL |
 * | products | id identity PK; title unicode text(80) NOT NULL; stock int NOT NULL DEFAULT 0 CHECK (stock >= 0); price decimal(12,4) NOT NULL; gross = price * 1.19 computed and stored |
 * | orders | id identity PK (64 bit); customer_id NOT NULL → customers; placed timestamp with microseconds NOT NULL; status text(20) NOT NULL DEFAULT 'open'; an index on (customer_id, placed); rowversion column `version` where the engine has one |
 * | order_items | order_id → orders ON DELETE CASCADE; line int; product_id → products; quantity int; PK (order_id, line) |
 * | categories | id identity PK; parent_id NULL → categories; title unicode text(80) NOT NULL |
 * | departments | id identity PK; head_id NULL → employees |
 * | employees | id identity PK; department_id NOT NULL → departments |
 * | visits | no key: page unicode text(200) NOT NULL; visitor unicode text(200) NULL |
 * | never_used | id identity PK starting at 1; note text(20) |
 * | countdown | id identity starting at -1, increment -1, PK; note text(20) |
 * | audit | id identity PK; what unicode text(200) NOT NULL: a trigger on orders writes a row here for every insert, update and delete |
 * | words | word unicode text(80) PK in the server's default collation; meaning text(20) |
 *
 * and: sequence invoice_numbers (start 1000, increment 1, used by no column), view open_orders (orders that are open), a stored
 * procedure or function that reads orders. A fake without objects of its own may leave out the view and the function.
 */
export type ShopTable =
  | 'customers'
  | 'products'
  | 'orders'
  | 'order_items'
  | 'categories'
  | 'departments'
  | 'employees'
  | 'visits'
  | 'never_used'
  | 'countdown'
  | 'audit'
  | 'words'
  | 'tens'
  | FurtherTable

/**
 * Tables that `createFurther` makes beside the shop's.
 *
 * | table | columns |
 * | --- | --- |
 * | coupons | id identity PK; code unicode text(40) NOT NULL UNIQUE in a collation to which letters of either case are equal; used int NULL |
 * | tokens | token GUID PK, text(36) where the engine has no such type; note text(20) NULL |
 * | wide | id int PK; c1 … c200, each unicode text(20) NULL |
 */
export type FurtherTable = 'coupons' | 'tokens' | 'wide'

/** One database, from the shop's side. Every call is a transaction of its own, on a connection that isn't the adapter's. */
export interface ShopDatabase {
  /** The adapter under test, as the owner. The suite closes it. */
  open(options?: { readonly connections?: number }): Database
  createShop(): Promise<void>
  createFurther(): Promise<void>
  /** Inserts a row as the shop does; columns left out get their default. Returns the identity value that it got, '' without one. */
  insert(table: ShopTable, values: Values): Promise<string>
  /** Inserts `count` rows into `words` (w000001 …) fast. */
  insertWords(count: number): Promise<void>
  update(table: ShopTable, key: Values, values: Values): Promise<void>
  remove(table: ShopTable, key: Values): Promise<void>
  /** Empties the table and, where the engine does that, starts its identity anew (TRUNCATE). */
  truncate(table: ShopTable): Promise<void>
  /** All rows, columns as text by the server's own conversion; in no set order. Computed columns included, rowversion not. */
  rows(table: ShopTable): Promise<readonly Values[]>
  /**
   * Makes the table `tens` (id identity starting at 10, increment 10, PK; note text(20)), where a table can have an increment of its
   * own.
   */
  createTens?(): Promise<void>
  /** Takes the next value of the sequence `invoice_numbers`. */
  nextInvoice(): Promise<string>
  /** Names of the tables of every schema that the shop sees, `migrate_` tables included, lower case, sorted. */
  tables(): Promise<readonly string[]>

  /** `accounts`: the adapter as an account that may connect and read everything, and nothing else. */
  openReadOnly?(): Promise<Database>
  /** `accounts`: an adapter whose first use must fail so; `secret` is the password that it was given. */
  openFaulty?(fault: 'wrong-password' | 'unreachable' | 'missing-database'): Promise<{
    readonly database: Database
    readonly secret: string
  }>
  /** `network`: the adapter through a proxy; `cut` ends its connections after so many more bytes in either direction. */
  openThroughProxy?(): Promise<{ readonly database: Database; cut(afterBytes: number): void; mend(): void }>
  /** `locks`: holds the row locked in another session until the function that it returns is called. */
  holdLock?(table: ShopTable, key: Values): Promise<() => Promise<void>>
  /** `samples`: a table `samples` (id int PK, one column for every type the engine has) with every extreme as a row. */
  createSamples?(): Promise<void>
  /** `samples`: every row of `samples` in key order as the server itself prints or hashes it, one text a row. */
  samples?(): Promise<readonly string[]>
  /** `statements`: SQL, in the engine's own dialect, that sets every `status` of orders to 'sent'; and one that must fail. */
  readonly statements?: { readonly send: string; readonly broken: string }
  /** Closes the shop's own connections; called after each test, when every adapter is closed, perhaps twice. The database may stay. */
  close?(): Promise<void>
}

/** What an engine or a fake has; what it hasn't is skipped by name. */
export interface DatabaseAbilities {
  /** Readers that share one snapshot. */
  readonly consistentReads: boolean
  readonly accounts: boolean
  readonly network: boolean
  readonly locks: boolean
  readonly samples: boolean
  readonly triggers: boolean
  /** Stored computed columns. */
  readonly computed: boolean
  /** Schema objects: views, functions, indexes … survive the round trip. */
  readonly objects: boolean
  readonly statements: boolean
  /** Sequences that no column uses are listed, with where they stand; true when absent. */
  readonly sequences?: boolean
  /** Numbers can be given downwards: the table `countdown` is numbered; true when absent. */
  readonly countsDown?: boolean
  /** An account that may only read can be allowed to see every definition, triggers among them; true when absent. */
  readonly definitions?: boolean
  /** `Database.layout`; true when absent. */
  readonly layout?: boolean
  /** `Reader.boundary`, and readers that honour `upTo`; true when absent. */
  readonly ranges?: boolean
  /** `Reader.blocks`, `Database.blockFormat`, `Database.loadBlocks` and `Database.unpackBlock`; true when absent. */
  readonly blocks?: boolean
  /** `Reader.sum`, `Reader.prints`, `Database.fingerprintMethod` and all that goes with them; true when absent. */
  readonly fingerprints?: boolean
}

export const ALL_ABILITIES: DatabaseAbilities = {
  consistentReads: true,
  accounts: true,
  network: true,
  locks: true,
  samples: true,
  triggers: true,
  computed: true,
  objects: true,
  statements: true,
}
