import { type Clock, systemClock } from '../base/clock.ts'
import { fullName, type IdentityState, type Layout } from '../databases/schema.ts'
import { carry } from './apply.ts'
import type { ApplyContext } from './apply-context.ts'
import { Pace } from './apply-pace.ts'
import { readLedgers } from './apply-prepare.ts'
import { hasWholeBaseline } from './baseline-file.ts'
import { compareTables } from './compare.ts'
import { readDecisions } from './decisions.ts'
import { parentsFirst } from './order.ts'
import { type ParkedRow, parkedId, readParked, writeParked } from './parked.ts'
import { describeParked, withBaselines } from './parked-describe.ts'
import { Planner } from './plan.ts'
import type { ParkItem, ReconcileChange } from './plan-items.ts'
import type { SourceSide } from './policy.ts'
import { type Proof, proofOf } from './proof.ts'
import { reconciledTables, type TablesOptions } from './reconciler-tables.ts'
import { CarriedIndex } from './remap-index.ts'
import { numberMoves } from './remap-numbers.ts'

export interface ReconcilerOptions extends TablesOptions {
  readonly run: string
  /** Which host the rows are carried from: policies name hosts. A rollback swaps them. */
  readonly sourceSide: SourceSide
  readonly clock?: Clock
  readonly signal?: AbortSignal
  readonly baselineRows?: NonNullable<ApplyContext['baselineRows']>
}

/** Rows of one table that a pass wrote, by what was done with them. */
export interface PassCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly merged: number
  readonly remapped: number
  readonly parked: number
}

export interface Planned {
  readonly changes: readonly ReconcileChange[]
  readonly proof: Proof
  /** Rows of the target that go, by table. */
  readonly deletions: ReadonlyMap<string, number>
  /** Where the source's numbered columns stand. */
  readonly numbers: readonly IdentityState[]
}

/** Signal and progress of whoever asks. */
export interface Asking {
  readonly signal?: AbortSignal
  readonly onRows?: (rows: number, table: string) => void
}

