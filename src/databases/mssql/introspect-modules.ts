import { z } from 'zod'
import { fullName } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import type { Module } from './modules.ts'
import { isOwnTable, quoteText } from './names.ts'
import type { Session } from './session.ts'

const KINDS: Readonly<Record<string, Module['kind']>> = {
  V: 'view',
  P: 'procedure',
  FN: 'function',
  IF: 'function',
  TF: 'function',
  TR: 'trigger',
}

const objectRow = z.object({ id: z.number(), type: z.string(), schema: z.string(), name: z.string() })
const textRow = z.object({
  id: z.number(),
  definition: z.string().nullable(),
  ansiNulls: z.boolean(),
  quotedIdentifier: z.boolean(),
})
const triggerRow = z.object({ id: z.number(), schema: z.string(), name: z.string(), disabled: z.boolean() })

/**
 * Views, functions, procedures and triggers, by creation; and those whose text the server doesn't show. Natively compiled ones are
 * left out: their tables are ordinary on the new host; so are those of schemas that `isLeft` names.
 *
 * Each catalog view is asked by itself and put together here by object_id, which each of them has ("sys.sql_modules", "sys.objects",
 * "sys.triggers"): joined, a server that makes the texts up as they are asked for took minutes for 600 modules.
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
  const objects = await session.ask(
    objectRow,
    `SELECT o.object_id AS [id], RTRIM(o.type) AS [type], s.name AS [schema], o.name AS [name]
FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id
WHERE o.is_ms_shipped = 0 AND o.type IN (${Object.keys(KINDS).map(quoteText).join(', ')})
ORDER BY o.create_date, o.object_id`,
  )
  const texts = byId(
    await session.ask(
      textRow,
      `SELECT m.object_id AS [id], m.definition AS [definition], m.uses_ansi_nulls AS [ansiNulls], m.uses_quoted_identifier AS [quotedIdentifier]
FROM sys.sql_modules m${known.has('sql_modules.uses_native_compilation') ? ' WHERE m.uses_native_compilation = 0' : ''}`,
    ),
  )
  const triggers = byId(
    await session.ask(
      triggerRow,
      `SELECT tr.object_id AS [id], s.name AS [schema], p.name AS [name], tr.is_disabled AS [disabled]
FROM sys.triggers tr JOIN sys.objects p ON p.object_id = tr.parent_id JOIN sys.schemas s ON s.schema_id = p.schema_id
WHERE tr.parent_class = 1`,
    ),
  )
  const modules: (Module & { readonly id: number })[] = []
  const hidden: { readonly kind: string; readonly name: string }[] = []
  for (const { id, type, schema, name } of objects) {
    const [kind, text, on] = [KINDS[type], texts.get(id), triggers.get(id)]
    if (kind === undefined || text === undefined || isLeft(schema) || (on !== undefined && isOwnTable(on.name))) continue
    const { definition, ansiNulls, quotedIdentifier } = text
    // An empty text would make nothing, and nobody would hear of it.
    if (definition === null || definition.trim() === '') {
      hidden.push({ kind, name: fullName({ schema, name }) })
      continue
    }
    modules.push({
      id,
      kind,
      name: { schema, name },
      definition,
      ansiNulls,
      quotedIdentifier,
      on: on === undefined ? null : { schema: on.schema, name: on.name },
      disabled: on?.disabled === true,
      order: orders.get(id) ?? [],
    })
  }
  return { modules, hidden }
}

const byId = <T extends { readonly id: number }>(rows: readonly T[]): ReadonlyMap<number, T> =>
  new Map(rows.map((row) => [row.id, row]))

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
