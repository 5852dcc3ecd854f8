import { z } from 'zod'
import type { Statement } from '../port.ts'
import { fullName, tableNameSchema } from '../schema.ts'

export const plannedStatementSchema = z.object({
  name: z.string(),
  stage: z.enum(['before', 'after']),
  sql: z.string(),
  undo: z.string().nullable(),
  table: tableNameSchema.optional(),
  beside: z.boolean().optional(),
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
 * disk as long as many small tables take the server. Those that may run side by side, of different tables or of one, stand in one group. Pure.
 */
export function inGroups(statements: readonly PlannedStatement[]): readonly (readonly PlannedStatement[])[] {
  const groups: (readonly PlannedStatement[])[] = []
  for (const row of rows(statements)) {
    const tables = new Set(row.map(({ table }) => (table === undefined ? '' : fullName(table))))
    const isBeside = row.length > 1 && row.every(({ beside }) => beside === true)
    const size = tables.size > 1 || isBeside ? MOST_TOGETHER : Math.min(MOST_TOGETHER, Math.ceil(row.length / EACH_ALONE))
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
  return found.flatMap((row) => {
    if (!hasTable(row[0])) return [row]
    const byTable = [...lanes(row).values()]
    const [only, ...others] = byTable.map(leadersFirst)
    return only !== undefined && others.length === 0 ? only.filter(({ length }) => length > 0) : [byTable.flat()]
  })
}

/** A table's statements: those that come one after the other, and then those that may run side by side. */
export function leadersFirst(
  lane: readonly PlannedStatement[],
): readonly [leaders: readonly PlannedStatement[], others: readonly PlannedStatement[]] {
  const last = lane.findLastIndex(({ beside }) => beside !== true)
  return [lane.slice(0, last + 1), lane.slice(last + 1)]
}

const hasTable = (statement: Pick<Statement, 'table'> | undefined): boolean => statement?.table !== undefined

/** By the table that they name. */
export const lanes = (statements: readonly PlannedStatement[]): ReadonlyMap<string, readonly PlannedStatement[]> =>
  Map.groupBy(statements, ({ table }) => (table === undefined ? '' : fullName(table)))
