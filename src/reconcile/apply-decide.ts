import type { LedgerAction, Row, WholePrintedRow } from '../databases/port.ts'
import { readableColumns } from '../databases/schema.ts'
import type { Candidate, CarriedTable } from './apply-context.ts'
import { cellsOf, like } from './apply-find.ts'
import { MIXED } from './difference.ts'
import { keyLabel } from './fingerprint.ts'
import { type Merged, mergeRows, winner } from './merge.ts'
import type { ParkedRow } from './parked.ts'
import type { SourceSide } from './policy.ts'

/** What is done with a row, now that both hosts' are seen and the target's is locked. */
export type Outcome =
  /** Both are as they should be: nothing is written, or the ledger alone. */
  | { readonly do: 'leave' }
  | { readonly do: 'note'; readonly action: LedgerAction }
  /** A person decided that it never goes over. */
  | { readonly do: 'forsake' }
  | { readonly do: 'insert'; readonly row: Row; readonly action: 'inserted' | 'remapped' }
  /** Inserted with a number of the target's own. */
  | { readonly do: 'number'; readonly row: Row; readonly column: string }
  | { readonly do: 'update'; readonly row: Row; readonly action: LedgerAction }
  | { readonly do: 'delete' }
  /** It is the same thing as this row of the target; `row` where its content changes. */
  | { readonly do: 'match'; readonly with: WholePrintedRow; readonly row: Row | undefined }
  | { readonly do: 'later' }
  | { readonly do: 'park'; readonly reason: string; readonly collision?: ParkedRow['collision'] }

export interface Seen {
  readonly sourceSide: SourceSide
  /** Rows of the target with the same natural key, or the one that a person named. */
  readonly matches: readonly WholePrintedRow[]
  /** The key of a row of the target that has its natural key and is another row's of the source. */
  readonly taken?: string | undefined
  /** True where its number was given to another row of the source on the target, though nothing has it there any more. */
  readonly spent?: boolean
}

export const REASONS = {
  bothChanged: 'Changed on both hosts',
  changedAndDeleted: 'Changed on one host, deleted on the one that receives it',
  deletedAndChanged: 'Deleted on one host, changed on the one that receives the deletion',
  sameKey: 'Two different rows were born with the same key',
  referenced: 'Deleted on one host, but rows on the other still refer to it',
} as const

export function decide(candidate: Candidate, seen: Seen): Outcome {
  const { item } = candidate
  if (typeof item.ruling === 'object') return mergeAsRuled(candidate, seen)
  return candidate.paired ? decidePaired(candidate, seen) : decideBorn(candidate, seen)
}

function mergeAsRuled({ row }: Candidate, { matches }: Seen): Outcome {
  const [only] = matches
  if (row === undefined) return { do: 'leave' }
  if (only === undefined) return { do: 'park', reason: 'The row that it was to be merged into is gone' }
  return { do: 'match', with: only, row: undefined }
}

/** A row that both hosts had: three-way. */
function decidePaired(candidate: Candidate, seen: Seen): Outcome {
  const { item, base, source, row, target, diverged } = candidate
  // Where there is nothing on the target, it stays so: that isn't a deletion to be carried back.
  if (item.ruling === 'skip') return target === undefined ? { do: 'forsake' } : { do: 'note', action: 'skipped' }
  const sourceChanged = source?.print !== base.source?.print
  const targetChanged = target?.print !== base.target?.print || diverged
  if (!sourceChanged && item.ruling === undefined) return { do: 'leave' }
  if (source === undefined || row === undefined) return decideGone(candidate, targetChanged, seen)
  if (target === undefined) {
    const side = base.source?.print === MIXED && base.target === null ? 'source' : winningSide(candidate, seen)
    if (side === undefined) return { do: 'park', reason: REASONS.changedAndDeleted }
    return side === 'target' ? { do: 'note', action: 'skipped' } : { do: 'insert', row, action: 'inserted' }
  }
  const merged = merge(candidate, { ...target, base: base.target }, seen)
  if ('park' in merged) return { do: 'park', reason: merged.park }
  if (isSame(candidate.table, merged.row, target.row))
    return { do: 'note', action: isSame(candidate.table, row, target.row) ? 'updated' : 'skipped' }
  return { do: 'update', row: merged.row, action: 'updated' }
}

function decideGone(candidate: Candidate, targetChanged: boolean, seen: Seen): Outcome {
  const { item, target } = candidate
  if (target === undefined) return { do: 'note', action: 'deleted' }
  if (!targetChanged || item.ruling === 'source') return { do: 'delete' }
  const side = winningSide(candidate, seen)
  if (side === undefined) return { do: 'park', reason: REASONS.deletedAndChanged }
  return side === 'source' ? { do: 'delete' } : { do: 'note', action: 'skipped' }
}

/** A host that wins without looking at the rows. */
function winningSide({ item, table }: Candidate, { sourceSide }: Seen): 'source' | 'target' | undefined {
  if (item.ruling === 'source' || item.ruling === 'target') return item.ruling
  const { conflict } = table.policy
  if (conflict !== 'old' && conflict !== 'new') return undefined
  return conflict === sourceSide ? 'source' : 'target'
}

