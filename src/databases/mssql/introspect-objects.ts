import { z } from 'zod'
import type { Identity, SchemaObject, Table, TableName } from '../schema.ts'
import { fullName } from '../schema.ts'
import { columnSql } from './ddl.ts'
import { sequenceJump } from './identities.ts'
import { type CatalogColumn, columnOf, rangeOf, rangeOfColumn, sizedType } from './introspect-columns.ts'
import { type CatalogIndex, keyClause } from './introspect-indexes.ts'
import type { Module } from './modules.ts'
import { isOwnTable, quoteName, quoteTable } from './names.ts'
import type { Session } from './session.ts'

/** Schemas that every database has: "sys.schemas", and the fixed database roles' own. */
const BUILT_IN = new Set([
  'dbo',
  'guest',
  'sys',
  'information_schema',
  'db_owner',
  'db_accessadmin',
  'db_securityadmin',
  'db_ddladmin',
  'db_backupoperator',
  'db_datareader',
  'db_datawriter',
  'db_denydatareader',
  'db_denydatawriter',
])

const object = (
  kind: string,
  name: string,
  sql: string,
  undo: string | null,
  stage: 'before' | 'after' = 'before',
): SchemaObject => ({
  kind,
  name,
  stage,
  sql,
  undo,
})

export async function readSchemas(session: Session): Promise<readonly SchemaObject[]> {
  const rows = await session.ask(z.object({ name: z.string() }), 'SELECT name AS [name] FROM sys.schemas ORDER BY name')
  return rows
    .filter((row) => !BUILT_IN.has(row.name.toLowerCase()))
    .map((row) => object('schema', row.name, `CREATE SCHEMA ${quoteName(row.name)}`, `DROP SCHEMA ${quoteName(row.name)}`))
}

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
    return object('type', fullName(row), sql, `DROP TYPE ${name}`)
  })
}

/** Table types, with their keys ("CREATE TYPE … AS TABLE"). */
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
  return rows.map((row) => {
    const keys = (indexes.get(row.id) ?? []).filter((index) => index.unique)
    const own = columns.get(row.id) ?? []
    // A table type's constraints have no names.
    const lines = [
      ...own.map((column) => columnSql(withoutNames(columnOf(column)), identityClause(column))),
      ...keys.map(keyClause),
    ]
    return object(
      'type',
      fullName(row),
      `CREATE TYPE ${quoteTable(row)} AS TABLE (\n  ${lines.join(',\n  ')}\n)`,
      `DROP TYPE ${quoteTable(row)}`,
    )
  })
}

const withoutNames = (column: Table['columns'][number]): Table['columns'][number] =>
  column.default === null ? column : { ...column, default: { ...column.default, name: null } }

const identityClause = (column: CatalogColumn): Pick<Identity, 'seed' | 'increment'> | null =>
  column.identity ? { seed: column.seed ?? '1', increment: column.increment ?? '1' } : null

const sequenceRow = z.object({
  schema: z.string(),
  name: z.string(),
  type: z.string(),
  precision: z.number(),
  start: z.string(),
  increment: z.string(),
  minimum: z.string(),
  maximum: z.string(),
  cycling: z.boolean(),
  cached: z.boolean(),
  cache: z.number().nullable(),
})
type SequenceRow = z.infer<typeof sequenceRow>

/** "sys.sequences". */
export async function readSequences(
  session: Session,
  tables: readonly Table[],
): Promise<{ readonly objects: readonly SchemaObject[]; readonly identities: readonly Identity[] }> {
  const rows = await session.ask(
    sequenceRow,
    `SELECT s.name AS [schema], q.name AS [name], ty.name AS [type], CONVERT(int, q.precision) AS [precision],
  CONVERT(nvarchar(40), q.start_value) AS [start], CONVERT(nvarchar(40), q.increment) AS [increment],
  CONVERT(nvarchar(40), q.minimum_value) AS [minimum], CONVERT(nvarchar(40), q.maximum_value) AS [maximum],
  q.is_cycling AS [cycling], q.is_cached AS [cached], q.cache_size AS [cache]
FROM sys.sequences q
JOIN sys.schemas s ON s.schema_id = q.schema_id
JOIN sys.types ty ON ty.user_type_id = q.system_type_id
ORDER BY s.name, q.name`,
  )
  return {
    objects: rows.map((row) => object('sequence', fullName(row), sequenceSql(row), `DROP SEQUENCE ${quoteTable(row)}`)),
    identities: rows.flatMap((row) => sequenceIdentities(row, tables)),
  }
}

