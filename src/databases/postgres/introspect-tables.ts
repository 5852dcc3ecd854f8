import { z } from 'zod'
import type { Column, ForeignKey, Key, Table } from '../schema.ts'
import { ask, notOfExtension, SHOP_RELATION } from './catalog.ts'
import type { Session } from './connection.ts'

/** A table with its oid, by which other catalogs refer to it. */
export interface CatalogTable {
  readonly oid: string
  readonly table: Table
}

/** Relations that hold rows of the shop and can be carried: ordinary tables that neither inherit nor are partitions. */
export const CARRIED_TABLE = `c.relkind = 'r' AND NOT c.relispartition AND ${SHOP_RELATION}
  AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid)`

const TABLES = `SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name,
  ARRAY(SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal ORDER BY t.tgname) AS triggers
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${CARRIED_TABLE} ORDER BY n.nspname, c.relname`

const tableRow = z.object({ oid: z.string(), schema: z.string(), name: z.string(), triggers: z.array(z.string()) })

const COLUMNS = `SELECT c.oid::text AS "table", a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
  format_type(a.atttypid, -1) AS codec, NOT a.attnotnull AS nullable, a.attidentity AS identity, a.attgenerated AS generated,
  pg_get_expr(d.adbin, d.adrelid) AS expression,
  CASE WHEN a.attcollation <> y.typcollation THEN (SELECT format('%I.%I', cn.nspname, o.collname)
    FROM pg_collation o JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = a.attcollation) END AS collation
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type y ON y.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE ${CARRIED_TABLE} ORDER BY c.oid, a.attnum`

const columnRow = z.object({
  table: z.string(),
  name: z.string(),
  type: z.string(),
  codec: z.string(),
  nullable: z.boolean(),
  identity: z.string(),
  generated: z.string(),
  expression: z.string().nullable(),
  collation: z.string().nullable(),
})

const names = (keys: string, relation: string): string =>
  `ARRAY(SELECT a.attname FROM unnest(${keys}) WITH ORDINALITY AS k(num, place)
    JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.num ORDER BY k.place)`

const KEYS = `SELECT c.oid::text AS "table", o.contype AS kind, o.conname AS name, pg_get_constraintdef(o.oid) AS sql,
  ${names('o.conkey', 'o.conrelid')} AS columns
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE o.contype IN ('p', 'u') AND ${CARRIED_TABLE} ORDER BY c.oid, o.conname`

const keyRow = z.object({
  table: z.string(),
  kind: z.enum(['p', 'u']),
  name: z.string(),
  sql: z.string(),
  columns: z.array(z.string()),
})

/** Unique indexes over plain columns, whole table, that tell rows apart though no constraint is declared. */
const UNIQUE_INDEXES = `SELECT c.oid::text AS "table", x.relname AS name, ${names('i.indkey::int2[]', 'c.oid')} AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
  AND ${CARRIED_TABLE} ORDER BY c.oid, x.relname`

const uniqueIndexRow = z.object({ table: z.string(), name: z.string(), columns: z.array(z.string()) })

const FOREIGN_KEYS = `SELECT n.nspname AS schema, c.relname AS "table", o.conname AS name, pg_get_constraintdef(o.oid) AS sql,
  ${names('o.conkey', 'o.conrelid')} AS columns, pn.nspname AS "parentSchema", p.relname AS parent,
  ${names('o.confkey', 'o.confrelid')} AS "parentColumns",
  coalesce((to_jsonb(o) ->> 'conenforced')::bool, true) AS enforced
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = o.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE o.contype = 'f' AND o.conparentid = 0 AND ${CARRIED_TABLE} AND p.relkind = 'r' AND NOT p.relispartition
  AND ${notOfExtension('pg_class', 'p.oid')} AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE p.oid IN (i.inhrelid, i.inhparent))
ORDER BY n.nspname, c.relname, o.conname`

const foreignKeyRow = z.object({
  schema: z.string(),
  table: z.string(),
  name: z.string(),
  sql: z.string(),
  columns: z.array(z.string()),
  parentSchema: z.string(),
  parent: z.string(),
  parentColumns: z.array(z.string()),
  enforced: z.boolean(),
})

/** Tables with columns and keys, by name. */
export async function readTables(session: Session): Promise<readonly CatalogTable[]> {
  const tables = await ask(session, tableRow, TABLES)
  const columns = groupByTable(await ask(session, columnRow, COLUMNS))
  const keys = groupByTable(await ask(session, keyRow, KEYS))
  const unique = groupByTable(await ask(session, uniqueIndexRow, UNIQUE_INDEXES))
  return tables.map(({ oid, schema, name, triggers }) => {
    const own = (columns.get(oid) ?? []).map(columnOf)
    const constraints = keys.get(oid) ?? []
    const primaryKey = constraints.filter((key) => key.kind === 'p').map(keyOf)[0] ?? null
    const uniqueKeys = constraints.filter((key) => key.kind === 'u').map(keyOf)
    const candidates = [...(primaryKey === null ? [] : [primaryKey]), ...uniqueKeys, ...(unique.get(oid) ?? [])]
    return {
      oid,
      table: { name: { schema, name }, columns: own, primaryKey, uniqueKeys, key: chooseKey(candidates, own), triggers },
    }
  })
}

/** The first of the keys without a column that may be null or that the server computes. */
function chooseKey(
  candidates: readonly { readonly columns: readonly string[] }[],
  columns: readonly Column[],
): readonly string[] {
  const solid = new Set(columns.filter((column) => !column.nullable && column.computed === null).map((column) => column.name))
  return candidates.find((key) => key.columns.length > 0 && key.columns.every((name) => solid.has(name)))?.columns ?? []
}

export async function readForeignKeys(session: Session): Promise<readonly ForeignKey[]> {
  return (await ask(session, foreignKeyRow, FOREIGN_KEYS)).map((row) => ({
    name: row.name,
    table: { schema: row.schema, name: row.table },
    columns: row.columns,
    parent: { schema: row.parentSchema, name: row.parent },
    parentColumns: row.parentColumns,
    enforced: row.enforced,
    sql: row.sql,
  }))
}

const keyOf = (row: z.infer<typeof keyRow>): Key => ({ name: row.name, columns: row.columns, sql: row.sql })

function columnOf(row: z.infer<typeof columnRow>): Column {
  const computed = row.generated === '' ? null : { sql: row.expression ?? '', stored: row.generated === 's' }
  return {
    name: row.name,
    type: row.type,
    codec: row.codec,
    nullable: row.nullable,
    collation: row.collation,
    default: computed === null && row.expression !== null ? { name: null, sql: row.expression } : null,
    computed,
    identity: row.identity === 'a' ? 'always' : row.identity === 'd' ? 'by-default' : null,
    rowversion: false,
  }
}

function groupByTable<T extends { readonly table: string }>(rows: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const row of rows) {
    const group = groups.get(row.table)
    if (group === undefined) groups.set(row.table, [row])
    else group.push(row)
  }
  return groups
}
