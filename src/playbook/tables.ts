import { z } from 'zod'
import type { Reference, TableRules } from '../steps/world.ts'
import { checked, isMapping } from './issues.ts'
import { referenceSchema, tableSchema } from './schema.ts'
import type { Path, Source, Value } from './source.ts'

/** What holds for a table that the playbook doesn't name. */
export const defaultRules: TableRules = {
  mode: 'track',
  headroom: 'auto',
  conflict: 'park',
  add: [],
  match: [],
  ignore: [],
  columns: {},
  sums: [],
}

/** `tables:`, defaults filled in; each table on its own, so that one mistake hides no other. */
export function readTables(value: Value, path: Path, source: Source): ReadonlyMap<string, TableRules> {
  const rules = new Map<string, TableRules>()
  if (!isMapping(value)) {
    checked(z.record(z.string(), z.unknown()), value, path, source)
    return rules
  }
  for (const [name, given] of Object.entries(value)) {
    const table = checked(tableSchema, given, [...path, name], source)
    if (table === undefined) continue
    if (typeof table === 'string') rules.set(name, { ...defaultRules, mode: table })
    else {
      complainOfTwoRules(withDefaults(table), [...path, name], source)
      rules.set(name, withDefaults(table))
    }
  }
  return rules
}

/** A column has one rule: which of two holds, nobody could say. */
function complainOfTwoRules(rules: TableRules, path: Path, source: Source): void {
  const first = new Map<string, string>()
  const claim = (column: string, word: string, place: Path, of: 'key' | 'value'): void => {
    const other = first.get(column.toLowerCase())
    if (other === undefined) first.set(column.toLowerCase(), word)
    else source.complain(place, `The column ${column} has two rules: ${other} and ${word}.`, 'Keep one of the two.', of)
  }
  for (const [index, column] of rules.ignore.entries()) claim(column, 'ignore', [...path, 'ignore', index], 'value')
  for (const [index, column] of rules.add.entries()) claim(column, 'add', [...path, 'add', index], 'value')
  for (const column of Object.keys(rules.columns)) claim(column, 'columns', [...path, 'columns', column], 'key')
  const newest = typeof rules.conflict === 'object' ? rules.conflict.newest : undefined
  if (newest !== undefined && first.get(newest.toLowerCase()) === 'ignore') {
    const message = `The column ${newest} is left out of comparison, so it can't say which row is the newest.`
    source.complain([...path, 'conflict', 'newest'], message, 'Take it out of ignore, or choose another policy.')
  }
}

const withDefaults = (given: Exclude<z.infer<typeof tableSchema>, string>): TableRules => ({
  mode: 'track',
  headroom: given.headroom ?? defaultRules.headroom,
  conflict: given.conflict ?? defaultRules.conflict,
  add: given.add ?? [],
  match: given.match ?? [],
  ignore: given.ignore ?? [],
  columns: given.columns ?? {},
  sums: given.sums ?? [],
})

const REFERENCE = /^\s*(\S(?:.*\S)?)\.([^.\s]+)\s*->\s*(\S(?:.*\S)?)\.([^.\s]+)\s*$/

/** `references:`, each `Table.Column -> Table.Column`; a table may have its schema before it. */
export function readReferences(value: Value, path: Path, source: Source): readonly Reference[] {
  const list = checked(z.array(z.unknown()), value, path, source)
  if (!list || !Array.isArray(value)) return []
  return value.flatMap((each: Value, index) => {
    const text = checked(referenceSchema, each, [...path, index], source)
    if (text === undefined) return []
    const match = REFERENCE.exec(text)
    if (!match) {
      source.complain(
        [...path, index],
        'This is no reference from one column to another.',
        'Write it like Orders.CustomerID -> Customers.CustomerID.',
      )
      return []
    }
    const [, table = '', column = '', parent = '', parentColumn = ''] = match
    return [{ table, column, parent, parentColumn }]
  })
}
