import { z } from 'zod'
import type { Schema } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import { COLUMNS } from './findings-columns.ts'
import { OTHERS } from './findings-objects.ts'
import { TABLES } from './findings-tables.ts'
import type { Probe } from './probe.ts'
import type { Session } from './session.ts'

export const PROBES: readonly Probe[] = [...TABLES, ...COLUMNS, ...OTHERS]

/** Every probe's findings, by name, but for those of what stands in a schema that `isLeft` names. */
export async function readFindings(session: Session, isLeft: (schema: string) => boolean): Promise<Schema['findings']> {
  const known = await catalogColumns(session)
  const closed = await closedViews(session)
  const probes = PROBES.filter(({ needs: [view, column] }) => known.has(`${view}.${column}`) && !closed.has(view))
  const rows = await session.ask(
    z.object({ probe: z.number(), name: z.string(), table: z.string().nullable() }),
    probesSql(probes),
  )
  const found = rows.flatMap((row) => {
    const probe = probes[row.probe]
    if (probe === undefined || isLeft(schemaOf(row.table ?? row.name))) return []
    const { severity, code, hint } = probe
    return [{ severity, code, message: probe.message(row.name), hint, ...(row.table === null ? {} : { table: row.table }) }]
  })
  return closed.size === 0 ? found : [...found, REFERENCES_UNKNOWN]
}

/** Of a full name; a name that has no schema is itself. */
const schemaOf = (name: string): string => name.split('.', 1)[0] ?? name

/** The one view that not everybody may ask who sees definitions: by default only db_owner ("sys.sql_expression_dependencies"). */
const DEPENDENCIES = 'sql_expression_dependencies'

const REFERENCES_UNKNOWN: Schema['findings'][number] = {
  severity: 'info',
  code: 'references-unknown',
  message: 'Whether views, functions and procedures refer to other databases couldn’t be found out: this account may not ask.',
  hint: `GRANT SELECT ON sys.${DEPENDENCIES} TO the account, or look for three-part names yourself.`,
}

async function closedViews(session: Session): Promise<ReadonlySet<string>> {
  const { rows } = await session.query(`SELECT HAS_PERMS_BY_NAME(N'sys.${DEPENDENCIES}', N'OBJECT', N'SELECT') AS [granted]`)
  return new Set(rows[0]?.[0] === 0 ? [DEPENDENCIES] : [])
}

/** All probes in one answer: each is a statement of its own, since the collations of names from different views needn't agree. */
export const probesSql = (probes: readonly Probe[]): string =>
  probes.map((probe, index) => probe.sql.replace(/^SELECT (DISTINCT )?/, `SELECT $1${index} AS [probe], `)).join(';\n')
