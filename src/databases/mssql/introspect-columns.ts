import { z } from 'zod'
import type { Column, Identity, TableName } from '../schema.ts'
import { identityJump } from './jumps.ts'
import { quoteName } from './names.ts'
import type { Session } from './session.ts'

const columnRow = z.object({
  table: z.number(),
  name: z.string(),
  type: z.string(),
  typeSchema: z.string().nullable(),
  /** Name of the system type beneath an alias type; null for types of the CLR. */
  base: z.string().nullable(),
  userType: z.boolean(),
  length: z.number(),
  precision: z.number(),
  scale: z.number(),
  nullable: z.boolean(),
  collation: z.string().nullable(),
  identity: z.boolean(),
  seed: z.string().nullable(),
  increment: z.string().nullable(),
  /** The identity doesn't count what a replication agent inserts. */
  notForReplication: z.boolean(),
  rowguid: z.boolean(),
  sparse: z.boolean(),
  /** The XML schema collection of typed xml. */
  xmlSchema: z.string().nullable(),
  xmlName: z.string().nullable(),
  xmlDocument: z.boolean(),
  defaultName: z.string().nullable(),
  defaultSql: z.string().nullable(),
  defaultNamedBySystem: z.boolean().nullable(),
  computed: z.string().nullable(),
  persisted: z.boolean().nullable(),
})
/** A column of a table or of a table type ("sys.columns", "sys.types", "sys.computed_columns", "IDENT_SEED"). */
export type CatalogColumn = z.infer<typeof columnRow>

/**
 * By object_id; of every table and table type, or of `table` alone (quoted, in two parts). Types are joined by user_type_id: sysname
 * and nvarchar share one system_type_id.
 */
export async function readColumns(session: Session, table?: string): Promise<ReadonlyMap<number, readonly CatalogColumn[]>> {
  const rows = await session.ask(
    columnRow,
    `SELECT c.object_id AS [table], c.name AS [name], ty.name AS [type], tys.name AS [typeSchema], base.name AS [base],
  ty.is_user_defined AS [userType], CONVERT(int, c.max_length) AS [length], CONVERT(int, c.precision) AS [precision], CONVERT(int, c.scale) AS [scale],
  c.is_nullable AS [nullable], CONVERT(nvarchar(128), c.collation_name) AS [collation], c.is_identity AS [identity],
  CASE WHEN c.is_identity = 1 THEN CONVERT(nvarchar(40), IDENT_SEED(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name))) END AS [seed],
  CASE WHEN c.is_identity = 1 THEN CONVERT(nvarchar(40), IDENT_INCR(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name))) END AS [increment],
  CONVERT(bit, ISNULL(COLUMNPROPERTY(c.object_id, c.name, 'IsIdNotForRepl'), 0)) AS [notForReplication],
  c.is_rowguidcol AS [rowguid], c.is_sparse AS [sparse], xs.name AS [xmlSchema], x.name AS [xmlName], c.is_xml_document AS [xmlDocument],
  dc.name AS [defaultName], dc.definition AS [defaultSql], dc.is_system_named AS [defaultNamedBySystem],
  cc.definition AS [computed], cc.is_persisted AS [persisted]
FROM sys.columns c
JOIN (SELECT object_id AS id FROM sys.tables WHERE is_ms_shipped = 0 UNION ALL SELECT type_table_object_id FROM sys.table_types) t ON t.id = c.object_id
LEFT JOIN sys.objects o ON o.object_id = c.object_id
LEFT JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.types ty ON ty.user_type_id = c.user_type_id
LEFT JOIN sys.schemas tys ON tys.schema_id = ty.schema_id
LEFT JOIN sys.types base ON base.user_type_id = ty.system_type_id
LEFT JOIN sys.default_constraints dc ON dc.parent_object_id = c.object_id AND dc.parent_column_id = c.column_id
LEFT JOIN sys.xml_schema_collections x ON x.xml_collection_id = c.xml_collection_id AND c.xml_collection_id <> 0
LEFT JOIN sys.schemas xs ON xs.schema_id = x.schema_id
LEFT JOIN sys.computed_columns cc ON cc.object_id = c.object_id AND cc.column_id = c.column_id
${table === undefined ? '' : 'WHERE c.object_id = OBJECT_ID(@p0)\n'}ORDER BY c.object_id, c.column_id`,
    table === undefined ? [] : [table],
  )
  return Map.groupBy(rows, (row) => row.table)
}

const isRowversion = (row: CatalogColumn): boolean => !row.userType && (row.type === 'timestamp' || row.type === 'rowversion')

