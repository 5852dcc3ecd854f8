import type { Table } from '../databases/schema.ts'
import { readAgain } from './again.ts'
import { type Joined, join } from './compare-join.ts'
import { carriedEntries, keepLedger, type TablePair } from './compare-ledger.ts'
import { askCarried, nameGone } from './compare-lookup.ts'
import { type CompareOptions, Comparing } from './compare-readings.ts'
import type { TableComparison } from './difference.ts'
import { compareCopies } from './multiset.ts'
import { readSide, type SideCounts, together } from './side.ts'

export type { CompareOptions } from './compare-readings.ts'

type Visit = (comparison: TableComparison) => void | Promise<void>

/**
 * Compares one table after the other: source now, target now, and what both last had in common (the baseline, or what was carried
 * since). Both hosts are read side by side, by sums over ranges of keys where their servers fingerprint rows. What differs goes through
 * a private SQLite file: memory doesn't grow with the data and nothing is written where anybody looks. Order and collation of the
 * servers don't matter. `visit` gets each table in turn.
 * Throws MigrateError `baseline-columns-differ` where the playbook compares other columns than when the baseline was taken,
 * `fingerprint-method-changed` where a host no longer fingerprints as then; `database-connection-lost` is retrySafe: only the baseline
 * and the hosts know anything, and both were only read.
 */
export async function compareTables(
  options: CompareOptions,
  tables: readonly (readonly [source: Table, target: Table])[],
  visit: Visit,
): Promise<void> {
  await Comparing.within(options, async (comparing) => {
    for (const [sourceTable, targetTable] of tables) {
      options.signal?.throwIfAborted()
      await visit(await comparedTable(comparing, { sourceTable, targetTable }))
    }
  })
}

/**
 * A server may show a table as empty to a reader that began before it was emptied, whatever is in it by then (see databases/mysql/standing):
 * one that had rows is looked at a second time.
 */
async function comparedTable(comparing: Comparing, pair: TablePair): Promise<TableComparison> {
  const compare = (): Promise<TableComparison> => readAgain(() => compareTable(comparing, pair))
  const comparison = await compare()
  const isEmptied = comparison.sourceRows === 0 || comparison.targetRows === 0
  return isEmptied && comparing.hadRows(pair) ? await compare() : comparison
}

async function compareTable(comparing: Comparing, pair: TablePair): Promise<TableComparison> {
  const { scratch, options } = comparing
  const { sourceTable, targetTable: table } = pair
  const [source, target] = await comparing.readings(pair)
  const hasLedger = await keepLedger(
    scratch,
    options.carried?.(table) ?? carriedEntries(options.run, options.source, options.target, pair),
  )
  if (table.key.length === 0) {
    const counts = await compareCopies(scratch, target, source)
    return { table, sourceTable, ...counts, inStep: NONE_IN_STEP, differences: () => NOTHING.values() }
  }
  const [there, here] = await together(readSide(source), readSide(target))
  if (hasLedger) await together(askCarried(scratch, 'source', source), askCarried(scratch, 'target', target))
  await together(nameGone(source, target), nameGone(target, source))
  // Of a table that nobody touched, which most are, there is nothing to join.
  const isStill = !hasLedger && source.store.isEmpty && target.store.isEmpty
  return comparison(pair, there, here, isStill ? NOTHING_JOINED : join(scratch))
}

const NONE_IN_STEP = { inserted: 0, updated: 0, merged: 0, remapped: 0, skipped: 0 }
const NOTHING: readonly never[] = []
const NOTHING_JOINED: Joined = { inStep: NONE_IN_STEP, sameMore: 0, differences: () => NOTHING.values() }

const comparison = (
  { sourceTable, targetTable }: TablePair,
  there: SideCounts,
  here: SideCounts,
  { inStep, sameMore, differences }: Joined,
): TableComparison => ({
  table: targetTable,
  sourceTable,
  sourceRows: there.rows,
  targetRows: here.rows,
  same: there.matched + sameMore,
  inStep,
  read: { source: there.read, target: here.read },
  differences,
  copies: () => NOTHING.values(),
})
