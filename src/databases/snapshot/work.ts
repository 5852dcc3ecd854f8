import type { KeyCells, Reader } from '../port.ts'
import { fullName, type Table } from '../schema.ts'
import type { SavedTable } from './manifest.ts'
import type { Schedule } from './order.ts'
import { type Measured, nextQueryRows, type QueryLimits } from './query-size.ts'
import { gapsIn, type KeyRange } from './ranges.ts'

/** Small tables that one reader reads one after the other, or a range of one table. */
export type Task =
  | { readonly kind: 'tables'; readonly tables: readonly Table[] }
  | {
      readonly kind: 'range'
      readonly table: Table
      readonly range: KeyRange
      /** Keys within the range at which one query ends and the next begins. */
      readonly cuts: readonly KeyCells[]
      /** Rows that each query asks for, about; `null` where nobody counted. */
      readonly asked: number | null
      /** The range goes to the table's end, and nobody else reads of it. */
      readonly alone: boolean
    }

export interface WorkRules extends QueryLimits {
  /** A table of more bytes is cut into ranges, which all readers read. */
  readonly cutBytes: number
  /** How large a range should be; it is read by several queries when they are smaller. */
  readonly rangeBytes: number
  /** Ranges don't get smaller than this towards a table's end. */
  readonly leastBytes: number
  readonly firstRows: number
  /** Tables up to here are handed out several at a time. */
  readonly smallBytes: number
  readonly mostTogether: number
}

/**
 * A query takes half a second, so that a throttle is soon felt and a stop finds little under way; longer ones were no faster. Where it
 * may hold somebody up (it reads no snapshot), it begins small: the old host is measured first.
 */
export const workRules = (consistent: boolean): WorkRules => ({
  targetMs: 500,
  leastRows: 100,
  mostRows: 5_000_000,
  mostBytes: 32 * 2 ** 20,
  cutBytes: (consistent ? 16 : 1) * 2 ** 20,
  rangeBytes: 8 * 2 ** 20,
  leastBytes: 2 * 2 ** 20,
  firstRows: consistent ? 20_000 : 1000,
  smallBytes: 256 * 1024,
  mostTogether: 64,
})

/** A large table that is being cut into ranges. */
interface Cutting {
  readonly table: Table
  readonly rowBytes: number
  rowsLeft: number
  at: number
  after: KeyCells | null
  queryRows: number
  ended: boolean
  /** Ranges that are being read. */
  reading: number
  /** Bounds are asked for one after the other: each begins where the one before ends. */
  turn: Promise<unknown>
}

export interface WorkOptions {
  /** What is saved of a table already, by its full name. */
  readonly manifest: { readonly tables: ReadonlyMap<string, Pick<SavedTable, 'ranges'>> }
  readonly schedule: Schedule
  readonly size: (table: Table) => { readonly rows: number; readonly bytes: number }
  readonly readers: number
  readonly rules: WorkRules
}

const MOST_QUERIES = 16

/**
 * What is left to read, handed out to readers as they come free. A large table is cut into ranges that all readers share, so that
 * its end isn't left to one of them; the readers ask for the bounds themselves.
 */
export class Work {
  readonly #options: WorkOptions
  readonly #ready: Extract<Task, { kind: 'range' }>[] = []
  readonly #cutting = new Map<string, Cutting>()
  #sleepers: (() => void)[] = []
  #smallTables: number | undefined

  constructor(options: WorkOptions) {
    this.#options = options
  }