/** A row that was born on the source. */
function decideBorn(candidate: Candidate, seen: Seen): Outcome {
  const { item, table, source, row, rewritten, target } = candidate
  const isAlone = target === undefined || isStranger(candidate, target)
  if (item.ruling === 'skip' || (item.ruling === 'target' && isAlone)) return { do: 'forsake' }
  if (source === undefined || row === undefined) return { do: 'leave' }
  if (target !== undefined && target.print === source.print && !rewritten) return { do: 'leave' }
  // With a number of its own, a row is another thing even where all that it holds is the same by now.
  if (target !== undefined && rewritten && table.numbered === undefined && isSame(table, row, target.row))
    return { do: 'note', action: 'remapped' }
  if (item.ruling === 'source' && table.numbered !== undefined && target !== undefined && isAlone)
    return { do: 'number', row, column: table.numbered.column }
  if (item.ruling === 'source' || item.ruling === 'target') return ruled(candidate, row, item.ruling, seen)
  if (seen.taken !== undefined)
    return {
      do: 'park',
      reason: `Its ${table.policy.match.join(' and ')} is that of ${table.name} ${keyLabel(seen.taken)}, which is another row on the host it comes from`,
    }
  const [match, ...more] = seen.matches
  if (more.length > 0)
    return { do: 'park', reason: `Several rows have its ${table.policy.match.join(' and ')}: it can't be told which it is` }
  if (match !== undefined) return { do: 'match', with: match, row: matchedRow(candidate, row, match, seen) }
  if (table.numbered !== undefined && seen.spent === true) return { do: 'number', row, column: table.numbered.column }
  if (target === undefined) return { do: 'insert', row, action: candidate.targetKey === item.key ? 'inserted' : 'remapped' }
  if (table.numbered !== undefined) return { do: 'number', row, column: table.numbered.column }
  const side = winner(table.target, table.policy, seen.sourceSide, row, target.row)
  return side === undefined ? { do: 'park', reason: REASONS.sameKey } : ruled(candidate, row, side, seen)
}

/**
 * True of a row of the target that only has the number of one born on the source: whatever a person says of the one, isn't about the other.
 * One with the same natural key is the same thing.
 */
function isStranger({ table, row }: Candidate, target: WholePrintedRow): boolean {
  const { match } = table.policy
  if (table.numbered === undefined) return false
  const [there, here] = [row, target.row].map((each) => (each === undefined ? undefined : cellsOf(table.target, each, match)))
  return match.length === 0 || there === undefined || here === undefined || like(there) !== like(here)
}

/** A row that is the target's to the letter, and yet another one: what it refers to gets another number there. */
export const decideTwin = (candidate: Candidate, seen: Pick<Seen, 'sourceSide'>): Outcome => {
  const { row, target, table } = candidate
  if (row === undefined || target === undefined) return { do: 'park', reason: REASONS.sameKey }
  const side = winner(table.target, table.policy, seen.sourceSide, row, target.row)
  if (side === undefined) return { do: 'park', reason: REASONS.sameKey }
  return side === 'target' ? { do: 'note', action: 'skipped' } : { do: 'update', row, action: 'updated' }
}

/** Two rows of one key become one: the winner's content. */
function ruled(candidate: Candidate, row: Row, side: 'source' | 'target', seen: Seen): Outcome {
  const { target } = candidate
  if (target === undefined) return { do: 'insert', row, action: 'inserted' }
  if (side === 'target') return { do: 'note', action: 'skipped' }
  const merged = merge(candidate, { ...target, base: null }, seen, 'source')
  return 'park' in merged ? { do: 'park', reason: merged.park } : { do: 'update', row: merged.row, action: 'updated' }
}

/** What the one thing of both hosts looks like: as on the target, unless the policy says that the source's is better. */
function matchedRow(candidate: Candidate, row: Row, match: WholePrintedRow, seen: Seen): Row | undefined {
  const { table } = candidate
  if (winner(table.target, table.policy, seen.sourceSide, row, match.row) !== 'source') return undefined
  const merged = merge(candidate, { ...match, base: null }, seen, 'source')
  return 'park' in merged || isSame(table, merged.row, match.row) ? undefined : merged.row
}

function merge(
  { table, base, source, row, item, diverged }: Candidate,
  target: WholePrintedRow & { readonly base: Candidate['base']['target'] },
  { sourceSide }: Seen,
  side?: 'source' | 'target',
): Merged {
  if (source === undefined || row === undefined) throw new TypeError(`${item.table} ${item.key} has no row to merge`)
  return mergeRows({
    table: table.target,
    policy: table.policy,
    sourceSide,
    apart: table.targetPrinting.apart,
    source: { base: base.source, now: source, row },
    target: { base: target.base, now: target, row: target.row },
    diverged,
    ruling: side ?? (item.ruling === 'source' || item.ruling === 'target' ? item.ruling : undefined),
  })
}

/** True when two rows of the target are alike in all that is compared, but for their keys. */
export const isSame = (table: CarriedTable, a: Row, b: Row): boolean => mixtureOf(table, a, b) === undefined

/** In which columns a row of the target isn't the source's, whose references are rewritten; `undefined` where it is in none. */
export function mixtureOf({ target, targetPrinting }: CarriedTable, source: Row, row: Row): 'apart' | 'rest' | undefined {
  const compared = new Set(targetPrinting.columns)
  const apart = new Set(targetPrinting.apart)
  const others = readableColumns(target).filter(
    (column, at) => compared.has(column.name) && !target.key.includes(column.name) && (source[at] ?? null) !== (row[at] ?? null),
  )
  if (others.length === 0) return undefined
  return others.every((column) => apart.has(column.name)) ? 'apart' : 'rest'
}
