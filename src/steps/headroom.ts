import { z } from 'zod'
import { type BothStates, gapOf, useOf } from '../databases/plan/gap.ts'
import { fullName, type Identity, identitySchema } from '../databases/schema.ts'
import type { HeadroomUse } from '../run/events.ts'
import type { StepRun } from '../run/step.ts'

/** A leap (databases/plan/gap.ts) with what stood there before; on disk before it is made. */
const leapSchema = z
  .object({
    moved: z.enum(['old', 'new']),
    from: z.string(),
    to: z.string(),
    before: z.object({ last: z.string().nullable(), next: z.string() }).readonly(),
    /** ISO 8601. */
    at: z.string(),
  })
  .readonly()
export type LeapRecord = z.infer<typeof leapSchema>

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
    /** Leaps of one host past the other since then, oldest first; the server says which of them happened. */
    leaps: z.array(leapSchema).readonly().optional(),
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

/** The same for all columns of one host that one sequence numbers. */
export const numberingKey = (identity: Identity): string =>
  identity.sequence === null ? identityName(identity) : `sequence ${fullName(identity.sequence)}`

/** How much of the gap between the two hosts' numbers is used by now. Works for negative increments too. */
export function headroomUse(record: HeadroomRecord, states: BothStates): HeadroomUse {
  const gap = gapOf(record, states)
  const { size, used, left } = useOf(gap, record.identity.increment, states[gap.behind])
  return {
    table: fullName(record.identity.table),
    column: record.identity.column,
    raisedBy: String(size),
    used: String(used),
    left: String(left),
    ...(gap.behind === 'new' ? { host: 'new' } : {}),
  }
}
