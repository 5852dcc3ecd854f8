import { z } from 'zod'
import type { Schema } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import { COLUMNS } from './findings-columns.ts'
import { OTHERS } from './findings-objects.ts'
import { TABLES } from './findings-tables.ts'
import type { Probe } from './probe.ts'
import type { Session } from './session.ts'

export const PROBES: readonly Probe[] = [...TABLES, ...COLUMNS, ...OTHERS]

/** Every probe's findings, by name. */
export async function readFindings(session: Session): Promise<Schema['findings']> {
  const known = await catalogColumns(session, [...new Set(PROBES.map((probe) => probe.needs[0]))])
  const probes = PROBES.filter((probe) => known.has(probe.needs.join('.')))
  const rows = await session.ask(
    z.object({ probe: z.number(), name: z.string(), table: z.string().nullable() }),
    probesSql(probes),
  )
  return rows.flatMap((row) => {
    const probe = probes[row.probe]
    if (probe === undefined) return []
    const { severity, code, hint } = probe
    return [{ severity, code, message: probe.message(row.name), hint, ...(row.table === null ? {} : { table: row.table }) }]
  })
}

/** All probes in one answer: each is a statement of its own, since the collations of names from different views needn't agree. */
export const probesSql = (probes: readonly Probe[]): string =>
  probes.map((probe, index) => probe.sql.replace(/^SELECT (DISTINCT )?/, `SELECT $1${index} AS [probe], `)).join(';\n')
