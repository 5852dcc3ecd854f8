import type { DatabaseSync } from 'node:sqlite'
import { openPrivate } from '../base/sqlite.ts'
import { keyOnly } from '../databases/plan/restore.ts'
import type { Database } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import { openBaseline } from './baseline-file.ts'
import { makeLedger } from './compare-ledger.ts'
import { RowReader } from './fingerprint.ts'
import { compareCopies } from './multiset.ts'
import { Printer } from './printing.ts'
import { SideReader, type SideReading } from './side.ts'
import { TableBase } from './side-base.ts'
import { SideStore } from './side-store.ts'

/**
 * How many rows of a host's table aren't in the run's baseline, by their keys (by their content, where there is no key): they were born
 * since. 0 for a table that the baseline doesn't hold. Only keys are read.
 */
export async function rowsBornSince(directory: string, database: Database, table: Table, signal: AbortSignal): Promise<number> {
  const baseline = await openBaseline(directory)
  const held = baseline?.table(table)
  const scratch = openPrivate(2000)
  try {
    if (baseline === undefined || held === undefined) return 0
    const { printing } = held
    const base = new TableBase(baseline, held, printing)
    const store = new SideStore(scratch, 'target')
    const reading: SideReading = {
      database,
      table,
      printing,
      printer: new Printer(held.method),
      base,
      store,
      ordered: true,
      firstRows: 1,
      signal,
    }
    if (table.key.length > 0) return await bornKeys(scratch, reading)
    return await bornCopies(scratch, reading)
  } finally {
    scratch.close()
    baseline?.close()
  }
}

/** Keys alone are compared: as if no row had any content. */
const NO_CONTENT = { print: '', rest: '', apart: [] }

async function bornKeys(scratch: DatabaseSync, reading: SideReading): Promise<number> {
  const { database, signal, base } = reading
  const table = keyOnly(reading.table)
  const keys = new RowReader(table, { columns: [], apart: [] })
  await database.read(1, async ([reader]) => {
    const rows = async function* () {
      for await (const batch of reader.rows(table, signal ? { signal } : {}))
        yield batch.map((row) => ({ ...keys.print(row), ...NO_CONTENT }))
    }
    const leaf = (at: number) => (base?.leaf(at) ?? []).map(({ id }) => ({ id, state: NO_CONTENT }))
    const side = new SideReader(reading.store, leaf)
    await side.read(rows(), base?.bounds ?? [])
    side.end()
  })
  return Number(scratch.prepare('SELECT count(*) AS n FROM target_side WHERE base IS NULL').get()?.n ?? 0)
}

async function bornCopies(scratch: DatabaseSync, reading: SideReading): Promise<number> {
  makeLedger(scratch)
  await compareCopies(scratch, reading)
  return Number(scratch.prepare('SELECT coalesce(sum(max(target - base, 0)), 0) AS n FROM copies').get()?.n ?? 0)
}
