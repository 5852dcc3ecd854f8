import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { isLedgerAction, type LedgerAction } from '../databases/port.ts'
import type { Difference } from './classify.ts'
import { type DifferentRow, type InStep, MIXED, type RowState, type Standing, stateOf } from './difference.ts'

/** One row with how it stands on both hosts. */
interface Pairing {
  readonly source: Standing
  readonly target: Standing
  /** What the ledger says was done with it. */
  readonly action: LedgerAction | null
  /** True when the source's row is as in the baseline. */
  readonly unmoved: boolean
}

/** What of a table isn't simply as in the baseline on both hosts. */
export interface Joined {
  readonly inStep: InStep
  /** To be added to the source's rows that are as in the baseline: what both changed alike, less what has moved on the target. */
  readonly sameMore: number
  differences(): IterableIterator<DifferentRow>
}

/** Joins both sides' changes and the ledger, as they stand in the scratch database. */
export function join(scratch: DatabaseSync): Joined {
  const inStep: Record<keyof InStep, number> = { inserted: 0, updated: 0, merged: 0, remapped: 0, skipped: 0 }
  let sameMore = 0
  for (const pairing of pairings(scratch)) {
    const { source, action, unmoved } = pairing
    if (source.now === null) continue
    const outcome = classifyPair(pairing)
    if (unmoved && outcome !== 'same') sameMore -= 1
    if (!unmoved && outcome === 'same') sameMore += 1
    if (outcome === 'in-step' && action !== null && action !== 'deleted') inStep[action] += 1
  }
  return {
    inStep,
    sameMore,
    *differences() {
      for (const pairing of pairings(scratch)) {
        const difference = classifyPair(pairing)
        if (difference === 'same' || difference === 'in-step') continue
        const { source, target } = pairing
        const hasBase = source.base !== null || target.base !== null
        yield { key: source.key ?? target.key ?? '', difference, source, target, hasBase }
      }
    },
  }
}

/** Answers of a person, and rows that became one: what the source does to its row afterwards isn't the target's row's business. */
const DIVERGED: ReadonlySet<LedgerAction | null> = new Set(['skipped', 'merged'])

/** On the way back, the row that won here is what this host did since both last had it in common. */
const isDiverged = (source: Standing, action: LedgerAction | null): boolean =>
  DIVERGED.has(action) && source.base?.print !== MIXED

function classifyPair({ source, target, action }: Pairing): Difference | 'same' | 'in-step' {
  const changed = ({ base, now }: Standing): boolean => base?.print !== now?.print
  const sourceChanged = changed(source)
  if (action !== null && action !== 'deleted' && !sourceChanged && !changed(target)) return 'in-step'
  if (source.now?.print === target.now?.print) {
    return isAlike(source, target, action) ? 'alike' : 'same'
  }
  if (!sourceChanged) return changed(target) ? 'kept' : 'same'
  if (!changed(target) && !isDiverged(source, action)) {
    if (source.now === null) return 'delete'
    return target.now === null ? 'insert' : 'update'
  }
  if (source.base === null && target.base === null) return 'same-key'
  if (source.now === null) return 'deleted-and-changed'
  return target.now === null ? 'changed-and-deleted' : 'both-changed'
}

/**
 * Equal by content, and yet perhaps not the same: born on both, or changed on the source in a column that has a rule of its own (a counter
 * that comes to the number which the target has already).
 */
function isAlike(source: Standing, target: Standing, action: LedgerAction | null): boolean {
  if (source.now === null) return false
  if (source.base === null && target.base === null) return action === null || action === 'deleted'
  return source.now.apart.length > 0 && source.base?.print !== source.now.print
}

type Fields = Readonly<Record<string, unknown>>
const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const state = (value: unknown): RowState | null => (typeof value === 'string' ? stateOf(value) : null)

function* pairings(scratch: DatabaseSync): Generator<Pairing> {
  const [byLedger, byKeys, onTarget] = statementsOf(scratch)
  for (const row of byLedger.iterate()) yield carried(row)
  for (const row of byKeys.iterate()) yield byKey(row)
  for (const row of onTarget.iterate()) yield targetAlone(row)
}