function sequenceSql(row: SequenceRow): string {
  const type = row.type === 'decimal' || row.type === 'numeric' ? `${row.type}(${row.precision},0)` : row.type
  // CACHE is the default; without a size the server chooses it.
  const cache = row.cached ? (row.cache === null ? '' : ` CACHE ${row.cache}`) : ' NO CACHE'
  return `CREATE SEQUENCE ${quoteTable(row)} AS ${type} START WITH ${row.start} INCREMENT BY ${row.increment} MINVALUE ${row.minimum} MAXVALUE ${row.maximum} ${row.cycling ? 'CYCLE' : 'NO CYCLE'}${cache}`
}

/** A sequence numbers every column whose default takes its next value; one that numbers none stands for itself. */
function sequenceIdentities(row: SequenceRow, tables: readonly Table[]): readonly Identity[] {
  const sequence: TableName = { schema: row.schema, name: row.name }
  const takes = new RegExp(`NEXT\\s+VALUE\\s+FOR\\s+${escaped(quoteTable(sequence))}`, 'i')
  const users = tables.flatMap((table) =>
    table.columns
      .filter((column) => column.default !== null && takes.test(column.default.sql))
      .map((column) => ({ table: table.name, column: column.name, range: rangeOfColumn(column.codec) })),
  )
  const [minimum, maximum] = rangeOf(row.type, row.precision)
  const own = [row.minimum === '' ? minimum : row.minimum, row.maximum === '' ? maximum : row.maximum] as const
  const numbered = users.length === 0 ? [{ table: sequence, column: '', range: own }] : users
  return numbered.map(({ table, column, range }) => ({
    kind: 'sequence',
    table,
    column,
    sequence,
    seed: row.start,
    increment: row.increment,
    // A column may end before the sequence that numbers it.
    minimum: BigInt(range[0]) > BigInt(own[0]) ? range[0] : own[0],
    maximum: BigInt(range[1]) < BigInt(own[1]) ? range[1] : own[1],
    jump: sequenceJump(row),
    ...(row.cycling ? { cycles: true } : {}),
  }))
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

export async function readSynonyms(session: Session): Promise<readonly SchemaObject[]> {
  const rows = await session.ask(
    z.object({ schema: z.string(), name: z.string(), target: z.string() }),
    `SELECT s.name AS [schema], y.name AS [name], y.base_object_name AS [target]
FROM sys.synonyms y JOIN sys.schemas s ON s.schema_id = y.schema_id
WHERE y.is_ms_shipped = 0
ORDER BY s.name, y.name`,
  )
  return rows.map((row) =>
    object(
      'synonym',
      fullName(row),
      `CREATE SYNONYM ${quoteTable(row)} FOR ${row.target}`,
      `DROP SYNONYM ${quoteTable(row)}`,
      'after',
    ),
  )
}

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

/** Views, functions, procedures and triggers, by creation; and those whose text the server doesn't show. */
export async function readModules(session: Session): Promise<{
  readonly modules: readonly (Module & { readonly id: number })[]
  readonly hidden: readonly { readonly kind: string; readonly name: string }[]
}> {
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
WHERE o.is_ms_shipped = 0
ORDER BY o.create_date, o.object_id`,
  )
  const modules: (Module & { readonly id: number })[] = []
  const hidden: { readonly kind: string; readonly name: string }[] = []
  for (const row of rows) {
    const kind = KINDS[row.type]
    if (kind === undefined || (row.onName !== null && isOwnTable(row.onName))) continue
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
    })
  }
  return { modules, hidden }
}
