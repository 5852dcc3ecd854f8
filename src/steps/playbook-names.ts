import type { Finding } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import { findTable, fullName, type Schema, type Table } from '../databases/schema.ts'
import { isTableOf } from './rules.ts'
import type { TableRules, World } from './world.ts'

/** So many names are listed where none is near. */
const LISTED = 20

type Named = Pick<World, 'tables' | 'references' | 'noReferences' | 'where'>

/**
 * Tables and columns that the playbook names and the old database hasn't got, or has more than once: each with its place in the
 * playbook. Only the playbook can be mended, so they end a command as wrong usage. Read-only; `schema` is the old database's.
 */
export const unknownNames = (world: Named, schema: Schema): readonly Finding[] => [
  ...[...world.tables].flatMap(([name, rules]) => inTables(name, rules, world, schema)),
  ...inReferences('references', world.references, world, schema),
  ...inReferences('no-references', world.noReferences, world, schema),
]

const inReferences = (key: string, references: World['references'], world: Named, schema: Schema): readonly Finding[] =>
  references.flatMap(({ table, column, parent, parentColumn }, index) => {
    const place = world.where([key, index])
    const wrong = [...inReference(table, column, place, schema), ...inReference(parent, parentColumn, place, schema)]
    return wrong.map((finding) => ({ ...finding, code: 'unknown-reference' }))
  })

function inTables(name: string, rules: TableRules, world: Named, schema: Schema): readonly Finding[] {
  const path = ['tables', name]
  const found = tableNamed(name, world.where(path), schema)
  // One that isn't carried is there all the same, and may be left out.
  const isThere = rules.mode === 'skip' && schema.findings.some(({ table }) => table !== undefined && isTableOf(table, name))
  if ('severity' in found) return isThere ? [] : [found]
  const newest = typeof rules.conflict === 'object' ? [rules.conflict.newest] : []
  return [
    ...newest.flatMap((column) => unknownColumn(found, column, world.where([...path, 'conflict', 'newest']))),
    ...Object.entries(rules.columns).flatMap(([column, rule]) => [
      ...unknownColumn(found, column, world.where([...path, 'columns', column])),
      ...(typeof rule === 'object' ? unknownColumn(found, rule.newest, world.where([...path, 'columns', column, 'newest'])) : []),
    ]),
    ...(['add', 'match', 'ignore', 'sums'] as const).flatMap((key) =>
      rules[key].flatMap((column, index) => unknownColumn(found, column, world.where([...path, key, index]))),
    ),
  ]
}

function inReference(table: string, column: string, place: string, schema: Schema): readonly Finding[] {
  const found = tableNamed(table, place, schema)
  return 'severity' in found ? [found] : unknownColumn(found, column, place)
}

function tableNamed(name: string, place: string, schema: Schema): Table | Finding {
  const found = findTable(schema.tables, name)
  if (found === undefined) {
    const names = schema.tables.map((each) => (name.includes('.') ? fullName(each.name) : each.name.name))
    return mistake('unknown-table', `${place}: The old database has no table ${name}.`, nearestOf(name, names))
  }
  if (found !== 'ambiguous') return found
  const same = schema.tables.filter((each) => each.name.name.toLowerCase() === name.toLowerCase())
  const names = same.map((each) => fullName(each.name)).join(' or ')
  return mistake('ambiguous-table', `${place}: The table ${name} may be ${names}.`, 'Write the name with its schema.')
}

function unknownColumn(table: Table, name: string, place: string): readonly Finding[] {
  const columns = table.columns.map((column) => column.name)
  const same = columns.filter((column) => column.toLowerCase() === name.toLowerCase())
  if (same.length === 1) return []
  if (same.length > 1) {
    const said = `${place}: The column ${name} of ${fullName(table.name)} may be ${same.join(' or ')}.`
    return [
      mistake('ambiguous-column', said, 'A rule names columns in any case of letters: leave these to the rule of their table.'),
    ]
  }
  const message = `${place}: The table ${fullName(table.name)} of the old database has no column ${name}.`
  return [mistake('unknown-column', message, nearestOf(name, columns))]
}

const mistake = (code: string, message: string, hint: string): Finding => ({
  severity: 'error',
  code,
  message,
  hint,
  ending: 'usage',
})

function nearestOf(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  if (near !== undefined) return `Did you mean ${near}?`
  return `It has: ${known.slice(0, LISTED).join(', ')}${known.length > LISTED ? ', …' : ''}.`
}
