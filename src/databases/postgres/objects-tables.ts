import { anyColumn, named, notOfExtension, SHOP_RELATION } from './catalog.ts'
import { CARRIED_TABLE, TABLE_OR_PARTITION } from './introspect-tables.ts'

const TABLE = `format('%I.%I', n.nspname, c.relname)`
/**
 * Of such a table, what may call the shop's functions is taken back by itself, not with the table: the functions, which were made
 * before it and after the table, go in between.
 */
const PLAIN = `c.relkind = 'r' AND NOT c.relispartition`
/**
 * The table whose alone it is. An expression may call a function that reads other tables, and a part of a table is tied to its whole.
 */
const TABLE_ALONE = (condition: string): string =>
  `CASE WHEN ${PLAIN} AND NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)) AND ${condition}
    THEN jsonb_build_object('schema', n.nspname, 'name', c.relname) END AS "table"`
const RELATIONS = `JOIN pg_namespace n ON n.oid = c.relnamespace`

/**
 * Condition that what a check (alias `o`) says of a row may be otherwise another day, or after other rows have changed: it asks for the time, or
 * calls a function that isn't IMMUTABLE, or one of the shop's, whatever that says of itself ("Function Volatility Categories").
 */
export const CHECK_MAY_CHANGE = `o.contype = 'c' AND o.convalidated AND (o.conbin::text LIKE '%{SQLVALUEFUNCTION %' OR EXISTS (
  SELECT 1 FROM regexp_matches(o.conbin::text, ':(?:op)?funcid (\\d+)', 'g') f JOIN pg_proc p ON p.oid = f[1]::oid
  WHERE p.provolatile <> 'i' OR (p.pronamespace <> 'pg_catalog'::regnamespace AND ${notOfExtension('pg_proc', 'p.oid')})))`

const ADD_CHECK = `format('ALTER TABLE %s ADD CONSTRAINT %I %s', ${TABLE}, o.conname, pg_get_constraintdef(o.oid))`

/** Where rows don't keep to it by now, such a check guards new rows alone: so it does on the old host, since no server looks at a row again. */
const ADD_CHECK_AS_IT_SERVES = `format('DO %L', format('BEGIN %1$s; EXCEPTION WHEN check_violation THEN %1$s NOT VALID; END', ${ADD_CHECK}))`

/**
 * Checks are created where they are declared; whoever inherits gets them from there. So does NOT NULL that was never checked, and
 * an exclusion, whose index the server doesn't let join that of its table.
 */
const CHECKS = `SELECT ${named('pg_constraint', 'o.oid', `CASE o.contype WHEN 'x' THEN 'exclusion' ELSE 'check' END`)},
  format('%s.%s.%s', n.nspname, c.relname, o.conname) AS name,
  CASE WHEN ${CHECK_MAY_CHANGE} THEN ${ADD_CHECK_AS_IT_SERVES} ELSE ${ADD_CHECK} END AS sql,
  CASE WHEN o.contype = 'c' AND ${PLAIN} THEN format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', ${TABLE}, o.conname) END AS undo
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid ${RELATIONS}
WHERE ((o.contype = 'x' AND o.conparentid = 0) OR (o.contype = 'c' AND o.conislocal) OR (o.contype = 'n' AND o.conislocal AND NOT o.convalidated))
  AND ${TABLE_OR_PARTITION} ORDER BY 2, 3`

/** Keys of partitions, by their own names, before they become part of their table's. */
const PARTITION_KEYS = `SELECT ${named('pg_constraint', 'o.oid', 'partition key')}, format('%s.%s.%s', n.nspname, c.relname, o.conname) AS name,
  format('ALTER TABLE ONLY %s ADD CONSTRAINT %I %s', ${TABLE}, o.conname, pg_get_constraintdef(o.oid)) AS sql, NULL AS undo
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid ${RELATIONS}
WHERE o.contype IN ('p', 'u') AND c.relispartition AND ${TABLE_OR_PARTITION} ORDER BY 3`

/**
 * Indexes that no constraint made, of tables and of materialized views. That of a partitioned table is made for itself alone (the
 * server spells it with ONLY), and its partitions' are joined to it below. A broken one (indisvalid false) is a finding.
 */
