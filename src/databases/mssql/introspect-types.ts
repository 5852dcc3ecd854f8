import { z } from 'zod'
import type { Identity, SchemaObject, Table } from '../schema.ts'
import { fullName } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import { columnSql } from './ddl.ts'
import { type CatalogColumn, columnOf, sizedType } from './introspect-columns.ts'
import { type CatalogIndex, typeIndexClause } from './introspect-indexes.ts'
import { quoteTable, quoteText } from './names.ts'
import type { Session } from './session.ts'

const typeObject = (kind: 'type' | 'xml schema collection', name: string, sql: string, undo: string): SchemaObject => ({
  kind,
  name,
  stage: 'before',
  sql,
  undo,
})

const aliasRow = z.object({
  schema: z.string(),
  name: z.string(),
  base: z.string(),
  length: z.number(),
  precision: z.number(),
  scale: z.number(),
  nullable: z.boolean(),
})

/** Alias types ("CREATE TYPE … FROM"). */
export async function readAliasTypes(session: Session): Promise<readonly SchemaObject[]> {
  const rows = await session.ask(
    aliasRow,
    `SELECT s.name AS [schema], ty.name AS [name], base.name AS [base], CONVERT(int, ty.max_length) AS [length],
  CONVERT(int, ty.precision) AS [precision], CONVERT(int, ty.scale) AS [scale], ty.is_nullable AS [nullable]
FROM sys.types ty
JOIN sys.schemas s ON s.schema_id = ty.schema_id
JOIN sys.types base ON base.user_type_id = ty.system_type_id
WHERE ty.is_user_defined = 1 AND ty.is_table_type = 0 AND ty.is_assembly_type = 0
ORDER BY s.name, ty.name`,
  )
  return rows.map((row) => {
    const name = quoteTable(row)
    const sql = `CREATE TYPE ${name} FROM ${sizedType(row.base.toLowerCase(), row)} ${row.nullable ? 'NULL' : 'NOT NULL'}`
    return typeObject('type', fullName(row), sql, `DROP TYPE ${name}`)
  })
}

/**
 * Collections of XML schemas, which typed xml refers to. XML_SCHEMA_NAMESPACE gives a collection's schemas as one document each,
 * concatenated, as CREATE XML SCHEMA COLLECTION takes them.
 */
export async function readXmlSchemas(session: Session): Promise<readonly SchemaObject[]> {
  const known = await catalogColumns(session)
  if (!known.has('xml_schema_collections.xml_collection_id')) return []
  const rows = await session.ask(
    z.object({ schema: z.string(), name: z.string() }),
    `SELECT s.name AS [schema], x.name AS [name] FROM sys.xml_schema_collections x JOIN sys.schemas s ON s.schema_id = x.schema_id
WHERE s.name <> N'sys' ORDER BY s.name, x.name`,
  )
  const objects: SchemaObject[] = []
  for (const row of rows) {
    const [found] = await session.ask(
      z.object({ text: z.string().nullable() }),
      `SELECT CONVERT(nvarchar(max), XML_SCHEMA_NAMESPACE(${quoteText(row.schema)}, ${quoteText(row.name)})) AS [text]`,
    )
    const name = quoteTable(row)
    const sql = `CREATE XML SCHEMA COLLECTION ${name} AS ${quoteText(found?.text ?? '')}`
    objects.push(typeObject('xml schema collection', fullName(row), sql, `DROP XML SCHEMA COLLECTION ${name}`))
  }
  return objects
}

/** Table types, with their keys, indexes and checks ("CREATE TYPE … AS TABLE"). */
export async function readTableTypes(
  session: Session,
  columns: ReadonlyMap<number, readonly CatalogColumn[]>,
  indexes: ReadonlyMap<number, readonly CatalogIndex[]>,
): Promise<readonly SchemaObject[]> {
  const rows = await session.ask(
    z.object({ id: z.number(), schema: z.string(), name: z.string() }),
    `SELECT tt.type_table_object_id AS [id], s.name AS [schema], tt.name AS [name]
FROM sys.table_types tt JOIN sys.schemas s ON s.schema_id = tt.schema_id
WHERE tt.is_user_defined = 1
ORDER BY s.name, tt.name`,
  )
  const checks = await readTypeChecks(session)
  return rows.map((row) => {
    const lines = [
      // A table type's constraints have no names.
      ...(columns.get(row.id) ?? []).map((column) => columnSql(withoutNames(columnOf(column)), identityClause(column))),
      ...(indexes.get(row.id) ?? []).map(typeIndexClause),
      ...(checks.get(row.id) ?? []).map((check) => `CHECK ${check.sql}`),
    ]
    const sql = `CREATE TYPE ${quoteTable(row)} AS TABLE (\n  ${lines.join(',\n  ')}\n)`
    return typeObject('type', fullName(row), sql, `DROP TYPE ${quoteTable(row)}`)
  })
}

const checkRow = z.object({ type: z.number(), sql: z.string() })

async function readTypeChecks(session: Session): Promise<ReadonlyMap<number, readonly z.infer<typeof checkRow>[]>> {
  const rows = await session.ask(
    checkRow,
    `SELECT k.parent_object_id AS [type], k.definition AS [sql] FROM sys.check_constraints k
JOIN sys.table_types tt ON tt.type_table_object_id = k.parent_object_id ORDER BY k.object_id`,
  )
  return Map.groupBy(rows, (row) => row.type)
}

const withoutNames = (column: Table['columns'][number]): Table['columns'][number] =>
  column.default === null ? column : { ...column, default: { ...column.default, name: null } }

const identityClause = (column: CatalogColumn): Pick<Identity, 'seed' | 'increment'> | null =>
  column.identity ? { seed: column.seed ?? '1', increment: column.increment ?? '1' } : null
