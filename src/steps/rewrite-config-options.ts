import { z } from 'zod'
import type { Scalar } from '../files/config/config.ts'
import { FORMAT_KEYS, type FormatKey } from '../files/config/formats.ts'
import type { Setting } from '../files/config/set-values.ts'

const HELP = 'must be text, a whole number, or true or false'

const replacement = z
  .union(
    [
      z.string(),
      z.strictObject({
        to: z.string().meta({ description: 'The text to put in its place' }),
        times: z.int().min(1).meta({ description: 'How often the text must stand there' }),
      }),
    ],
    { error: 'must be a text, or { to: text, times: 1 }' },
  )
  .meta({ description: 'The text to put in its place' })

/** Checked by `collect`, which has better words; the editor's schema gets the type from here. */
const plainValue = z.unknown().meta({ type: ['string', 'integer', 'boolean'], description: 'The value' })
const nestedValue = z
  .unknown()
  .meta({ type: ['string', 'integer', 'boolean', 'object'], description: 'The value, or names with their values' })

/** Name → value; with `nested`, names within names as well as joined by dots or colons. */
const settings = (nested: boolean, description: string) =>
  z
    .record(z.string().min(1), nested ? nestedValue : plainValue)
    .transform((values, context): readonly Setting[] => {
      const found: Setting[] = []
      collect(values, [], found, nested, (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))
      if (Object.keys(values).length === 0) context.addIssue({ code: 'custom', message: 'must name at least one setting' })
      return found
    })
    .meta({ description })
    .optional()

type Complain = (path: readonly string[], message: string) => void

function collect(values: object, path: readonly string[], found: Setting[], nested: boolean, complain: Complain): void {
  for (const [key, value] of Object.entries(values) as readonly (readonly [string, unknown])[]) {
    const at = [...path, key]
    if (nested && typeof value === 'object' && value !== null && !Array.isArray(value))
      collect(value, at, found, nested, complain)
    else if (isScalar(value)) found.push({ path: at, value })
    else complain(at, complaintOf(value))
  }
}

const isScalar = (value: unknown): value is Scalar =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isSafeInteger(value))

/** `1.10` without quotes is the number 1.1, and a long number loses its last digits: neither is what was written. */
function complaintOf(value: unknown): string {
  if (value === null || value === undefined) return 'is empty\nGive it a value; "" is the empty text.'
  return typeof value === 'number' ? 'must be in quotes\nPut it in quotes, so that it is written digit by digit.' : HELP
}

const XML_KEYS: readonly FormatKey[] = ['connectionStrings', 'appSettings', 'xml']

const itemSchema = z
  .strictObject({
    file: z.string().min(1).meta({ description: 'Path below the site’s folder' }),
    replace: z
      .record(z.string().min(1), replacement)
      .refine((texts) => Object.keys(texts).length > 0, { error: 'must name at least one text to replace' })
      .meta({ description: 'Text → the text to put in its place, everywhere in the file; or → { to: text, times: 1 }' })
      .optional(),
    connectionStrings: settings(false, 'web.config, app.config: name → connection string'),
    appSettings: settings(false, 'web.config, app.config: key → value'),
    xml: settings(false, 'Other XML: way from the root → value, such as configuration/system.web/customErrors/@mode'),
    json: settings(true, 'appsettings.json and other JSON, with comments or without: ConnectionStrings:Shop → value'),
    env: settings(false, '.env: name → value'),
    php: settings(
      true,
      'PHP: DB_HOST (a constant), $table_prefix (a variable), db.connection.default.host (in an array) → value',
    ),
    yaml: settings(true, 'YAML: database.host → value'),
    ini: settings(true, 'INI such as php.ini and .user.ini: a name, or section.name → value'),
    properties: settings(true, 'Java .properties: db.url → value'),
    overwriteExpressions: z
      .boolean()
      .optional()
      .meta({ description: 'Also overwrite a setting that is computed, such as getenv(…)' }),
  })
  .superRefine((item, context) => {
    const given = FORMAT_KEYS.filter((key) => item[key] !== undefined)
    if (given.length === 0 && item.replace === undefined)
      context.addIssue({ code: 'custom', message: `says nothing to change\nAdd replace: or one of ${FORMAT_KEYS.join(':, ')}:.` })
    const stray = given.find((key, index) => index > 0 && !(XML_KEYS.includes(key) && XML_KEYS.includes(given[0] ?? key)))
    if (stray !== undefined)
      context.addIssue({
        code: 'custom',
        path: [stray],
        message: `stands beside ${given[0]}, which is another format\nA file has one format: give each file an item of its own.`,
      })
  })

/** Options of `rewrite-config`: what is to be changed in which file. */
export const rewriteOptionsSchema = z.array(itemSchema).min(1, { error: 'must list at least one file' })

export type RewriteItem = z.infer<typeof itemSchema>
