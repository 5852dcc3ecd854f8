import { type Column, type ForeignKey, fullName, readableColumns, type Schema, type Table } from '../../src/databases/schema.ts'
import { type Cell, cellOf, type Wanted } from './filler-values.ts'

/** Rows that each table of a shop gets. */
export const ROWS = 24

/** Rows made up for a table, with the columns that they give. */
export interface MadeRows {
  readonly table: Table
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Cell[])[]
}

/** Makes rows for the tables of a schema: the same in every run, with keys that find each other. */
export interface Filler {
  /** Rows `from` to `from + count` of every table, parents first; each `count` numbers itself where `numbers` is `false`. */
  rows(from: number, count: number, options?: { readonly numbers: boolean }): readonly MadeRows[]
}

/**
 * What refers to another table's row has that row's number for its own; the first `ROWS` are there for whoever comes later. Types that
 * the database declares itself, with their labels or with the type that they stand for, come from `types`.
 */
export function fillerFor(schema: Schema, types: Types): Filler {
  const { labels, bases, letters } = types
  const ofTable = Map.groupBy(schema.foreignKeys, (key) => fullName(key.table))
  const tables = new Map(schema.tables.map((table) => [fullName(table.name), table]))
  const identities = new Set(schema.identities.map(({ table, column }) => `${fullName(table)} ${column}`))

  const cell = (table: Table, column: Column, row: number, depth = 0): Cell => {
    const unique = isUnique(table, column)
    const chance = chanceOf(`${fullName(table.name)}.${column.name}.${row}`)
    const key = ofTable.get(fullName(table.name))?.find((each) => each.columns.includes(column.name))
    if (key !== undefined && depth < 9) {
      const parent = tables.get(fullName(key.parent))
      const named = key.parentColumns[key.columns.indexOf(column.name)]
      const theirs = parent?.columns.find((each) => each.name === named)
      if (parent === table && column.nullable) return null
      if (column.nullable && !unique && chance % 5 === 0) return null
      if (parent !== undefined && theirs !== undefined) return cell(parent, theirs, unique ? row : row % ROWS, depth + 1)
    }
    if (column.nullable && !unique && chance % 5 === 0) return null
    return cellOf({ type: bases.get(bare(column.type)) ?? column.type, letters: letters(column), row, unique, chance, labels })
  }

  return {
    rows: (from, count, { numbers } = { numbers: true }) =>
      parentsFirst(schema.tables, schema.foreignKeys).map((table) => {
        const columns = readableColumns(table).filter(({ name }) => numbers || !identities.has(`${fullName(table.name)} ${name}`))
        const rows = Array.from({ length: count }, (_, at) => columns.map((column) => cell(table, column, from + at)))
        return { table, columns, rows }
      }),
  }
}

/** What an engine's types mean beyond their names. */
export interface Types {
  /** Labels of types that the database declares, by the type's name. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** What a type that the database declares stands for. */
  readonly bases: ReadonlyMap<string, string>
  letters(column: Column): Wanted['letters']
}

/** A type's name as it was declared. */
export const bare = (type: string): string => type.replaceAll('"', '').replace(/^public\./, '')

const isUnique = (table: Table, { name }: Column): boolean =>
  [table.key, table.primaryKey?.columns ?? [], ...table.uniqueKeys.map(({ columns }) => columns)].some((key) =>
    key.includes(name),
  )

/** A number that looks like chance and is the same in every run (FNV-1a, 32 bits). */
function chanceOf(text: string): number {
  let hash = 0x81_1c_9d_c5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01_00_01_93) >>> 0
  return hash >>> 3
}

/** Each table after those that it refers to; in a circle, as they come. */
function parentsFirst(tables: readonly Table[], keys: readonly ForeignKey[]): readonly Table[] {
  const parents = Map.groupBy(keys, (key) => fullName(key.table))
  const byName = new Map(tables.map((table) => [fullName(table.name), table]))
  const sorted = new Set<Table>()
  const visiting = new Set<Table>()
  const visit = (table: Table): void => {
    if (sorted.has(table) || visiting.has(table)) return
    visiting.add(table)
    for (const key of parents.get(fullName(table.name)) ?? []) {
      const parent = byName.get(fullName(key.parent))
      if (parent !== undefined) visit(parent)
    }
    sorted.add(table)
  }
  for (const table of tables) visit(table)
  return [...sorted]
}
