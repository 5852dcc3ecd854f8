import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { formatCount } from '../../base/units.ts'
import { ask, type CatalogObject } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteTable, quoteText } from './values.ts'

/** Settings, not a shop's data: nobody has more. */
const MOST_ROWS = 10_000

const CONFIGURED = `SELECT c.oid::text AS oid, e.extname AS extension, n.nspname AS schema, c.relname AS name, coalesce(u.condition, '') AS condition
FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS u(relation, condition) JOIN pg_class c ON c.oid = u.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') ORDER BY 2, 3, 4`

const configuredRow = z.object({
  oid: z.string(),
  extension: z.string(),
  schema: z.string(),
  name: z.string(),
  condition: z.string(),
})

const rowsRow = z.object({ count: z.number(), rows: z.string() })

/**
 * The shop's own rows in tables that belong to an extension, as the extension itself tells them from those that it brings
 * (PostgreSQL documentation, "Extension Configuration Tables"). They go along as statements.
 */
export async function readExtensionRows(
  session: Session,
): Promise<{ readonly objects: readonly CatalogObject[]; readonly findings: readonly Finding[] }> {
  const objects: CatalogObject[] = []
  const findings: Finding[] = []
  for (const { oid, extension, schema, name, condition } of await ask(session, configuredRow, CONFIGURED)) {
    const table = quoteTable({ schema, name })
    const own = `SELECT * FROM ONLY ${table} ${condition}`
    const [found] = await ask(
      session,
      rowsRow,
      `SELECT count(*) AS count, coalesce(json_agg(r), '[]')::text AS rows FROM (${own} LIMIT ${MOST_ROWS + 1}) r`,
    )
    if (found === undefined || found.count === 0) continue
    const sql = `INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, ${quoteText(found.rows)})`
    const full = `${schema}.${name}`
    if (found.count <= MOST_ROWS)
      objects.push({ id: `extension rows ${oid}`, kind: 'extension rows', name: `${extension} ${full}`, sql, undo: null })
    else findings.push(tooMany(extension, full))
  }
  return { objects, findings }
}

const tooMany = (extension: string, table: string): Finding => ({
  severity: 'error',
  code: 'extension-rows',
  message: `The extension ${extension} keeps more than ${formatCount(MOST_ROWS)} rows of the shop's in its table ${table}, which migrate doesn't carry.`,
  hint: 'Move the database with pg_dump and pg_restore, or take rows out of it that nobody needs.',
})
