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

/**
 * `view.column`, in lower case, of every column that these catalog views have on this server: what came with a later version isn't
 * there before ("sys.all_columns" lists system objects too).
 */
export async function catalogColumns(session: Session, views: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await session.ask(
    z.object({ view: z.string(), column: z.string() }),
    `SELECT OBJECT_NAME(c.object_id) AS [view], c.name AS [column] FROM sys.all_columns c
WHERE c.object_id IN (${views.map((view) => `OBJECT_ID(${quoteText(`sys.${view}`)})`).join(', ')})`,
  )
  return new Set(rows.map((row) => `${row.view}.${row.column}`.toLowerCase()))
}
