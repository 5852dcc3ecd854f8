import type { Finding } from '../base/errors.ts'
import {
  type ForeignKey,
  findTable,
  fullName,
  type Layout,
  readableColumns,
  type Schema,
  type Table,
} from '../databases/schema.ts'
import type { TableRules, World } from './world.ts'

/** The playbook's rules for each table of a schema; what it doesn't name has the defaults. */
export function rulesFor(
  world: Pick<World, 'tables' | 'defaults'>,
  schema: Pick<Layout, 'tables'>,
): (table: Table) => TableRules {
  const byName = new Map<string, TableRules>()
  for (const [name, rules] of world.tables) {
    const table = findTable(schema.tables, name)
    if (table !== undefined && table !== 'ambiguous') byName.set(fullName(table.name), rules)
  }
  return (table) => byName.get(fullName(table.name)) ?? world.defaults
}

/** Tables whose rows are copied; those with mode `skip` are left empty. */
export function copiedTables(world: World, schema: Pick<Layout, 'tables'>): readonly Table[] {
  const rules = rulesFor(world, schema)
  return schema.tables.filter((table) => rules(table).mode !== 'skip')
}

/** Tables that are copied and reconciled. */
export function trackedTables(world: World, schema: Pick<Layout, 'tables'>): readonly Table[] {
  const rules = rulesFor(world, schema)
  return schema.tables.filter((table) => rules(table).mode === 'track')
}

/** What a schema can't carry. About a table that the playbook leaves empty it is said, but stops nothing. */
export function schemaFindings(world: World, schema: Schema): readonly Finding[] {
  const rules = rulesFor(world, schema)
  const known = new Map(schema.tables.map((table) => [fullName(table.name), table]))
  const isLeftOut = (name: string): boolean => {
    const table = known.get(name)
    return table === undefined ? isSkipped(world, name) : rules(table).mode === 'skip'
  }
  return schema.findings.map(({ table, ...finding }) =>
    table === undefined || finding.severity !== 'error' || !isLeftOut(table) ? finding : { ...finding, severity: 'warning' },
  )
}

/** True where the playbook leaves out a table that isn't carried anyway, by its full name or without its schema. */
const isSkipped = ({ tables }: Pick<World, 'tables'>, table: string): boolean =>
  [...tables].some(([name, { mode }]) => mode === 'skip' && isTableOf(table, name))

/** Whether a playbook's name means the table with this full name. */
export const isTableOf = (table: string, name: string): boolean =>
  [table, table.slice(table.indexOf('.') + 1)].some((each) => each.toLowerCase() === name.toLowerCase())

/** The playbook's references as foreign keys between tables that exist; what names none of them is `check`'s to report. */
export function declaredReferences(world: Pick<World, 'references'>, tables: readonly Table[]): readonly ForeignKey[] {
  return world.references.flatMap((reference) => {
    const child = findTable(tables, reference.table)
    const parent = findTable(tables, reference.parent)
    if (child === undefined || child === 'ambiguous' || parent === undefined || parent === 'ambiguous') return []
    const column = columnName(child, reference.column)
    const parentColumn = columnName(parent, reference.parentColumn)
    if (column === undefined || parentColumn === undefined) return []
    const name = `${fullName(child.name)}.${column} -> ${fullName(parent.name)}.${parentColumn}`
    return [
      {
        name,
        table: child.name,
        columns: [column],
        parent: parent.name,
        parentColumns: [parentColumn],
        enforced: false,
        sql: '',
      },
    ]
  })
}

const columnName = (table: Table, name: string): string | undefined =>
  readableColumns(table).find((column) => column.name.toLowerCase() === name.toLowerCase())?.name