const INDEXES = `SELECT ${named('pg_class', 'x.oid', `CASE c.relkind WHEN 'm' THEN 'materialized view index' ELSE 'index' END`)},
  n.nspname || '.' || x.relname AS name,
  concat_ws('; ', pg_get_indexdef(x.oid),
    (SELECT string_agg(format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', n.nspname, x.relname, a.attnum, ${anyColumn('a', 'attstattarget')}), '; '
      ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = x.oid AND coalesce(${anyColumn('a', 'attstattarget')}, '-1') <> '-1')) AS sql,
  CASE WHEN ${PLAIN} AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) THEN format('DROP INDEX IF EXISTS %I.%I', n.nspname, x.relname) END AS undo,
  ${TABLE_ALONE('i.indexprs IS NULL AND i.indpred IS NULL')}
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid ${RELATIONS}
WHERE (i.indisvalid OR x.relkind = 'I') AND ((${TABLE_OR_PARTITION}) OR (c.relkind = 'm' AND ${SHOP_RELATION}))
  AND NOT EXISTS (SELECT 1 FROM pg_constraint o WHERE o.conindid = x.oid AND o.contype IN ('p', 'u', 'x')) ORDER BY 2, 3`

/** Indexes of partitions as parts of their table's, the innermost first: the whole is valid when every part is. */
const INDEX_PARTS = `SELECT ${named('index part', 'x.oid', 'index part')}, n.nspname || '.' || x.relname AS name,
  format('ALTER INDEX %I.%I ATTACH PARTITION %I.%I', pn.nspname, p.relname, n.nspname, x.relname) AS sql, NULL AS undo
FROM pg_inherits h JOIN pg_class x ON x.oid = h.inhrelid JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
JOIN pg_index i ON i.indexrelid = x.oid JOIN pg_class c ON c.oid = i.indrelid ${RELATIONS}
WHERE p.relkind = 'I' AND NOT i.indisexclusion AND ${TABLE_OR_PARTITION} ORDER BY x.relkind = 'I', 3`

const STATISTICS = `SELECT ${named('pg_statistic_ext', 's.oid', 'statistics')}, sn.nspname || '.' || s.stxname AS name,
  concat_ws('; ', pg_get_statisticsobjdef(s.oid), format('ALTER STATISTICS %I.%I SET STATISTICS ', sn.nspname, s.stxname)
    || nullif(${anyColumn('s', 'stxstattarget')}, '-1')) AS sql, NULL AS undo
FROM pg_statistic_ext s JOIN pg_namespace sn ON sn.oid = s.stxnamespace JOIN pg_class c ON c.oid = s.stxrelid ${RELATIONS}
WHERE ${TABLE_OR_PARTITION} ORDER BY 3`

const TOAST_OPTIONS = `(SELECT string_agg('toast.' || o, ', ') FROM pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid)`

/** What CREATE TABLE may say besides columns and constraints, for tables and materialized views. */
const TABLE_OPTIONS = `SELECT ${named('table options', 'c.oid', 'table options')}, n.nspname || '.' || c.relname AS name, o.sql, NULL AS undo
FROM pg_class c ${RELATIONS}, LATERAL (SELECT nullif(concat_ws('; ',
    format('ALTER TABLE %s SET (', ${TABLE}) || nullif(concat_ws(', ', array_to_string(c.reloptions, ', '), ${TOAST_OPTIONS}), '') || ')',
    CASE WHEN c.relpersistence = 'u' AND c.relkind = 'r' THEN format('ALTER TABLE %s SET UNLOGGED', ${TABLE}) END,
    CASE WHEN c.reloftype <> 0 THEN format('ALTER TABLE %s OF %s', ${TABLE}, format_type(c.reloftype, NULL)) END), '') AS sql) o
WHERE ${TABLE_OR_PARTITION} AND o.sql IS NOT NULL ORDER BY 3`

/**
 * Options that rest on an index: those of a key's own, which its constraint doesn't spell, which one orders the table, and which one tells
 * its rows apart for replication.
 */
const INDEX_OPTIONS = `SELECT ${named('index options', 'c.oid', 'index options')}, n.nspname || '.' || c.relname AS name, o.sql, NULL AS undo
FROM pg_class c ${RELATIONS}, LATERAL (SELECT nullif(concat_ws('; ',
    (SELECT string_agg(format('ALTER INDEX %I.%I SET (%s)', n.nspname, x.relname, array_to_string(x.reloptions, ', ')), '; ' ORDER BY x.relname)
     FROM pg_constraint k JOIN pg_class x ON x.oid = k.conindid
     WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u') AND x.relkind = 'i' AND x.reloptions IS NOT NULL),
    (SELECT format('ALTER %s %s CLUSTER ON %I', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, ${TABLE}, x.relname)
     FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisclustered),
    CASE c.relreplident WHEN 'f' THEN format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', ${TABLE})
      WHEN 'n' THEN format('ALTER TABLE ONLY %s REPLICA IDENTITY NOTHING', ${TABLE})
      WHEN 'i' THEN (SELECT format('ALTER TABLE ONLY %s REPLICA IDENTITY USING INDEX %I', ${TABLE}, x.relname)
        FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident) END), '') AS sql) o
WHERE ((${TABLE_OR_PARTITION}) OR (c.relkind = 'm' AND ${SHOP_RELATION})) AND o.sql IS NOT NULL ORDER BY 3`

