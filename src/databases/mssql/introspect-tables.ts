import { z } from 'zod'
import type { Column, ForeignKey, Identity, Key, SchemaObject, Table, TableName } from '../schema.ts'
import { fullName } from '../schema.ts'
import { mayChange } from './determinism.ts'
import { type CatalogColumn, columnOf, identityOf, readColumns } from './introspect-columns.ts'
import { type CatalogIndex, indexSql, isCarriedIndex, keySql, readIndexes } from './introspect-indexes.ts'
import { isOwnTable, quoteName, quoteNames, quoteTable } from './names.ts'
import type { Session } from './session.ts'
import { isVariant } from './variants.ts'

/** A user's table or view, by object_id. */
export interface CatalogTable {
  readonly id: number
  readonly name: TableName
}

/** What the catalog says of tables: "Object Catalog Views (Transact-SQL)". */
interface TableCatalog {
  readonly tables: readonly CatalogTable[]
  readonly columns: ReadonlyMap<number, readonly CatalogColumn[]>
  readonly indexes: ReadonlyMap<number, readonly CatalogIndex[]>
  /** Enabled user triggers by the table's id. */
  readonly triggers: ReadonlyMap<number, readonly string[]>
}

const tableRow = z.object({ id: z.number(), schema: z.string(), name: z.string() })

export async function readTableCatalog(session: Session): Promise<TableCatalog> {
  const tables = await session.ask(
    tableRow,
    `SELECT t.object_id AS [id], s.name AS [schema], t.name AS [name]
FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0
ORDER BY s.name, t.name`,
  )
  const triggers = await session.ask(
    z.object({ table: z.number(), name: z.string() }),
    `SELECT parent_id AS [table], name AS [name] FROM sys.triggers
WHERE parent_class = 1 AND is_ms_shipped = 0 AND is_disabled = 0 ORDER BY name`,
  )
  return {
    tables: tables
      .filter((row) => !isOwnTable(row.name))
      .map((row) => ({ id: row.id, name: { schema: row.schema, name: row.name } })),
    columns: await readColumns(session),
    indexes: await readIndexes(session),
    triggers: new Map([...Map.groupBy(triggers, (row) => row.table)].map(([id, rows]) => [id, rows.map((row) => row.name)])),
  }
}

/** The table of the port's schema. */
export function tableOf(catalog: TableCatalog, table: CatalogTable): Table {
  const columns = (catalog.columns.get(table.id) ?? []).map(columnOf)
  const indexes = catalog.indexes.get(table.id) ?? []
  const primary = indexes.find((index) => index.primaryKey)
  const unique = indexes.filter((index) => isUniqueKey(index))
  const primaryKey = primary === undefined ? null : keyOf(table.name, primary)
  const uniqueKeys = unique.map((index) => keyOf(table.name, index))
  return {
    name: table.name,
    columns,
    primaryKey,
    uniqueKeys,
    key: chooseKey(columns, primaryKey, uniqueKeys),
    triggers: catalog.triggers.get(table.id) ?? [],
  }
}

/** Unique for every row: neither filtered nor disabled. A hash index becomes an ordinary one. */
const isUniqueKey = (index: CatalogIndex): boolean =>
  index.unique && !index.primaryKey && index.filter === null && !index.disabled && [1, 2, 7].includes(index.kind)

const keyOf = (table: TableName, index: CatalogIndex): Key => ({
  name: index.name,
  columns: index.columns.filter((column) => !column.included).map((column) => column.name),
  sql: index.primaryKey || index.constraint ? keySql(table, index) : indexSql(table, index),
})

/**
 * The primary key's columns, else those of the unique key with the fewest columns that can't be null and aren't computed. A sql_variant
 * tells no rows apart: two of its values are equal although their types differ.
 */
function chooseKey(columns: readonly Column[], primaryKey: Key | null, uniqueKeys: readonly Key[]): readonly string[] {
  const usable = (key: Key): boolean =>
    key.columns.every((name) => {
      const column = columns.find((each) => each.name === name)
      return column !== undefined && !column.nullable && column.computed === null && !column.rowversion && !isVariant(column)
    })
  if (primaryKey !== null && usable(primaryKey)) return primaryKey.columns
  return uniqueKeys.filter(usable).toSorted((a, b) => a.columns.length - b.columns.length)[0]?.columns ?? []
}

