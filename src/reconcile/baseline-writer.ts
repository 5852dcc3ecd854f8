import { DatabaseSync } from 'node:sqlite'
import { Sqlite } from '../base/sqlite.ts'
import type { KeyCells, RangeSum } from '../databases/port.ts'
import { BASELINE_SCHEMA, type BaselineTable, LEAVES_A_TABLE, tableOf } from './baseline-file.ts'
import type { PackedLeaf } from './baseline-leaf.ts'
import { keyCells } from './fingerprint.ts'

export interface TableStart extends Pick<BaselineTable, 'method' | 'printing' | 'keyOrder'> {
  readonly name: string
}

/** What a table held at one moment: by the sum of its rows' fingerprints, by their stamps (`Reader.stamps`), or at a glance (`Reader.glances`). */
export interface Held extends RangeSum {
  readonly by: 'prints' | 'stamp' | 'glance'
}

/** A table as far as it is kept. */
export interface TableProgress extends BaselineTable {
  readonly complete: boolean
  /** What it held before the first of its rows was fingerprinted, where its server could say so. */
  readonly begun: Held | undefined
  readonly isNew: boolean
}

const progressOf = (row: Readonly<Record<string, unknown>>): TableProgress => ({
  ...tableOf(row),
  complete: row.complete === 1,
  begun: typeof row.begun_sum === 'string' ? heldOf(Number(row.begun_rows), row.begun_sum) : undefined,
  isNew: false,
})

/** The kind stands before the number, but for fingerprints. */
const heldOf = (rows: number, text: string): Held => {
  const by = (['stamp', 'glance'] as const).find((kind) => text.startsWith(kind))
  return by === undefined ? { rows, sum: BigInt(text), by: 'prints' } : { rows, sum: BigInt(text.slice(by.length)), by }
}
const heldText = ({ sum, by }: Held): string => (by === 'prints' ? String(sum) : `${by} ${sum}`)

/** Leaves that are put on disk together. */
const LEAVES_TOGETHER = 64

/** Writes a baseline, table after table, leaf after leaf. What it is told is on disk after `flush`, and now and then before. */
export class BaselineWriter {
  readonly #store: Sqlite
  #waiting: (() => void)[] = []
  #leaves = 0
  #ordinal: number

  constructor(path: string) {
    const database = new DatabaseSync(path)
    database.exec('PRAGMA synchronous = FULL')
    database.exec(`BEGIN; ${BASELINE_SCHEMA} COMMIT`)
    this.#store = new Sqlite(database)
    this.#ordinal = Number(this.#store.prepared('SELECT coalesce(max(ordinal), 0) AS n FROM baseline_tables').get()?.n ?? 0)
  }

  /** The table as far as it is kept; begun when it isn't yet. */
  begin(start: TableStart): TableProgress {
    const row = this.#store.prepared('SELECT * FROM baseline_tables WHERE name = ?').get(start.name)
    return row === undefined ? this.#create(start) : progressOf(row)
  }

  /** Forgets what is kept of a table, and begins it. All at once: without the table, a baseline that was cut off would seem whole. */
  beginAnew({ ordinal }: BaselineTable, start: TableStart): TableProgress {
    this.#later(() => {
      this.#store
        .prepared('DELETE FROM leaves WHERE id >= ? AND id < ?')
        .run(ordinal * LEAVES_A_TABLE, (ordinal + 1) * LEAVES_A_TABLE)
      this.#store.prepared('DELETE FROM baseline_tables WHERE ordinal = ?').run(ordinal)
    })
    return this.#create(start)
  }

  #create({ name, method, printing, keyOrder }: TableStart): TableProgress {
    this.#ordinal += 1
    const ordinal = this.#ordinal
    const insert = `INSERT INTO baseline_tables (ordinal, name, method, printing, key_order, rows, sum, complete, written)
      VALUES (?, ?, ?, ?, ?, 0, '0', 0, NULL)`
    this.#later(() => this.#store.prepared(insert).run(ordinal, name, method, JSON.stringify(printing), keyOrder ?? null))
    const nothing = { rows: 0, sum: 0n, written: undefined, complete: false, begun: undefined }
    return { ordinal, method, printing, keyOrder, ...nothing, isNew: true }
  }

  /** Notes what a table held before anything of it was fingerprinted. */
  note({ ordinal }: BaselineTable, held: Held): void {
    const update = 'UPDATE baseline_tables SET begun_rows = ?, begun_sum = ? WHERE ordinal = ?'
    this.#later(() => this.#store.prepared(update).run(held.rows, heldText(held), ordinal))
  }

  /** How far a table is kept. */
  progress({ ordinal }: BaselineTable): { readonly leaves: number; readonly last: KeyCells | undefined } {
    const row = this.#store
      .prepared('SELECT id, last FROM leaves WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1')
      .get(ordinal * LEAVES_A_TABLE, (ordinal + 1) * LEAVES_A_TABLE)
    if (row === undefined) return { leaves: 0, last: undefined }
    return { leaves: (Number(row.id) % LEAVES_A_TABLE) + 1, last: row.last === '' ? undefined : keyCells(String(row.last)) }
  }

  /** The last keys of every so many leaves of a table that is on disk. */
  lasts({ ordinal }: BaselineTable, leaves: number): readonly KeyCells[] {
    const rows = this.#store
      .prepared('SELECT last FROM leaves WHERE id >= ? AND id < ? AND id % ? = ? ORDER BY id')
      .all(ordinal * LEAVES_A_TABLE, (ordinal + 1) * LEAVES_A_TABLE, leaves, leaves - 1)
    return rows.map(({ last }) => keyCells(String(last)))
  }

  /** Keeps a further leaf of a table, which is so far with it. */
  add({ ordinal, rows, sum }: BaselineTable, number: number, leaf: PackedLeaf): void {
    this.#later(() => {
      this.#store
        .prepared('INSERT INTO leaves (id, last, rows, sum, prints, apart) VALUES (?, ?, ?, ?, ?, ?)')
        .run(ordinal * LEAVES_A_TABLE + number, leaf.last, leaf.rows, String(leaf.sum), leaf.prints, leaf.apart)
      this.#store.prepared('UPDATE baseline_tables SET rows = ?, sum = ? WHERE ordinal = ?').run(rows, String(sum), ordinal)
    })
    this.#leaves += 1
    if (this.#leaves >= LEAVES_TOGETHER) this.flush()
  }

  complete({ ordinal }: BaselineTable): void {
    this.#later(() => this.#store.prepared('UPDATE baseline_tables SET complete = 1 WHERE ordinal = ?').run(ordinal))
  }

  /** Notes whether a table was written to before the baseline was complete. */
  checked({ ordinal }: BaselineTable, written: boolean): void {
    const update = 'UPDATE baseline_tables SET written = ? WHERE ordinal = ?'
    this.#later(() => this.#store.prepared(update).run(written ? 1 : 0, ordinal))
  }

  #later(work: () => void): void {
    this.#waiting.push(work)
  }

  /** Puts all on disk that waits: all or none of it. */
  flush(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#store.transaction(() => {
      for (const work of waiting) work()
    })
    this.#waiting = []
    this.#leaves = 0
  }

  close(): void {
    this.#store.database.close()
  }
}
