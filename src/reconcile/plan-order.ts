import { type ForeignKey, fullName, type Table } from '../databases/schema.ts'
import { isCyclic, parentsFirst } from './order.ts'
import type { CarryItem, ReconcileChange } from './plan-items.ts'

/** Rows of one change: what the journal tells at once. It is carried in several shorter transactions. */
const BATCH_ROWS = 2000
const CYCLE_ROWS = 10_000

/**
 * The order in which rows are carried. Inserts and updates parents first, updates before inserts, since they may give a unique value
 * up; deletions last, children first, but tried at the very beginning too where they make room for a unique value. Where a circle of
 * tables needs several changes, its new rows come twice: what they refer to is there by then.
 */
export function inOrder(
  carry: ReadonlyMap<string, readonly CarryItem[]>,
  tables: readonly Table[],
  foreignKeys: readonly ForeignKey[],
): readonly ReconcileChange[] {
  const groups = parentsFirst(tables, foreignKeys).map((group) => {
    const ordered = withinCircle(group, foreignKeys)
    const items = ordered.flatMap((table) => carry.get(fullName(table.name)) ?? [])
    return {
      tables: ordered,
      cyclic: isCyclic(group, foreignKeys),
      written: items.filter((item) => item.action !== 'delete'),
      deleted: ordered
        .toReversed()
        .flatMap((table) => (carry.get(fullName(table.name)) ?? []).filter((item) => item.action === 'delete')),
    }
  })
  const backwards = groups.toReversed()
  return [
    ...backwards.flatMap(({ tables: own, deleted, written, cyclic }) =>
      written.length > 0 && own.some(hasUnique) ? carries(deleted, cyclic, true) : [],
    ),
    ...groups.flatMap(({ cyclic, written }) => (cyclic ? circle(written) : [...first(written), ...second(written)])),
    ...backwards.flatMap(({ deleted, cyclic }) => carries(deleted, cyclic, false)),
  ]
}

const hasUnique = (table: Table): boolean => table.uniqueKeys.some((key) => key.columns.join('\n') !== table.key.join('\n'))

const isChange = ({ action }: CarryItem): boolean => action === 'update' || action === 'merge' || action === 'skip'

const first = (items: readonly CarryItem[]): readonly ReconcileChange[] => carries(items.filter(isChange), false, false)
const second = (items: readonly CarryItem[]): readonly ReconcileChange[] =>
  carries(
    items.filter((item) => !isChange(item)),
    false,
    false,
  )

function circle(items: readonly CarryItem[]): readonly ReconcileChange[] {
  const once = carries(items, true, false)
  return once.length < 2 ? once : [...once, ...carries(items, true, false)]
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

function carries(items: readonly CarryItem[], cyclic: boolean, early: boolean): ReconcileChange[] {
  const size = cyclic ? CYCLE_ROWS : BATCH_ROWS
  const changes: ReconcileChange[] = []
  for (let at = 0; at < items.length; at += size)
    changes.push({ kind: 'carry', cyclic, early, items: items.slice(at, at + size) })
  return changes
}
