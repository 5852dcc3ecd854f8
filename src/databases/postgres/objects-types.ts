import { anyColumn, named, notOfExtension, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'

/** CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where it is there already, as `public` always is. */
const SCHEMAS = `SELECT ${named('pg_namespace', 'n.oid', 'schema')}, n.nspname AS name,
  format('DO %L', format('BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %L) THEN CREATE SCHEMA %I; END IF; END',
    n.nspname, n.nspname)) AS sql,
  CASE WHEN n.nspname <> 'public' THEN format('DROP SCHEMA IF EXISTS %I', n.nspname) END AS undo
FROM pg_namespace n WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_namespace', 'n.oid')} ORDER BY n.nspname`

/**
 * An extension isn't taken back: it may have been there before, and it does no harm. Its version is what the new host has, with the
 * old one's beside it for `unmet` (target.ts) to compare.
 */
const EXTENSIONS = `SELECT ${named('pg_extension', 'x.oid', 'extension')}, x.extname AS name,
  format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I /* version %s on the old host */', x.extname, n.nspname, x.extversion) AS sql,
  NULL AS undo
FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname <> 'plpgsql' ORDER BY x.extname`

/** The columns of pg_collation differ from release to release: colliculocale came with 15, colllocale and collicurules later. */
const COLLATIONS = `SELECT ${named('pg_collation', 'o.oid', 'collation')}, n.nspname || '.' || o.collname AS name,
  format('CREATE COLLATION %I.%I (PROVIDER = %s, %s%s%s)', n.nspname, o.collname,
    CASE o.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
    CASE WHEN o.collprovider <> 'c' THEN format('LOCALE = %L', coalesce(${anyColumn('o', 'colllocale')}, ${anyColumn('o', 'colliculocale')}, o.collcollate))
      ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', o.collcollate, o.collctype) END,
    CASE WHEN NOT o.collisdeterministic THEN ', DETERMINISTIC = false' END, ', RULES = ' || quote_literal(${anyColumn('o', 'collicurules')})) AS sql,
  format('DROP COLLATION %I.%I', n.nspname, o.collname) AS undo
FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_collation', 'o.oid')} ORDER BY 3`

const TYPE_NAME = `format('%I.%I', n.nspname, t.typname)`

const ENUM_SQL = `format('CREATE TYPE %s AS ENUM (%s)', ${TYPE_NAME}, (SELECT string_agg(quote_literal(l.enumlabel), ', '
  ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid))`

const COLLATE = (collation: string, base: string): string =>
  `coalesce((SELECT format(' COLLATE %I.%I', cn.nspname, o.collname) FROM pg_collation o
    JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = ${collation} AND ${collation} <> ${base}), '')`

const COMPOSITE_SQL = `format('CREATE TYPE %s AS (%s)', ${TYPE_NAME}, (SELECT string_agg(format('%I %s%s', a.attname,
  format_type(a.atttypid, a.atttypmod), ${COLLATE('a.attcollation', '(SELECT b.typcollation FROM pg_type b WHERE b.oid = a.atttypid)')}),
  ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))`

/** A constraint that was never checked on what was there (NOT VALID) can only be added afterwards. */
const DOMAIN_SQL = `concat_ws('; ', format('CREATE DOMAIN %s AS %s%s%s%s%s', ${TYPE_NAME}, format_type(t.typbasetype, t.typtypmod),
  ${COLLATE('t.typcollation', '(SELECT b.typcollation FROM pg_type b WHERE b.oid = t.typbasetype)')},
  ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
  (SELECT string_agg(format(' CONSTRAINT %I %s', o.conname, pg_get_constraintdef(o.oid)), '' ORDER BY o.conname)
   FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'c' AND o.convalidated)),
  (SELECT string_agg(format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', ${TYPE_NAME}, o.conname, pg_get_constraintdef(o.oid)), '; '
   ORDER BY o.conname) FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'c' AND NOT o.convalidated))`

const RANGE_SQL = `(SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s%s%s%s%s)', ${TYPE_NAME}, format_type(r.rngsubtype, NULL),
  (SELECT format(', SUBTYPE_OPCLASS = %I.%I', k.nspname, o.opcname) FROM pg_opclass o JOIN pg_namespace k ON k.oid = o.opcnamespace
   WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
  CASE WHEN r.rngsubdiff <> 0 THEN format(', SUBTYPE_DIFF = %s', r.rngsubdiff) END,
  (SELECT format(', COLLATION = %I.%I', cn.nspname, o.collname) FROM pg_collation o
   JOIN pg_namespace cn ON cn.oid = o.collnamespace WHERE o.oid = r.rngcollation AND o.collname <> 'default'),
  (SELECT format(', MULTIRANGE_TYPE_NAME = %I.%I', mn.nspname, m.typname) FROM pg_type m JOIN pg_namespace mn ON mn.oid = m.typnamespace
   WHERE m.oid::text = ${anyColumn('r', 'rngmultitypid')}))
  FROM pg_range r WHERE r.rngtypid = t.oid)`

/** A range with a canonical function stands in findings.ts: only C can make one. */
const TYPES = `SELECT ${named('pg_type', 't.oid', `CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END`)},
  n.nspname || '.' || t.typname AS name,
  CASE t.typtype WHEN 'e' THEN ${ENUM_SQL} WHEN 'c' THEN ${COMPOSITE_SQL} WHEN 'd' THEN ${DOMAIN_SQL} ELSE ${RANGE_SQL} END AS sql,
  format('DROP %s %s', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, ${TYPE_NAME}) AS undo
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_type', 't.oid')}
  AND (t.typtype IN ('e', 'd') OR (t.typtype = 'r' AND NOT EXISTS (SELECT 1 FROM pg_range r WHERE r.rngtypid = t.oid AND r.rngcanonical <> 0))
    OR (t.typtype = 'c' AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')))
ORDER BY 3`

/** Sequences other than those of identity columns, which come with their column. */
const SEQUENCES = `SELECT ${named('pg_class', 'c.oid', 'sequence')}, n.nspname || '.' || c.relname AS name,
  format('CREATE %sSEQUENCE %I.%I AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s',
    CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' END, n.nspname, c.relname,
    format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
    CASE WHEN q.seqcycle THEN ' CYCLE' END) AS sql,
  -- A sequence that a column owns goes with its table.
  format('DROP SEQUENCE IF EXISTS %I.%I', n.nspname, c.relname) AS undo
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE ${SHOP_RELATION} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
  AND d.deptype = 'i' AND d.refobjsubid > 0) ORDER BY 3`

const DICTIONARIES = `SELECT ${named('pg_ts_dict', 'd.oid', 'text search dictionary')}, n.nspname || '.' || d.dictname AS name,
  format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname, tn.nspname, t.tmplname, ', ' || d.dictinitoption) AS sql,
  format('DROP TEXT SEARCH DICTIONARY %I.%I', n.nspname, d.dictname) AS undo
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
JOIN pg_namespace tn ON tn.oid = t.tmplnamespace WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_ts_dict', 'd.oid')} ORDER BY 3`

const CONFIGURATIONS = `SELECT ${named('pg_ts_config', 'c.oid', 'text search configuration')}, n.nspname || '.' || c.cfgname AS name,
  concat_ws('; ', format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname),
    (SELECT string_agg(format('ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s', n.nspname, c.cfgname, m.alias, m.dictionaries),
       '; ' ORDER BY m.alias)
     FROM (SELECT k.alias, string_agg(format('%I.%I', dn.nspname, d.dictname), ', ' ORDER BY w.mapseqno) AS dictionaries
       FROM pg_ts_config_map w JOIN ts_token_type(c.cfgparser) k ON k.tokid = w.maptokentype JOIN pg_ts_dict d ON d.oid = w.mapdict
       JOIN pg_namespace dn ON dn.oid = d.dictnamespace WHERE w.mapcfg = c.oid GROUP BY k.alias) m)) AS sql,
  format('DROP TEXT SEARCH CONFIGURATION %I.%I', n.nspname, c.cfgname) AS undo
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser
JOIN pg_namespace pn ON pn.oid = p.prsnamespace WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_ts_config', 'c.oid')} ORDER BY 3`

/** What is always there before the first table, in this order unless one needs another. */
export const FOUNDATIONS: readonly string[] = [SCHEMAS, EXTENSIONS, COLLATIONS, TYPES, SEQUENCES, DICTIONARIES, CONFIGURATIONS]
