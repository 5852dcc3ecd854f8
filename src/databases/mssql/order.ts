import { fullName, type SchemaObject, type Table } from '../schema.ts'
import { type Module, mentions } from './modules.ts'

/** What a table's columns compute with: a function in it must be there before the table. */
export const formulas = (table: Table): readonly string[] =>
  table.columns.flatMap((column) => [
    ...(column.computed === null ? [] : [column.computed.sql]),
    ...(column.default === null ? [] : [column.default.sql]),
  ])

/** Everything that it names must be there when it is made ("CREATE FUNCTION (Transact-SQL)", SCHEMABINDING). */
const isBound = (sql: string): boolean => /\bSCHEMABINDING\b/i.test(sql)
const isScalar = ({ kind, definition }: Module): boolean =>
  kind === 'function' && !/\bRETURNS\s+(?:@[\p{L}\p{N}_@#$]+\s+)?TABLE\b/iu.test(definition)

/**
 * The functions that tables compute with, and what these need in turn: scalar functions that they call, and all that one WITH SCHEMABINDING
 * names. Tables, and what gives rows, are looked up only when a function runs that isn't bound ("Deferred name resolution").
 */
export function neededByTables(tables: readonly Table[], modules: readonly Module[]): ReadonlySet<Module> {
  const needed = new Set<Module>()
  const add = (sql: string, bound: boolean): void => {
    for (const module of modules) {
      const counts = isScalar(module) || (bound && (module.kind === 'function' || module.kind === 'view'))
      if (!counts || needed.has(module) || !mentions(sql, module.name.name)) continue
      needed.add(module)
      add(module.definition, isBound(module.definition))
    }
  }
  for (const sql of tables.flatMap(formulas)) add(sql, false)
  return needed
}

const nameOf = (object: SchemaObject): string => object.name.slice(object.name.indexOf('.') + 1)

/**
 * Tables, and the functions and views that are made beside them, so that each comes after what it needs: a table after the functions that
 * it computes with, these after the functions that they call, one that is bound after the tables that it names. Otherwise functions
 * unbound first, then tables, then functions bound to them; a circle is cut where it is first met.
 */
export function inCreationOrder(
  tables: readonly Table[],
  modules: readonly SchemaObject[],
): readonly ({ readonly table: Table } | { readonly module: SchemaObject })[] {
  const ordered: ({ readonly table: Table } | { readonly module: SchemaObject })[] = []
  const seen = new Set<Table | SchemaObject>()
  const visitModule = (module: SchemaObject): void => {
    if (seen.has(module)) return
    seen.add(module)
    for (const other of modules) if (mentions(module.sql, nameOf(other))) visitModule(other)
    if (isBound(module.sql)) for (const table of tables) if (mentions(module.sql, table.name.name)) visitTable(table)
    ordered.push({ module })
  }
  const visitTable = (table: Table): void => {
    if (seen.has(table)) return
    seen.add(table)
    const computing = formulas(table)
    for (const module of modules) if (computing.some((sql) => mentions(sql, nameOf(module)))) visitModule(module)
    ordered.push({ table })
  }
  const isOfTables = (module: SchemaObject): boolean =>
    isBound(module.sql) && tables.some((table) => mentions(module.sql, table.name.name))
  for (const module of modules) if (!isOfTables(module)) visitModule(module)
  for (const table of tables) visitTable(table)
  for (const module of modules) visitModule(module)
  return ordered
}

/**
 * Whether adding a check runs a function of the shop, by itself or by way of a computed column: the function reads what isn't there before
 * all views, synonyms and functions are.
 */
export function callsFunction(check: SchemaObject, tables: readonly Table[], modules: readonly SchemaObject[]): boolean {
  const functions = modules.filter((each) => each.kind === 'function').map(nameOf)
  const calls = (sql: string): boolean => functions.some((name) => mentions(sql, name))
  if (functions.length === 0 || calls(check.sql)) return functions.length > 0
  const table = tables.find((each) => check.name.startsWith(`${fullName(each.name)}.`))
  return (
    table?.columns.some(({ name, computed }) => computed !== null && calls(computed.sql) && mentions(check.sql, name)) ?? false
  )
}
