import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { cellsOf, like } from './apply-find.ts'
import { rowsByKey } from './rows-by-key.ts'

/**
 * Which of the source's new rows are likely to be the same thing as one that was born on the target, by the table's natural key, so that
 * a plan says so. Case, accents and spaces at the end are passed over; what the server says when the row is carried decides. Read-only.
 */
export async function likelyMatches(
  table: CarriedTable,
  sourceKeys: readonly string[],
  targetKeys: readonly string[],
  { source, target }: ApplyContext,
): Promise<ReadonlySet<string>> {
  const { match } = table.policy
  const natural = new Set<string>()
  for await (const [, row] of rowsByKey(target, table.target, targetKeys)) {
    const cells = cellsOf(table.target, row, match)
    if (cells !== undefined) natural.add(like(cells))
  }
  const likely = new Set<string>()
  if (natural.size === 0) return likely
  for await (const [key, row] of rowsByKey(source, table.source, sourceKeys)) {
    const cells = cellsOf(table.source, row, match)
    if (cells !== undefined && natural.has(like(cells))) likely.add(key)
  }
  return likely
}
