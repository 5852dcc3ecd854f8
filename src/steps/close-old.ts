import { z } from 'zod'
import { closeDatabase } from './close-old-database.ts'
import { closeSite } from './close-old-site.ts'
import { durationMs } from './options.ts'
import type { StepKind } from './world.ts'

const optionsSchema = z
  .strictObject({
    with: z
      .enum(['maintenance', 'database'])
      .describe('`maintenance`: a file by which the old site answers nobody; `database`: the old database takes no writer'),
    file: z
      .string()
      .regex(/^[^/]/, { error: 'must be a path below the old host’s folder, without a / in front' })
      .optional()
      .describe('For maintenance: the file that closes the site: app_offline.htm (IIS), .maintenance (WordPress), …'),
    content: z.string().min(1).optional().describe('For maintenance: what stands in the file; a short page when left out'),
    grace: durationMs.prefault('10s').describe('For database: so long may end what was being written; then it is rolled back'),
  })
  .refine((options) => options.with !== 'maintenance' || options.file !== undefined, {
    error: 'must name the file that closes the site: app_offline.htm for IIS, .maintenance for WordPress',
    path: ['file'],
  })
  .refine((options) => options.with === 'maintenance' || (options.file === undefined && options.content === undefined), {
    error: 'belongs to close-old: { with: maintenance }',
    path: ['file'],
  })
type Options = z.infer<typeof optionsSchema>

/** Ends the old shop's taking of orders, so that the pass of reconcile after it is the last one. */
export const closeOldKind: StepKind<Options> = {
  name: 'close-old',
  summary: 'Close the old shop by a maintenance file or a read-only database, so that the last reconcile is final.',
  options: optionsSchema,
  create: (options, context) =>
    options.with === 'database' ? closeDatabase(options, context) : closeSite({ ...options, file: options.file ?? '' }, context),
}
