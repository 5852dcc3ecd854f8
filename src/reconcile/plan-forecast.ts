import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { cellsOf, like } from './apply-find.ts'
import type { PlanStore } from './plan-store.ts'
import { rowsByKey } from './rows-by-key.ts'

/**
 * Says of those of the source's new rows that are likely to be the same thing as one that was born on the target, by the table's natural
 * key, that they are expected to be, so that a plan says so. Case, accents and spaces at the end are passed over; what the server says
 * when the row is carried decides. Read-only.
 */
export async function expectMatches(table: CarriedTable, store: PlanStore, { source, target }: ApplyContext): Promise<void> {
  const { match } = table.policy
  // Where nothing was born on the source, nothing can be the same.
  if (store.born(table.name).next().done === true) return
  const naturals = store.naturals()
  for (const keys of store.bornThere(table.name)) {
    for await (const [, row] of rowsByKey(target, table.target, keys)) {
      const cells = cellsOf(table.target, row, match)
      if (cells !== undefined) naturals.add(like(cells))
    }
  }
  if (naturals.isEmpty()) return
  for (const keys of store.born(table.name)) {
    for await (const [key, row] of rowsByKey(source, table.source, keys)) {
      const cells = cellsOf(table.source, row, match)
      if (cells !== undefined && naturals.has(like(cells))) store.expectMatch(table.name, key)
    }
  }
}