  /** The next task; waits while the rest depends on tables that are still being read. `undefined` when none is left. */
  async next(reader: Reader, signal: AbortSignal): Promise<Task | undefined> {
    for (;;) {
      signal.throwIfAborted()
      const task = this.#ready.shift() ?? (await this.#cut(reader, signal)) ?? this.#open(reader)
      // Another reader may have taken up a large table meanwhile.
      const isShared = (): boolean => [...this.#cutting.values()].some((cutting) => !cutting.ended)
      if (task === 'opened' || (task === undefined && isShared())) continue
      if (task !== undefined) return task
      if (this.#options.schedule.left === 0) return undefined
      await this.#change(signal)
    }
  }

  /** Tells that all of a task is on disk. */
  finished(task: Task): void {
    if (task.kind === 'tables') for (const table of task.tables) this.#options.schedule.finished(table)
    else {
      const cutting = this.#cutting.get(fullName(task.table.name))
      if (cutting !== undefined) cutting.reading -= 1
      if (cutting === undefined || (cutting.ended && cutting.reading === 0)) this.#options.schedule.finished(task.table)
    }
    for (const wake of this.#sleepers.splice(0)) wake()
  }

  /** Tells what a query of a table took, which decides how large its next ones are. */
  measured(table: Table, asked: number | null, measured: Measured): void {
    const cutting = this.#cutting.get(fullName(table.name))
    if (cutting !== undefined && asked !== null) cutting.queryRows = nextQueryRows(asked, measured, this.#options.rules)
  }

  /** Takes up a table: small ones together, one that nobody can cut as a whole, a large one to be cut. */
  #open(reader: Reader): Task | 'opened' | undefined {
    const { schedule, manifest, size, rules } = this.#options
    const table = schedule.take()
    if (table === undefined) return undefined
    const { rows, bytes } = size(table)
    const saved = manifest.tables.get(fullName(table.name))
    if (bytes <= rules.smallBytes && saved === undefined) return { kind: 'tables', tables: [table, ...this.#moreSmall()] }
    const gaps = table.key.length === 0 ? [{ at: 0, after: null, upTo: null }] : gapsIn(saved?.ranges ?? [])
    const last = gaps.at(-1)
    const open = last?.upTo === null ? last : undefined
    const canCut = table.key.length > 0 && reader.boundary !== undefined && bytes > rules.cutBytes
    if (!canCut && gaps.length === 1 && open !== undefined)
      return { kind: 'range', table, range: open, cuts: [], asked: null, alone: true }
    const rowBytes = Math.max(1, rows > 0 ? bytes / rows : 0)
    const cutting: Cutting = {
      table,
      rowBytes,
      rowsLeft: rows,
      at: open?.at ?? 0,
      after: open?.after ?? null,
      queryRows: Math.max(rules.leastRows, Math.min(rules.firstRows, rules.mostBytes / rowBytes)),
      ended: open === undefined || !canCut,
      reading: 0,
      turn: Promise.resolve(),
    }
    this.#cutting.set(fullName(table.name), cutting)
    for (const range of gaps) if (range !== open || !canCut) this.#hand(cutting, range)
    return 'opened'
  }

  /** A gap between what an earlier session saved was a reader's task then, and is one now. */
  #hand(cutting: Cutting, range: KeyRange): void {
    cutting.reading += 1
    this.#ready.push({ kind: 'range', table: cutting.table, range, cuts: [], asked: null, alone: false })
  }

  #moreSmall(): readonly Table[] {
    const { schedule, manifest, size, rules, readers } = this.#options
    this.#smallTables ??= schedule.left + 1
    // Every reader gets some, a few times over: they don't all take the same time.
    const most = Math.min(rules.mostTogether, Math.ceil(this.#smallTables / (readers * 2))) - 1
    const more: Table[] = []
    const small = (table: Table): boolean =>
      size(table).bytes <= rules.smallBytes && manifest.tables.get(fullName(table.name)) === undefined
    while (more.length < most) {
      const table = schedule.take(small)
      if (table === undefined) break
      more.push(table)
    }
    return more
  }

  /** The next range of the first large table that isn't cut to its end. */
  async #cut(reader: Reader, signal: AbortSignal): Promise<Task | undefined> {
    for (const cutting of this.#cutting.values()) {
      if (cutting.ended) continue
      const mine = cutting.turn.then(() => this.#ask(cutting, reader, signal))
      cutting.turn = mine.catch(() => undefined)
      const task = await mine
      if (task !== undefined) return task
    }
    return undefined
  }

  async #ask(cutting: Cutting, reader: Reader, signal: AbortSignal): Promise<Task | undefined> {
    if (cutting.ended) return undefined
    const { rules, readers } = this.#options
    const { table, at, after } = cutting
    // Towards the end ranges get smaller, so that the readers end together.
    const least = Math.max(rules.leastRows, rules.leastBytes / cutting.rowBytes)
    const share = cutting.rowsLeft > 0 ? Math.max(least, Math.ceil(cutting.rowsLeft / (readers * 2))) : cutting.queryRows
    const asked = Math.round(Math.max(rules.leastRows, Math.min(cutting.queryRows, share)))
    const queries = Math.min(MOST_QUERIES, Math.max(1, Math.ceil(Math.min(share, rules.rangeBytes / cutting.rowBytes) / asked)))
    const cuts: KeyCells[] = []
    let upTo: KeyCells | null = null
    while (cuts.length < queries) {
      upTo = (await reader.boundary?.(table, asked, cuts.at(-1) ?? after ?? undefined, signal)) ?? null
      if (upTo === null) break
      cuts.push(upTo)
    }
    if (upTo !== null) cuts.pop()
    cutting.at += 1
    cutting.after = upTo
    cutting.ended = upTo === null
    cutting.rowsLeft -= asked * (cuts.length + 1)
    cutting.reading += 1
    return { kind: 'range', table, range: { at, after, upTo }, cuts, asked, alone: false }
  }

  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#sleepers.push(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }
}
