import type { Finding } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { Database } from '../databases/port.ts'
import { fullName, type Table } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { countRows, RESTORED_KEY, recallCounts } from './restore-work.ts'

/**
 * For a snapshot whose rows nobody could count: the rows restored against those that the old host has now. The old shop goes on
 * meanwhile, so a difference is told, and only an empty table that should not be empty is an error. Reads keys on the old host.
 */
export async function comparedWithOld(run: StepRun, old: Database, tables: readonly Table[]): Promise<readonly Finding[]> {
  const restored = recallCounts(run, RESTORED_KEY) ?? {}
  let rows = 0
  const differences: Finding[] = []
  for (const table of tables) {
    const name = fullName(table.name)
    const standing = restored[name] ?? 0
    rows += standing
    const live = await countRows(old, table, run.signal)
    if (live !== standing) differences.push(differenceFinding(name, standing, live))
  }
  const but = differences.length === 0 ? ', as many as the old host has' : ', which differs from the old host as named'
  return [
    {
      severity: 'info',
      code: 'rows-restored',
      message: `${formatCount(rows)} rows of ${tables.length} tables stand on the new host${but}.`,
    },
    ...differences,
  ]
}

const differenceFinding = (name: string, standing: number, live: number): Finding =>
  standing === 0
    ? {
        severity: 'error',
        code: 'row-count-differs',
        message: `${name} is empty on the new host; the old host has ${formatCount(live)} rows. Customers still use the old host.`,
        hint: 'Did the snapshot leave this table out? Roll back, mend that and run again; or set the table to skip in the playbook.',
      }
    : {
        severity: 'warning',
        code: 'row-count-differs',
        message: `${name} has ${formatCount(standing)} rows on the new host; the old host has ${formatCount(live)} now.`,
        hint: 'Rows written since the snapshot was made are carried by reconcile. Is the difference larger than that? Then take a newer snapshot.',
      }
