import type { Transaction } from '../databases/port.ts'
import type { ApplyContext, Candidate, CarriedTable } from './apply-context.ts'
import type { Draft } from './apply-prepare.ts'
import { keyCells, keyLabel, RowReader } from './fingerprint.ts'
import { type KeyReference, parentKey } from './remap-references.ts'
import { existing, portions } from './rows-by-key.ts'

/** A row whose parent isn't on the target: by which reference, and why it is set aside for it. */
export interface Orphan {
  readonly reference: KeyReference
  readonly reason: string
}

/**
 * Rows whose parent the target hasn't (it was deleted there), by a reference that only the playbook knows: no server would keep them
 * out, and they would stand there without what they belong to. In a circle by any reference: a row that the server refuses must not be
 * found out about when others already refer to it. The parents that are there are locked: a customer may delete one at any moment, so
 * they stay until the children are. A row that has no parent on the source either goes over as it is, and so does one that refers to it
 * on the target already.
 */
export async function orphansAmong(
  transaction: Transaction,
  candidates: readonly Candidate[],
  cyclic: boolean,
  context: ApplyContext,
): Promise<ReadonlyMap<Candidate, Orphan>> {
  const orphans = new Map<Candidate, Orphan>()
  // A parent that is carried in this very batch is there in time, or what becomes of it is seen there.
  const coming = new Set(candidates.flatMap(({ item, row }) => (row === undefined ? [] : [`${item.table} ${item.key}`])))
  for (const [table, group] of Map.groupBy(candidates, (candidate) => candidate.table)) {
    for (const reference of table.references.filter(({ foreignKey }) => cyclic || !foreignKey.enforced)) {
      const parent = context.tables.get(reference.parent)
      if (parent === undefined) continue
      for (const [candidate, key] of await withoutParent(transaction, group, { reference, parent, coming }, context)) {
        const reason = `It belongs to ${reference.parent} ${keyLabel(key)}, which isn't on the host that receives it`
        if (!orphans.has(candidate)) orphans.set(candidate, { reference, reason })
      }
    }
  }
  return orphans
}

async function withoutParent(
  transaction: Transaction,
  candidates: readonly Candidate[],
  { reference, parent, coming }: { reference: KeyReference; parent: CarriedTable; coming: ReadonlySet<string> },
  { source }: ApplyContext,
): Promise<readonly (readonly [Candidate, string])[]> {
  const wanted = candidates.flatMap((candidate) => {
    // What is open is carried in this very batch, or is waited for.
    if (candidate.row === undefined || candidate.item.ruling !== undefined || candidate.open.includes(reference)) return []
    const [there, here, stands] = [candidate.source?.row, candidate.row, candidate.target?.row].map((row) =>
      row === undefined ? undefined : parentKey(row, reference),
    )
    if (there === undefined || here === undefined || here === stands) return []
    return coming.has(`${parent.name} ${there}`) ? [] : [{ candidate, there, here }]
  })
  if (wanted.length === 0) return []
  // In one order, so that two transactions wait for each other less often.
  const keys = [...new Set(wanted.map(({ here }) => here))].sort().map(keyCells)
  const reader = new RowReader(parent.target)
  const locked = new Set<string>()
  for (const some of portions(keys)) for (const row of await transaction.lock(parent.target, some)) locked.add(reader.key(row))
  const missing = wanted.filter(({ here }) => !locked.has(here))
  const onSource = await existing(
    source,
    parent.source,
    missing.map(({ there }) => there),
  )
  return missing.flatMap(({ candidate, there }) => (onSource.has(there) ? [[candidate, there] as const] : []))
}

/** Rows that are set aside since they belong to one that was, with all of the batch that belongs to them in turn, and why. */
export function withChildren(
  drafts: readonly Draft[],
  parked: readonly { readonly table: string; readonly key: string; readonly born: boolean }[],
): ReadonlyMap<Draft, string> {
  const aside = new Map<Draft, string>()
  const names = new Set(parked.filter(({ born }) => born).map(({ table, key }) => `${table} ${key}`))
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
