import { notOfExtension, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'

export const PUBLIC_RIGHTS_KIND = 'rights of everybody'

/** What everybody (PUBLIC) may do, as a sorted list of words; `acl` NULL: what the server gives by itself (acldefault). */
const PUBLIC_MAY = (acl: string, kind: string, owner: string): string =>
  `ARRAY(SELECT x.privilege_type::text FROM aclexplode(coalesce(${acl}, acldefault(${kind}, ${owner}))) x WHERE x.grantee = 0 ORDER BY 1)`

/** The words of `one` that aren't in `other`, each with the column that it is about, for GRANT and REVOKE; NULL where there are none. */
const ONLY_IN = (one: string, other: string): string =>
  `(SELECT string_agg(w || s.part, ', ' ORDER BY w) FROM unnest(${one}) w WHERE w <> ALL (${other}))`

/** A function's, procedure's or aggregate's name as GRANT wants it. */
const ROUTINE = `format('%s %I.%I(%s)', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, n.nspname, p.proname,
  CASE p.prokind WHEN 'a' THEN array_to_string(ARRAY(SELECT format_type(a.t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a(t, place)
    ORDER BY a.place), ', ') ELSE pg_get_function_identity_arguments(p.oid) END)`

const RELATION = `format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname)`

/** Everything that is carried and may have rights of its own, but for the schema `public`, which stands on every server (STANDING). */
const SUBJECTS = `SELECT n.oid, 'schema ' || n.nspname AS name, format('SCHEMA %I', n.nspname) AS target, n.nspacl AS acl, 'n'::"char" AS kind, n.nspowner AS owner, '' AS part
  FROM pg_namespace n WHERE ${SHOP_SCHEMA} AND n.nspname <> 'public' AND ${notOfExtension('pg_namespace', 'n.oid')}
UNION ALL SELECT t.oid, format('type %s.%s', n.nspname, t.typname), format('TYPE %I.%I', n.nspname, t.typname), t.typacl, 'T', t.typowner, ''
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_type', 't.oid')}
    AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')))
UNION ALL SELECT p.oid, format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), ${ROUTINE}, p.proacl, 'f', p.proowner, ''
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_proc', 'p.oid')}
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
UNION ALL SELECT c.oid, format('%s.%s', n.nspname, c.relname), ${RELATION}, c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner, ''
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND ${SHOP_RELATION}
UNION ALL SELECT c.oid, format('%s.%s.%s', n.nspname, c.relname, a.attname), ${RELATION}, a.attacl, 'c', c.relowner, format(' (%I)', a.attname)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm') AND ${SHOP_RELATION}`

/**
 * What everybody may do with what is carried, where that isn't what the server gives by itself: as pg_dump tells it, but for the grants of
 * accounts, which belong to the server and are named (findings-objects.ts). A function is everybody's from its creation on: without this,
 * one that was closed (REVOKE … FROM PUBLIC) would stand open on the new host.
 */
export const PUBLIC_RIGHTS = `SELECT '${PUBLIC_RIGHTS_KIND} ' || s.target || s.part AS id, '${PUBLIC_RIGHTS_KIND}' AS kind, s.name,
  concat_ws('; ', 'REVOKE ' || ${ONLY_IN('r.usual', 'r.own')} || ' ON ' || s.target || ' FROM PUBLIC',
    'GRANT ' || ${ONLY_IN('r.own', 'r.usual')} || ' ON ' || s.target || ' TO PUBLIC') AS sql, NULL AS undo
FROM (${SUBJECTS}) s, LATERAL (SELECT ${PUBLIC_MAY('s.acl', 's.kind', 's.owner')} AS own, ${PUBLIC_MAY('NULL', 's.kind', 's.owner')} AS usual) r
WHERE s.acl IS NOT NULL AND r.own <> r.usual ORDER BY 3, 1`

/** What stands on a server before the shop comes: the database, the schema `public`, languages and what extensions brought, with who owns it. */
const STANDING = `SELECT 'DATABASE' AS target, d.datacl AS acl, 'd'::"char" AS kind, d.datdba AS owner FROM pg_database d WHERE d.datname = current_database()
UNION ALL SELECT 'SCHEMA public', n.nspacl, 'n', n.nspowner FROM pg_namespace n WHERE n.nspname = 'public'
UNION ALL SELECT format('LANGUAGE %I', l.lanname), l.lanacl, 'l', l.lanowner FROM pg_language l WHERE l.lanpltrusted
UNION ALL SELECT ${ROUTINE}, p.proacl, 'f', p.proowner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')`

/** Every right that there is on them. */
const RIGHTS = `CASE s.kind WHEN 'd' THEN ARRAY['CREATE', 'CONNECT', 'TEMPORARY'] WHEN 'n' THEN ARRAY['CREATE', 'USAGE'] WHEN 'l' THEN ARRAY['USAGE'] ELSE ARRAY['EXECUTE'] END`

/** Which of these rights everybody has, and which not, as GRANT and REVOKE spell them: `closed` and `open`, JSON arrays of text. */
export const STANDING_RIGHTS = `SELECT jsonb_agg(w || ' ON ' || s.target ORDER BY s.target, w) FILTER (WHERE w <> ALL (r.own)) AS closed,
  jsonb_agg(w || ' ON ' || s.target ORDER BY s.target, w) FILTER (WHERE w = ANY (r.own)) AS open
FROM (${STANDING}) s, LATERAL (SELECT ${PUBLIC_MAY('s.acl', 's.kind', 's.owner')} AS own) r, unnest(${RIGHTS}) w`

/** By default (ALTER DEFAULT PRIVILEGES) everybody may do more or less with what an account creates than the server gives by itself. */
export const DEFAULT_RIGHTS = `SELECT concat_ws('; ', 'REVOKE ' || ${ONLY_IN('s.usual', 's.own')} || s.target || ' FROM PUBLIC',
    'GRANT ' || ${ONLY_IN('s.own', 's.usual')} || s.target || ' TO PUBLIC') || ' (for what ' || s.owner || ' creates' || s.place || ')' AS name
FROM (SELECT '' AS part, pg_get_userbyid(d.defaclrole) AS owner, coalesce(' in the schema ' || (SELECT nspname FROM pg_namespace WHERE oid = d.defaclnamespace), '') AS place,
    ' ON ' || CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS target,
    ${PUBLIC_MAY('d.defaclacl', "'r'", 'd.defaclrole')} AS own,
    -- Those of one schema are added to what holds everywhere.
    CASE WHEN d.defaclnamespace <> 0 THEN '{}' ELSE ${PUBLIC_MAY('NULL', `CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END`, 'd.defaclrole')} END AS usual
  FROM pg_default_acl d) s WHERE s.own <> s.usual ORDER BY 1`
