import { z } from 'zod'
import { fullName } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import type { Module } from './modules.ts'
import { isOwnTable } from './names.ts'
import type { Session } from './session.ts'

const KINDS: Readonly<Record<string, Module['kind']>> = {
  V: 'view',
  P: 'procedure',
  FN: 'function',
  IF: 'function',
  TF: 'function',
  TR: 'trigger',
}

const moduleRow = z.object({
  id: z.number(),
  type: z.string(),
  schema: z.string(),
  name: z.string(),
  definition: z.string().nullable(),
  ansiNulls: z.boolean(),
  quotedIdentifier: z.boolean(),
  onSchema: z.string().nullable(),
  onName: z.string().nullable(),
  disabled: z.boolean().nullable(),
})

/**
 * Views, functions, procedures and triggers, by creation; and those whose text the server doesn't show. Natively compiled ones are
 * left out: their tables are ordinary on the new host; so are those of schemas that `isLeft` names.
 */
export async function readModules(
  session: Session,
  isLeft: (schema: string) => boolean,
): Promise<{
  readonly modules: readonly (Module & { readonly id: number })[]
  readonly hidden: readonly { readonly kind: string; readonly name: string }[]
}> {
  const known = await catalogColumns(session)
  const orders = known.has('trigger_events.is_first') ? await readTriggerOrders(session) : new Map<number, Module['order']>()
  const rows = await session.ask(
    moduleRow,
    `SELECT o.object_id AS [id], RTRIM(o.type) AS [type], s.name AS [schema], o.name AS [name], m.definition AS [definition],
  m.uses_ansi_nulls AS [ansiNulls], m.uses_quoted_identifier AS [quotedIdentifier],
  ps.name AS [onSchema], p.name AS [onName], tr.is_disabled AS [disabled]
FROM sys.sql_modules m
JOIN sys.objects o ON o.object_id = m.object_id
JOIN sys.schemas s ON s.schema_id = o.schema_id
LEFT JOIN sys.triggers tr ON tr.object_id = o.object_id
LEFT JOIN sys.objects p ON p.object_id = tr.parent_id
LEFT JOIN sys.schemas ps ON ps.schema_id = p.schema_id
WHERE o.is_ms_shipped = 0${known.has('sql_modules.uses_native_compilation') ? ' AND m.uses_native_compilation = 0' : ''}
ORDER BY o.create_date, o.object_id`,
  )
  const modules: (Module & { readonly id: number })[] = []
  const hidden: { readonly kind: string; readonly name: string }[] = []
  for (const row of rows) {
    const kind = KINDS[row.type]
    if (kind === undefined || isLeft(row.schema) || (row.onName !== null && isOwnTable(row.onName))) continue
    const name = { schema: row.schema, name: row.name }
    if (row.definition === null) {
      hidden.push({ kind, name: fullName(name) })
      continue
    }
    const on = row.onSchema === null || row.onName === null ? null : { schema: row.onSchema, name: row.onName }
    modules.push({
      id: row.id,
      kind,
      name,
      definition: row.definition,
      ansiNulls: row.ansiNulls,
      quotedIdentifier: row.quotedIdentifier,
      on,
      disabled: row.disabled === true,
      order: orders.get(row.id) ?? [],
    })
  }
  return { modules, hidden }
}

/** What sp_settriggerorder set: "sys.trigger_events". */
async function readTriggerOrders(session: Session): Promise<ReadonlyMap<number, Module['order']>> {
  const rows = await session.ask(
    z.object({ id: z.number(), event: z.string(), first: z.boolean() }),
    `SELECT e.object_id AS [id], CONVERT(nvarchar(60), e.type_desc) AS [event], e.is_first AS [first]
FROM sys.trigger_events e JOIN sys.triggers t ON t.object_id = e.object_id
WHERE t.parent_class = 1 AND (e.is_first = 1 OR e.is_last = 1) ORDER BY e.object_id, e.type`,
  )
  const orders = Map.groupBy(rows, (row) => row.id)
  return new Map(
    [...orders].map(([id, events]) => [
      id,
      events.map(({ event, first }) => ({ event, place: first ? ('First' as const) : ('Last' as const) })),
    ]),
  )
}
