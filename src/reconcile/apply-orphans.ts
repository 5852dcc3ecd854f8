import type { Database } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import type { ApplyContext, CarriedTable } from './apply-context.ts'
import type { Draft } from './apply-prepare.ts'
import { keyCells, keyLabel, RowReader } from './fingerprint.ts'
import { type KeyReference, parentKey } from './remap-references.ts'

/** The port takes at most so many keys at a time. */
const MOST_KEYS = 1000

/**
 * Rows whose parent the target hasn't (it was deleted there), by a reference that only the playbook knows: no server would keep
 * them out, and they would stand there without what they belong to. A row that has no parent on the source either goes over as it is.
 */
export async function orphansAmong(drafts: readonly Draft[], context: ApplyContext): Promise<ReadonlyMap<Draft, string>> {
  const orphans = new Map<Draft, string>()
  for (const [table, group] of Map.groupBy(drafts, (draft) => draft.table)) {
    const asked = group.filter((draft) => draft.row !== undefined && draft.item.ruling === undefined)
    for (const reference of table.references.filter(({ foreignKey }) => !foreignKey.enforced)) {
      const parent = context.tables.get(reference.parent)
      if (parent === undefined || asked.length === 0) continue
      // A parent that is carried in this very batch is there in time.
      const coming = new Set(
        drafts.filter((draft) => draft.table === parent && draft.row !== undefined).map(({ item }) => item.key),
      )
      for (const [draft, key] of await withoutParent(asked, reference, parent, coming, context))
        orphans.set(draft, `It belongs to ${reference.parent} ${keyLabel(key)}, which isn't on the host that receives it`)
    }
  }
  return orphans
}

async function withoutParent(
  drafts: readonly Draft[],
  reference: KeyReference,
  parent: CarriedTable,
  coming: ReadonlySet<string>,
  { source, target }: ApplyContext,
): Promise<ReadonlyMap<Draft, string>> {
  const wanted = drafts.flatMap((draft) => {
    const [there, here] = [draft.source?.row, draft.row].map((row) => (row === undefined ? undefined : parentKey(row, reference)))
    return there === undefined || here === undefined || coming.has(there) ? [] : [{ draft, there, here }]
  })
  const present = await existing(
    target,
    parent.target,
    wanted.map(({ here }) => here),
  )
  const missing = wanted.filter(({ here }) => !present.has(here))
  const onSource = await existing(
    source,
    parent.source,
    missing.map(({ there }) => there),
  )
  const lost = missing.filter(({ there }) => onSource.has(there))
  const standing = await alreadySo(lost, reference, target)
  return new Map(lost.filter(({ draft }) => !standing.has(draft)).map(({ draft, there }) => [draft, there]))
}

/** Rows that refer to the missing parent on the target as it is: carrying what else changed makes nothing worse. */
async function alreadySo(
  lost: readonly { readonly draft: Draft; readonly here: string }[],
  reference: KeyReference,
  target: Database,
): Promise<ReadonlySet<Draft>> {
  const so = new Set<Draft>()
  const paired = lost.filter(({ draft }) => draft.paired)
  const [first] = paired
  if (first === undefined) return so
  const { target: table } = first.draft.table
  const reader = new RowReader(table)
  const rows = await target.rowsByKey(
    table,
    paired.map(({ draft }) => keyCells(draft.targetKey)),
  )
  const referred = new Map(rows.map((row) => [reader.key(row), parentKey(row, reference)]))
  for (const { draft, here } of paired) if (referred.get(draft.targetKey) === here) so.add(draft)
  return so
}

async function existing(database: Database, table: Table, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const distinct = [...new Set(keys)]
  const reader = new RowReader(table)
  const found = new Set<string>()
  for (let at = 0; at < distinct.length; at += MOST_KEYS) {
    const rows = await database.rowsByKey(table, distinct.slice(at, at + MOST_KEYS).map(keyCells))
    for (const row of rows) found.add(reader.key(row))
  }
  return found
}
