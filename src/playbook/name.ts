import { dirname, resolve } from 'node:path'
import { readDocument } from './document.ts'
import { isMapping } from './issues.ts'
import { PlaybookError } from './problems.ts'
import { nameSchema } from './schema.ts'
import { readText } from './text.ts'

/**
 * The playbook's name alone, for commands that need nothing else of it (`status`): other mistakes and missing variables don't
 * matter. Throws like `loadPlaybook` when the name can't be had.
 */
export async function loadPlaybookName(path: string): Promise<string> {
  const { source, value } = readDocument(await readText(path), { env: {}, directory: dirname(resolve(path)) })
  const name = nameSchema.safeParse(isMapping(value) ? value.name : undefined)
  if (name.success && !source.broken(['name'])) return name.data
  if (value !== undefined && !source.broken(['name']))
    source.complain(['name'], 'The playbook has no name that can be used.', 'Add a first line like  name: my-shop.')
  throw new PlaybookError(path, source.problems)
}
