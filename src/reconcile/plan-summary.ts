import { keyLabel } from './fingerprint.ts'
import type { CarryItem, ReconcileChange } from './plan-items.ts'

/** What a plan does to one table in one way: how many rows, and the first of them. */
export interface PlanLine {
  readonly table: string
  readonly action: CarryItem['action'] | 'park' | 'number'
  readonly rows: number
  /** The row as people write its key: `10499`, `10499 (Changed on both hosts)`, `10499 → 11502` where it has another on the target. */
  readonly examples: readonly string[]
}

const EXAMPLES = 3

/** A plan for people and for `--json`: counts and so many examples for each table and action, in the order of the plan. */
export const summary = (changes: Iterable<ReconcileChange>, examples = EXAMPLES): readonly PlanLine[] => {
  const plan = new PlanSummary(examples)
  for (const change of changes) plan.add(change)
  return plan.lines
}

/** The same, of changes that come one after the other and needn't be kept. */
export class PlanSummary {
  readonly #examples: number
  readonly #lines = new Map<string, { table: string; action: PlanLine['action']; rows: number; examples: string[] }>()
  /** True when what was parked before and is settled now leaves the list. */
  isClearing = false

  constructor(examples: number) {
    this.#examples = examples
  }

  get lines(): readonly PlanLine[] {
    return [...this.#lines.values()]
  }

  add(change: ReconcileChange): void {
    if (change.kind === 'number') {
      const { table, column } = change.identity
      const name = table.schema === '' ? table.name : `${table.schema}.${table.name}`
      this.#count(name, 'number', 1, `${column} beyond ${change.to}`)
    } else if (change.kind === 'park') {
      if (change.items.length === 0) this.isClearing = true
      for (const item of change.items) this.#count(item.table, 'park', 1, `${keyLabel(item.key)} (${item.reason})`)
    } else if (!change.early) {
      for (const item of change.items) this.#count(item.table, item.action, rowsOf(item), labelOf(item))
    }
  }

  #count(table: string, action: PlanLine['action'], rows: number, example: string): void {
    const name = `${action} ${table}`
    const line = this.#lines.get(name) ?? { table, action, rows: 0, examples: [] }
    line.rows += rows
    if (line.examples.length < this.#examples) line.examples.push(example)
    this.#lines.set(name, line)
  }
}

/** Several copies of one row are as many rows. */
const rowsOf = ({ copies }: CarryItem): number => (copies === undefined ? 1 : Math.abs(copies.source - copies.base))

const labelOf = ({ key, targetKey }: CarryItem): string =>
  targetKey === null || targetKey === key ? keyLabel(key) : `${keyLabel(key)} → ${keyLabel(targetKey)}`
