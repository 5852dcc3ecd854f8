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
export function summary(changes: readonly ReconcileChange[], examples = EXAMPLES): readonly PlanLine[] {
  const lines = new Map<string, { table: string; action: PlanLine['action']; rows: number; examples: string[] }>()
  const add = (table: string, action: PlanLine['action'], rows: number, example: string): void => {
    const name = `${action} ${table}`
    const line = lines.get(name) ?? { table, action, rows: 0, examples: [] }
    line.rows += rows
    if (line.examples.length < examples) line.examples.push(example)
    lines.set(name, line)
  }
  for (const change of changes) {
    if (change.kind === 'number') {
      const { table, column } = change.identity
      add(table.schema === '' ? table.name : `${table.schema}.${table.name}`, 'number', 1, `${column} beyond ${change.to}`)
    } else if (change.kind === 'park') {
      for (const item of change.items) add(item.table, 'park', 1, `${keyLabel(item.key)} (${item.reason})`)
    } else if (!change.early) {
      for (const item of change.items) add(item.table, item.action, rowsOf(item), labelOf(item))
    }
  }
  return [...lines.values()]
}

/** Several copies of one row are as many rows. */
const rowsOf = ({ copies }: CarryItem): number => (copies === undefined ? 1 : Math.abs(copies.source - copies.base))

const labelOf = ({ key, targetKey }: CarryItem): string =>
  targetKey === null || targetKey === key ? keyLabel(key) : `${keyLabel(key)} → ${keyLabel(targetKey)}`
