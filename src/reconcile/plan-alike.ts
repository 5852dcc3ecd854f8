import type { ApplyContext, CarriedTable } from './apply-context.ts'
import { standingOf } from './apply-prepare.ts'
import { keyCells, keyLabel, RowReader } from './fingerprint.ts'
import { parentKey } from './remap-references.ts'

/** The port takes at most so many keys at a time. */
const MOST_KEYS = 1000

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
  const reader = new RowReader(table.source)
  for (let at = 0; at < keys.length; at += MOST_KEYS) {
    for (const row of await context.source.rowsByKey(table.source, keys.slice(at, at + MOST_KEYS).map(keyCells))) {
      for (const reference of table.references) {
        const key = parentKey(row, reference)
        const standing = key === undefined ? undefined : standingOf(reference.parent, key, context)
        if (key === undefined || standing === undefined) continue
        // Under a key that says what it is, each host's row belongs to its own host's parent, whatever becomes of that.
        if (standing === 'parked' && context.tables.get(reference.parent)?.numbered === undefined) continue
        if (standing === 'parked')
          moved.set(
            reader.key(row),
            `It belongs to ${reference.parent} ${keyLabel(key)}, which isn't on the host that receives it`,
          )
        else if ((typeof standing === 'string' || standing.key !== key) && !moved.has(reader.key(row)))
          moved.set(reader.key(row), '')
      }
    }
  }
  return moved
}
