import { MigrateError, messageOf } from '../base/errors.ts'
import { type BatchMode, carryBatch } from './apply-batch.ts'
import { type ApplyContext, type CarryResult, NOTHING_CARRIED, together } from './apply-context.ts'
import { carryCopies, parkCopies } from './apply-copies.ts'
import { waitingChildren, withChildren } from './apply-orphans.ts'
import type { Pace } from './apply-pace.ts'
import { prepare } from './apply-prepare.ts'
import { safely } from './apply-safely.ts'
import { withoutPlace } from './apply-stages.ts'
import type { ParkedRow } from './parked.ts'
import { describeParked } from './parked-describe.ts'
import type { CarryItem } from './plan-items.ts'

/** Text of the rows that one transaction carries, about; a row that is larger goes alone. */
const BATCH_BYTES = 4 * 1024 * 1024

/**
 * Carries rows in short transactions, each with its ledger entries: all of a transaction or nothing, exactly once. What stands on the
 * target when its rows are locked decides, so a row that somebody changes there meanwhile is merged or parked, never overwritten.
 * When the target refuses rows (a unique key, a missing parent), the batch is rolled back, halved and tried again, until the refused
 * row stands alone and is parked with the server's own words.
 * Throws what may be tried again (`database-busy`, `database-connection-lost`) once trying again here hasn't helped.
 */
export async function carry(
  items: readonly CarryItem[],
  mode: BatchMode,
  pace: Pace,
  context: ApplyContext,
): Promise<CarryResult> {
  const results: CarryResult[] = []
  for (let at = 0; at < items.length; ) {
    context.signal.throwIfAborted()
    const some = items.slice(at, at + pace.rows)
    results.push(await pace.timed(() => carrySome(some, mode, context)))
    at += some.length
  }
  const result = together(results)
  // What couldn't be pointed at before may be there by now, or is known not to come.
  const waiting = mode.cyclic && results.length > 1 ? result.later : []
  const again = [...waiting, ...result.half]
  if (again.length === 0) return result
  for (const { table, key } of waiting)
    if (context.index.waiting(table, key) === 'later') context.index.setWaiting(table, key, 'coming')
  const rest = await carrySome(again, mode, context)
  return together([{ ...result, half: [], later: result.later.filter((item) => !waiting.includes(item)) }, rest])
}

async function carrySome(items: readonly CarryItem[], mode: BatchMode, context: ApplyContext): Promise<CarryResult> {
  const copies = items.filter((item) => item.action === 'copies')
  const rows = items.filter((item) => item.action !== 'copies')
  const results: CarryResult[] = []
  for (const group of Map.groupBy(copies, (item) => item.table).values()) {
    results.push(await carryAllCopies(group, context))
  }
  if (rows.length > 0) results.push(await carryRows(rows, mode, context))
  return together(results)
}

async function carryAllCopies(items: readonly CarryItem[], context: ApplyContext): Promise<CarryResult> {
  try {
    const carried = await safely(items, () => carryCopies(items, context), context)
    return carried === 'too-large' ? NOTHING_CARRIED : remembered(carried, context)
  } catch (error) {
    const [only] = items
    if (!isRefusal(error) || only === undefined) throw error
    if (items.length === 1) return remembered(await parkCopies(only, refusalReason(error), context), context)
    const half = Math.ceil(items.length / 2)
    const first = await carryAllCopies(items.slice(0, half), context)
    return together([first, await carryAllCopies(items.slice(half), context)])
  }
}

async function carryRows(items: readonly CarryItem[], mode: BatchMode, context: ApplyContext): Promise<CarryResult> {
  try {
    const carried = await safely(items, () => carryTogether(items, mode, context), context)
    return carried === 'too-large' ? await halved(items, mode, context) : remembered(carried, context)
  } catch (error) {
    if (!isRefusal(error)) throw error
    if (items.length > 1) return await halved(items, mode, context)
    if (mode.early) return NOTHING_CARRIED
    return remembered(await refused(items, mode, error, context), context)
  }
}

async function carryTogether(
  items: readonly CarryItem[],
  mode: BatchMode,
  context: ApplyContext,
): Promise<CarryResult | 'too-large'> {
  const { drafts, result, bytes } = await prepare(items, mode.cyclic, context)
  if (bytes > BATCH_BYTES && drafts.length > 1) return 'too-large'
  const aside = withChildren(drafts, result.parked)
  const waiting = new Set([...waitingChildren(drafts, result.later), ...withoutPlace(drafts)])
  const parked: ParkedRow[] = []
  for (const [draft, reason] of aside) parked.push(await describeParked(draft.item, reason, context))
  const rest = drafts.filter((draft) => !aside.has(draft) && !waiting.has(draft))
  const later = [...waiting].filter((draft) => !aside.has(draft)).map(({ item }) => item)
  const results = [result, { ...NOTHING_CARRIED, parked, later }]
  return together(rest.length === 0 ? results : [...results, await carryBatch(rest, mode, context)])
}

async function halved(items: readonly CarryItem[], mode: BatchMode, context: ApplyContext): Promise<CarryResult> {
  const half = Math.ceil(items.length / 2)
  const first = await carryRows(items.slice(0, half), mode, context)
  return together([first, await carryRows(items.slice(half), mode, context)])
}

/** The server understood and said no to the content; anything else (a lost connection, a full disk) isn't the rows' fault. */
const isRefusal = (error: unknown): boolean => error instanceof MigrateError && error.code === 'database-statement-failed'

/**
 * A row that the server refuses alone: looked at once more, since a customer may have taken its key between the look and the write;
 * then parked.
 */
async function refused(
  items: readonly CarryItem[],
  mode: BatchMode,
  refusal: unknown,
  context: ApplyContext,
): Promise<CarryResult> {
  try {
    const again = await safely(items, () => carryTogether(items, mode, context), context)
    if (again !== 'too-large') return again
  } catch (error) {
    if (!isRefusal(error)) throw error
  }
  const [item] = items
  if (item === undefined) return NOTHING_CARRIED
  return { ...NOTHING_CARRIED, parked: [await describeParked(item, refusalReason(refusal), context)] }
}

const refusalReason = (refusal: unknown): string => `Refused by the host that receives it: ${messageOf(refusal)}`

/** Lets what comes after know what became of these rows. */
function remembered(result: CarryResult, { index }: ApplyContext): CarryResult {
  for (const entry of result.entries) {
    index.add(entry)
    index.arrived(entry.table, entry.sourceKey)
    index.settled(entry.table, entry.targetKey)
  }
  for (const { table, key } of result.same) index.arrived(table, key)
  for (const row of result.parked) {
    if (row.born) index.setWaiting(row.table, row.key, 'parked')
    else if (row.targetKey !== null) index.setUnsettled(row.table, row.targetKey)
  }
  for (const { table, key, base, targetKey } of result.later) {
    if (base[0] === '' && base[1] === '') index.setWaiting(table, key, 'later')
    else index.setUnsettled(table, targetKey ?? key)
  }
  return result
}
