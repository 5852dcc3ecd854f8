import { type ForeignKey, fullName, type Table } from '../databases/schema.ts'
import { isCyclic, parentsFirst } from './order.ts'
import type { ReconcileChange } from './plan-items.ts'
import type { ItemKind, PlanStore, Segment } from './plan-store.ts'

/** Rows of one change: what the journal tells at once. It is carried in several shorter transactions. */
const BATCH_ROWS = 2000
const CYCLE_ROWS = 10_000

const WRITTEN: readonly ItemKind[] = ['change', 'other']

/**
 * The order in which rows are carried. Inserts and updates parents first, updates before inserts, since they may give a unique value
 * up; deletions last, children first, but tried at the very beginning too, for they may make room: for a unique value, one that
 * excludes others, a key that the server takes for the same ('Ann', 'ANN'; 0 and -0). Where a circle of tables needs several changes,
 * its new rows come twice: what they refer to is there by then. A change's items are read from the store whenever they are asked for:
 * all of them at once would be as long as the tables.
 */
export function inOrder(
  store: PlanStore,
  tables: readonly Table[],
  foreignKeys: readonly ForeignKey[],
): readonly ReconcileChange[] {
  const carries = (segments: readonly Segment[], cyclic: boolean, early: boolean): readonly ReconcileChange[] =>
    store.portions(segments, cyclic ? CYCLE_ROWS : BATCH_ROWS).map((portion) => ({
      kind: 'carry',
      cyclic,
      early,
      get items() {
        return store.items(portion)
      },
    }))
  const circle = (segments: readonly Segment[]): readonly ReconcileChange[] => {
    const once = carries(segments, true, false)
    return once.length < 2 ? once : [...once, ...carries(segments, true, false)]
  }
  const groups = parentsFirst(tables, foreignKeys).map((group) => {
    const ordered = withinCircle(group, foreignKeys)
    const of = (own: readonly Table[], kinds: readonly ItemKind[]): readonly Segment[] =>
      own.map(({ name }) => ({ table: fullName(name), kinds }))
    return {
      tables: ordered,
      cyclic: isCyclic(group, foreignKeys),
      written: of(ordered, WRITTEN),
      changes: of(ordered, ['change']),
      others: of(ordered, ['other']),
      deleted: of(ordered.toReversed(), ['delete']),
    }
  })
  const backwards = groups.toReversed()
  return [
    ...backwards.flatMap(({ deleted, written, cyclic }) => (store.count(written) > 0 ? carries(deleted, cyclic, true) : [])),
    ...groups.flatMap(({ cyclic, written, changes, others }) =>
      cyclic ? circle(written) : [...carries(changes, false, false), ...carries(others, false, false)],
    ),
    ...backwards.flatMap(({ deleted, cyclic }) => carries(deleted, cyclic, false)),
  ]
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
