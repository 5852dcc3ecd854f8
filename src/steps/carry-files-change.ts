import { z } from 'zod'
import { hashedSchema } from './file-batches.ts'
import { deletionSchema } from './file-put.ts'

/** What a pass of `carry-files` does, as the journal keeps it. */

const itemSchema = z
  .object({
    /** As the source has it. */
    entry: hashedSchema,
    /** What stands on the target; null: nothing. */
    now: hashedSchema.nullable(),
    /** What both last had, where it was carried before. */
    base: hashedSchema.nullable(),
    /** It was carried before, and what stands there was found not to be what was sent. */
    mends: z.literal(true).optional(),
  })
  .readonly()
export type CarryItem = z.infer<typeof itemSchema>

const conflictSchema = z.object({
  path: z.string(),
  reason: z.string(),
  source: hashedSchema,
  target: hashedSchema.nullable(),
  base: hashedSchema.nullable(),
})

export const carryChangeSchema = z.union([
  z.object({ do: z.literal('carry'), files: z.int(), bytes: z.int(), items: z.array(itemSchema) }).readonly(),
  /** The source's versions are kept in the run's folder. */
  z.object({ do: z.literal('park'), conflicts: z.array(conflictSchema) }).readonly(),
  /** As journals of earlier versions have it. */
  conflictSchema
    .extend({ do: z.literal('park') })
    .transform(({ do: park, ...conflict }) => ({ do: park, conflicts: [conflict] }))
    .readonly(),
  /** A person settled it: what stands on the target stays. */
  conflictSchema.extend({ do: z.literal('settle') }).readonly(),
  /** A person wants both: what stands on the target stays, and the source's comes beside it under the name `as`. */
  conflictSchema.extend({ do: z.literal('both'), as: z.string() }).readonly(),
  deletionSchema,
  /** Was carried and arrived otherwise than it was sent, and is gone where it came from: it can't be sent once more. As it stands there. */
  z.object({ do: z.literal('drop'), entries: z.array(hashedSchema) }).readonly(),
])
export type CarryChange = z.infer<typeof carryChangeSchema>
export type Carrying = Extract<CarryChange, { do: 'carry' }>
export type Dropping = Extract<CarryChange, { do: 'drop' }>
export type Conflict = z.infer<typeof conflictSchema>
