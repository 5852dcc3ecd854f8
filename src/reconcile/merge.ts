import type { Cell, Row } from '../databases/port.ts'
import { placeOf, readableColumns, type Table } from '../databases/schema.ts'
import { columnAt } from './columns.ts'
import type { RowState } from './difference.ts'
import { sumOf } from './merge-decimal.ts'
import { compareAge } from './merge-newest.ts'
import { columnRule, directed, type Rule, type SourceSide, type TablePolicy } from './policy.ts'

/** One row as both hosts have it, and as both last had it. */
export interface RowToMerge {
  readonly table: Table
  readonly policy: TablePolicy
  readonly sourceSide: SourceSide
  /** Names of the columns apart, in the states' order. */
  readonly apart: readonly string[]
  readonly source: { readonly base: RowState | null; readonly now: RowState; readonly row: Row }
  readonly target: { readonly base: RowState | null; readonly now: RowState; readonly row: Row }
  /** A person's decision for the whole row. */
  readonly ruling?: 'source' | 'target' | undefined
  /** True where the two were set apart or became one before: what the source alone changes since isn't simply taken over. */
  readonly diverged: boolean
}

/** The row that both have from now on, in the target's columns; or why a person must say. */
export type Merged = { readonly row: Row } | { readonly park: string }

/**
 * Makes one row of two: columns with a rule of their own each for itself, the others together, three-way; what both changed goes by
 * the playbook's rules. Key, identity and ignored columns stay as the target has them. `source.row` has its references rewritten
 * already.
 */
export function mergeRows(given: RowToMerge): Merged {
  const { source, target, diverged } = given
  // Without a change there, there is nothing to decide; also where the common ground doesn't know each column by itself.
  const untouched = target.base !== null && target.now.print === target.base.print && !diverged && target.base.mixed === undefined
  const rows = untouched && given.ruling === undefined ? { ...given, ruling: 'source' as const } : given
  if (source.base !== null && source.now.print === source.base.print && given.ruling === undefined) return { row: target.row }
  const names = readableColumns(rows.table).map((column) => column.name)
  const at = (name: string): number => placeOf(names, name)
  const rest = restOf(rows, at)
  if (typeof rest === 'object') return rest
  const cells = [...(rest === 'source' ? rows.source.row : rows.target.row)]
  for (const [index, name] of rows.apart.entries()) {
    const cell = apartCell(rows, name, index, at)
    if (typeof cell === 'object' && cell !== null) return cell
    cells[at(name)] = cell
  }
  for (const [position, column] of readableColumns(rows.table).entries()) {
    if (isTheTargets(rows, column.name) || column.identity !== null) cells[position] = rows.target.row[position] ?? null
  }
  return { row: cells }
}

const isTheTargets = ({ table, policy }: RowToMerge, name: string): boolean =>
  table.key.includes(name) || policy.ignore.some((each) => each.toLowerCase() === name.toLowerCase())

/** Which host's cells the columns without a rule of their own take. */
function restOf(rows: RowToMerge, at: (name: string) => number): 'source' | 'target' | { readonly park: string } {
  const { source, target, ruling, diverged } = rows
  if (ruling !== undefined) return ruling
  if (source.base !== null && source.now.rest === source.base.rest) return 'target'
  if (isRestAlike(rows)) return 'target'
  if (target.base !== null && target.now.rest === target.base.rest && !diverged && target.base.mixed !== 'rest') return 'source'
  return sideOf(directed(rows.policy.conflict, rows.sourceSide), rows, at) ?? { park: 'Changed on both hosts' }
}

/** Both hosts changed the columns without a rule of their own to the same. */
function isRestAlike({ table, policy, apart, source, target }: RowToMerge): boolean {
  const left = new Set([...table.key, ...apart, ...policy.ignore].map((name) => name.toLowerCase()))
  return readableColumns(table).every(
    (column, position) =>
      left.has(column.name.toLowerCase()) || (source.row[position] ?? null) === (target.row[position] ?? null),
  )
}

/** The side that wins by a rule; `undefined` when a person must say. */
function sideOf(rule: Rule, rows: RowToMerge, at: (name: string) => number): 'source' | 'target' | undefined {
  if (rule === 'source' || rule === 'target') return rule
  if (typeof rule !== 'object') return undefined
  const position = at(rule.newest)
  const age = compareAge(rows.source.row[position] ?? null, rows.target.row[position] ?? null)
  if (age === undefined || age === 0) return undefined
  return age > 0 ? 'source' : 'target'
}

/** The host whose row both have from now on where nothing else is known of them; `undefined` when a person must say. */
export function winner(
  table: Table,
  policy: TablePolicy,
  sourceSide: SourceSide,
  source: Row,
  target: Row,
): 'source' | 'target' | undefined {
  const rule = directed(policy.conflict, sourceSide)
  if (rule === 'source' || rule === 'target') return rule
  if (typeof rule !== 'object') return undefined
  const at = columnAt(table, rule.newest)
  const age = compareAge(source[at] ?? null, target[at] ?? null)
  return age === undefined || age === 0 ? undefined : age > 0 ? 'source' : 'target'
}

/** What a column with a rule of its own becomes. */
function apartCell(
  rows: RowToMerge,
  name: string,
  index: number,
  at: (name: string) => number,
): Cell | { readonly park: string } {
  const position = at(name)
  const [source, target] = [rows.source.row[position] ?? null, rows.target.row[position] ?? null]
  if (rows.ruling !== undefined) return rows.ruling === 'source' ? source : target
  const rule = columnRule(rows.policy, name, rows.sourceSide) ?? 'park'
  const [was, stood] = [cellOf(rows.source.base, index), cellOf(rows.target.base, index)]
  // The state's own cell: the row's may be a reference that was rewritten.
  const now = rows.source.now.apart[index] ?? null
  if (was !== undefined && now === was) return target
  if (rule === 'add' && was !== undefined) return added(target, now, was) ?? changedBy(stood, source, target, name, 'counter')
  // What was another on each host before isn't taken over without being asked about.
  const common = rows.target.base?.mixed === undefined || stood === was
  if (stood !== undefined && target === stood && common) return source
  if (source === target) return target
  const side = sideOf(rule, rows, at)
  if (side === undefined) return { park: `${name} changed on both hosts` }
  return side === 'source' ? source : target
}

/** A counter of which one of the three numbers is missing or none: it goes over as it is where the target left it alone. */
function changedBy(
  stood: Cell | undefined,
  source: Cell,
  target: Cell,
  name: string,
  what: string,
): Cell | { readonly park: string } {
  if (stood !== undefined && target === stood) return source
  return source === target ? target : { park: `${name} is a ${what} that changed on both hosts and is no number on one of them` }
}

const cellOf = (state: RowState | null, index: number): Cell | undefined =>
  state === null ? undefined : (state.apart[index] ?? null)

function added(target: Cell, source: Cell, was: Cell): string | undefined {
  if (target === null || source === null || was === null) return undefined
  return sumOf([
    [target, 1],
    [source, 1],
    [was, -1],
  ])
}