const STORAGE = `CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END`
const COLUMN = (kind: string, what: string): string =>
  `format('ALTER ${kind} %s ALTER COLUMN %I ', ${TABLE}, a.attname) || ${what}`
/** How a column is stored and counted, and the defaults that a view has of its own. */
const COLUMN_OPTIONS = `SELECT 'column options ' || c.oid || ' ' || a.attnum AS id, 'column options' AS kind,
  format('%s.%s.%s', n.nspname, c.relname, a.attname) AS name, o.sql, NULL AS undo
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid ${RELATIONS}, LATERAL (SELECT nullif(concat_ws('; ',
    CASE WHEN c.relkind <> 'v' AND a.attstorage <> t.typstorage THEN ${COLUMN('TABLE ONLY', `'SET STORAGE ' || ${STORAGE}`)} END,
    CASE ${anyColumn('a', 'attcompression')} WHEN 'p' THEN ${COLUMN('TABLE ONLY', `'SET COMPRESSION pglz'`)}
      WHEN 'l' THEN ${COLUMN('TABLE ONLY', `'SET COMPRESSION lz4'`)} END,
    CASE WHEN c.relkind <> 'v' AND coalesce(${anyColumn('a', 'attstattarget')}, '-1') <> '-1'
      THEN ${COLUMN('TABLE ONLY', `'SET STATISTICS ' || ${anyColumn('a', 'attstattarget')}`)} END,
    CASE WHEN a.attoptions IS NOT NULL THEN ${COLUMN('TABLE ONLY', `'SET (' || array_to_string(a.attoptions, ', ') || ')'`)} END,
    CASE WHEN c.relkind = 'v' THEN (SELECT ${COLUMN('VIEW', `'SET DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)`)}
      FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum) END), '') AS sql) o
WHERE a.attnum > 0 AND NOT a.attisdropped AND ((${TABLE_OR_PARTITION}) OR (c.relkind IN ('v', 'm') AND ${SHOP_RELATION})) AND o.sql IS NOT NULL ORDER BY 3`

/** What an identity column's sequence has beyond its range, which the column's own DDL doesn't say. */
const SEQUENCE_OPTIONS = `SELECT ${named('sequence options', 's.oid', 'sequence options')}, sn.nspname || '.' || s.relname AS name,
  format('ALTER SEQUENCE %I.%I CACHE %s%s', sn.nspname, s.relname, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' END) AS sql, NULL AS undo
FROM pg_sequence q JOIN pg_class s ON s.oid = q.seqrelid JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'i' AND d.refobjsubid > 0
JOIN pg_class c ON c.oid = d.refobjid ${RELATIONS}
WHERE ${CARRIED_TABLE} AND (q.seqcache <> 1 OR q.seqcycle) ORDER BY 3`

const SEQUENCE_OWNERS = `SELECT ${named('sequence owner', 's.oid', 'sequence owner')}, sn.nspname || '.' || s.relname AS name,
  format('ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I', sn.nspname, s.relname, n.nspname, c.relname, a.attname) AS sql,
  format('ALTER SEQUENCE %I.%I OWNED BY NONE', sn.nspname, s.relname) AS undo
FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'a' AND d.refobjsubid > 0
JOIN pg_class c ON c.oid = d.refobjid ${RELATIONS}
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND ${TABLE_OR_PARTITION} ORDER BY 3`

/** What belongs to one table and stands right after the rows. */
export const OF_TABLES: readonly string[] = [CHECKS, PARTITION_KEYS, INDEXES, INDEX_PARTS, STATISTICS, TABLE_OPTIONS]

/** What is set once everything is there. */
export const OPTIONS: readonly string[] = [INDEX_OPTIONS, COLUMN_OPTIONS, SEQUENCE_OPTIONS, SEQUENCE_OWNERS]
