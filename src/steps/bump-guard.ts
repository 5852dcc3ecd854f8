import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import type { Database } from '../databases/port.ts'
import { fullName, type IdentityState, type Layout } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { type HeadroomRecord, identityName } from './headroom.ts'
import { bornRows } from './restore-guard.ts'
import { RESTORED_IDENTITIES_KEY } from './restore-work.ts'
import { tablesOf } from './schema-seen.ts'

const restoredSchema = z.record(z.string(), z.string().nullable())

/**
 * A row that was born on the new host before its identity was raised has a number that the old host will hand out too: throws
 * `new-host-written-early`. `states` are the new host's identities by name.
 */
export async function refuseEarlyRows(
  run: StepRun,
  target: Database,
  schema: Layout,
  records: readonly HeadroomRecord[],
  states: ReadonlyMap<string, IdentityState>,
): Promise<void> {
  const restored = restoredSchema.parse(run.recall(RESTORED_IDENTITIES_KEY) ?? {})
  const moved = records.filter(({ identity }) => {
    const state = states.get(identityName(identity))
    const last = state === undefined || state.last === null ? null : String(state.last)
    return identity.column !== '' && last !== restored[identityName(identity)]
  })
  const numbered = new Set(moved.map(({ identity }) => fullName(identity.table)))
  for (const table of schema.tables.filter((each) => numbered.has(fullName(each.name)))) {
    const rows = await bornRows(run, target, table)
    if (rows === 0) continue
    throw new MigrateError(
      'new-host-written-early',
      `${target.label} has ${formatCount(rows)} rows in ${fullName(table.name)} that were born there before its identity was raised: the old host may hand out the same numbers. No identity was moved.`,
      {
        hint: 'If they are test rows, delete them on the new host and run again. If customers wrote them, roll back and begin again.',
      },
    )
  }
}

/** Numbers beyond the headroom that customers hold can't be taken back: throws `new-host-has-orders`. */
export async function refuseUsed(run: StepRun, target: Database, state: IdentityState, record: HeadroomRecord): Promise<void> {
  const { identity } = record
  if (state.last === null || !isBeyond(state.last, BigInt(record.to), identity.increment)) return
  const table = (await tablesOf(target)).find((each) => fullName(each.name) === fullName(identity.table))
  const rows = table === undefined || identity.column === '' ? 0 : await bornRows(run, target, table)
  if (rows === 0) return
  throw new MigrateError(
    'new-host-has-orders',
    `${target.label} has ${formatCount(rows)} rows in ${fullName(identity.table)} that were born there. Its identity was left where it is.`,
    {
      hint: 'Carry these rows to the old host first; if they are only test orders, delete them on the new host. Then roll back again.',
    },
  )
}
