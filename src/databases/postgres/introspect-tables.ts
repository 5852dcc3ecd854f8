import { z } from 'zod'
import { type Column, columnSchema, type ForeignKey, type Identity, type Key, type Table, type TableName } from '../schema.ts'
import { ask, SHOP_RELATION } from './catalog.ts'
import type { Session } from './connection.ts'
import { createTable, type SpelledColumn } from './creation.ts'
import { signsOf } from './signs.ts'
import { quoteTable } from './values.ts'

/** A table with its oid, by which other catalogs refer to it; its partitions are there by their oids too. */
export interface CatalogTable {
  readonly oid: string
  readonly partitionOids: readonly string[]
  readonly table: Table
}

/** Tables of the shop with rows of their own, and those whose rows lie in partitions. */
export const CARRIED_TABLE = `c.relkind IN ('r', 'p') AND NOT c.relispartition AND ${SHOP_RELATION}`

/** The same and their partitions: what a constraint, an index or a trigger may belong to. */
export const TABLE_OR_PARTITION = `c.relkind IN ('r', 'p') AND ${SHOP_RELATION}`

/** `parents`: what it inherits from, or the one that it is a partition of. A table comes after those. */
const RELATIONS = `WITH RECURSIVE depth AS (
  SELECT c.oid, 0 AS level FROM pg_class c WHERE NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid)
  UNION SELECT i.inhrelid, d.level + 1 FROM depth d JOIN pg_inherits i ON i.inhparent = d.oid
)
SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, c.relispartition AS partition,
  coalesce(pg_partition_root(c.oid), c.oid)::oid::text AS root,
  ARRAY(SELECT i.inhparent::text FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS parents,
  pg_get_partkeydef(c.oid) AS "partitionKey", pg_get_expr(c.relpartbound, c.oid) AS bound,
  ARRAY(SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal ORDER BY t.tgname) AS triggers
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN LATERAL (SELECT max(level) AS level FROM depth WHERE oid = c.oid) d ON true
WHERE ${TABLE_OR_PARTITION} ORDER BY d.level, n.nspname, c.relname`

const relationRow = z.object({
  oid: z.string(),
  schema: z.string(),
  name: z.string(),
  partition: z.boolean(),
  root: z.string(),
  parents: z.array(z.string()),
  partitionKey: z.string().nullable(),
  bound: z.string().nullable(),
  triggers: z.array(z.string()),
})
type RelationRow = z.infer<typeof relationRow>

/** A constraint NOT NULL that was never checked on all rows (NOT VALID) makes no column free of NULL. */
const COLUMNS = `SELECT c.oid::text AS "table", a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
  format_type(a.atttypid, -1) AS codec, NOT a.attnotnull OR EXISTS (SELECT 1 FROM pg_constraint o WHERE o.conrelid = c.oid
    AND o.contype = 'n' AND NOT o.convalidated AND a.attnum = ANY (o.conkey)) AS nullable,
  (SELECT o.conname FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'n' AND o.convalidated AND a.attnum = ANY (o.conkey)
    AND o.conname <> left(format('%s_%s_not_null', c.relname, a.attname), 63)) AS "notNullName",
  a.attidentity AS identity, a.attgenerated AS generated, a.attislocal AS local, pg_get_expr(d.adbin, d.adrelid) AS expression,
  CASE WHEN a.attcollation <> y.typcollation THEN (SELECT format('%I.%I', cn.nspname, o.collname)
    FROM pg_collation o JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = a.attcollation) END AS collation,
  CASE WHEN y.oid >= 16384 THEN ${signsOf('y')} END AS signs
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type y ON y.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE ${TABLE_OR_PARTITION} ORDER BY c.oid, a.attnum`

