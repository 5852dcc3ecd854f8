import type { ApplyContext, Candidate } from './apply-context.ts'
import { decideTwin, type Outcome } from './apply-decide.ts'
import type { Decided } from './apply-write.ts'
import { keyLabel } from './fingerprint.ts'
import { type KeyReference, parentKey } from './remap-references.ts'

/** A changed row isn't made to refer to what isn't there; where the target's own reference wins, nothing is in its way. */
export function withoutMissing({ missing, row: source }: Candidate, outcome: Outcome): Outcome {
  if (missing === undefined || !('row' in outcome) || outcome.row === undefined) return outcome
  const { row } = outcome
  const taken = missing.reference.positions.every((at) => row[at] === source?.[at])
  return taken ? { do: 'park', reason: missing.reason } : outcome
}

/** Where rows wait for each other, one that seems to be the target's may refer to one that gets a number of its own there. */
export function withoutTwins(decided: readonly Decided[], context: ApplyContext): readonly Decided[] {
  const moved = new Set(
    decided.flatMap(({ candidate, outcome }) => (outcome.do === 'number' || outcome.do === 'match' ? [nameOf(candidate)] : [])),
  )
  if (moved.size === 0) return decided
  return decided.map((each): Decided => {
    const { candidate, outcome } = each
    if (outcome.do !== 'leave' || candidate.paired || candidate.source === undefined) return each
    const cells = candidate.source.row
    const isTwin = candidate.open.some((reference) => moved.has(`${reference.parent} ${parentKey(cells, reference)}`))
    return isTwin ? { candidate, outcome: decideTwin(candidate, context) } : each
  })
}

/** Rows that refer to one that was set aside just now are set aside too; those that can't be without one that waits, wait with it. */
export function setApart(decided: readonly Decided[], before: readonly Decided[], context: ApplyContext): readonly Decided[] {
  let all = decided
  for (;;) {
    const stuck = new Map(
      [...before, ...all].flatMap((each) => (isStuck(each) ? [[nameOf(each.candidate), each.outcome.do]] : [])),
    )
    const next = all.map((each) => (stuck.size === 0 ? each : withoutStuck(each, stuck, context)))
    if (next.every((each, at) => each === all[at])) return next
    all = next
  }
}

const nameOf = ({ item }: Candidate): string => `${item.table} ${item.key}`

/** True of a row that isn't on the target, and won't be by this transaction. */
const isStuck = ({ candidate, outcome }: Decided): boolean =>
  candidate.paired
    ? candidate.target === undefined && candidate.row !== undefined && outcome.do !== 'insert'
    : outcome.do === 'park' || outcome.do === 'later' || outcome.do === 'forsake'

/** True where the target's row refers to the same already: that makes nothing worse. */
const stands = ({ row, target, open }: Candidate, reference: KeyReference): boolean =>
  row !== undefined &&
  !open.includes(reference) &&
  target !== undefined &&
  parentKey(row, reference) === parentKey(target.row, reference)

function withoutStuck(each: Decided, stuck: ReadonlyMap<string, Outcome['do']>, { tables }: ApplyContext): Decided {
  const { candidate, outcome } = each
  const { ruling } = candidate.item
  if (outcome.do === 'park' || candidate.source === undefined || (ruling !== undefined && ruling !== 'source')) return each
  for (const reference of candidate.table.references) {
    const key = parentKey(candidate.source.row, reference)
    const how = key === undefined ? undefined : stuck.get(`${reference.parent} ${key}`)
    if (key === undefined || how === undefined || stands(candidate, reference)) continue
    if (candidate.paired) {
      const reason = `It belongs to ${reference.parent} ${keyLabel(key)}, which isn't on the host that receives it`
      const without = withoutMissing({ ...candidate, missing: { reference, reason } }, outcome)
      if (without !== outcome) return { candidate, outcome: without }
      continue
    }
    if (how === 'later') {
      if (reference.loose.length === 0 && outcome.do !== 'later') return { candidate, outcome: { do: 'later' } }
      continue
    }
    // Under a key that says what it is, each host's row belongs to its own host's parent, whatever becomes of that.
    if (outcome.do === 'leave' && how === 'park' && tables.get(reference.parent)?.numbered === undefined) continue
    const why = how === 'park' ? 'which is parked' : "which isn't on the host that receives it"
    return { candidate, outcome: { do: 'park', reason: `It belongs to ${reference.parent} ${keyLabel(key)}, ${why}` } }
  }
  return each
}
