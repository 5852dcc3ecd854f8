import { MigrateError } from '../base/errors.ts'
import type { ApplyContext, CarryResult } from './apply-context.ts'
import { readLedgers } from './apply-prepare.ts'
import { keyCells } from './fingerprint.ts'
import type { CarryItem } from './plan-items.ts'

const TRIES = 5
const FIRST_WAIT_MS = 40

/**
 * Does `work` on these rows, and does it again after a short wait, not always the same, where customers were in the way (a deadlock, a
 * lock not given in time) or the connection broke. Where it broke at the commit, nobody was told whether it counts: then the rows are
 * waited for, and the ledgers say what was done, before anything is done again.
 */
export async function safely(
  items: readonly CarryItem[],
  work: () => Promise<CarryResult | 'too-large'>,
  context: ApplyContext,
): Promise<CarryResult | 'too-large'> {
  await readLedgers(new Set(items.map((item) => item.table)), context)
  const before = new Map(items.map((item) => [item, context.index.of(item.table, item.key)?.at]))
  let unknown = false
  for (let tried = 1; ; tried += 1) {
    try {
      if (unknown) await lookAgain(items, context)
      unknown = false
      const result = await work()
      if (tried === 1 || typeof result === 'string') return result
      return { ...result, entries: [...foundSince(items, before, context), ...result.entries] }
    } catch (error) {
      unknown ||= isUnknownEnd(error)
      if (tried === TRIES || !(isUnknownEnd(error) || isRetrySafe(error))) throw error
      await context.clock.sleep(waitMs(tried), context.signal)
    }
  }
}

/** Half to all of 40, 80, 160 … ms: two that were in each other's way don't meet again at once. */
const waitMs = (tried: number): number => FIRST_WAIT_MS * 2 ** (tried - 1) * (0.5 + Math.random() / 2)

const isRetrySafe = (error: unknown): boolean => error instanceof MigrateError && error.retrySafe

const isUnknownEnd = (error: unknown): boolean =>
  error instanceof MigrateError && error.code === 'database-connection-lost' && !error.retrySafe

/** Waits until a transaction whose end nobody told is over (it held these rows), then reads the ledgers again. */
async function lookAgain(items: readonly CarryItem[], context: ApplyContext): Promise<void> {
  for (const [name, group] of Map.groupBy(items, (item) => item.table)) {
    const table = context.tables.get(name)
    if (table === undefined) continue
    if (table.target.key.length > 0) {
      const keys = group.map((item) => keyCells(item.targetKey ?? item.key))
      await context.target.transaction([], (transaction) =>
        table.printer.lock(transaction, table.target, table.targetPrinting, keys),
      )
    }
    context.index.forget(name)
  }
  await readLedgers(new Set(items.map((item) => item.table)), context)
}

/** What the ledger says of these rows that it didn't say before: they were carried, and the answer was lost. */
function foundSince(
  items: readonly CarryItem[],
  before: ReadonlyMap<CarryItem, string | undefined>,
  { index, run }: ApplyContext,
): CarryResult['entries'] {
  return items.flatMap((item) => {
    const carried = index.of(item.table, item.key)
    return carried === undefined || carried.at === before.get(item) ? [] : [{ ...carried, run, table: item.table }]
  })
}
