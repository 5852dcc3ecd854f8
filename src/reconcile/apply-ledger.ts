import { isoTime } from '../base/clock.ts'
import type { LedgerAction, LedgerEntry, Row, WholePrintedRow } from '../databases/port.ts'
import type { ApplyContext, Candidate } from './apply-context.ts'
import { mixtureOf, type Outcome } from './apply-decide.ts'
import { HALF } from './apply-prepare.ts'
import { type RowState, stateText } from './difference.ts'
import { nowhere } from './remap-index.ts'
import type { KeyReference } from './remap-references.ts'

/** A row of the target as it is to be after this transaction. */
export interface Written {
  readonly candidate: Candidate
  readonly action: LedgerAction
  readonly key: string
  readonly row: Row
  /** References that are still empty. */
  readonly half: boolean
  /** References to rows of the same batch that the row has from the source. */
  readonly taken: readonly KeyReference[]
}

const WRITTEN = new Set<Outcome['do']>(['insert', 'number', 'update', 'match'])

/**
 * Now, or just after what the ledgers say of the row so far, if that is later: the newest entry counts, and clocks are set back, or differ
 * between the machines that passes are made from.
 */
export function ledgerTime(table: string, sourceKey: string, { index, clock }: Pick<ApplyContext, 'index' | 'clock'>): string {
  const now = clock.now()
  const last = Date.parse(index.of(table, sourceKey)?.at ?? '')
  return isoTime(last >= now ? last + 1 : now)
}

/** What the ledger says of a row that was written. */
export function entryOf(each: Written, back: WholePrintedRow | undefined, context: ApplyContext): LedgerEntry {
  const { candidate, key, action, half } = each
  const { item, source } = candidate
  const state = source ?? null
  return {
    run: context.run,
    table: item.table,
    sourceKey: item.key,
    targetKey: key,
    action: action === 'updated' && !candidate.paired && key !== item.key ? 'remapped' : action,
    sourceState: half ? stateText({ print: HALF, rest: HALF, apart: state?.apart ?? [] }) : stateText(state),
    targetState: stateText(withMixture(each, back ?? null)),
    at: ledgerTime(item.table, item.key, context),
  }
}

/** Of what became one by its natural key nothing is carried back: each host keeps its own. */
function withMixture({ candidate, action, row, half, taken }: Written, state: RowState | null): RowState | null {
  if (state === null || candidate.row === undefined || action === 'merged' || half) return state
  // References that were settled within the transaction are the source's all the same.
  const settled = new Set(taken.flatMap((reference) => [...reference.positions, ...reference.loose]))
  const wanted = candidate.row.map((cell, at) => (settled.has(at) ? (row[at] ?? null) : cell))
  return mixed(state, mixtureOf(candidate.table, wanted, row))
}

const mixed = (state: RowState, mixture: RowState['mixed']): RowState => ({
  print: state.print,
  rest: state.rest,
  apart: state.apart,
  ...(mixture === undefined ? {} : { mixed: mixture }),
})

/** How the target's row stands that wins over the source's. */
function stateThere({ item, table, row, target }: Candidate): RowState | null {
  if (target === undefined || item.ruling === 'skip') return target ?? null
  return mixed(target, row === undefined ? 'rest' : mixtureOf(table, row, target.row))
}

/** What the ledger says of rows that weren't written. */
export function noted(
  candidate: Candidate,
  outcome: Outcome,
  kept: readonly Candidate[],
  context: ApplyContext,
): readonly LedgerEntry[] {
  const { item, table, source, targetKey } = candidate
  const at = ledgerTime(item.table, item.key, context)
  const entry = { run: context.run, table: item.table, sourceKey: item.key, at }
  const both = { sourceState: stateText(source ?? null), targetState: stateText(stateThere(candidate)) }
  if (WRITTEN.has(outcome.do)) return []
  if (outcome.do === 'note') return [{ ...entry, targetKey, action: outcome.action, ...both }]
  if (outcome.do === 'forsake')
    return [
      {
        ...entry,
        targetKey: nowhere(table.target.key.length),
        action: 'skipped',
        sourceState: both.sourceState,
        targetState: '',
      },
    ]
  if (outcome.do !== 'delete' || kept.includes(candidate)) return []
  return [{ ...entry, targetKey, action: 'deleted', sourceState: '', targetState: '' }]
}
