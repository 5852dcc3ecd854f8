import { type ForeignKey, fullName, type Table } from '../databases/schema.ts'
import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { REASONS } from './apply-decide.ts'
import type { Decision } from './decisions.ts'
import { type DifferentCopies, type DifferentRow, stateText, type TableComparison } from './difference.ts'
import { copiesKey, copiesState } from './multiset.ts'
import { parentsFirst } from './order.ts'
import { parkedId } from './parked.ts'
import { movedWithParents } from './plan-alike.ts'
import { expectMatches } from './plan-forecast.ts'
import type { CarryItem, ParkItem, ReconcileChange } from './plan-items.ts'
import { inOrder } from './plan-order.ts'
import { type Place, place } from './plan-place.ts'
import { PlanStore, type Related } from './plan-store.ts'
import { rulingOf, type SourceSide } from './policy.ts'
import type { TableTally } from './proof.ts'
import { SumsOf } from './proof-sums.ts'
import { type Outcome, TallyOf } from './proof-tally.ts'
import type { CarriedIndex } from './remap-index.ts'

export interface PlannerOptions {
  readonly sourceSide: SourceSide
  readonly index: CarriedIndex
  /** What people decided about parked rows. */
  readonly decisions: readonly Decision[]
  /** True for a row that this process has tried already, as it stands. */
  readonly isRefused: (row: {
    readonly table: string
    readonly key: string
    readonly source: string | null
    readonly target: string | null
  }) => boolean
}

/** Collects comparisons, table by table, children before parents, into a plan. */
export class Planner {
  readonly #options: PlannerOptions
  readonly #decisions: ReadonlyMap<string, Decision>
  readonly #store = new PlanStore()
  readonly #conflicts: ParkItem[] = []
  readonly #tallies = new Map<string, TallyOf>()
  /** Rows that aren't simply as they were, by `parkedId`: a parked one that isn't among them has settled by itself. */
  readonly #open = new Set<string>()
  readonly #sums = new Map<string, SumsOf>()
  readonly #deletions = new Map<string, number>()
  readonly #maybeOpen: (id: string) => boolean

  /** `parkedIds`: rows that are parked now. */
  constructor(options: PlannerOptions, parkedIds: ReadonlySet<string>) {
    this.#options = options
    this.#decisions = new Map(options.decisions.map((each) => [parkedId(each), each]))
    this.#maybeOpen = (id) => parkedIds.has(id)
  }