/** Identity columns of a table. `cached`: whether they hand out values of a cache, what is left of which a restart skips. */
export const identitiesOf = (catalog: TableCatalog, table: CatalogTable, cached: boolean): readonly Identity[] =>
  (catalog.columns.get(table.id) ?? []).flatMap((column) => {
    const identity = identityOf(table.name, column, cached)
    return identity === null ? [] : [identity]
  })

/**
 * Indexes of tables and views that are neither a key nor unique for every row. A disabled one is made before there are rows, which may
 * no longer be as it wants them.
 */
export const indexObjects = (name: TableName, indexes: readonly CatalogIndex[], isView: boolean): readonly SchemaObject[] =>
  indexes
    .filter((index) => isCarriedIndex(index) && !index.primaryKey && !index.constraint && (isView || !isUniqueKey(index)))
    .map((index) => ({
      kind: 'index',
      name: `${fullName(name)}.${index.name}`,
      stage: index.disabled && !isView ? 'before' : 'after',
      sql: indexSql(name, index),
      undo: null,
    }))

const ACTIONS = ['NO ACTION', 'CASCADE', 'SET NULL', 'SET DEFAULT']

const foreignKeyRow = z.object({
  name: z.string(),
  schema: z.string(),
  table: z.string(),
  parentSchema: z.string(),
  parent: z.string(),
  column: z.string(),
  parentColumn: z.string(),
  disabled: z.boolean(),
  untrusted: z.boolean(),
  notForReplication: z.boolean(),
  onDelete: z.number(),
  onUpdate: z.number(),
})
type ForeignKeyRow = z.infer<typeof foreignKeyRow>

export async function readForeignKeys(session: Session): Promise<readonly ForeignKey[]> {
  const rows = await session.ask(
    foreignKeyRow,
    `SELECT f.name AS [name], s.name AS [schema], t.name AS [table], ps.name AS [parentSchema], p.name AS [parent],
  c.name AS [column], pc.name AS [parentColumn], f.is_disabled AS [disabled], f.is_not_trusted AS [untrusted],
  f.is_not_for_replication AS [notForReplication], f.delete_referential_action AS [onDelete], f.update_referential_action AS [onUpdate]
FROM sys.foreign_keys f
JOIN sys.schemas s ON s.schema_id = f.schema_id
JOIN sys.tables t ON t.object_id = f.parent_object_id
JOIN sys.tables p ON p.object_id = f.referenced_object_id
JOIN sys.schemas ps ON ps.schema_id = p.schema_id
JOIN sys.foreign_key_columns fc ON fc.constraint_object_id = f.object_id
JOIN sys.columns c ON c.object_id = fc.parent_object_id AND c.column_id = fc.parent_column_id
JOIN sys.columns pc ON pc.object_id = fc.referenced_object_id AND pc.column_id = fc.referenced_column_id
WHERE f.is_ms_shipped = 0
ORDER BY s.name, f.name, t.name, fc.constraint_column_id`,
  )
  return [...Map.groupBy(rows, (row) => `${row.schema}.${row.table}.${row.name}`).values()].map(foreignKeyOf)
}

function foreignKeyOf(rows: readonly ForeignKeyRow[]): ForeignKey {
  const [first] = rows
  if (first === undefined) throw new RangeError('A foreign key has at least one column.')
  const table = { schema: first.schema, name: first.table }
  const parent = { schema: first.parentSchema, name: first.parent }
  const key = { columns: rows.map((row) => row.column), parentColumns: rows.map((row) => row.parentColumn) }
  return {
    name: first.name,
    table,
    parent,
    ...key,
    enforced: !first.disabled,
    ...(first.untrusted ? { trusted: false } : {}),
    sql: foreignKeySql(first, { table, parent, ...key }),
  }
}

