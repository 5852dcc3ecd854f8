import { z } from 'zod'
import type { TableName } from '../schema.ts'
import { catalogColumns } from './catalog.ts'
import { quoteName, quoteNames, quoteTable } from './names.ts'
import type { Session } from './session.ts'

const indexRow = z.object({
  table: z.number(),
  id: z.number(),
  name: z.string(),
  kind: z.number(),
  unique: z.boolean(),
  primaryKey: z.boolean(),
  constraint: z.boolean(),
  filter: z.string().nullable(),
  disabled: z.boolean(),
  ignoreDuplicates: z.boolean(),
  fillFactor: z.number(),
  padded: z.boolean(),
  rowLocks: z.boolean(),
  pageLocks: z.boolean(),
  column: z.string().nullable(),
  descending: z.boolean().nullable(),
  included: z.boolean().nullable(),
})

/** What XML and spatial indexes have besides: what stands after the column. */
interface IndexExtra {
  readonly primaryXml: boolean
  readonly clause: string
}

export interface CatalogIndex {
  readonly name: string
  /** sys.indexes.type: 1 clustered, 2 nonclustered, 3 XML, 4 spatial, 5 and 6 columnstore (clustered, nonclustered), 7 hash. */
  readonly kind: number
  readonly unique: boolean
  readonly primaryKey: boolean
  readonly constraint: boolean
  readonly filter: string | null
  readonly disabled: boolean
  readonly ignoreDuplicates: boolean
  /** 0 when it is the server's. */
  readonly fillFactor: number
  readonly padded: boolean
  readonly rowLocks: boolean
  readonly pageLocks: boolean
  readonly columns: readonly { readonly name: string; readonly descending: boolean; readonly included: boolean }[]
  readonly extra?: IndexExtra | undefined
}

/**
 * Indexes of tables, table types and indexed views, by object_id ("sys.indexes", "sys.index_columns"). A partitioned index has the
 * partitioning column among its columns with neither an ordinal nor as an included one: it isn't part of the key.
 */
export async function readIndexes(session: Session): Promise<ReadonlyMap<number, readonly CatalogIndex[]>> {
  const rows = await session.ask(
    indexRow,
    `SELECT i.object_id AS [table], i.index_id AS [id], i.name AS [name], CONVERT(int, i.type) AS [kind], i.is_unique AS [unique], i.is_primary_key AS [primaryKey],
  i.is_unique_constraint AS [constraint], i.filter_definition AS [filter], i.is_disabled AS [disabled], i.ignore_dup_key AS [ignoreDuplicates],
  CONVERT(int, i.fill_factor) AS [fillFactor], i.is_padded AS [padded], i.allow_row_locks AS [rowLocks], i.allow_page_locks AS [pageLocks],
  c.name AS [column], ic.is_descending_key AS [descending], ic.is_included_column AS [included]
FROM sys.indexes i
JOIN (SELECT object_id AS id FROM sys.tables WHERE is_ms_shipped = 0 UNION ALL SELECT object_id FROM sys.views WHERE is_ms_shipped = 0
  UNION ALL SELECT type_table_object_id FROM sys.table_types) t ON t.id = i.object_id
LEFT JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
LEFT JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.type > 0 AND i.is_hypothetical = 0 AND (ic.key_ordinal > 0 OR ic.is_included_column = 1 OR i.type IN (3, 4, 5, 6))
ORDER BY i.object_id, i.index_id, ic.is_included_column, ic.key_ordinal, ic.index_column_id`,
  )
  const extras = new Map([
    ...(rows.some((row) => row.kind === 3) ? await readXmlIndexes(session) : []),
    ...(rows.some((row) => row.kind === 4) ? await readSpatialIndexes(session) : []),
  ])
  const tables = new Map<number, CatalogIndex[]>()
  for (const [place, group] of Map.groupBy(rows, (row) => `${row.table}.${row.id}`)) {
    const [first] = group
    if (first === undefined) continue
    const indexes = tables.get(first.table) ?? []
    tables.set(first.table, indexes)
    indexes.push({
      ...first,
      columns: group.flatMap((row) =>
        row.column === null ? [] : [{ name: row.column, descending: row.descending === true, included: row.included === true }],
      ),
      extra: extras.get(place),
    })
  }
  return tables
}

