import { z } from 'zod'
import type { Statement } from '../port.ts'
import { fullName, tableNameSchema } from '../schema.ts'

export const plannedStatementSchema = z.object({
  name: z.string(),
  stage: z.enum(['before', 'after']),
  sql: z.string(),
  undo: z.string().nullable(),
  table: tableNameSchema.optional(),
  /** Marks of rows that went with an earlier table of this name. */
  stale: z.array(z.string()),
})
export type PlannedStatement = z.infer<typeof plannedStatementSchema>

/** Up to so many statements in a row, each is a change of its own: easy to read, and to take back one by one. */
const EACH_ALONE = 20
/** One line of the journal holds no more of them. */
const MOST_TOGETHER = 100

/**
 * Statements as changes, their order kept: each by itself where they are few; many in groups, since a line in the journal takes the
 * disk as long as many small tables take the server. Those of different tables that may run side by side stand in one group. Pure.
 */
export function inGroups(statements: readonly PlannedStatement[]): readonly (readonly PlannedStatement[])[] {
  const groups: (readonly PlannedStatement[])[] = []
  for (const row of rows(statements)) {
    const tables = new Set(row.map(({ table }) => (table === undefined ? '' : fullName(table))))
    const size = tables.size > 1 ? MOST_TOGETHER : Math.min(MOST_TOGETHER, Math.ceil(row.length / EACH_ALONE))
    for (let at = 0; at < row.length; at += size) groups.push(row.slice(at, at + size))
  }
  return groups
}

/** Cut wherever those that name a table begin or end; of those that do, the ones of one table stand together. */
function rows(statements: readonly PlannedStatement[]): readonly (readonly PlannedStatement[])[] {
  const found: PlannedStatement[][] = []
  for (const statement of statements) {
    const last = found.at(-1)
    if (last !== undefined && hasTable(last[0]) === hasTable(statement)) last.push(statement)
    else found.push([statement])
  }
  return found.map((row) => (hasTable(row[0]) ? [...lanes(row).values()].flat() : row))
}

const hasTable = (statement: Pick<Statement, 'table'> | undefined): boolean => statement?.table !== undefined

/** By the table that they name. */
export const lanes = (statements: readonly PlannedStatement[]): ReadonlyMap<string, readonly PlannedStatement[]> =>
  Map.groupBy(statements, ({ table }) => (table === undefined ? '' : fullName(table)))