/** The port's column. `codec` is the base type as DDL spells it: src/databases/mssql/values.ts. */
export function columnOf(row: CatalogColumn): Column {
  const rowversion = isRowversion(row)
  const base = sizedType(baseName(row), row)
  const noDefault = row.defaultSql === null || rowversion || row.computed !== null
  return {
    name: row.name,
    type: declaredType(row, base),
    codec: base,
    nullable: row.nullable,
    collation: row.collation,
    default: noDefault ? null : { name: row.defaultNamedBySystem === true ? null : row.defaultName, sql: row.defaultSql ?? '' },
    computed: row.computed === null ? null : { sql: row.computed, stored: row.persisted === true },
    identity: row.identity ? 'always' : null,
    rowversion,
  }
}

function declaredType(row: CatalogColumn, base: string): string {
  const type = row.userType
    ? `${quoteName(row.typeSchema ?? 'dbo')}.${quoteName(row.type)}`
    : isRowversion(row)
      ? 'rowversion'
      : `${base}${xmlContent(row)}`
  const modifiers = [
    ...(row.sparse ? [' SPARSE'] : []),
    ...(row.rowguid ? [' ROWGUIDCOL'] : []),
    ...(row.identity && row.notForReplication ? [' NOT FOR REPLICATION'] : []),
  ]
  return `${type}${modifiers.join('')}`
}

/** `(DOCUMENT [dbo].[orders])` of typed xml ("CREATE TABLE (Transact-SQL)", data_type). */
const xmlContent = (row: CatalogColumn): string =>
  row.xmlName === null
    ? ''
    : `(${row.xmlDocument ? 'DOCUMENT' : 'CONTENT'} ${quoteName(row.xmlSchema ?? 'dbo')}.${quoteName(row.xmlName)})`

/** `nvarchar` for sysname and for an alias of nvarchar; the CLR's own types have no base. */
const baseName = (row: Pick<CatalogColumn, 'base' | 'type'>): string => (row.base ?? row.type).toLowerCase()

/** `nvarchar(40)`, `decimal(19,4)`, `datetime2(7)`: max_length counts bytes, two for a character of nchar and nvarchar. */
export function sizedType(name: string, row: Pick<CatalogColumn, 'length' | 'precision' | 'scale'>): string {
  switch (name) {
    // A system-supplied alias of nvarchar(128) ("nchar and nvarchar (Transact-SQL)").
    case 'sysname':
      return 'nvarchar(128)'
    case 'char':
    case 'varchar':
    case 'binary':
    case 'varbinary':
      return `${name}(${row.length === -1 ? 'max' : row.length})`
    case 'nchar':
    case 'nvarchar':
      return `${name}(${row.length === -1 ? 'max' : row.length / 2})`
    case 'decimal':
    case 'numeric':
      return `${name}(${row.precision},${row.scale})`
    case 'time':
    case 'datetime2':
    case 'datetimeoffset':
      return `${name}(${row.scale})`
    default:
      return name
  }
}

const RANGES: Readonly<Record<string, readonly [string, string]>> = {
  tinyint: ['0', '255'],
  smallint: ['-32768', '32767'],
  int: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807'],
}

/** Of decimal ("decimal and numeric (Transact-SQL)"). */
const LARGEST_PRECISION = 38

/** Smallest and largest value of an identity's or a sequence's type. */
export function rangeOf(type: string, precision: number): readonly [string, string] {
  const nines = '9'.repeat(precision)
  return RANGES[type] ?? [`-${nines}`, nines]
}

/** The same of a column's type as DDL spells it: `int`, `decimal(12,0)`. */
export function rangeOfColumn(type: string): readonly [string, string] {
  const [, name, precision] = /^(\w+)(?:\((\d+),\d+\))?$/.exec(type) ?? []
  return rangeOf(name ?? '', precision === undefined ? LARGEST_PRECISION : Number(precision))
}

/** `cached`: whether the database hands out identity values ahead (identities.ts). */
export function identityOf(
  table: TableName,
  row: Pick<CatalogColumn, 'name' | 'base' | 'type' | 'precision' | 'identity' | 'seed' | 'increment'>,
  cached: boolean,
): Identity | null {
  if (!row.identity) return null
  const [minimum, maximum] = rangeOf(baseName(row), row.precision)
  return {
    kind: 'column',
    table,
    column: row.name,
    sequence: null,
    seed: row.seed ?? '1',
    increment: row.increment ?? '1',
    minimum,
    maximum,
    jump: cached ? identityJump(baseName(row)) : '0',
  }
}
