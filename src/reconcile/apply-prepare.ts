import type { Row, WholePrintedRow } from '../databases/port.ts'
import { type ApplyContext, type Candidate, type CarriedTable, type CarryResult, NOTHING_CARRIED } from './apply-context.ts'
import { carriedEntries } from './compare-ledger.ts'
import { MIXED, type RowState, stateOf } from './difference.ts'
import { keyCells, keyLabel, RowReader } from './fingerprint.ts'
import { describeParked } from './parked-describe.ts'
import type { CarryItem } from './plan-items.ts'
import { type CarriedRow, isNowhere } from './remap-index.ts'
import { type KeyReference, type ParentStanding, translate } from './remap-references.ts'

/** A candidate before the target was looked at. */
export type Draft = Omit<Candidate, 'target'>

export interface Prepared {
  readonly drafts: readonly Draft[]
  readonly result: CarryResult
  /** Bytes of the rows read, as text. */
  readonly bytes: number
}

/** The fingerprint of a row that was carried but for references that couldn't be written yet: no row has it. */
export const HALF = 'half'

const isHalf = (carried: CarriedRow): boolean => stateOf(carried.sourceState)?.print === HALF

/** Reads what the ledgers say of these tables, unless it is known. */
export async function readLedgers(tables: Iterable<string>, context: ApplyContext): Promise<void> {
  const { index, run, source, target } = context
  for (const name of tables) {
    const table = context.tables.get(name)
    if (table === undefined || index.isLoaded(name)) continue
    await index.load(name, carriedEntries(run, source, target, { sourceTable: table.source, targetTable: table.target }))
  }
}

/**
 * Reads the rows of the source and rewrites their references. Items that were carried already (by a process that was killed, by an
 * attempt whose answer was lost) are left out; rows whose parents wait, wait with them.
 */
export async function prepare(items: readonly CarryItem[], cyclic: boolean, context: ApplyContext): Promise<Prepared> {
  const byTable = Map.groupBy(items, (item) => item.table)
  const tables = [...byTable.keys()].flatMap((name) => context.tables.get(name) ?? [])
  await readLedgers(new Set(tables.flatMap(({ name, references }) => [name, ...references.map(({ parent }) => parent)])), context)
  const drafts: Draft[] = []
  let result = NOTHING_CARRIED
  let bytes = 0
  for (const table of tables) {
    const open = (byTable.get(table.name) ?? []).filter((item) => !isDone(item, context))
    const keys = open.map((item) => keyCells(item.key))
    const rows = await table.printer.rows(context.source, table.source, table.sourcePrinting, keys)
    const reader = new RowReader(table.source)
    const byKey = new Map(rows.map((row) => [reader.key(row.row), row]))
    for (const item of open) {
      const source = byKey.get(item.key)
      bytes += bytesOf(source?.row)
      const draft = await draftOf(item, table, source, cyclic, context)
      if (typeof draft === 'object' && 'item' in draft) drafts.push(draft)
      else if (draft === 'later') result = { ...result, later: [...result.later, item] }
      else result = { ...result, parked: [...result.parked, await describeParked(item, draft.reason, context)] }
    }
  }
  return { drafts, result, bytes }
}

const bytesOf = (row: Row | undefined): number => (row ?? []).reduce((sum, cell) => sum + (cell?.length ?? 0), 0)

/** True when the ledger says of the row what wasn't known yet when it was planned. */
function isDone({ table, key, base }: CarryItem, { index }: ApplyContext): boolean {
  const carried = index.of(table, key)
  if (carried === undefined || isHalf(carried)) return false
  return carried.sourceState !== base[0] || carried.targetState !== base[1]
}

type Drafted = Draft | 'later' | { readonly reason: string }

async function draftOf(
  item: CarryItem,
  table: CarriedTable,
  source: WholePrintedRow | undefined,
  cyclic: boolean,
  context: ApplyContext,
): Promise<Drafted> {
  if (hasMoved(item, table, source)) return 'later'
  const carried = context.index.of(item.table, item.key)
  // What a person left on one host alone is born anew when it goes over after all: what has its number there is another row.
  const forsaken = carried !== undefined && isNowhere(carried.targetKey)
  const base = carried !== undefined && isHalf(carried) ? [carried.sourceState, carried.targetState] : item.base
  const states = { source: stateOf(base[0] ?? ''), target: stateOf(base[1] ?? '') }
  const paired = !forsaken && (states.source !== null || states.target !== null)
  const translated =
    source === undefined ? undefined : translate(source.row, table.references, (parent, key) => standingOf(parent, key, context))
  if (translated?.torn !== undefined)
    return { reason: `Two of its references, one of them ${translated.torn}, need different numbers in one column` }
  const open: KeyReference[] = []
  let missing: Draft['missing']
  // Where a person decided that it isn't written there, it doesn't matter what it belongs to.
  const isWritten = item.ruling === undefined || item.ruling === 'source'
  for (const { reference, parentKey, standing } of isWritten ? (translated?.open ?? []) : []) {
    if (standing === 'parked') {
      const reason = `It belongs to ${reference.parent} ${keyLabel(parentKey)}, which isn't on the host that receives it`
      if (!paired && !isLikelyTwin(item, table, reference, context)) return { reason }
      missing = { reference, reason }
    } else if (standing === 'later' || !cyclic) return 'later'
    else open.push(reference)
  }
  const row = translated?.row
  return {
    item,
    table,
    paired,
    diverged: (carried?.action === 'skipped' || carried?.action === 'merged') && states.source?.print !== MIXED,
    base: states satisfies { source: RowState | null; target: RowState | null },
    source,
    row,
    rewritten: row?.some((cell, at) => cell !== source?.row[at]) ?? false,
    open,
    ...(missing === undefined ? {} : { missing }),
    targetKey: paired ? (carried?.targetKey ?? item.targetKey ?? item.key) : row === undefined ? item.key : keyOf(table, row),
  }
}

/**
 * Under keys that nobody numbers, each host's row belongs to its own host's parent, whatever becomes of that: where the target has the very
 * same row already, there is nothing to set aside.
 */
const isLikelyTwin = ({ found, expect }: CarryItem, table: CarriedTable, { parent }: KeyReference, { tables }: ApplyContext) =>
  expect !== null && found === expect && table.numbered === undefined && tables.get(parent)?.numbered === undefined

export const keyOf = (table: CarriedTable, row: Row): string => new RowReader(table.target).key(row)

/**
 * True for a row that the source has changed since it was planned and that may refer to what was born after its parents were looked at:
 * it waits until they are looked at again.
 */
function hasMoved({ action, found, ruling }: CarryItem, table: CarriedTable, source: WholePrintedRow | undefined): boolean {
  if (action === 'insert' && found === null) return false
  if ((source?.print ?? null) === found) return false
  return source === undefined || found === null || ruling !== undefined || table.references.length > 0
}

/** What a row of the source is called on the target. */
export function standingOf(parent: string, key: string, { index }: ApplyContext): ParentStanding {
  const carried = index.of(parent, key)
  if (carried !== undefined && carried.action !== 'deleted')
    return isNowhere(carried.targetKey) ? 'parked' : { key: carried.targetKey }
  return index.waiting(parent, key) ?? { key }
}