const columnRow = z.object({
  table: z.string(),
  name: z.string(),
  type: z.string(),
  codec: z.string(),
  nullable: z.boolean(),
  identity: z.string(),
  generated: z.string(),
  local: z.boolean(),
  notNullName: z.string().nullable(),
  expression: z.string().nullable(),
  collation: z.string().nullable(),
  signs: columnSchema.unwrap().shape.signs.unwrap().nullable(),
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

/**
 * The server's own triggers that guard a foreign key were switched off (ALTER TABLE … DISABLE TRIGGER ALL): nobody knows whether its
 * rows have parents. On the new host it guards what is written from now on.
 */
export const UNGUARDED = `o.convalidated AND r.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgconstraint = o.oid AND t.tgenabled = 'D')`

/** By the name of a partition's table: a column has the same name in both. A partition's own key is created by an object of its own. */
const FOREIGN_KEYS = `SELECT DISTINCT ON (n.nspname, c.relname, o.columns, pn.nspname, p.relname, o."parentColumns", o.single)
  n.nspname AS schema, c.relname AS "table", o.name, o.sql, o.columns, pn.nspname AS "parentSchema", p.relname AS parent,
  o."parentColumns", o.enforced
FROM (
  SELECT o.conname AS name, CASE WHEN r.relispartition THEN ''
      ELSE pg_get_constraintdef(o.oid) || CASE WHEN ${UNGUARDED} THEN ' NOT VALID' ELSE '' END END AS sql,
    CASE WHEN NOT r.relispartition THEN o.oid END AS single, ${names('o.conkey', 'o.conrelid')} AS columns,
    ${names('o.confkey', 'o.confrelid')} AS "parentColumns", coalesce((to_jsonb(o) ->> 'conenforced')::bool, true) AS enforced,
    coalesce(pg_partition_root(o.conrelid), o.conrelid) AS child, coalesce(pg_partition_root(o.confrelid), o.confrelid) AS parent
  FROM pg_constraint o JOIN pg_class r ON r.oid = o.conrelid WHERE o.contype = 'f' AND o.conparentid = 0
) o
JOIN pg_class c ON c.oid = o.child JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = o.parent JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE ${CARRIED_TABLE} ORDER BY n.nspname, c.relname, o.columns, pn.nspname, p.relname, o."parentColumns", o.single, o.name`

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

/** Tables with columns and keys; one that inherits comes after those that it inherits from. */
export async function readTables(session: Session, identities: readonly Identity[]): Promise<readonly CatalogTable[]> {
  const relations = await ask(session, relationRow, RELATIONS)
  const columns = groupByTable(await ask(session, columnRow, COLUMNS))
  const keys = groupByTable(await ask(session, keyRow, KEYS))
  const unique = groupByTable(await ask(session, uniqueIndexRow, UNIQUE_INDEXES))
  const catalog: Catalog = { byOid: new Map(relations.map((each) => [each.oid, each])), columns, identities }
  const partitions = Map.groupBy(
    relations.filter((each) => each.partition),
    (each) => each.root,
  )
  return relations
    .filter((each) => !each.partition)
    .map((relation): CatalogTable => {
      const { oid, schema, name, triggers, partitionKey } = relation
      const own = (columns.get(oid) ?? []).map(columnOf)
      const constraints = keys.get(oid) ?? []
      const primaryKey = constraints.filter((key) => key.kind === 'p').map(keyOf)[0] ?? null
      const uniqueKeys = constraints.filter((key) => key.kind === 'u').map(keyOf)
      const candidates = [...(primaryKey === null ? [] : [primaryKey]), ...uniqueKeys, ...(unique.get(oid) ?? [])]
      const parts = partitions.get(oid) ?? []
      const sql = creationOf(relation, catalog)
      return {
        oid,
        partitionOids: parts.map((part) => part.oid),
        table: {
          name: { schema, name },
          columns: own,
          primaryKey,
          uniqueKeys,
          key: chooseKey(candidates, own),
          triggers,
          ...(sql === undefined ? {} : { sql }),
          ...(partitionKey === null ? {} : { partitions: parts.map((part) => partitionOf(part, catalog)) }),
        },
      }
    })
}

interface Catalog {
  readonly byOid: ReadonlyMap<string, RelationRow>
  readonly columns: ReadonlyMap<string, readonly z.infer<typeof columnRow>[]>
  readonly identities: readonly Identity[]
}

/** The whole CREATE TABLE where columns alone don't say everything. */
function creationOf(relation: RelationRow, { byOid, columns, identities }: Catalog): string | undefined {
  const own = columns.get(relation.oid) ?? []
  if (relation.partitionKey !== null)
    return createTable(relation, own.map(spelledOf), identities, ` PARTITION BY ${relation.partitionKey}`)
  const parents = relation.parents.flatMap((oid) => byOid.get(oid) ?? [])
  if (parents.length === 0)
    return own.some((column) => column.notNullName !== null) ? createTable(relation, own.map(spelledOf), identities) : undefined
  const inherited = parents.flatMap((parent) => columns.get(parent.oid) ?? [])
  // A column that differs from its parent's is spelled out; the server merges the two.
  const spelled = own.filter((column) => column.local || !inherited.some((other) => sameColumn(column, other)))
  return createTable(relation, spelled.map(spelledOf), identities, ` INHERITS (${parents.map(quoteTable).join(', ')})`)
}

const spelledOf = (row: z.infer<typeof columnRow>): SpelledColumn => ({ ...columnOf(row), notNullName: row.notNullName })

const sameColumn = (one: z.infer<typeof columnRow>, other: z.infer<typeof columnRow>): boolean =>
  one.name === other.name && one.expression === other.expression && one.nullable === other.nullable

/** As pg_dump does it: a table of its own that is then joined, since its columns may have another order. */
function partitionOf(relation: RelationRow, { byOid, columns }: Catalog): { readonly name: TableName; readonly sql: string } {
  const [parent] = relation.parents.flatMap((oid) => byOid.get(oid) ?? [])
  // An identity is its table's; the partition gets it when it is joined.
  const own = (columns.get(relation.oid) ?? []).map((column) => ({ ...spelledOf(column), identity: null }))
  const clause = relation.partitionKey === null ? '' : ` PARTITION BY ${relation.partitionKey}`
  const create = createTable(relation, own, [], clause)
  const attach = `ALTER TABLE ONLY ${quoteTable(parent ?? relation)} ATTACH PARTITION ${quoteTable(relation)} ${relation.bound}`
  return { name: { schema: relation.schema, name: relation.name }, sql: `${create};\n${attach}` }
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
    ...(row.signs === null ? {} : { signs: row.signs }),
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
