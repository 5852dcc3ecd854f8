import { anyColumn, named, notOfExtension, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'
import { TABLE_OR_PARTITION } from './introspect-tables.ts'
import { LARGE_OBJECT_WORDS } from './large-objects.ts'
import { PUBLIC_RIGHTS } from './objects-rights.ts'

const TABLE = `format('%I.%I', n.nspname, c.relname)`
const RELATIONS = `JOIN pg_namespace n ON n.oid = c.relnamespace`
const TABLE_OR_VIEW = `((${TABLE_OR_PARTITION}) OR (c.relkind = 'v' AND ${SHOP_RELATION}))`

export const VIEWS = `SELECT ${named('pg_class', 'c.oid', `CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END`)},
  n.nspname || '.' || c.relname AS name,
  format('CREATE %s %s%s AS %s%s', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, ${TABLE},
    ' WITH (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(c.oid), ';'),
    CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' WITH NO DATA' END) AS sql,
  format('DROP %s %s', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, ${TABLE}) AS undo
FROM pg_class c ${RELATIONS} WHERE c.relkind IN ('v', 'm') AND ${SHOP_RELATION} ORDER BY 3`

/** A partition's own foreign key, which its table doesn't have. */
const PARTITION_FOREIGN_KEYS = `SELECT ${named('pg_constraint', 'o.oid', 'partition foreign key')},
  format('%s.%s.%s', n.nspname, c.relname, o.conname) AS name,
  format('ALTER TABLE %s ADD CONSTRAINT %I %s', ${TABLE}, o.conname, pg_get_constraintdef(o.oid)) AS sql,
  format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', ${TABLE}, o.conname) AS undo
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid ${RELATIONS}
WHERE o.contype = 'f' AND o.conparentid = 0 AND c.relispartition AND ${TABLE_OR_PARTITION} ORDER BY 3`

const STATE = (enabled: string): string =>
  `CASE ${enabled} WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END`

const RULES = `SELECT ${named('pg_rewrite', 'r.oid', 'rule')}, format('%s.%s.%s', n.nspname, c.relname, r.rulename) AS name,
  rtrim(pg_get_ruledef(r.oid), ';') || CASE r.ev_enabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %s %s RULE %I', ${TABLE},
    ${STATE('r.ev_enabled')}, r.rulename) END AS sql, format('DROP RULE %I ON %s', r.rulename, ${TABLE}) AS undo
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class ${RELATIONS}
WHERE r.rulename <> '_RETURN' AND ${TABLE_OR_VIEW} ORDER BY 3`

/** The trigger of a partitioned table that this one was cloned from; 0 for one that was made by itself. */
const CLONED_FROM = `coalesce(${anyColumn('t', 'tgparentid')}, '0')`

const TRIGGERS = `SELECT ${named('pg_trigger', 't.oid', 'trigger')}, format('%s.%s.%s', n.nspname, c.relname, t.tgname) AS name,
  pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %s %s TRIGGER %I', ${TABLE},
    ${STATE('t.tgenabled')}, t.tgname) END AS sql, format('DROP TRIGGER %I ON %s', t.tgname, ${TABLE}) AS undo
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid ${RELATIONS}
WHERE NOT t.tgisinternal AND ${CLONED_FROM} = '0' AND ${TABLE_OR_VIEW} ORDER BY 3`

/** Triggers of partitions that aren't in the state of the trigger that they were cloned from. */
const TRIGGER_STATES = `SELECT ${named('trigger state', 't.oid', 'trigger state')}, format('%s.%s.%s', n.nspname, c.relname, t.tgname) AS name,
  format('ALTER TABLE ONLY %s %s TRIGGER %I', ${TABLE}, ${STATE('t.tgenabled')}, t.tgname) AS sql, NULL AS undo
FROM pg_trigger t JOIN pg_trigger p ON p.oid::text = ${CLONED_FROM} JOIN pg_class c ON c.oid = t.tgrelid ${RELATIONS}
WHERE t.tgconstraint = 0 AND t.tgenabled <> p.tgenabled AND ${TABLE_OR_PARTITION} ORDER BY 3`

/** Not an object, but a condition: a policy names its accounts, which belong to the server and not to the database. */
const ROLES = `SELECT DISTINCT ${named('pg_authid', 'r.oid', 'account')}, r.rolname AS name,
  format('DO %L', format('BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %L) THEN RAISE ''The account %% that a policy names is not there.'', %L; END IF; END',
    r.rolname, r.rolname)) AS sql, NULL AS undo
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid ${RELATIONS} JOIN pg_roles r ON r.oid = ANY (p.polroles) WHERE ${TABLE_OR_PARTITION} ORDER BY 3`

const POLICIES = `SELECT ${named('pg_policy', 'p.oid', 'policy')}, format('%s.%s.%s', n.nspname, c.relname, p.polname) AS name,
  format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, ${TABLE}, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE WHEN m = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(m)) END, ', ') FROM unnest(p.polroles) m),
    ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS sql,
  format('DROP POLICY %I ON %s', p.polname, ${TABLE}) AS undo
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid ${RELATIONS} WHERE ${TABLE_OR_PARTITION} ORDER BY 3`

/** Its owner sees every row all the same, unless it is forced (a finding of target.ts, if the account there would be shut out). */
const ROW_SECURITY = `SELECT ${named('row security', 'c.oid', 'row security')}, n.nspname || '.' || c.relname AS name,
  concat_ws('; ', CASE WHEN c.relrowsecurity THEN format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', ${TABLE}) END,
    CASE WHEN c.relforcerowsecurity THEN format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', ${TABLE}) END) AS sql,
  format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', ${TABLE}) AS undo
FROM pg_class c ${RELATIONS} WHERE (c.relrowsecurity OR c.relforcerowsecurity) AND ${TABLE_OR_PARTITION} ORDER BY 3`

const KEYWORD = `CASE i.type WHEN 'table column' THEN 'COLUMN' WHEN 'view column' THEN 'COLUMN' WHEN 'materialized view column' THEN 'COLUMN'
  WHEN 'composite type' THEN 'TYPE' WHEN 'composite type column' THEN 'COLUMN' WHEN 'table constraint' THEN 'CONSTRAINT' WHEN 'domain constraint' THEN 'CONSTRAINT'
  WHEN 'statistics object' THEN 'STATISTICS' ELSE upper(i.type) END`

/** Comments on everything that is carried, by the server's own names for it (pg_identify_object). An index of a partition has its own. */
const COMMENTS = `SELECT 'comment ' || x.classoid || ' ' || x.objoid || ' ' || x.objsubid AS id, 'comment' AS kind, i.type || ' ' || i.identity AS name,
  format('COMMENT ON %s %s IS %L', ${KEYWORD}, CASE WHEN i.type = 'domain constraint' THEN replace(i.identity, ' on ', ' ON DOMAIN ') ELSE i.identity END,
    x.description) AS sql, NULL AS undo
FROM pg_description x, LATERAL pg_identify_object(x.classoid, x.objoid, x.objsubid) i
WHERE x.classoid::regclass::text IN ('pg_class', 'pg_proc', 'pg_type', 'pg_constraint', 'pg_trigger', 'pg_policy', 'pg_rewrite', 'pg_namespace',
    'pg_operator', 'pg_cast', 'pg_collation', 'pg_ts_dict', 'pg_ts_config', 'pg_statistic_ext')
  AND i.type NOT IN ('foreign table', 'foreign table column')
  AND x.objoid >= 16384
  AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = x.classoid AND e.objid = x.objoid AND e.deptype = 'e')
  AND NOT EXISTS (SELECT 1 FROM pg_namespace n WHERE n.nspname = i.schema AND NOT (${SHOP_SCHEMA} AND ${notOfExtension('pg_namespace', 'n.oid')}))
ORDER BY 3`

/** What comes last, in this order. */
export const LATE: readonly string[] = [
  PARTITION_FOREIGN_KEYS,
  RULES,
  TRIGGERS,
  TRIGGER_STATES,
  ROLES,
  POLICIES,
  ROW_SECURITY,
  PUBLIC_RIGHTS,
  COMMENTS,
  LARGE_OBJECT_WORDS,
]