const xmlRow = z.object({ table: z.number(), id: z.number(), using: z.string().nullable(), secondary: z.string().nullable() })

/** "sys.xml_indexes": a secondary one stands on a primary one of its column. Selective ones (since 2012 SP1) are left out. */
async function readXmlIndexes(session: Session): Promise<readonly (readonly [string, IndexExtra])[]> {
  const known = await catalogColumns(session)
  const plain = known.has('xml_indexes.xml_index_type') ? '\nWHERE x.xml_index_type IN (0, 1)' : ''
  const rows = await session.ask(
    xmlRow,
    `SELECT x.object_id AS [table], x.index_id AS [id], p.name AS [using], x.secondary_type_desc AS [secondary]
FROM sys.xml_indexes x LEFT JOIN sys.xml_indexes p ON p.object_id = x.object_id AND p.index_id = x.using_xml_index_id${plain}`,
  )
  return rows.map((row) => [`${row.table}.${row.id}`, xmlExtra(row)])
}

export const xmlExtra = (row: Pick<z.infer<typeof xmlRow>, 'using' | 'secondary'>): IndexExtra => ({
  primaryXml: row.using === null,
  clause: row.using === null ? '' : ` USING XML INDEX ${quoteName(row.using)} FOR ${row.secondary ?? 'PATH'}`,
})

const spatialRow = z.object({
  table: z.number(),
  id: z.number(),
  scheme: z.string(),
  box: z.string().nullable(),
  grids: z.string().nullable(),
  cells: z.number().nullable(),
})

/** "sys.spatial_indexes", "sys.spatial_index_tessellations": bounds as the server prints floats without loss (style 2). */
async function readSpatialIndexes(session: Session): Promise<readonly (readonly [string, IndexExtra])[]> {
  const number = (column: string): string => `CONVERT(nvarchar(30), t.${column}, 2)`
  const rows = await session.ask(
    spatialRow,
    `SELECT x.object_id AS [table], x.index_id AS [id], CONVERT(nvarchar(60), x.tessellation_scheme) AS [scheme],
  ${['xmin', 'ymin', 'xmax', 'ymax'].map((edge) => number(`bounding_box_${edge}`)).join(" + N', ' + ")} AS [box],
  ${[1, 2, 3, 4].map((level) => `t.level_${level}_grid_desc`).join(" + N', ' + ")} AS [grids], CONVERT(int, t.cells_per_object) AS [cells]
FROM sys.spatial_indexes x
JOIN sys.spatial_index_tessellations t ON t.object_id = x.object_id AND t.index_id = x.index_id`,
  )
  return rows.map((row) => [`${row.table}.${row.id}`, spatialExtra(row)])
}

/** `USING GEOMETRY_GRID WITH (BOUNDING_BOX = (…), GRIDS = (…), CELLS_PER_OBJECT = 16)` ("CREATE SPATIAL INDEX"). */
export function spatialExtra(row: Pick<z.infer<typeof spatialRow>, 'scheme' | 'box' | 'grids' | 'cells'>): IndexExtra {
  const options = [
    ...(row.box === null || row.scheme.startsWith('GEOGRAPHY') ? [] : [`BOUNDING_BOX = (${row.box})`]),
    ...(row.grids === null || row.scheme.endsWith('AUTO_GRID') ? [] : [`GRIDS = (${row.grids})`]),
    ...(row.cells === null ? [] : [`CELLS_PER_OBJECT = ${row.cells}`]),
  ]
  return { primaryXml: false, clause: ` USING ${row.scheme}${options.length === 0 ? '' : ` WITH (${options.join(', ')})`}` }
}

