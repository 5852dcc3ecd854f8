import type { Transaction } from '../databases/port.ts'
import type { ApplyContext } from './apply-context.ts'
import type { CarryItem } from './plan-items.ts'
import { portions } from './rows-by-key.ts'

/**
 * Those of the rows that somebody else has carried since this process read the ledgers: another process of the same run (one that slept
 * while it was taken over, one in a copy of its folder). Asked once the target's rows are locked: whoever wrote one of them has
 * committed by then, and what its ledger says with it. They are left for the next pass, which knows of them.
 */
export async function carriedMeanwhile(
  transaction: Transaction,
  items: readonly CarryItem[],
  { run, index }: ApplyContext,
): Promise<ReadonlySet<CarryItem>> {
  const done = new Set<CarryItem>()
  for (const [table, group] of Map.groupBy(items, (item) => item.table)) {
    const newest = new Map<string, string>()
    for (const some of portions([...new Set(group.map(({ key }) => key))]))
      for (const { sourceKey, at } of await transaction.carried(run, table, some)) newest.set(sourceKey, at)
    for (const item of group) {
      const at = newest.get(item.key)
      if (at !== undefined && at > (index.of(table, item.key)?.at ?? '')) done.add(item)
    }
  }
  return done
}
