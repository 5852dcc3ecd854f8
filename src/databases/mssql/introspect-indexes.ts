import { z } from 'zod'
import type { TableName } from '../schema.ts'
import { quoteName, quoteNames, quoteTable } from './names.ts'
import type { Session } from './session.ts'

const indexRow = z.object({
  table: z.number(),
  id: z.number(),
  name: z.string(),
  kind: z.number(),
  unique: z.boolean(),
  primaryKey: z.boolean(),
  constraint: z.boolean(),
  filter: z.string().nullable(),
  disabled: z.boolean(),
  ignoreDuplicates: z.boolean(),
  column: z.string(),
  descending: z.boolean(),
  included: z.boolean(),
})

export interface CatalogIndex {
  readonly name: string
  /** sys.indexes.type: 1 clustered, 2 nonclustered, 3 XML, 4 spatial, 5 and 6 columnstore, 7 hash. */
  readonly kind: number
  readonly unique: boolean
  readonly primaryKey: boolean
  readonly constraint: boolean
  readonly filter: string | null
  readonly disabled: boolean
  readonly ignoreDuplicates: boolean
  readonly columns: readonly { readonly name: string; readonly descending: boolean; readonly included: boolean }[]
}

/** Indexes of tables, table types and indexed views, by object_id ("sys.indexes", "sys.index_columns"). */
export async function readIndexes(session: Session): Promise<ReadonlyMap<number, readonly CatalogIndex[]>> {
  const rows = await session.ask(
    indexRow,
    `SELECT i.object_id AS [table], i.index_id AS [id], i.name AS [name], CONVERT(int, i.type) AS [kind], i.is_unique AS [unique], i.is_primary_key AS [primaryKey],
  i.is_unique_constraint AS [constraint], i.filter_definition AS [filter], i.is_disabled AS [disabled], i.ignore_dup_key AS [ignoreDuplicates],
  c.name AS [column], ic.is_descending_key AS [descending], ic.is_included_column AS [included]
FROM sys.indexes i
JOIN (SELECT object_id AS id FROM sys.tables WHERE is_ms_shipped = 0 UNION ALL SELECT object_id FROM sys.views WHERE is_ms_shipped = 0
  UNION ALL SELECT type_table_object_id FROM sys.table_types) t ON t.id = i.object_id
JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.type > 0 AND i.is_hypothetical = 0
ORDER BY i.object_id, i.index_id, ic.is_included_column, ic.key_ordinal, ic.index_column_id`,
  )
  const tables = new Map<number, CatalogIndex[]>()
  for (const group of Map.groupBy(rows, (row) => `${row.table}.${row.id}`).values()) {
    const [first] = group
    if (first === undefined) continue
    const indexes = tables.get(first.table) ?? []
    tables.set(first.table, indexes)
    indexes.push({
      ...first,
      columns: group.map((row) => ({ name: row.column, descending: row.descending, included: row.included })),
    })
  }
  return tables
}

const orderedColumns = (index: CatalogIndex): string =>
  index.columns
    .filter((column) => !column.included)
    .map((column) => `${quoteName(column.name)} ${column.descending ? 'DESC' : 'ASC'}`)
    .join(', ')

const clustering = (index: CatalogIndex): string => (index.kind === 1 ? 'CLUSTERED' : 'NONCLUSTERED')

/** `PRIMARY KEY CLUSTERED ([id] ASC)`. */
export const keyClause = (index: CatalogIndex): string =>
  `${index.primaryKey ? 'PRIMARY KEY' : 'UNIQUE'} ${clustering(index)} (${orderedColumns(index)})${index.ignoreDuplicates ? ' WITH (IGNORE_DUP_KEY = ON)' : ''}`

/** The constraint that a primary or unique key is. */
export const keySql = (table: TableName, index: CatalogIndex): string =>
  `ALTER TABLE ${quoteTable(table)} ADD CONSTRAINT ${quoteName(index.name)} ${keyClause(index)}`

export function indexSql(table: TableName, index: CatalogIndex): string {
  const included = index.columns.filter((column) => column.included).map((column) => column.name)
  const parts = [
    `CREATE ${index.unique ? 'UNIQUE ' : ''}${clustering(index)} INDEX ${quoteName(index.name)} ON ${quoteTable(table)} (${orderedColumns(index)})`,
    ...(included.length === 0 ? [] : [`INCLUDE (${quoteNames(included)})`]),
    ...(index.filter === null ? [] : [`WHERE ${index.filter}`]),
    ...(index.ignoreDuplicates ? ['WITH (IGNORE_DUP_KEY = ON)'] : []),
  ]
  const create = parts.join(' ')
  return index.disabled ? `${create};\nALTER INDEX ${quoteName(index.name)} ON ${quoteTable(table)} DISABLE` : create
}
