import type { KeyCells, Row, Statement } from '../../src/databases/port.ts'
import { fullName, type Identity, readableColumns, type Schema, type Table } from '../../src/databases/schema.ts'
import { counterName } from './memory-server.ts'

/** Statements that create a schema, in this engine's own language. */
export function statementsFor(schema: Schema): readonly Statement[] {
  const of = (table: Table): readonly Identity[] =>
    schema.identities.filter((identity) => identity.kind === 'column' && fullName(identity.table) === fullName(table.name))
  const own = (name: string): string => JSON.stringify(name)
  return [
    ...schema.tables.map((table): Statement => {
      const name = fullName(table.name)
      const sql = `create-table ${JSON.stringify({ table: { ...table, triggers: [] }, identities: of(table) })}`
      return { name: `table ${name}`, stage: 'before', sql, undo: `drop-table ${own(name)}` }
    }),
    ...schema.identities
      .filter((identity) => identity.kind === 'sequence')
      .map(
        (identity): Statement => ({
          name: `sequence ${fullName(identity.table)}`,
          stage: 'before',
          sql: `create-sequence ${JSON.stringify(identity)}`,
          undo: `drop-sequence ${own(counterName(identity))}`,
        }),
      ),
    ...schema.foreignKeys.map(
      (key): Statement => ({
        name: `foreign key ${key.name}`,
        stage: 'after',
        sql: `create-foreign-key ${JSON.stringify(key)}`,
        undo: `drop-foreign-key ${own(key.name)}`,
      }),
    ),
    ...schema.objects.map(
      (each): Statement => ({ name: `${each.kind} ${each.name}`, stage: each.stage, sql: each.sql, undo: each.undo }),
    ),
  ]
}

/** Names of a table's triggers. */
export const triggersOf = (table: Table, objects: Schema['objects']): readonly string[] =>
  objects
    .filter((each) => each.kind === 'trigger' && each.sql.includes(`"on":${JSON.stringify(fullName(table.name))}`))
    .map((each) => each.name)

/** The columns that `wanted` has, of rows of the table as it is. */
export function project(held: Table, wanted: Table, rows: readonly Row[]): readonly Row[] {
  const positions = readableColumns(wanted).map((column) => held.columns.findIndex((each) => each.name === column.name))
  if (positions.length === held.columns.length && positions.every((at, index) => at === index)) return rows
  return rows.map((row) => positions.map((at) => row[at] ?? null))
}

/** Index of the first row for which `holds`, among rows where it holds from some row on. */
export function firstAfter(rows: readonly Row[], holds: (row: Row) => boolean): number {
  let [low, high] = [0, rows.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const row = rows[middle]
    if (row !== undefined && holds(row)) high = middle
    else low = middle + 1
  }
  return low
}

/** Rows with these keys. */
export const found = (rows: ReadonlyMap<string, Row>, keys: readonly KeyCells[]): readonly Row[] =>
  keys.map((key) => rows.get(JSON.stringify(key))).filter((row) => row !== undefined)
