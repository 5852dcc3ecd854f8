import { z } from 'zod'
import { ask, type CatalogObject, notOfExtension, objectRow, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'
import type { Session } from './connection.ts'
import { CARRIED_TABLE } from './introspect-tables.ts'

const id = (catalog: string, oid: string): string => `'${catalog} ' || ${oid} AS id`

/** CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where it is there already, as `public` always is. */
const SCHEMAS = `SELECT ${id('pg_namespace', 'n.oid')}, 'schema' AS kind, n.nspname AS name,
  format('DO %L', format('BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %L) THEN CREATE SCHEMA %I; END IF; END',
    n.nspname, n.nspname)) AS sql,
  CASE WHEN n.nspname <> 'public' THEN format('DROP SCHEMA IF EXISTS %I', n.nspname) END AS undo
FROM pg_namespace n WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_namespace', 'n.oid')} ORDER BY n.nspname`

/** An extension isn't taken back: it may have been there before, and it does no harm. */
const EXTENSIONS = `SELECT ${id('pg_extension', 'x.oid')}, 'extension' AS kind, x.extname AS name,
  format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', x.extname, n.nspname) AS sql, NULL AS undo
FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname <> 'plpgsql' ORDER BY x.extname`

const TYPE_NAME = `format('%I.%I', n.nspname, t.typname)`

const ENUM_SQL = `format('CREATE TYPE %s AS ENUM (%s)', ${TYPE_NAME}, (SELECT string_agg(quote_literal(l.enumlabel), ', '
  ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid))`

const COLLATE = (collation: string, base: string): string =>
  `coalesce((SELECT format(' COLLATE %I.%I', cn.nspname, o.collname) FROM pg_collation o
    JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = ${collation} AND ${collation} <> ${base}), '')`

const COMPOSITE_SQL = `format('CREATE TYPE %s AS (%s)', ${TYPE_NAME}, (SELECT string_agg(format('%I %s%s', a.attname,
  format_type(a.atttypid, a.atttypmod), ${COLLATE('a.attcollation', '(SELECT b.typcollation FROM pg_type b WHERE b.oid = a.atttypid)')}),
  ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))`

const DOMAIN_SQL = `format('CREATE DOMAIN %s AS %s%s%s%s%s', ${TYPE_NAME}, format_type(t.typbasetype, t.typtypmod),
  ${COLLATE('t.typcollation', '(SELECT b.typcollation FROM pg_type b WHERE b.oid = t.typbasetype)')},
  ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
  (SELECT string_agg(format(' CONSTRAINT %I %s', o.conname, pg_get_constraintdef(o.oid)), '' ORDER BY o.conname)
   FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'c'))`

const RANGE_SQL = `(SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s%s%s)', ${TYPE_NAME}, format_type(r.rngsubtype, NULL),
  CASE WHEN r.rngsubdiff <> 0 THEN format(', SUBTYPE_DIFF = %s', r.rngsubdiff) END,
  (SELECT format(', COLLATION = %I.%I', cn.nspname, o.collname) FROM pg_collation o
   JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = r.rngcollation AND o.collname <> 'default'))
  FROM pg_range r WHERE r.rngtypid = t.oid)`

const TYPES = `SELECT ${id('pg_type', 't.oid')},
  CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END AS kind, n.nspname || '.' || t.typname AS name,
  CASE t.typtype WHEN 'e' THEN ${ENUM_SQL} WHEN 'c' THEN ${COMPOSITE_SQL} WHEN 'd' THEN ${DOMAIN_SQL} ELSE ${RANGE_SQL} END AS sql,
  format('DROP %s %s', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, ${TYPE_NAME}) AS undo
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_type', 't.oid')}
  AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')))
ORDER BY 3`

/** Sequences other than those of identity columns, which come with their column. */
const SEQUENCES = `SELECT ${id('pg_class', 'c.oid')}, 'sequence' AS kind, n.nspname || '.' || c.relname AS name,
  format('CREATE SEQUENCE %I.%I AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', n.nspname, c.relname,
    format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
    CASE WHEN q.seqcycle THEN ' CYCLE' END) AS sql,
  -- A sequence that a column owns goes with its table.
  format('DROP SEQUENCE IF EXISTS %I.%I', n.nspname, c.relname) AS undo
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ${SHOP_RELATION} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
  AND d.deptype = 'i' AND d.refobjsubid > 0) ORDER BY 3`

const ROUTINE = `format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))`

const ROUTINES = `SELECT ${id('pg_proc', 'p.oid')}, CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind,
  format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
  pg_get_functiondef(p.oid) AS sql,
  format('DROP %s %s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, ${ROUTINE}) AS undo
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE ${SHOP_SCHEMA} AND p.prokind IN ('f', 'p', 'w') AND ${notOfExtension('pg_proc', 'p.oid')}
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
ORDER BY 3`

const VIEWS = `SELECT ${id('pg_class', 'c.oid')}, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END AS kind,
  n.nspname || '.' || c.relname AS name,
  format('CREATE %s %I.%I%s AS %s%s', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, n.nspname, c.relname,
    ' WITH (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(c.oid), ';'),
    CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' WITH NO DATA' END) AS sql,
  format('DROP %s %I.%I', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, n.nspname, c.relname) AS undo
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND ${SHOP_RELATION} ORDER BY 3`

const CHECKS = `SELECT ${id('pg_constraint', 'o.oid')},
  CASE o.contype WHEN 'c' THEN 'check' ELSE 'exclusion' END AS kind, format('%s.%s.%s', n.nspname, c.relname, o.conname) AS name,
  format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, o.conname, pg_get_constraintdef(o.oid)) AS sql, NULL AS undo
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE o.contype IN ('c', 'x') AND ${CARRIED_TABLE} ORDER BY 2, 3`

/** Indexes that no constraint made, of tables and of materialized views. A broken one (indisvalid false) is a finding. */
const INDEXES = `SELECT ${id('pg_class', 'x.oid')},
  CASE c.relkind WHEN 'm' THEN 'materialized view index' ELSE 'index' END AS kind, n.nspname || '.' || x.relname AS name,
  pg_get_indexdef(x.oid) AS sql, NULL AS undo
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisvalid AND ((${CARRIED_TABLE}) OR (c.relkind = 'm' AND ${SHOP_RELATION}))
  AND NOT EXISTS (SELECT 1 FROM pg_constraint o WHERE o.conindid = x.oid AND o.contype IN ('p', 'u', 'x')) ORDER BY 2, 3`

const STATISTICS = `SELECT ${id('pg_statistic_ext', 's.oid')}, 'statistics' AS kind, sn.nspname || '.' || s.stxname AS name,
  pg_get_statisticsobjdef(s.oid) AS sql, NULL AS undo
FROM pg_statistic_ext s JOIN pg_namespace sn ON sn.oid = s.stxnamespace JOIN pg_class c ON c.oid = s.stxrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${CARRIED_TABLE} ORDER BY 3`

const TABLE_OPTIONS = `SELECT ${id('table options', 'c.oid')}, 'table options' AS kind, n.nspname || '.' || c.relname AS name,
  concat_ws('; ', format('ALTER TABLE %I.%I SET (', n.nspname, c.relname) || array_to_string(c.reloptions, ', ') || ')',
    CASE WHEN c.relpersistence = 'u' THEN format('ALTER TABLE %I.%I SET UNLOGGED', n.nspname, c.relname) END) AS sql, NULL AS undo
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ${CARRIED_TABLE} AND (c.reloptions IS NOT NULL OR c.relpersistence = 'u') ORDER BY 3`

/** What an identity column's sequence has beyond its range, which the column's own DDL doesn't say. */
const SEQUENCE_OPTIONS = `SELECT ${id('sequence options', 's.oid')}, 'sequence options' AS kind, sn.nspname || '.' || s.relname AS name,
  format('ALTER SEQUENCE %I.%I CACHE %s%s', sn.nspname, s.relname, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' END) AS sql, NULL AS undo
FROM pg_sequence q JOIN pg_class s ON s.oid = q.seqrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'i' AND d.refobjsubid > 0
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ${CARRIED_TABLE} AND (q.seqcache <> 1 OR q.seqcycle) ORDER BY 3`

const SEQUENCE_OWNERS = `SELECT ${id('sequence owner', 's.oid')}, 'sequence owner' AS kind, sn.nspname || '.' || s.relname AS name,
  format('ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I', sn.nspname, s.relname, n.nspname, c.relname, a.attname) AS sql,
  format('ALTER SEQUENCE %I.%I OWNED BY NONE', sn.nspname, s.relname) AS undo
FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'a' AND d.refobjsubid > 0
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND ${CARRIED_TABLE} ORDER BY 3`

const RULES = `SELECT ${id('pg_rewrite', 'r.oid')}, 'rule' AS kind, format('%s.%s.%s', n.nspname, c.relname, r.rulename) AS name,
  rtrim(pg_get_ruledef(r.oid), ';') AS sql, format('DROP RULE %I ON %I.%I', r.rulename, n.nspname, c.relname) AS undo
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN' AND ((${CARRIED_TABLE}) OR (c.relkind = 'v' AND ${SHOP_RELATION})) ORDER BY 3`

const TRIGGERS = `SELECT ${id('pg_trigger', 't.oid')}, 'trigger' AS kind, format('%s.%s.%s', n.nspname, c.relname, t.tgname) AS name,
  pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname,
    CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname) END AS sql,
  format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname) AS undo
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND ((${CARRIED_TABLE}) OR (c.relkind = 'v' AND ${SHOP_RELATION})) ORDER BY 3`

const COMMENTS = `SELECT 'comment ' || x.classoid || ' ' || x.objoid || ' ' || x.objsubid AS id, 'comment' AS kind,
  n.nspname || '.' || c.relname || coalesce('.' || a.attname, '') AS name,
  format('COMMENT ON %s %s IS %L', CASE WHEN a.attname IS NOT NULL THEN 'COLUMN' WHEN c.relkind = 'v' THEN 'VIEW'
    WHEN c.relkind = 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, format('%I.%I', n.nspname, c.relname) || coalesce('.' || quote_ident(a.attname), ''),
    x.description) AS sql, NULL AS undo
FROM pg_description x JOIN pg_class c ON c.oid = x.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.objsubid AND x.objsubid <> 0
WHERE x.classoid = 'pg_class'::regclass AND ((${CARRIED_TABLE}) OR (c.relkind IN ('v', 'm') AND ${SHOP_RELATION})) ORDER BY 3`

/** Objects that nothing outside this adapter looks into, grouped by kind; the order of creation is found elsewhere. */
export async function readObjects(session: Session): Promise<readonly CatalogObject[]> {
  const objects: CatalogObject[] = []
  const queries = [SCHEMAS, EXTENSIONS, TYPES, SEQUENCES, ROUTINES, VIEWS, CHECKS, INDEXES, STATISTICS]
  const late = [TABLE_OPTIONS, SEQUENCE_OPTIONS, SEQUENCE_OWNERS, RULES, TRIGGERS, COMMENTS]
  for (const sql of [...queries, ...late]) objects.push(...(await ask(session, objectRow, sql)))
  return objects
}

const edgeRow = z.object({ from: z.string(), to: z.string() })

/** Which catalog row stands for a part: a view's rule for the view, an array for its element, a row type for its table. */
const OWNER = (catalog: string, oid: string): string => `coalesce(
  CASE ${catalog}
    WHEN 'pg_rewrite'::regclass THEN (SELECT 'pg_class ' || ev_class FROM pg_rewrite WHERE oid = ${oid} AND rulename = '_RETURN')
    WHEN 'pg_attrdef'::regclass THEN (SELECT 'pg_class ' || adrelid FROM pg_attrdef WHERE oid = ${oid})
    WHEN 'pg_constraint'::regclass THEN (SELECT 'pg_type ' || contypid FROM pg_constraint WHERE oid = ${oid} AND contypid <> 0)
    WHEN 'pg_class'::regclass THEN (SELECT 'pg_type ' || reltype FROM pg_class WHERE oid = ${oid} AND relkind = 'c')
    WHEN 'pg_type'::regclass THEN (SELECT CASE
        WHEN t.typtype = 'm' THEN (SELECT 'pg_type ' || rngtypid FROM pg_range r WHERE (to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid)
        WHEN coalesce(e.typrelid, t.typrelid) <> 0 AND k.relkind <> 'c' THEN 'pg_class ' || k.oid
        WHEN e.oid IS NOT NULL THEN 'pg_type ' || e.oid END
      FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1 AND e.typarray = t.oid
      LEFT JOIN pg_class k ON k.oid = coalesce(e.typrelid, t.typrelid) WHERE t.oid = ${oid})
  END, ${catalog}::regclass || ' ' || ${oid})`

const EDGES = `SELECT DISTINCT ${OWNER('d.classid', 'd.objid')} AS "from", ${OWNER('d.refclassid', 'd.refobjid')} AS "to"
FROM pg_depend d WHERE d.objid >= 16384 AND d.refobjid >= 16384 AND d.deptype IN ('n', 'a', 'i')
  AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_sequence q WHERE q.seqrelid = d.objid) AND d.refobjsubid > 0)`

/** Which object needs which other to be there before it, by their ids (`CatalogObject.id`; tables as `pg_class OID`). */
export async function readDependencies(session: Session): Promise<ReadonlyMap<string, readonly string[]>> {
  const needs = new Map<string, string[]>()
  for (const { from, to } of await ask(session, edgeRow, EDGES)) {
    if (from === to) continue
    const known = needs.get(from)
    if (known === undefined) needs.set(from, [to])
    else known.push(to)
  }
  return needs
}