/** A three-way merge between two live databases and what they last had in common: compared, planned, carried, proven. */
export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #refused = new Set<string>()
  readonly #counts = new Map<string, PassCounts>()
  readonly #pace: Pace
  #opened: Promise<Opened> | undefined
  /** Whether this process knows which rows are on their way, and which wait. */
  #compared = false

  constructor(options: ReconcilerOptions) {
    this.#options = options
    this.#pace = new Pace(options.clock ?? systemClock)
  }

  /** True when the run has a baseline to compare with, of all its tables. */
  ready(): Promise<boolean> {
    return hasWholeBaseline(this.#options.directory)
  }

  /** What is left to carry or to park, and how every row of both hosts stands while nothing of it is done; read-only. */
  async plan(asking: Asking): Promise<Planned> {
    const { source, target } = this.#options
    const { context, sourceSchema, targetSchema } = await this.#open()
    const { planner, parked } = await this.#compare(asking)
    await planner.forecast(context)
    const targets = [...context.tables.values()].map((table) => table.target)
    const { moves, numbers } = await numberMoves(
      { database: source, schema: sourceSchema },
      { database: target, schema: targetSchema },
      (table) => context.tables.has(table),
    )
    const changes = [...moves, ...parkChanges(planner, parked), ...planner.carries(targets, context.foreignKeys)]
    // With nothing left to do, the plan is the proof.
    const tallies = changes.length === 0 ? await planner.talliesWithSums(context) : planner.tallies
    return { changes, proof: proofOf(tallies), deletions: planner.deletions, numbers }
  }

  /**
   * Carries or parks one batch. Idempotent. A process that hasn't planned (it has the change from a journal) compares first: a row that
   * isn't in the change may wait, be parked or go by another key, and nothing may be made to refer to it as if it were on the target.
   */
  async apply(change: ReconcileChange): Promise<void> {
    const { context } = await this.#open()
    if (change.kind === 'number') return await this.#options.target.raiseIdentity(change.identity, BigInt(change.to))
    if (change.kind === 'park') return await this.#park(change.items, change.settled, context)
    if (!this.#compared) await this.#compare({})
    const result = await carry(change.items, change, this.#pace, context)
    for (const entry of result.entries) {
      if (entry.action !== 'skipped') this.#count(entry.table, entry.action)
    }
    for (const row of result.parked) {
      if (row.refused) this.#refused.add(standingOf(row.born ? { ...row, target: null } : row))
      this.#count(row.table, 'parked')
    }
    if (change.early) return
    const gone = new Set(change.items.map(parkedId))
    const before = await readParked(this.#options.directory)
    const others = before.filter((row) => !gone.has(parkedId(row)))
    if (others.length < before.length || result.parked.length > 0)
      await writeParked(this.#options.directory, [...others, ...result.parked])
  }

  async #park(items: readonly ParkItem[], settled: readonly string[], context: ApplyContext): Promise<void> {
    const gone = new Set([...settled, ...items.map(parkedId)])
    const refused = (await readParked(this.#options.directory)).filter((row) => row.refused && !gone.has(parkedId(row)))
    const rows: ParkedRow[] = []
    const looking = await withBaselines(items, context)
    for (const item of items) {
      const described = await describeParked(item, item.reason, looking, { refused: false, born: item.born })
      rows.push({ ...described, source: item.source, target: item.target })
      this.#count(item.table, 'parked')
    }
    await writeParked(this.#options.directory, [...refused, ...rows])
  }

  /** Every row of both hosts accounted for, by comparing all of it once more; read-only. */
  async prove(asking: Asking): Promise<Proof> {
    const { planner } = await this.#compare(asking)
    const { context } = await this.#open()
    return proofOf(await planner.talliesWithSums(context))
  }

  /** Columns that are carried with their rows and compared by nobody, since they came after the baseline: `table.column`. */
  async uncompared(): Promise<readonly string[]> {
    const { context } = await this.#open()
    return [...context.tables.values()].flatMap(({ name, added }) => added.map((column) => `${name}.${column}`))
  }

  /** What this pass wrote, per table. */
  get counts(): ReadonlyMap<string, PassCounts> {
    return this.#counts
  }

  /** Rows set aside for a person. */
  parked(): Promise<readonly ParkedRow[]> {
    return readParked(this.#options.directory)
  }

  #count(table: string, what: keyof PassCounts): void {
    const none = { inserted: 0, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 }
    const counts = this.#counts.get(table) ?? none
    this.#counts.set(table, { ...counts, [what]: counts[what] + 1 })
  }

  async #compare(asking: Asking): Promise<{ planner: Planner; parked: readonly ParkedRow[] }> {
    const { directory, run, source, target, sourceSide } = this.#options
    const { context } = await this.#open()
    const { index, tables } = context
    index.startAnew()
    for (const name of tables.keys()) index.forget(name)
    await readLedgers(tables.keys(), context)
    const parked = await readParked(directory)
    const planner = new Planner(
      {
        sourceSide,
        index,
        decisions: await readDecisions(directory),
        isRefused: (row) => this.#refused.has(standingOf(row)),
      },
      new Set(parked.map(parkedId)),
    )
    let rows = 0
    await compareTables(
      {
        directory,
        run,
        source,
        target,
        carried: (table) => index.pages(fullName(table.name)),
        printingOf: (table) => tables.get(fullName(table.name))?.targetPrinting ?? { columns: [], apart: [] },
        printerOf: (table) => tables.get(fullName(table.name))?.printer,
        ...(asking.signal ? { signal: asking.signal } : {}),
        onRows: (table, count) => {
          rows += count
          asking.onRows?.(rows, fullName(table.name))
        },
      },
      // Children first: whatever a row that is seen here belongs to was there before it, and is seen after it.
      childrenFirst(context),
      (comparison) => {
        const table = tables.get(fullName(comparison.table.name))
        if (table !== undefined) planner.add(comparison, table)
      },
    )
    await planner.settleRelated(context)
    this.#compared = true
    return { planner, parked }
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#openNow()
    return this.#opened
  }

  async #openNow(): Promise<Opened> {
    const {
      run,
      source,
      target,
      sourceSide,
      clock = systemClock,
      signal = new AbortController().signal,
      baselineRows,
    } = this.#options
    const { tables, foreignKeys, sourceSchema, targetSchema } = await reconciledTables(this.#options)
    const context: ApplyContext = {
      run,
      source,
      target,
      sourceSide,
      tables,
      foreignKeys,
      index: new CarriedIndex(),
      clock,
      signal,
      ...(baselineRows === undefined ? {} : { baselineRows }),
    }
    return { context, sourceSchema, targetSchema }
  }
}

interface Opened {
  readonly context: ApplyContext
  readonly sourceSchema: Layout
  readonly targetSchema: Layout
}

function childrenFirst({ tables, foreignKeys }: ApplyContext) {
  const targets = [...tables.values()].map((table) => table.target)
  return parentsFirst(targets, foreignKeys)
    .flat()
    .toReversed()
    .flatMap((target) => {
      const table = tables.get(fullName(target.name))
      return table === undefined ? [] : [[table.source, table.target] as const]
    })
}

/** The list of parked rows written anew, where it isn't as it should be. */
function parkChanges(planner: Planner, parked: readonly ParkedRow[]): readonly ReconcileChange[] {
  const waiting = parked.filter((row) => !row.refused)
  const known = new Set(waiting.map(standingOf))
  const { conflicts } = planner
  const settled = planner.settled(parked.filter((row) => row.refused).map(parkedId))
  const same = conflicts.length === waiting.length && conflicts.every((item) => known.has(standingOf(item)))
  return same && settled.length === 0 ? [] : [{ kind: 'park', items: conflicts, settled }]
}

/** A parked row together with the state it was parked in: anything changed since makes it another. */
const standingOf = (row: { table: string; key: string; source: string | null; target: string | null }): string =>
  `${parkedId(row)} ${row.source ?? '-'} ${row.target ?? '-'}`
