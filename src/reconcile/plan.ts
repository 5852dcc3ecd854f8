import { z } from 'zod'
import type { ForeignKey, Table } from '../databases/schema.ts'
import { fullName } from '../databases/schema.ts'
import { type Difference, isConflict } from './classify.ts'
import type { DifferentRow, TableComparison } from './difference.ts'
import { isCyclic, parentsFirst } from './order.ts'

const itemSchema = z
  .object({
    table: z.string(),
    /** JSON array of the key's cells. */
    key: z.string(),
    action: z.enum(['insert', 'update', 'delete']),
    /** The fingerprint that the target's row must still have when the change is made; `null` = no such row. */
    expect: z.string().nullable(),
  })
  .readonly()
/** One row to carry to the target. */
export type CarryItem = z.infer<typeof itemSchema>

const parkSchema = z
  .object({
    table: z.string(),
    key: z.string(),
    reason: z.string(),
    source: z.string().nullable(),
    target: z.string().nullable(),
  })
  .readonly()
/** One row that a person decides about. */
export type ParkItem = z.infer<typeof parkSchema>

export const reconcileChangeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('carry'), cyclic: z.boolean(), items: z.array(itemSchema).readonly() }).readonly(),
  z.object({ kind: z.literal('park'), items: z.array(parkSchema).readonly() }).readonly(),
])
export type ReconcileChange = z.infer<typeof reconcileChangeSchema>

/** What a conflict's policy comes to, seen from the direction in which rows are carried. */
export type Decision = 'park' | 'source' | 'target'

/** Rows that one transaction carries; a circle of tables is carried whole up to `CYCLE_ROWS`. */
const BATCH_ROWS = 500
const CYCLE_ROWS = 10_000

/** Per table: rows of the source by what became of them. They add up to the rows that the source has. */
export type TableTally = {
  readonly rows: number
  readonly same: number
  /** Changed or deleted on the target alone: its state stays. */
  readonly kept: number
  /** Conflicts that the playbook decides for the target. */
  readonly skipped: number
  readonly carry: number
  readonly park: number
}

/** Collects comparisons, table by table, into a plan. */
export class Planner {
  readonly #carry = new Map<string, CarryItem[]>()
  readonly #conflicts: ParkItem[] = []
  readonly #tally = new Map<string, TableTally>()

  /** `decide` gives a table's policy; `refused` says that the target has refused this very row already. */
  add(comparison: TableComparison, decide: (table: Table) => Decision, refused: (item: ParkItem) => boolean): void {
    const table = fullName(comparison.table.name)
    const decision = decide(comparison.table)
    const count = { kept: 0, skipped: 0, carry: 0, park: 0 }
    for (const row of comparison.differences()) {
      const outcome = this.#place(table, row, decision, refused)
      if (row.source.now !== null) count[outcome] += 1
    }
    const inStep = Object.values(comparison.inStep).reduce((sum, rows) => sum + rows, 0)
    this.#tally.set(table, { rows: comparison.sourceRows, same: comparison.same + inStep, ...count })
  }

  #place(
    table: string,
    row: DifferentRow,
    decision: Decision,
    refused: (item: ParkItem) => boolean,
  ): 'kept' | 'skipped' | 'carry' | 'park' {
    if (row.difference === 'kept') return 'kept'
    const conflict = isConflict(row.difference)
    if (conflict && decision === 'target') return 'skipped'
    const park = {
      table,
      key: row.key,
      reason: reasonOf(row.difference),
      source: printOf(row.source),
      target: printOf(row.target),
    }
    if (refused(park)) return 'park'
    if (conflict && decision === 'park') {
      this.#conflicts.push(park)
      return 'park'
    }
    const items = this.#carry.get(table) ?? []
    items.push({ table, key: row.key, action: actionOf(row), expect: printOf(row.target) })
    this.#carry.set(table, items)
    return 'carry'
  }

  /** Rows that both hosts changed and that the playbook leaves to a person. */
  get conflicts(): readonly ParkItem[] {
    return this.#conflicts
  }

  get tally(): ReadonlyMap<string, TableTally> {
    return this.#tally
  }

  /** Inserts and updates parents first, deletions children first, in batches. */
  carries(tables: readonly Table[], foreignKeys: readonly ForeignKey[]): readonly ReconcileChange[] {
    const groups = parentsFirst(tables, foreignKeys).map((group) => ({
      cyclic: isCyclic(group, foreignKeys),
      items: withinCircle(group, foreignKeys).flatMap((table) => this.#carry.get(fullName(table.name)) ?? []),
    }))
    return [
      ...groups.flatMap(({ cyclic, items }) =>
        carries(
          items.filter((item) => item.action !== 'delete'),
          cyclic,
        ),
      ),
      ...groups.toReversed().flatMap(({ items }) =>
        carries(
          items.filter((item) => item.action === 'delete'),
          false,
        ),
      ),
    ]
  }
}

/** Inside a circle, those references that can't wait (NULL isn't allowed) decide what comes first. */
function withinCircle(group: readonly Table[], foreignKeys: readonly ForeignKey[]): readonly Table[] {
  if (group.length === 1) return group
  const binding = foreignKeys.filter((key) => {
    const child = group.find((table) => fullName(table.name) === fullName(key.table))
    return child?.columns.every((column) => !key.columns.includes(column.name) || !column.nullable)
  })
  return parentsFirst(group, binding).flat()
}

function carries(items: readonly CarryItem[], cyclic: boolean): ReconcileChange[] {
  const size = cyclic ? CYCLE_ROWS : BATCH_ROWS
  const changes: ReconcileChange[] = []
  for (let at = 0; at < items.length; at += size) changes.push({ kind: 'carry', cyclic, items: items.slice(at, at + size) })
  return changes
}

const actionOf = (row: DifferentRow): CarryItem['action'] => {
  if (row.source.now === null) return 'delete'
  return row.target.now === null ? 'insert' : 'update'
}

const printOf = (standing: DifferentRow['source']): string | null => standing.now?.print ?? null

const REASONS: Readonly<Record<Difference, string>> = {
  insert: 'The new row was refused',
  update: 'The changed row was refused',
  delete: 'The deletion was refused',
  kept: 'Changed on the target alone',
  'both-changed': 'Changed on both hosts',
  'changed-and-deleted': 'Changed on one host, deleted on the one that receives it',
  'deleted-and-changed': 'Deleted on one host, changed on the one that receives the deletion',
  'same-key': 'Two different rows were born with the same key',
}

const reasonOf = (difference: Difference): string => REASONS[difference]
