import type { Database, Row, Transaction } from '../databases/port.ts'
import type { ApplyContext, Candidate, CarriedTable } from './apply-context.ts'
import type { Draft } from './apply-prepare.ts'
import { keyCells, keyLabel, RowReader } from './fingerprint.ts'
import { type KeyReference, parentKey } from './remap-references.ts'
import { existing, rowsByKey } from './rows-by-key.ts'

/**
 * Rows whose parent the target hasn't (it was deleted there), by a reference that only the playbook knows: no server would keep
 * them out, and they would stand there without what they belong to. A row that has no parent on the source either goes over as it is.
 */
export async function orphansAmong(drafts: readonly Draft[], context: ApplyContext): Promise<Orphans> {
  const orphans: { readonly born: Map<Draft, string>; readonly changed: Map<Draft, NonNullable<Draft['missing']>> } = {
    born: new Map(),
    changed: new Map(),
  }
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
        note(
          orphans,
          draft,
          reference,
          `It belongs to ${reference.parent} ${keyLabel(key)}, which isn't on the host that receives it`,
        )
    }
  }
  return orphans
}

export interface Orphans {
  /** New rows, and why they are set aside. */
  readonly born: ReadonlyMap<Draft, string>
  /** Changed rows: they are set aside if the change is to be the target's too. */
  readonly changed: ReadonlyMap<Draft, NonNullable<Draft['missing']>>
}

function note(
  { born, changed }: { readonly born: Map<Draft, string>; readonly changed: Map<Draft, NonNullable<Draft['missing']>> },
  draft: Draft,
  reference: KeyReference,
  reason: string,
): void {
  if (draft.paired) changed.set(draft, { reference, reason })
  else born.set(draft, reason)
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
  const referred = new Map<string, string | undefined>()
  const keys = paired.map(({ draft }) => draft.targetKey)
  for await (const [key, row] of rowsByKey(target, table, keys)) referred.set(key, parentKey(row, reference))
  for (const { draft, here } of paired) if (referred.get(draft.targetKey) === here) so.add(draft)
  return so
}

/**
 * Rows whose parent went from the target since it was looked for: a customer may delete it at any moment, and by such a reference no server
 * minds. The parents that are there are locked, so that they stay until the children are.
 */
export async function bereaved(
  transaction: Transaction,
  children: readonly { readonly candidate: Candidate; readonly row: Row }[],
  { tables, source }: ApplyContext,
): Promise<ReadonlySet<Candidate>> {
  const found = new Set<Candidate>()
  const inBatch = new Set(children.map(({ candidate }) => `${candidate.table.name} ${candidate.item.key}`))
  for (const [table, group] of Map.groupBy(children, ({ candidate }) => candidate.table)) {
    for (const reference of table.references.filter(({ foreignKey }) => !foreignKey.enforced)) {
      const parent = tables.get(reference.parent)
      if (parent === undefined) continue
      const wanted = group.flatMap(({ candidate, row }) => {
        const [there, here] = [candidate.source?.row, row].map((each) =>
          each === undefined ? undefined : parentKey(each, reference),
        )
        const stands = candidate.target === undefined ? undefined : parentKey(candidate.target.row, reference)
        if (there === undefined || here === undefined || here === stands || inBatch.has(`${parent.name} ${there}`)) return []
        return [{ candidate, there, here }]
      })
      const keys = [...new Set(wanted.map(({ here }) => here))].sort().map(keyCells)
      const reader = new RowReader(parent.target)
      const locked = new Set((await transaction.lock(parent.target, keys)).map((row) => reader.key(row)))
      const lost = wanted.filter(({ here }) => !locked.has(here))
      const onSource = await existing(
        source,
        parent.source,
        lost.map(({ there }) => there),
      )
      for (const { candidate, there } of lost) if (onSource.has(there)) found.add(candidate)
    }
  }
  return found
}

/** Rows that are set aside, with all of the batch that belongs to them, and why. */
export function withChildren(
  drafts: readonly Draft[],
  orphans: ReadonlyMap<Draft, string>,
  parked: readonly { readonly table: string; readonly key: string; readonly born: boolean }[],
): ReadonlyMap<Draft, string> {
  const aside = new Map(orphans)
  const names = new Set(parked.filter(({ born }) => born).map(({ table, key }) => `${table} ${key}`))
  for (const { item, paired } of orphans.keys()) if (!paired) names.add(`${item.table} ${item.key}`)
  addChildren(drafts, names, (draft, reference, key) => {
    if (!aside.has(draft)) aside.set(draft, `It belongs to ${reference.parent} ${keyLabel(key)}, which is parked`)
  })
  return aside
}

/** Rows of the batch that belong to rows which wait for the next pass: they wait with them. */
export function waitingChildren(
  drafts: readonly Draft[],
  later: readonly { readonly table: string; readonly key: string }[],
): ReadonlySet<Draft> {
  const waiting = new Set<Draft>()
  addChildren(drafts, new Set(later.map(({ table, key }) => `${table} ${key}`)), (draft) => waiting.add(draft))
  return waiting
}

/** Tells of every row that refers to one of `names` (`table key`) that isn't on the target, and of those that refer to it in turn. */
function addChildren(
  drafts: readonly Draft[],
  names: Set<string>,
  add: (draft: Draft, reference: KeyReference, key: string) => void,
): void {
  for (let before = -1; before !== names.size; ) {
    before = names.size
    for (const draft of drafts) {
      for (const reference of draft.open) {
        const key = draft.source === undefined ? undefined : parentKey(draft.source.row, reference)
        if (key === undefined || !names.has(`${reference.parent} ${key}`)) continue
        add(draft, reference, key)
        if (!draft.paired) names.add(`${draft.item.table} ${draft.item.key}`)
      }
    }
  }
}
