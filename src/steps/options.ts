import { z } from 'zod'
import { parseDuration } from '../base/units.ts'

const HELP = 'must be a duration such as 30s, 5m or 2h'

/**
 * A length of time in a step's options: `30s`, `5m`, `2h` → milliseconds. Give a default with `.prefault('30s')`, so that the
 * editor's schema shows it as the playbook would spell it.
 */
export const durationMs = z
  .string({ error: HELP })
  .transform((text, context) => {
    const ms = parseDuration(text)
    if (ms !== undefined) return ms
    context.addIssue({ code: 'custom', message: HELP })
    return z.NEVER
  })
  .meta({ description: 'A duration: 30s, 5m, 2h' })
