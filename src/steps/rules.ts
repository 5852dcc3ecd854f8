import { type ForeignKey, findTable, fullName, readableColumns, type Table } from '../databases/schema.ts'
import type { TableRules, World } from './world.ts'

/** What the playbook says of a table, or the defaults. */
export function rulesFor(world: Pick<World, 'tables' | 'defaults'>, table: Table): TableRules {
  for (const [name, rules] of world.tables) {
    if (findTable([table], name) === table) return rules
  }
  return world.defaults
}

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
