import { DatabaseSync } from 'node:sqlite'
import { MigrateError } from '../base/errors.ts'
import type { Database, Printing } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { type BaselineFile, openBaseline } from './baseline-file.ts'
import { join } from './compare-join.ts'
import { carriedEntries, keepLedger } from './compare-ledger.ts'
import { askCarried, nameGone } from './compare-lookup.ts'
import type { TableComparison } from './difference.ts'
import { compareCopies } from './multiset.ts'
import { Printers, printingOn } from './printing.ts'
import { readWhole, type SideReading, TableBase, together } from './side.ts'
import { SideStore } from './side-store.ts'

export interface CompareOptions {
  /** The run's folder, where the baseline is. */
  readonly directory: string
  readonly run: string
  /** Where rows are carried from, and to: old and new, or the other way round. */
  readonly source: Database
  readonly target: Database
  /** What of a table (the target's) is compared. */
  readonly printingOf: (table: Table) => Printing
  readonly signal?: AbortSignal
  /** Rows compared, of this table, on both sides together. */
  readonly onRows?: (table: Table, rows: number) => void
}

/**
 * Compares one table after the other: source now, target now, and what both last had in common (the baseline, or what was carried
 * since). Both hosts are read side by side. What differs goes through a private SQLite file that is gone with the process: memory
 * doesn't grow with the data and nothing is written where anybody looks. Order and collation of the servers don't matter.
 * `visit` gets each table in turn.
 * Throws MigrateError `baseline-columns-differ` where the playbook compares other columns than when the baseline was taken,
 * `fingerprint-method-changed` where a host no longer fingerprints as then.
 */
export async function compareTables(
  options: CompareOptions,
  tables: readonly (readonly [Table, Table])[],
  visit: (comparison: TableComparison) => void | Promise<void>,
): Promise<void> {
  const scratch = new DatabaseSync('')
  const baseline = await openBaseline(options.directory)
  try {
    scratch.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768')
    const printers = new Printers(options)
    for (const [sourceTable, targetTable] of tables) {
      options.signal?.throwIfAborted()
      await visit(await compareTable(scratch, options, { sourceTable, targetTable, baseline, printers }))
    }
  } finally {
    baseline?.close()
    scratch.close()
  }
}

interface Comparing {
  readonly sourceTable: Table
  readonly targetTable: Table
  readonly baseline: BaselineFile | undefined
  readonly printers: Printers
}

async function compareTable(scratch: DatabaseSync, options: CompareOptions, comparing: Comparing): Promise<TableComparison> {
  const { sourceTable, targetTable } = comparing
  keepLedger(scratch, await carriedEntries(options.run, options.source, options.target, comparing))
  const [source, target] = await readings(scratch, options, comparing)
  const what = { table: targetTable, sourceTable }
  if (targetTable.key.length === 0) {
    const counts = await compareCopies(scratch, target, source)
    return { ...what, ...counts, inStep: NONE_IN_STEP, differences: () => NOTHING.values() }
  }
  const [there, here] = await together(readWhole(source), readWhole(target))
  await together(askCarried(scratch, 'source', source), askCarried(scratch, 'target', target))
  await together(nameGone(source, target), nameGone(target, source))
  const { inStep, sameMore, differences } = join(scratch)
  return {
    ...what,
    sourceRows: there.rows,
    targetRows: here.rows,
    same: there.matched + sameMore,
    inStep,
    differences,
    copies: () => NOTHING.values(),
  }
}

const NONE_IN_STEP = { inserted: 0, updated: 0, merged: 0, remapped: 0, skipped: 0 }
const NOTHING: readonly never[] = []

async function readings(
  scratch: DatabaseSync,
  options: CompareOptions,
  { sourceTable, targetTable, baseline, printers }: Comparing,
): Promise<readonly [SideReading, SideReading]> {
  const printing = options.printingOf(targetTable)
  const held = baseline?.table(targetTable) ?? baseline?.table(sourceTable)
  if (held !== undefined && held.printing.columns.join('\n') !== printing.columns.join('\n')) throw columnsDiffer(targetTable)
  const base = baseline === undefined || held === undefined ? undefined : new TableBase(baseline, held, printing)
  const common = {
    printer: await printers.of(sourceTable, targetTable),
    base,
    ...(options.signal ? { signal: options.signal } : {}),
    onRows: (rows: number) => options.onRows?.(targetTable, rows),
  }
  return [
    {
      ...common,
      database: options.source,
      table: sourceTable,
      printing: printingOn(sourceTable, targetTable, printing),
      store: new SideStore(scratch, 'source'),
    },
    { ...common, database: options.target, table: targetTable, printing, store: new SideStore(scratch, 'target') },
  ]
}

const columnsDiffer = (table: Table): MigrateError =>
  new MigrateError(
    'baseline-columns-differ',
    `The playbook compares other columns of ${fullName(table.name)} than when its baseline was taken. Nothing was changed.`,
    { hint: `Put "ignore" of ${table.name.name} back as it was: what was fingerprinted then can't be fingerprinted anew.` },
  )
