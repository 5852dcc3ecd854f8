import { openPrivate, Sqlite } from '../base/sqlite.ts'
import type { DifferentRow } from './difference.ts'
import { type CarryItem, itemSchema } from './plan-items.ts'

/** What becomes of a row on the target, as far as it decides when its turn comes. */
export type ItemKind = 'change' | 'other' | 'delete'

/** Which items of a table, in the order in which they were put. */
export interface Segment {
  readonly table: string
  readonly kinds: readonly ItemKind[]
}

/** A row born on both hosts under one key; `reason`: why they are in conflict, `undefined` where they are alike. */
export interface Related {
  readonly key: string
  readonly row: DifferentRow
  readonly reason: string | undefined
}

const SCHEMA = `
  CREATE TABLE items (
    table_name TEXT NOT NULL, kind TEXT NOT NULL, place INTEGER NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, born INTEGER NOT NULL,
    item TEXT NOT NULL, PRIMARY KEY (table_name, place)) WITHOUT ROWID;
  CREATE INDEX items_kind ON items (table_name, kind, place);
  CREATE INDEX items_born ON items (table_name, key) WHERE born = 1;
  CREATE TABLE related (table_name TEXT NOT NULL, place INTEGER NOT NULL, related TEXT NOT NULL, PRIMARY KEY (table_name, place)) WITHOUT ROWID;
  CREATE TABLE born_there (table_name TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (table_name, key)) WITHOUT ROWID;
  CREATE TABLE naturals (natural_key TEXT PRIMARY KEY) WITHOUT ROWID;
`

const PAGE_ROWS = 1000

/**
 * The rows of a plan while it is made and carried out, in a private SQLite file that is gone with the process: memory doesn't grow with
 * their number.
 */
export class PlanStore {
  /** Made when it is first wanted: most plans are empty. */
  #made: Sqlite | undefined
  readonly #counts = new Map<string, number>()
  #place = 0

  get #store(): Sqlite {
    if (this.#made !== undefined) return this.#made
    const database = openPrivate(16_384)
    database.exec(SCHEMA)
    this.#made = new Sqlite(database)
    return this.#made
  }

