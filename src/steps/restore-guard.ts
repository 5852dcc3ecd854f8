import { MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { Database } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import { rowsBornSince } from '../reconcile/baseline-born.ts'
import type { StepRun } from '../run/step.ts'
import { countRows, RESTORED_KEY, recallCounts } from './restore-work.ts'

/** Rows of the new host's table that aren't in the baseline: they were born there. 0 for a table that the baseline doesn't hold. */
export const bornRows = (run: StepRun, database: Database, table: Table): Promise<number> =>
  rowsBornSince(run.directory, database, table, run.signal)

/**
 * Throws `new-host-has-orders` when a tracked table of the new host has a row that isn't in the baseline: it was born there, and
 * undoing the restore would lose it. Without a baseline nothing was ever let onto the new host.
 */
export async function refuseBornRows(run: StepRun, database: Database, tables: readonly Table[]): Promise<void> {
  for (const table of tables) {
    const born = await bornRows(run, database, table)
    if (born > 0) throw hasOrders(database, table, born)
  }
}

/** The same, just before the table goes and when the baseline is gone already: it must not hold more rows than were restored. */
export async function refuseMoreRows(run: StepRun, database: Database, table: Table): Promise<void> {
  const restored = recallCounts(run, RESTORED_KEY)?.[fullName(table.name)]
  if (restored === undefined) return
  const rows = await countRows(database, table, run.signal)
  if (rows > restored) throw hasOrders(database, table, rows - restored)
}

const hasOrders = (database: Database, table: Table, rows: number): MigrateError =>
  new MigrateError(
    'new-host-has-orders',
    `${database.label} has ${formatCount(rows)} rows in ${fullName(table.name)} that were born there, after the restore. Undoing the restore would lose them, so the tables were left as they are.`,
    {
      hint: 'Carry these rows to the old host first; if they are only test orders, delete them on the new host. Then roll back again.',
    },
  )
