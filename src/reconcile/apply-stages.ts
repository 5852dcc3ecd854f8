import { type Draft, keyOf } from './apply-prepare.ts'
import { keyCells } from './fingerprint.ts'
import { type KeyReference, parentKey } from './remap-references.ts'

/** Rows whose turn it is within a transaction, and those that wait for what they refer to. */
export interface Stage {
  readonly ready: readonly Draft[]
  readonly waiting: readonly Draft[]
}

/** What this transaction, or an earlier one, called a row of the source on the target; `undefined` while it isn't there. */
export interface Placed {
  placeOf(table: string, key: string): string | undefined
}

/**
 * Within a circle, a row's own key, or which row of the target it is to be compared with, may depend on the numbers that others of the
 * circle get: those come first, and what refers to a row that waits so waits with it. `begun`: there was a stage before this one. Where
 * rows only wait for each other, their turn comes with nothing more known of them.
 */
export function nextStage(drafts: readonly Draft[], placed: Placed, begun: boolean): Stage {
  if (!begun) {
    const waiting = bound(drafts)
    if (waiting.size < drafts.length) return { ready: drafts.filter((draft) => !waiting.has(draft)), waiting: [...waiting] }
  }
  const names = namesOf(drafts)
  const ready: Draft[] = []
  const waiting: Draft[] = []
  for (const draft of drafts) {
    const filled = withPlaces(draft, placed)
    const waits = filled.open.some((reference) => isBinding(draft, reference) || refersToOther(draft, reference, names))
    if (waits) waiting.push(draft)
    else ready.push(filled)
  }
  if (ready.length > 0) return { ready, waiting }
  const free = drafts.filter((draft) => !draft.open.some((reference) => isInKey(draft, reference)))
  const turn = free.length > 0 ? free : drafts
  return {
    ready: turn.map((draft) => withPlaces(draft, placed)),
    waiting: drafts.filter((draft) => !turn.includes(draft)),
  }
}

/** Rows that can't be without one that isn't among these, nor on the target yet, and those that can't be without them in turn. */
export function withoutPlace(drafts: readonly Draft[]): ReadonlySet<Draft> {
  const gone = new Set<Draft>()
  for (let before = -1; before !== gone.size; ) {
    before = gone.size
    const names = namesOf(drafts.filter((draft) => !gone.has(draft)))
    for (const draft of drafts) {
      const lacks = draft.open.some(
        (reference) =>
          (reference.loose.length === 0 || isInKey(draft, reference)) &&
          !names.has(`${reference.parent} ${referredTo(draft, reference)}`),
      )
      if (lacks) gone.add(draft)
    }
  }
  return gone
}

const namesOf = (drafts: Iterable<Draft>): ReadonlySet<string> =>
  new Set([...drafts].map(({ item }) => `${item.table} ${item.key}`))

/** Rows that must know others first, and those that refer to one of them. */
function bound(drafts: readonly Draft[]): ReadonlySet<Draft> {
  const all = new Set(drafts.filter((draft) => draft.open.some((reference) => isBinding(draft, reference))))
  for (let before = -1; before !== all.size && all.size > 0; ) {
    before = all.size
    const names = namesOf(all)
    for (const draft of drafts) if (draft.open.some((reference) => refersToOther(draft, reference, names))) all.add(draft)
  }
  return all
}

const refersToOther = (draft: Draft, reference: KeyReference, names: ReadonlySet<string>): boolean =>
  !isItself(draft, reference) && names.has(`${reference.parent} ${referredTo(draft, reference)}`)

const isItself = (draft: Draft, reference: KeyReference): boolean =>
  reference.parent === draft.item.table && referredTo(draft, reference) === draft.item.key

/**
 * True where the row's key holds the reference, or where the target has a row under its key already: whether both are the same thing
 * can't be told before it is known what each belongs to.
 */
function isBinding(draft: Draft, reference: KeyReference): boolean {
  const { table, paired, item } = draft
  if (paired) return false
  if (isInKey(draft, reference)) return true
  if (isItself(draft, reference)) return false
  return reference.loose.length === 0 || (table.numbered === undefined && item.expect !== null)
}

const isInKey = ({ table, paired }: Draft, { foreignKey }: KeyReference): boolean =>
  !paired && foreignKey.columns.some((name) => table.target.key.includes(name))

const referredTo = ({ source }: Draft, reference: KeyReference): string | undefined =>
  source === undefined ? undefined : parentKey(source.row, reference)

/** The row with what is known by now of the places that it refers to. */
function withPlaces(draft: Draft, placed: Placed): Draft {
  if (draft.row === undefined || draft.paired) return draft
  const cells = [...draft.row]
  const open: KeyReference[] = []
  for (const reference of draft.open) {
    const key = referredTo(draft, reference)
    const place = key === undefined ? undefined : placed.placeOf(reference.parent, key)
    if (place === undefined) open.push(reference)
    else for (const [index, cell] of keyCells(place).entries()) cells[reference.positions[index] ?? -1] = cell
  }
  const rewritten = cells.some((cell, at) => cell !== draft.source?.row[at])
  return { ...draft, row: cells, open, rewritten, targetKey: keyOf(draft.table, cells) }
}