  put(item: CarryItem): void {
    const { table, key, action, base, ruling } = item
    const born = action !== 'copies' && ruling === undefined && base.every((state) => state === '')
    this.#place += 1
    const kind = kindOf(item)
    const name = countName(table, kind)
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
    this.#store
      .prepared('INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(...[table, kind, this.#place, key, action, born ? 1 : 0, JSON.stringify(item)])
  }

  putRelated(table: string, related: Related): void {
    this.#place += 1
    this.#store.prepared('INSERT INTO related VALUES (?, ?, ?)').run(table, this.#place, JSON.stringify(related))
  }

  /** A row that was born on the target, where a row of the source may be the same thing. */
  putBornThere(table: string, key: string): void {
    this.#store.prepared('INSERT OR IGNORE INTO born_there VALUES (?, ?)').run(table, key)
  }

  /** Tables with rows born on both hosts under one key. */
  relatedTables(): readonly string[] {
    return this.#names('related')
  }

  /** Such rows of a table, some at a time. */
  *related(table: string): Generator<readonly Related[]> {
    for (const page of this.#pages('SELECT place, related AS text FROM related WHERE table_name = ? AND place > ?', table))
      yield page.map((text): Related => JSON.parse(text))
  }

  forgetRelated(): void {
    this.#made?.database.exec('DELETE FROM related')
  }

  /** Tables in which a row that was born on the source may be the same thing as one born on the target. */
  matchTables(): readonly string[] {
    return this.#names('born_there')
  }

  /** Keys of the rows born on the target, some at a time. */
  *bornThere(table: string): Generator<readonly string[]> {
    yield* this.#pages('SELECT key AS place, key AS text FROM born_there WHERE table_name = ? AND key > ?', table, '')
  }

  /** Keys of the items of rows born on the source about which nobody has decided, some at a time. */
  *born(table: string): Generator<readonly string[]> {
    yield* this.#pages('SELECT place, key AS text FROM items WHERE table_name = ? AND born = 1 AND place > ?', table)
  }

  /** Natural keys of one table's rows, to be looked up by; those of the table before are forgotten. */
  naturals(): { readonly add: (key: string) => void; readonly has: (key: string) => boolean; readonly isEmpty: () => boolean } {
    this.#store.database.exec('DELETE FROM naturals')
    const insert = this.#store.prepared('INSERT OR IGNORE INTO naturals VALUES (?)')
    const find = this.#store.prepared('SELECT 1 FROM naturals WHERE natural_key = ?')
    const any = this.#store.prepared('SELECT 1 FROM naturals LIMIT 1')
    return {
      add: (key) => void insert.run(key),
      has: (key) => find.get(key) !== undefined,
      isEmpty: () => any.get() === undefined,
    }
  }

  /** Says of a row that it is expected to be merged by its natural key. */
  expectMatch(table: string, key: string): void {
    // Left to itself, SQLite goes through the whole table by its key, once for each match.
    this.#store
      .prepared("UPDATE items INDEXED BY items_born SET action = 'match' WHERE table_name = ? AND key = ? AND born = 1")
      .run(table, key)
  }

  /** How many items these segments have. */
  count(segments: readonly Segment[]): number {
    const counts = segments.flatMap(({ table, kinds }) => kinds.map((kind) => this.#counts.get(countName(table, kind)) ?? 0))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /** The items of these segments, so many at a time: where each portion begins. */
  portions(all: readonly Segment[], size: number): readonly Portion[] {
    const segments = all.filter((segment) => this.count([segment]) > 0)
    const portions: Portion[] = []
    let left = 0
    for (const [at, segment] of segments.entries()) {
      const places = this.#store.prepared(`SELECT place FROM items WHERE ${conditionOf(segment)} ORDER BY place`)
      for (const { place } of places.iterate(segment.table)) {
        if (left === 0) portions.push({ segments: segments.slice(at), from: Number(place), size })
        left = (left === 0 ? size : left) - 1
      }
    }
    return portions
  }

  /** The items of one portion. */
  items({ segments, from, size }: Portion): readonly CarryItem[] {
    const items: CarryItem[] = []
    for (const [at, segment] of segments.entries()) {
      const rows = this.#store.prepared(
        `SELECT action, item FROM items WHERE ${conditionOf(segment)} AND place >= ? ORDER BY place LIMIT ?`,
      )
      for (const { action, item } of rows.iterate(segment.table, at === 0 ? from : 0, size - items.length))
        items.push(itemSchema.parse({ ...JSON.parse(String(item)), action }))
      if (items.length === size) return items
    }
    return items
  }

  #names(from: string): readonly string[] {
    if (this.#made === undefined) return []
    const rows = this.#store.prepared(`SELECT DISTINCT table_name AS name FROM ${from}`).all()
    return rows.map(({ name }) => String(name))
  }

  /** Texts in pages, each read whole before it is handed on: the tables may be written to meanwhile. */
  *#pages(sql: string, table: string, begin: string | number = 0): Generator<readonly string[]> {
    const statement = this.#store.prepared(`${sql} ORDER BY 1 LIMIT ${PAGE_ROWS}`)
    let after: string | number = begin
    for (;;) {
      const rows = statement.all(table, after)
      const last = rows.at(-1)?.place
      if (last === undefined) return
      after = typeof last === 'string' ? last : Number(last)
      yield rows.map(({ text }) => String(text))
    }
  }
}

/** Some items of several segments that follow one another: `size` of them from the place `from` of the first segment on. */
export interface Portion {
  readonly segments: readonly Segment[]
  readonly from: number
  readonly size: number
}

const countName = (table: string, kind: ItemKind): string => `${table} ${kind}`

/** Copies that are to be fewer are what a row was before it changed: they may hold a unique value, which is no key since it may be null. */
const kindOf = ({ action, copies }: CarryItem): ItemKind => {
  if (action === 'delete') return 'delete'
  if (copies !== undefined && copies.source < copies.base) return 'change'
  return action === 'update' || action === 'merge' || action === 'skip' ? 'change' : 'other'
}

const conditionOf = ({ kinds }: Segment): string => `table_name = ? AND kind IN (${kinds.map((kind) => `'${kind}'`).join(', ')})`
