import { z } from 'zod'
import { fullName, type Identity, type IdentityState, identitySchema } from '../databases/schema.ts'
import type { HeadroomUse } from '../run/events.ts'
import type { StepRun } from '../run/step.ts'

/** What `bump-identities` did to one identity of the new host, kept in the run's memory for the watch, reconcile and report. */
export const headroomRecordSchema = z
  .object({
    identity: identitySchema,
    /** The old host's live last value when the headroom was sized. */
    from: z.string(),
    /** The new host numbers beyond this value. */
    to: z.string(),
    /** Measured on the old host; `null` when it couldn't be. */
    ratePerMinute: z.number().nullable(),
    /** Why this number, for people. */
    reason: z.string(),
    /** ISO 8601. */
    at: z.string(),
  })
  .readonly()
export type HeadroomRecord = z.infer<typeof headroomRecordSchema>

export const HEADROOM_KEY = 'headroom'

/** What the run remembers of raised identities; [] before `bump-identities`. */
export const recallHeadroom = (run: StepRun): readonly HeadroomRecord[] =>
  z.array(headroomRecordSchema).parse(run.recall(HEADROOM_KEY) ?? [])

/** A name by which identities of both hosts are matched: table and column, or the sequence's own name. */
export const identityName = (identity: Identity): string =>
  identity.column === '' ? fullName(identity.sequence ?? identity.table) : `${fullName(identity.table)}.${identity.column}`

/** How much of a headroom the old host has used by now. Works for negative increments too. */
export function headroomUse(record: HeadroomRecord, old: IdentityState | undefined): HeadroomUse {
  const sign = BigInt(record.identity.increment) < 0n ? -1n : 1n
  const from = BigInt(record.from)
  const to = BigInt(record.to)
  const last = old?.last ?? from
  const used = (last - from) * sign
  return {
    table: fullName(record.identity.table),
    column: record.identity.column,
    raisedBy: String((to - from) * sign),
    used: String(used < 0n ? 0n : used),
    left: String((to - from) * sign - (used < 0n ? 0n : used)),
  }
}
