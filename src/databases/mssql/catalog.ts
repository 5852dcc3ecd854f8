import { z } from 'zod'
import { quoteText } from './names.ts'
import type { Session } from './session.ts'

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
