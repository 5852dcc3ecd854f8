import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'
import { findTable, fullName, type Schema, type Table } from '../databases/schema.ts'
import type { Host, TableRules, World } from './world.ts'

/** The host's database; a playbook without one is found in `check` before this is reached. */
export function databaseOf(host: Host): Database {
  if (host.database !== undefined) return host.database
  throw new MigrateError('playbook-part-missing', `The playbook gives no ${host.side}.database.`, {
    hint: `Add it, for example: ${host.side}: { database: "postgres://shop@${host.side}.example.com/shop" }`,
  })
}

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

/** The playbook's rules for each table of a schema; what it doesn't name has the defaults. */
export function rulesFor(world: World, schema: Schema): (table: Table) => TableRules {
  const byName = new Map<string, TableRules>()
  for (const [name, rules] of world.tables) {
    const table = findTable(schema.tables, name)
    if (table !== undefined && table !== 'ambiguous') byName.set(fullName(table.name), rules)
  }
  return (table) => byName.get(fullName(table.name)) ?? world.defaults
}

/** Names in the playbook that no table answers to, or more than one. */
export function unknownTables(world: World, schema: Schema): readonly Finding[] {
  return [...world.tables.keys()].flatMap((name): readonly Finding[] => {
    const table = findTable(schema.tables, name)
    if (table === undefined) {
      return [
        {
          severity: 'error',
          code: 'unknown-table',
          message: `The playbook names the table ${name}, which the old database hasn't got.`,
          hint: `It has: ${schema.tables
            .map((each) => fullName(each.name))
            .slice(0, 20)
            .join(', ')}${schema.tables.length > 20 ? ', …' : ''}.`,
        },
      ]
    }
    if (table !== 'ambiguous') return []
    const names = schema.tables
      .filter((each) => each.name.name.toLowerCase() === name.toLowerCase())
      .map((each) => fullName(each.name))
    return [
      {
        severity: 'error',
        code: 'ambiguous-table',
        message: `The playbook names the table ${name}, but the old database has ${names.join(' and ')}.`,
        hint: 'Write the name with its schema.',
      },
    ]
  })
}

/** Tables whose rows are copied; those with mode `skip` are left empty. */
export function copiedTables(world: World, schema: Schema): readonly Table[] {
  const rules = rulesFor(world, schema)
  return schema.tables.filter((table) => rules(table).mode !== 'skip')
}

/** Tables that are copied and reconciled. */
export function trackedTables(world: World, schema: Schema): readonly Table[] {
  const rules = rulesFor(world, schema)
  return schema.tables.filter((table) => rules(table).mode === 'track')
}
