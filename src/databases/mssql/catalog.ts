import { z } from 'zod'
import { quoteText } from './names.ts'
import type { Session } from './session.ts'

/**
 * Finds the open database in sys.databases. By its name: on Azure SQL DB_ID() may be another number than the one there ("DB_ID
 * (Transact-SQL)", remarks).
 */
export const THIS_DATABASE = 'd.name = DB_NAME()'

/**
 * 1, 0, or NULL for a permission on the open database that this server doesn't know; `permission` is SQL. The name is read as an
 * identifier, and so has to be quoted ("HAS_PERMS_BY_NAME (Transact-SQL)"): a dot would part it, and the answer be NULL.
 */
export const mayHere = (permission: string): string => `HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', ${permission})`

/** All catalog views whose columns are asked for before they are. */
const VIEWS = [
  'assemblies',
  'certificates',
  'change_tracking_tables',
  'check_constraints',
  'columns',
  'data_spaces',
  'database_principals',
  'database_scoped_configurations',
  'databases',
  'extended_properties',
  'foreign_keys',
  'fulltext_indexes',
  'index_columns',
  'indexes',
  'numbered_procedures',
  'objects',
  'partition_schemes',
  'partitions',
  'periods',
  'plan_guides',
  'security_policies',
  'sequences',
  'server_principals',
  'service_queues',
  'sql_expression_dependencies',
  'sql_modules',
  'stats',
  'symmetric_keys',
  'synonyms',
  'syslanguages',
  'table_types',
  'tables',
  'trigger_events',
  'triggers',
  'types',
  'xml_indexes',
  'xml_schema_collections',
] as const
export type CatalogView = (typeof VIEWS)[number]

/** Columns of the views above; of another view nothing is known. */
export interface CatalogColumns {
  has(column: `${CatalogView}.${string}`): boolean
}

/** By what the sessions of one database have in common. A server that is upgraded meanwhile still has them all. */
const known = new WeakMap<Session['where'], CatalogColumns>()

/**
 * `view.column`, in lower case, of every column that the views above have on this server: what came with a later version isn't
 * there before ("sys.all_columns" lists system objects too). Asked once.
 */
export async function catalogColumns(session: Session): Promise<CatalogColumns> {
  const before = known.get(session.where)
  if (before !== undefined) return before
  const rows = await session.ask(
    z.object({ view: z.string(), column: z.string() }),
    `SELECT OBJECT_NAME(c.object_id) AS [view], c.name AS [column] FROM sys.all_columns c
WHERE c.object_id IN (${VIEWS.map((view) => `OBJECT_ID(${quoteText(`sys.${view}`)})`).join(', ')})`,
  )
  const columns = new Set(rows.map((row) => `${row.view}.${row.column}`.toLowerCase()))
  known.set(session.where, columns)
  return columns
}
