import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { standingOf } from './apply-prepare.ts'
import { keyLabel } from './fingerprint.ts'
import { parentKey } from './remap-references.ts'
import { rowsByKey } from './rows-by-key.ts'

/**
 * Those of the rows with these keys that belong to something that isn't the same thing, under the same key, on the target: '' where it
 * goes by another key there, a reason where it isn't there at all. Read-only.
 */
export async function movedWithParents(
  keys: readonly string[],
  table: CarriedTable,
  context: ApplyContext,
): Promise<ReadonlyMap<string, string>> {
  const moved = new Map<string, string>()
  for await (const [own, row] of rowsByKey(context.source, table.source, keys)) {
    for (const reference of table.references) {
      const key = parentKey(row, reference)
      const standing = key === undefined ? undefined : standingOf(reference.parent, key, context)
      if (key === undefined || standing === undefined) continue
      // Under a key that says what it is, each host's row belongs to its own host's parent, whatever becomes of that.
      if (standing === 'parked' && context.tables.get(reference.parent)?.numbered === undefined) continue
      if (standing === 'parked')
        moved.set(own, `It belongs to ${reference.parent} ${keyLabel(key)}, which isn't on the host that receives it`)
      else if ((typeof standing === 'string' || standing.key !== key) && !moved.has(own)) moved.set(own, '')
    }
  }
  return moved
}
