import { z } from 'zod'
import type { Table } from '../schema.ts'
import { anyColumn, ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { isLargeObjects } from './large-objects.ts'
import { quoteName, quoteTable, quoteText } from './values.ts'

const triggerRow = z.object({
  relation: z.string(),
  name: z.string(),
  kind: z.enum(['TRIGGER', 'RULE']),
  enabled: z.enum(['O', 'R', 'A']),
})

const ENABLE = { O: 'ENABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS' } as const

/**
 * User triggers and rules that are on, of tables and of their partitions. A partition's clone of its table's trigger counts as the
 * server's own up to release 14, though it belongs to no constraint.
 */
const active = (
  names: readonly string[],
): string => `WITH roots AS (SELECT unnest(ARRAY[${names.map(quoteText).join(', ')}]::regclass[]) AS oid), parts AS (
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS relation FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid IN (SELECT oid FROM roots) OR (c.relispartition AND pg_partition_root(c.oid) IN (SELECT oid FROM roots))
)
SELECT p.relation, t.tgname AS name, 'TRIGGER' AS kind, t.tgenabled AS enabled FROM parts p JOIN pg_trigger t ON t.tgrelid = p.oid
WHERE (NOT t.tgisinternal OR (t.tgconstraint = 0 AND coalesce(${anyColumn('t', 'tgparentid')}, '1') <> '0')) AND t.tgenabled <> 'D'
UNION ALL SELECT p.relation, r.rulename, 'RULE', r.ev_enabled FROM parts p JOIN pg_rewrite r ON r.ev_class = p.oid
WHERE r.rulename <> '_RETURN' AND r.ev_enabled <> 'D' ORDER BY 1, 3, 2`

/**
 * Runs `work` with the user triggers and rules of `tables` off, within the open transaction, and puts each back as it was. The
 * triggers that enforce foreign keys stay on. A table without any isn't touched: ALTER TABLE locks out writers until the end.
 */
export async function withoutTriggers<T>(
  session: Session,
  tables: readonly Pick<Table, 'name'>[],
  work: () => Promise<T>,
): Promise<T> {
  const names = [...new Set(tables.filter((table) => !isLargeObjects(table)).map((table) => quoteTable(table.name)))]
  const all = names.length === 0 ? [] : await ask(session, triggerRow, active(names))
  const enable: string[] = []
  for (const [relation, actions] of Map.groupBy(all, (each) => each.relation)) {
    const alter = `ALTER TABLE ONLY ${relation}`
    await session.query(`${alter} ${actions.map((each) => `DISABLE ${each.kind} ${quoteName(each.name)}`).join(', ')}`)
    enable.push(`${alter} ${actions.map((each) => `${ENABLE[each.enabled]} ${each.kind} ${quoteName(each.name)}`).join(', ')}`)
  }
  const result = await work()
  // Deferred checks run now: ALTER TABLE refuses a table that still has some waiting.
  if (enable.length > 0) await session.query('SET CONSTRAINTS ALL IMMEDIATE')
  for (const sql of enable) await session.query(sql)
  return result
}
