import { z } from 'zod'
import { connectionRelay } from './relay-connection.ts'
import { relayStep } from './relay-work.ts'
import { rewriteOptionsSchema } from './rewrite-config-options.ts'
import type { StepKind } from './world.ts'

const optionsSchema = z
  .strictObject({
    with: z.enum(['connection']).describe('`connection`: the old site’s config is pointed at the new database'),
    config: rewriteOptionsSchema
      .optional()
      .describe('For connection: what is to be changed in which file of the old host, as in rewrite-config'),
    database: z
      .string()
      .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/, {
        error: 'must be a name or address with a port: db.new.example.com:5432',
      })
      .optional()
      .describe('For connection: the new database as the old host reaches it, NAME:PORT; that of new.database when left out'),
    paths: z
      .array(z.string().regex(/^\//, { error: 'must begin with /' }))
      .min(1)
      .default(['/'])
      .describe('Pages that the old site is asked for after the change'),
  })
  .refine((options) => options.with !== 'connection' || options.config !== undefined, {
    error: 'must say what is to be changed in which file, as in rewrite-config',
    path: ['config'],
  })
type Options = z.infer<typeof optionsSchema>

/** Two writers become one: what customers still do on the old host ends up on the new one. */
export const relayKind: StepKind<Options> = {
  name: 'relay',
  summary: 'Make the old host pass on what still reaches it, so that nothing is written to the old database any more.',
  options: optionsSchema,
  create: (options, context) =>
    relayStep(
      connectionRelay({ config: options.config ?? [], database: options.database, paths: options.paths }, context),
      context,
    ),
}