function foreignKeySql(row: ForeignKeyRow, key: Pick<ForeignKey, 'table' | 'parent' | 'columns' | 'parentColumns'>): string {
  const action = (event: string, code: number): string => (code === 0 ? '' : ` ON ${event} ${ACTIONS[code] ?? 'NO ACTION'}`)
  const present = key.columns.map((name) => `c.${quoteName(name)} IS NOT NULL`)
  const same = key.columns.map((name, index) => `p.${quoteName(key.parentColumns[index] ?? '')} = c.${quoteName(name)}`)
  return constraintSql({
    ...row,
    on: key.table,
    clause: `FOREIGN KEY (${quoteNames(key.columns)}) REFERENCES ${quoteTable(key.parent)} (${quoteNames(key.parentColumns)})${action('DELETE', row.onDelete)}${action('UPDATE', row.onUpdate)}${row.notForReplication ? ' NOT FOR REPLICATION' : ''}`,
    broken: `SELECT 1 FROM ${quoteTable(key.table)} AS c WHERE ${present.join(' AND ')} AND NOT EXISTS (SELECT 1 FROM ${quoteTable(key.parent)} AS p WHERE ${same.join(' AND ')})`,
  })
}

interface Constraint {
  readonly name: string
  readonly on: TableName
  readonly clause: string
  readonly disabled: boolean
  readonly untrusted: boolean
  /** Finds rows that break it. */
  readonly broken: string
}

/**
 * Adds a foreign key or check. A disabled one stays disabled, its rows unchecked. One that the old host doesn't trust is checked and
 * so trusted on the new host, unless there are rows that break it: then it binds only what is written later, as it did before
 * ("ALTER TABLE (Transact-SQL)", WITH CHECK | WITH NOCHECK). A check that asks for the time, such as that a date lies ahead, is looked at
 * so too: the old host trusts it since it looks at each row when that is written, and never again.
 */
export function constraintSql(constraint: Constraint): string {
  const table = quoteTable(constraint.on)
  const name = quoteName(constraint.name)
  const add = (check: string): string => `ALTER TABLE ${table}${check} ADD CONSTRAINT ${name} ${constraint.clause}`
  if (constraint.disabled) return `${add(' WITH NOCHECK')};\nALTER TABLE ${table} NOCHECK CONSTRAINT ${name}`
  if (!constraint.untrusted) return add('')
  return `IF EXISTS (${constraint.broken})\n  ${add(' WITH NOCHECK')}\nELSE\n  ${add(' WITH CHECK')}`
}

const checkRow = z.object({
  name: z.string(),
  schema: z.string(),
  table: z.string(),
  sql: z.string(),
  disabled: z.boolean(),
  untrusted: z.boolean(),
  notForReplication: z.boolean(),
})

export async function readChecks(session: Session): Promise<readonly SchemaObject[]> {
  const rows = await session.ask(
    checkRow,
    `SELECT k.name AS [name], s.name AS [schema], t.name AS [table], k.definition AS [sql], k.is_disabled AS [disabled], k.is_not_trusted AS [untrusted],
  k.is_not_for_replication AS [notForReplication]
FROM sys.check_constraints k
JOIN sys.tables t ON t.object_id = k.parent_object_id
JOIN sys.schemas s ON s.schema_id = t.schema_id
WHERE k.is_ms_shipped = 0
ORDER BY s.name, t.name, k.name`,
  )
  return rows
    .filter((row) => !isOwnTable(row.table))
    .map((row): SchemaObject => {
      const on = { schema: row.schema, name: row.table }
      const condition = parenthesised(row.sql)
      const clause = `CHECK${row.notForReplication ? ' NOT FOR REPLICATION' : ''} ${condition}`
      const broken = `SELECT 1 FROM ${quoteTable(on)} WHERE NOT ${condition}`
      const sql = constraintSql({ ...row, on, clause, broken, untrusted: row.untrusted || mayChange(row.sql) })
      return { kind: 'check', name: `${row.schema}.${row.table}.${row.name}`, stage: 'after', sql, undo: null }
    })
}

const parenthesised = (sql: string): string => (sql.startsWith('(') && sql.endsWith(')') ? sql : `(${sql})`)
