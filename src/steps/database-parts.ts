import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'
import { type Host, missingPart } from './world.ts'

/** The host's database; a playbook without one is found in `check` before this is reached. */
export function databaseOf(host: Host): Database {
  if (host.database !== undefined) return host.database
  throw new MigrateError('playbook-part-missing', `The playbook gives no ${host.side}.database.`, {
    hint: `Add it, for example: ${exampleFor(host)}`,
    ending: 'usage',
  })
}

/** The finding made when `step` needs this host's database and the playbook gives none. */
export const missingDatabase = (step: string, host: Host): Finding => missingPart(step, `${host.side}.database`, exampleFor(host))

const exampleFor = ({ side }: Host): string => `${side}: { database: "postgres://shop@${side}.example.com/shop" }`

/** What was thrown while a precondition was asked for, as a line among the others. */
export const findingOf = (error: unknown): Finding => ({
  severity: 'error',
  code: error instanceof MigrateError ? error.code : 'unexpected',
  message: messageOf(error),
  hint: error instanceof MigrateError ? error.hint : undefined,
})

/** Asks for several preconditions; one that fails becomes a finding and doesn't hide the others. The same finding appears once. */
export async function gather(...questions: readonly (() => Promise<readonly Finding[]>)[]): Promise<readonly Finding[]> {
  const answers = await Promise.all(questions.map((ask) => ask().catch((error: unknown) => [findingOf(error)])))
  const seen = new Set<string>()
  return answers.flat().filter((finding) => {
    const text = `${finding.code} ${finding.message}`
    if (seen.has(text)) return false
    seen.add(text)
    return true
  })
}
