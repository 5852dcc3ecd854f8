import { z } from 'zod'
import { parseDuration, parseSize } from '../base/units.ts'

const DURATION_HELP = 'must be a duration such as 30s, 5m or 2h'
const SIZE_HELP = 'must be a size such as 64MiB'

/**
 * A length of time in a step's options: `30s`, `5m`, `2h` → milliseconds. Give a default with `.prefault('30s')`, so that the
 * editor's schema shows it as the playbook would spell it.
 */
export const durationMs = z
  .string({ error: DURATION_HELP })
  .transform((text, context) => parsed(parseDuration(text), context, DURATION_HELP))
  .meta({ description: 'A duration: 30s, 5m, 2h' })

/** A size in a step's options: `64MiB` → bytes. */
export const sizeBytes = z
  .string({ error: SIZE_HELP })
  .transform((text, context) => parsed(parseSize(text), context, SIZE_HELP))
  .meta({ description: 'A size: 512KiB, 64MiB, 2GiB' })

function parsed(value: number | undefined, context: z.core.$RefinementCtx, help: string): number {
  if (value !== undefined) return value
  context.addIssue({ code: 'custom', message: help })
  return z.NEVER
}
