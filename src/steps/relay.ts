import { z } from 'zod'
import { connectionRelay } from './relay-connection.ts'
import { proxyRelay, redirectRelay } from './relay-site.ts'
import { type Relay, relayStep } from './relay-work.ts'
import { rewriteOptionsSchema } from './rewrite-config-options.ts'
import type { StepContext, StepKind } from './world.ts'

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search, hash, username } = new URL(text)
  return /^https?:$/.test(protocol) && pathname === '/' && `${search}${hash}${username}` === ''
}

const optionsSchema = z
  .strictObject({
    with: z
      .enum(['connection', 'redirect', 'proxy'])
      .describe(
        '`connection`: the old site’s config is pointed at the new database; `redirect`: the old site sends customers to another name of the new host; `proxy`: it passes their requests on to the new host',
      ),
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
    to: z
      .string()
      .refine(isOrigin, { error: 'must be the start of a URL, without a path: https://new.shop.example' })
      .optional()
      .describe(
        'For redirect: another name that leads to the new host, https://new.shop.example; never the one that customers use',
      ),
    server: z
      .enum(['apache', 'iis', 'php'])
      .optional()
      .describe('For redirect and proxy: by .htaccess, web.config or a PHP file; found by the file that is there when left out'),
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
  .refine((options) => options.with !== 'redirect' || options.to !== undefined, {
    error: 'must name where to: https://new.shop.example',
    path: ['to'],
  })
  .refine((options) => options.with === 'connection' || (options.config === undefined && options.database === undefined), {
    error: 'belongs to relay: { with: connection }',
    path: ['config'],
  })
  .refine((options) => options.with === 'redirect' || options.to === undefined, {
    error: 'belongs to relay: { with: redirect }',
    path: ['to'],
  })
type Options = z.infer<typeof optionsSchema>

/** Two writers become one: what customers still do on the old host ends up on the new one. */
export const relayKind: StepKind<Options> = {
  name: 'relay',
  summary: 'Make the old host pass on what still reaches it, so that nothing is written to the old database any more.',
  options: optionsSchema,
  create: (options, context) => relayStep(relayOf(options, context), context),
}

function relayOf(options: Options, context: StepContext): Relay {
  const { config = [], database, paths, server } = options
  switch (options.with) {
    case 'connection':
      return connectionRelay({ config, database, paths }, context)
    case 'redirect':
      return redirectRelay({ to: new URL(options.to ?? ''), server, paths }, context)
    case 'proxy':
      return proxyRelay({ server, paths }, context)
  }
}