type Statements = readonly [StatementSync, StatementSync, StatementSync]
const prepared = new WeakMap<DatabaseSync, Statements>()

/** Prepared once for a comparison: for a small table that takes longer than the joins. */
function statementsOf(scratch: DatabaseSync): Statements {
  const known = prepared.get(scratch)
  if (known !== undefined) return known
  const made: Statements = [scratch.prepare(CARRIED), scratch.prepare(BY_KEY), scratch.prepare(TARGET_ALONE)]
  prepared.set(scratch, made)
  return made
}

/** Rows that the ledger pairs, whatever their keys; what it says of them is their common ground. */
const CARRIED = `
  SELECT l.source_key, l.target_key, l.action, l.source_state, l.target_state,
         s.digest AS s_there, s.now AS s_now, s.asked AS s_asked, t.digest AS t_there, t.now AS t_now, t.asked AS t_asked,
         CASE WHEN l.source_digest = l.target_digest THEN coalesce(s.base, t.base) END AS base
    FROM ledger AS l
    LEFT JOIN source_side AS s ON s.digest = l.source_digest
    LEFT JOIN target_side AS t ON t.digest = l.target_digest
   ORDER BY l.source_key`

function carried(row: Fields): Pairing {
  const action = text(row.action)
  return {
    source: {
      key: text(row.source_key),
      base: state(row.source_state),
      now: state(row.s_there === null ? row.base : row.s_now),
    },
    target: {
      key: text(row.target_key),
      base: state(row.target_state),
      now: state(row.t_there === null ? row.base : row.t_now),
    },
    action: isLedgerAction(action) ? action : null,
    unmoved: row.s_there === null || row.s_asked === 1,
  }
}

/** Rows of the source that aren't as in the baseline, each with the target's of the same key. */
const BY_KEY = `
  SELECT coalesce(s.key, t.key) AS key, s.now AS s_now, s.base AS base, t.digest AS t_there, t.now AS t_now
    FROM source_side AS s
    LEFT JOIN target_side AS t ON t.digest = s.digest AND t.asked = 0
   WHERE s.asked = 0 AND NOT EXISTS (SELECT 1 FROM ledger AS l WHERE l.source_digest = s.digest)
     AND (s.key IS NOT NULL OR t.key IS NOT NULL)
   ORDER BY 1`

function byKey(row: Fields): Pairing {
  const [key, base] = [text(row.key), state(row.base)]
  return {
    source: { key, base, now: state(row.s_now) },
    target: { key, base, now: row.t_there === null ? base : state(row.t_now) },
    action: null,
    unmoved: false,
  }
}

/**
 * Rows that only the target has not as in the baseline. One that the ledger brought here was met as carried. One that was born here
 * under the key of a row of the source that now goes by another key is a thing by itself.
 */
const TARGET_ALONE = `
  SELECT t.key, t.now, t.base, EXISTS (SELECT 1 FROM ledger AS l WHERE l.source_digest = t.digest) AS elsewhere
    FROM target_side AS t
   WHERE t.asked = 0 AND t.key IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM ledger AS l WHERE l.source_digest = t.digest AND l.target_digest = t.digest)
     AND NOT (t.base IS NULL AND EXISTS (SELECT 1 FROM ledger AS l WHERE l.target_digest = t.digest))
     AND NOT EXISTS (
       SELECT 1 FROM source_side AS s WHERE s.digest = t.digest AND s.asked = 0
          AND NOT EXISTS (SELECT 1 FROM ledger AS l WHERE l.source_digest = s.digest))
   ORDER BY 1`

function targetAlone(row: Fields): Pairing {
  const [key, base] = [text(row.key), state(row.base)]
  const onSource = row.elsewhere === 1 ? null : base
  return {
    source: { key: onSource === null ? null : key, base: onSource, now: onSource },
    target: { key, base, now: state(row.now) },
    action: null,
    unmoved: true,
  }
}
