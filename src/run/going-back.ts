import { z } from 'zod'
import type { RunHistory } from './history.ts'

/** The run's memory of what was decided when the new host failed after the cutover. */
export const GOING_BACK_KEY = 'going-back'

export const goingBackSchema = z
  .object({
    /** `back`: customers are sent to the old host again; `stay`: a person said no, and isn't asked again. */
    decision: z.enum(['back', 'stay']),
    by: z.enum(['guard', 'person']),
    /** ISO 8601. */
    at: z.string(),
    /** What was wrong, for people. */
    reason: z.string(),
    /** The cutover that it is about: when DNS moved, milliseconds since 1970; `null` when the run doesn't know. */
    cutoverAt: z.number().nullable(),
  })
  .readonly()
/** On disk before anything is done about it; there is one for each cutover, whichever process goes on. */
export type GoingBack = z.infer<typeof goingBackSchema>

/** What was decided in this run, about whichever cutover. */
export const goingBackOf = (history: RunHistory): GoingBack | undefined =>
  goingBackSchema.nullish().parse(history.fact(GOING_BACK_KEY)) ?? undefined