  add(comparison: TableComparison, table: CarriedTable): void {
    const tally = new TallyOf(comparison, this.#options.index)
    const sums = table.policy.sums.length > 0 && table.target.key.length > 0 ? new SumsOf(table) : undefined
    if (sums !== undefined) this.#sums.set(table.name, sums)
    for (const row of comparison.differences()) {
      const outcome = this.#place(row, table)
      tally.count(row, outcome)
      sums?.count(row, outcome)
    }
    for (const copies of comparison.copies()) tally.countCopies(copies, this.#placeCopies(copies, table))
    this.#tallies.set(table.name, tally)
  }

  #place(row: DifferentRow, table: CarriedTable): Outcome {
    const key = row.source.key ?? row.key
    const id = parkedId({ table: table.name, key })
    const prints = { source: row.source.now?.print ?? null, target: row.target.now?.print ?? null }
    const isRefused = this.#isRefused(key, row, table)
    const found = this.#ruled(row, id, prints, table) ?? placeOf(row, table, this.#options, isRefused)
    if (row.target.now !== null && row.target.key !== null && !row.hasBase && table.policy.match.length > 0)
      this.#store.putBornThere(table.name, row.target.key)
    if (found.place === 'kept' || found.place === 'same') return found.place
    if (found.place === 'alike') return this.#keepRelated({ key, row, reason: undefined }, table)
    // One that was tried since its key may be another there, and was refused, is parked, whatever a rule says of two rows of one key.
    if (found.place === 'skipped' && !isRefused) return 'skipped'
    // What they belong to may go by another key on the target: all that differs may be that.
    if (found.place === 'park' && !isRefused && row.difference === 'same-key' && table.references.length > 0)
      return this.#keepRelated({ key, row, reason: found.reason }, table)
    if (this.#maybeOpen(id)) this.#open.add(id)
    const born = !row.hasBase
    const { index } = this.#options
    const targetKey = row.target.base === null && row.target.now === null ? null : row.target.key
    if (found.place !== 'carry' || isRefused) {
      if (found.place === 'park' && !isRefused)
        this.#conflicts.push({ table: table.name, key, targetKey, reason: found.reason, born, ...prints })
      if (born) index.setWaiting(table.name, key, 'parked')
      else if (targetKey !== null) index.setUnsettled(table.name, targetKey)
      return 'parked'
    }
    return this.#carryOn(row, table, found)
  }

  /** Without a parent to belong to, the same content is the same thing. */
  #keepRelated(related: Related, table: CarriedTable): Outcome {
    if (table.references.length === 0) return 'same'
    this.#store.putRelated(table.name, related)
    return 'alike'
  }

  /**
   * Rows that both hosts gave birth to under the same key: an order's first line, say. Where the order is another one on each host, so is
   * the line, and it is carried, to be looked at with its references rewritten; else there is nothing to do where they are alike, and a
   * conflict where they aren't. Parents first; read-only.
   */
  async settleRelated(context: ApplyContext): Promise<void> {
    const tables = this.#store.relatedTables().flatMap((name) => context.tables.get(name)?.target ?? [])
    for (const { name } of parentsFirst(tables, context.foreignKeys).flat()) {
      const table = context.tables.get(fullName(name))
      if (table === undefined) continue
      for (const related of this.#store.related(table.name)) {
        const moved = await movedWithParents(
          related.map(({ key }) => key),
          table,
          context,
        )
        for (const each of related)
          this.#tallies.get(table.name)?.settle(each.row, this.#settle(each, table, moved.get(each.key)))
      }
    }
    this.#store.forgetRelated()
  }

  /** `moved`: '' where what it belongs to goes by another key; a reason where that isn't on the target at all. */
  #settle({ key, row, reason }: Related, table: CarriedTable, moved: string | undefined): Outcome {
    if (moved === undefined && reason === undefined) return 'same'
    const id = parkedId({ table: table.name, key })
    if (this.#maybeOpen(id)) this.#open.add(id)
    const prints = { source: row.source.now?.print ?? null, target: row.target.now?.print ?? null }
    const isRefused = this.#isRefused(key, row, table)
    if (moved === '' && !isRefused) return this.#carryOn(row, table, { place: 'carry', action: 'remap' })
    const why = (moved ?? '') === '' ? (reason ?? REASONS.sameKey) : (moved ?? '')
    if (!isRefused)
      this.#conflicts.push({ table: table.name, key, targetKey: row.target.key, reason: why, born: true, ...prints })
    this.#options.index.setWaiting(table.name, key, 'parked')
    return 'parked'
  }

  /** Says of rows that will probably be merged by their natural key that they will. Read-only. */
  async forecast(context: ApplyContext): Promise<void> {
    for (const name of this.#store.matchTables()) {
      const table = context.tables.get(name)
      if (table !== undefined) await expectMatches(table, this.#store, context)
    }
  }

  #carryOn(row: DifferentRow, table: CarriedTable, { action, ruling }: Extract<Placed, { place: 'carry' }>): Outcome {
    const key = row.source.key ?? row.key
    const { index } = this.#options
    if (!row.hasBase) index.setWaiting(table.name, key, 'coming')
    if (action === 'delete' && row.target.key !== null) index.setUnsettled(table.name, row.target.key)
    if (action === 'delete') this.#delete(table, 1)
    this.#store.put({
      table: table.name,
      key,
      targetKey: row.hasBase || row.target.now !== null ? row.target.key : null,
      action,
      found: row.source.now?.print ?? null,
      expect: row.target.now?.print ?? null,
      base: [stateText(row.source.base), stateText(row.target.base)],
      ...(ruling === undefined ? {} : { ruling }),
    })
    return 'waiting'
  }

  /** What a person decided about the row as it stands. */
  #ruled(
    row: DifferentRow,
    id: string,
    prints: { source: string | null; target: string | null },
    table: CarriedTable,
  ): Placed | undefined {
    const decision = this.#decisions.get(id)
    if (decision === undefined || row.difference === 'kept') return undefined
    // A row born on the source may have been parked beside what stood in its way, under another key.
    const isBeside = !row.hasBase && (typeof decision.take === 'object' || !isKeyItsOwn(table))
    const isAsSeen = decision.source === prints.source && (decision.target === prints.target || isBeside)
    if (!isAsSeen) return undefined
    const ruling = rulingOf(decision.take, this.#options.sourceSide)
    if (typeof ruling === 'object') return { place: 'carry', action: 'match', ruling }
    if (ruling !== 'source') return { place: 'carry', action: 'skip', ruling }
    const action = row.source.now === null ? 'delete' : row.target.now === null ? 'insert' : 'update'
    return { place: 'carry', action, ruling }
  }

  /** Of a row born on the source, what the target has under its key may be another row: it says nothing. */
  #isRefused(key: string, { source, target, hasBase }: DifferentRow, { name }: CarriedTable): boolean {
    const there = hasBase ? (target.now?.print ?? null) : null
    return this.#options.isRefused({ table: name, key, source: source.now?.print ?? null, target: there })
  }

  #placeCopies(copies: DifferentCopies, table: CarriedTable): Outcome {
    const more = copies.source - copies.base
    if (more === 0) return 'kept'
    const key = copiesKey(copies.print)
    const id = parkedId({ table: table.name, key })
    if (this.#maybeOpen(id)) this.#open.add(id)
    const decision = this.#decisions.get(id)
    const take = decision?.source === copies.print ? rulingOf(decision.take, this.#options.sourceSide) : undefined
    const ruling = take === 'target' || take === 'skip' ? 'skip' : undefined
    const isRefused = this.#options.isRefused({ table: table.name, key, source: copies.print, target: null })
    if (isRefused && ruling === undefined) return 'parked'
    if (more < 0 && ruling === undefined) this.#delete(table, -more)
    this.#store.put({
      table: table.name,
      key,
      targetKey: key,
      action: 'copies',
      found: copies.print,
      expect: null,
      base: [copiesState(copies.base), copiesState(copies.base)],
      copies: { base: copies.base, source: copies.source, target: copies.target },
      ...(ruling === undefined ? {} : { ruling }),
    })
    return 'waiting'
  }

  #delete({ name }: CarriedTable, rows: number): void {
    this.#deletions.set(name, (this.#deletions.get(name) ?? 0) + rows)
  }

  /** Rows that the plan deletes on the target, by table. */
  get deletions(): ReadonlyMap<string, number> {
    return this.#deletions
  }

  /** Rows that both hosts changed and that the playbook leaves to a person. */
  get conflicts(): readonly ParkItem[] {
    return this.#conflicts
  }

  /** Those of the parked rows of which nothing is left to decide. */
  settled(parkedIds: Iterable<string>): readonly string[] {
    return [...parkedIds].filter((id) => !this.#open.has(id))
  }

  get tallies(): ReadonlyMap<string, TableTally> {
    return new Map([...this.#tallies].map(([name, tally]) => [name, tally.result()]))
  }

  /** The tallies with the sums that the playbook asks for: both hosts' tables are read for them. */
  async talliesWithSums(context: ApplyContext): Promise<ReadonlyMap<string, TableTally>> {
    const tallies = new Map(this.tallies)
    for (const [name, sums] of this.#sums) {
      const tally = tallies.get(name)
      if (tally !== undefined) tallies.set(name, { ...tally, sums: await sums.result(context) })
    }
    return tallies
  }

  carries(tables: readonly Table[], foreignKeys: readonly ForeignKey[]): readonly ReconcileChange[] {
    return inOrder(this.#store, tables, foreignKeys)
  }
}

type Placed = Place extends infer P ? (P extends { place: 'carry' } ? P & { readonly ruling?: CarryItem['ruling'] } : P) : never

const rulesOf = ({ policy, numbered, targetPrinting }: CarriedTable, { sourceSide }: PlannerOptions) => ({
  policy,
  sourceSide,
  apart: targetPrinting.apart,
  numbered: numbered !== undefined,
})

/** A row that may have another key on the target is seen by then: what the playbook says of two rows of one key isn't about it yet. */
const placeOf = (row: DifferentRow, table: CarriedTable, options: PlannerOptions, isRefused: boolean): Place =>
  !isRefused && isRelated(row, table) ? { place: 'carry', action: 'remap' } : place(row, rulesOf(table, options))

/**
 * True for a row born on both hosts under one key that names a parent: once the parent's number is another one on the target, so is the
 * row's key, and there may be no conflict at all.
 */
function isRelated(row: DifferentRow, table: CarriedTable): boolean {
  return row.difference === 'same-key' && row.source.key !== null && isKeyOfParents(table)
}

const isKeyOfParents = ({ references, target: { key } }: CarriedTable): boolean =>
  references.some(({ foreignKey }) => foreignKey.columns.some((name) => key.includes(name)))

/** True where what has a row's key on the target can't be another thing, nor the row have another key there. */
const isKeyItsOwn = (table: CarriedTable): boolean => table.numbered === undefined && !isKeyOfParents(table)
