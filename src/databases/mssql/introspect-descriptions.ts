import { z } from 'zod'
import type { Schema, SchemaObject } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import { isOwnTable, quoteText } from './names.ts'
import type { Session } from './session.ts'

const propertyRow = z.object({
  name: z.string(),
  value: z.string().nullable(),
  schema: z.string().nullable(),
  kind: z.string().nullable(),
  object: z.string().nullable(),
  column: z.string().nullable(),
})
type PropertyRow = z.infer<typeof propertyRow>

/** Object types as sys.objects has them → level 1 of sp_addextendedproperty. */
const LEVELS: Readonly<Record<string, string>> = {
  U: 'TABLE',
  V: 'VIEW',
  P: 'PROCEDURE',
  FN: 'FUNCTION',
  IF: 'FUNCTION',
  TF: 'FUNCTION',
}

/**
 * Descriptions and other extended properties of text, of tables, views, procedures, functions and columns ("sys.extended_properties",
 * class 1), where the object itself is among `carriedObjects` (full names); a finding counts the rest. Those of tools that draw
 * diagrams are nobody's.
 */
export async function readDescriptions(
  session: Session,
  carriedObjects: ReadonlySet<string>,
): Promise<{ readonly objects: readonly SchemaObject[]; readonly findings: Schema['findings'] }> {
  const known = await catalogColumns(session)
  if (!known.has('extended_properties.major_id')) return { objects: [], findings: [] }
  const rows = await session.ask(
    propertyRow,
    `SELECT e.name AS [name],
  CASE WHEN CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(e.value, 'BaseType')) IN (N'nvarchar', N'nchar')
    OR (CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(e.value, 'BaseType')) IN (N'varchar', N'char') AND DATALENGTH(e.value) <= 4000) THEN CONVERT(nvarchar(4000), e.value) END AS [value],
  s.name AS [schema], RTRIM(o.type) AS [kind], o.name AS [object], c.name AS [column]
FROM sys.extended_properties e
LEFT JOIN sys.objects o ON e.class = 1 AND o.object_id = e.major_id
LEFT JOIN sys.schemas s ON s.schema_id = o.schema_id
LEFT JOIN sys.columns c ON e.class = 1 AND e.minor_id > 0 AND c.object_id = e.major_id AND c.column_id = e.minor_id
WHERE e.name NOT LIKE N'microsoft[_]%' AND (e.class <> 1 OR o.object_id IS NULL OR o.is_ms_shipped = 0)
ORDER BY s.name, o.name, e.minor_id, e.name`,
  )
  const shown = rows.filter((row) => row.object === null || !isOwnTable(row.object))
  const carried = shown.filter(
    (row) => row.value !== null && LEVELS[row.kind ?? ''] !== undefined && carriedObjects.has(`${row.schema}.${row.object}`),
  )
  const left = shown.length - carried.length
  return {
    objects: [...Map.groupBy(carried, (row) => `${row.schema}.${row.object}`)].map(([name, properties]) => ({
      kind: 'descriptions',
      name,
      stage: 'after',
      sql: properties.map(propertySql).join(';\n'),
      undo: null,
    })),
    findings: left === 0 ? [] : [leftFinding(left)],
  }
}

/** Of one property of a table or the like, or of one of its columns ("sp_addextendedproperty"). */
export function propertySql(row: PropertyRow): string {
  const level = (number: number, type: string, name: string | null): string =>
    `, @level${number}type = N'${type}', @level${number}name = ${quoteText(name ?? '')}`
  return [
    `EXEC sp_addextendedproperty @name = ${quoteText(row.name)}, @value = ${quoteText(row.value ?? '')}`,
    level(0, 'SCHEMA', row.schema),
    level(1, LEVELS[row.kind ?? ''] ?? 'TABLE', row.object),
    row.column === null ? '' : level(2, 'COLUMN', row.column),
  ].join('')
}

const leftFinding = (count: number): Schema['findings'][number] => ({
  severity: 'info',
  code: 'extended-properties',
  message: `${count} extended properties (descriptions of parameters, indexes, the database and the like) are not carried.`,
  hint: 'The shop works without them.',
})