const orderedColumns = (index: CatalogIndex): string =>
  index.columns
    .filter((column) => !column.included)
    .map((column) => `${quoteName(column.name)} ${column.descending ? 'DESC' : 'ASC'}`)
    .join(', ')

const clustering = (index: CatalogIndex): string => (index.kind === 1 ? 'CLUSTERED' : 'NONCLUSTERED')

/** ` WITH (…)` of what differs from the defaults ("CREATE INDEX (Transact-SQL)", relational_index_option). */
function options(index: CatalogIndex): string {
  const set = [
    ...(index.padded ? ['PAD_INDEX = ON'] : []),
    ...(index.fillFactor === 0 ? [] : [`FILLFACTOR = ${index.fillFactor}`]),
    ...(index.ignoreDuplicates ? ['IGNORE_DUP_KEY = ON'] : []),
    ...(index.rowLocks ? [] : ['ALLOW_ROW_LOCKS = OFF']),
    ...(index.pageLocks ? [] : ['ALLOW_PAGE_LOCKS = OFF']),
  ]
  return set.length === 0 ? '' : ` WITH (${set.join(', ')})`
}

const keyKind = (index: CatalogIndex): string => (index.primaryKey ? 'PRIMARY KEY' : 'UNIQUE')

/** True for an index that is carried: all but selective XML indexes. */
export const isCarriedIndex = (index: CatalogIndex): boolean =>
  (index.kind !== 3 && index.kind !== 4) || index.extra !== undefined

/** The constraint that a primary or unique key is. */
export const keySql = (table: TableName, index: CatalogIndex): string =>
  `ALTER TABLE ${quoteTable(table)} ADD CONSTRAINT ${quoteName(index.name)} ${keyKind(index)} ${clustering(index)} (${orderedColumns(index)})${options(index)}`

/** A key or an index as a line of CREATE TYPE … AS TABLE. */
export function typeIndexClause(index: CatalogIndex): string {
  const columns = `${clustering(index)} (${orderedColumns(index)})`
  if (index.primaryKey || index.constraint)
    return `${keyKind(index)} ${columns}${index.ignoreDuplicates ? ' WITH (IGNORE_DUP_KEY = ON)' : ''}`
  return `INDEX ${quoteName(index.name)}${index.unique ? ' UNIQUE' : ''} ${columns}${included(index)}`
}

function included(index: CatalogIndex): string {
  const names = index.columns.filter((column) => column.included).map((column) => column.name)
  return names.length === 0 ? '' : ` INCLUDE (${quoteNames(names)})`
}

export function indexSql(table: TableName, index: CatalogIndex): string {
  const create = createIndexSql(quoteTable(table), index)
  return index.disabled ? `${create};\nALTER INDEX ${quoteName(index.name)} ON ${quoteTable(table)} DISABLE` : create
}

function createIndexSql(table: string, index: CatalogIndex): string {
  const name = quoteName(index.name)
  const columns = `(${quoteNames(index.columns.map((column) => column.name))})`
  const filter = index.filter === null ? '' : ` WHERE ${index.filter}`
  switch (index.kind) {
    case 3:
      return `CREATE ${index.extra?.primaryXml === true ? 'PRIMARY ' : ''}XML INDEX ${name} ON ${table} ${columns}${index.extra?.clause ?? ''}`
    case 4:
      return `CREATE SPATIAL INDEX ${name} ON ${table} ${columns}${index.extra?.clause ?? ''}`
    case 5:
      return `CREATE CLUSTERED COLUMNSTORE INDEX ${name} ON ${table}`
    case 6:
      return `CREATE NONCLUSTERED COLUMNSTORE INDEX ${name} ON ${table} ${columns}${filter}`
    default:
      return `CREATE ${index.unique ? 'UNIQUE ' : ''}${clustering(index)} INDEX ${name} ON ${table} (${orderedColumns(index)})${included(index)}${filter}${options(index)}`
  }
}
