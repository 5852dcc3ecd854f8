import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import type { RightsPurpose } from '../port.ts'
import type { Schema } from '../schema.ts'
import { ask, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'
import type { Session } from './connection.ts'

const GRANTS = `WITH granted AS (
  SELECT x.grantee, x.privilege_type AS privilege, format('on %s %s.%s', CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname) AS target
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x WHERE ${SHOP_RELATION}
  UNION ALL SELECT x.grantee, x.privilege_type, format('on schema %s', n.nspname)
  FROM pg_namespace n, aclexplode(n.nspacl) x WHERE ${SHOP_SCHEMA}
  UNION ALL SELECT x.grantee, x.privilege_type, format('on function %s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) x WHERE ${SHOP_SCHEMA}
  UNION ALL SELECT x.grantee, x.privilege_type, 'on the database' FROM pg_database d, aclexplode(d.datacl) x WHERE d.datname = current_database()
  UNION ALL SELECT x.grantee, x.privilege_type, format('on the column %s.%s.%s', n.nspname, c.relname, a.attname)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(a.attacl) x WHERE ${SHOP_RELATION}
  UNION ALL SELECT x.grantee, x.privilege_type, format('on type %s.%s', n.nspname, t.typname)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace, aclexplode(t.typacl) x WHERE ${SHOP_SCHEMA}
  UNION ALL SELECT x.grantee, x.privilege_type, format('by default on new %s of %s%s', CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
    WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END, pg_get_userbyid(d.defaclrole),
    coalesce(' in schema ' || (SELECT nspname FROM pg_namespace WHERE oid = d.defaclnamespace), ''))
  FROM pg_default_acl d, aclexplode(d.defaclacl) x
  UNION ALL SELECT c.relowner, 'owns', format('table %s.%s', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND ${SHOP_RELATION}
), lines AS (
  SELECT coalesce(r.rolname, 'PUBLIC') AS name, string_agg(DISTINCT g.privilege, ', ' ORDER BY g.privilege) || ' ' || g.target AS "grant"
  FROM granted g LEFT JOIN pg_roles r ON r.oid = g.grantee GROUP BY 1, g.target
)
SELECT name, array_agg("grant" ORDER BY "grant") AS grants FROM lines GROUP BY name ORDER BY name`

const principalRow = z.object({ name: z.string(), grants: z.array(z.string()) })

/** Roles that own or may use something in this database, and what: for the report. */
export const readPrincipals = (session: Session): Promise<Schema['principals']> => ask(session, principalRow, GRANTS)

const missingRow = z.object({ code: z.string(), what: z.string(), remedy: z.string() })

const ME = 'quote_ident(current_user)'

/** A partition's rows are read and written through its table, whose rights alone count then. */
const READ_RIGHTS = `SELECT 'right-to-read' AS code, 'use the schema ' || n.nspname AS what, format('GRANT USAGE ON SCHEMA %I TO %s;', n.nspname, ${ME}) AS remedy
  FROM pg_namespace n WHERE ${SHOP_SCHEMA} AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT 'right-to-read', format('read the %s %s.%s', CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, n.nspname, c.relname),
  format('GRANT SELECT ON %s %I.%I TO %s;', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, ${ME})
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'S') AND NOT c.relispartition AND ${SHOP_RELATION}
    AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END
UNION ALL
SELECT 'right-to-read', format('see every row of %s.%s, which has row security', n.nspname, c.relname), format('ALTER ROLE %s BYPASSRLS;', ${ME})
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND ${SHOP_RELATION} AND row_security_active(c.oid)
UNION ALL
SELECT 'right-to-read', format('read the table %s.%s of the extension %s, which may hold rows of the shop''s', n.nspname, c.relname, e.extname),
  format('GRANT USAGE ON SCHEMA %I TO %s; GRANT SELECT ON TABLE %I.%I TO %s;', n.nspname, ${ME}, n.nspname, c.relname, ${ME})
  FROM pg_extension e JOIN pg_class c ON c.oid = ANY (e.extconfig) JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))`

const WRITE_RIGHTS = `SELECT 'right-to-create' AS code, 'create tables and schemas' AS what,
    format('GRANT CREATE ON DATABASE %I TO %s;', current_database(), ${ME}) AS remedy
  WHERE NOT has_database_privilege(current_database(), 'CREATE')
    AND NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'public' AND has_schema_privilege(oid, 'CREATE'))
UNION ALL
SELECT 'right-to-create', 'create tables in the schema ' || n.nspname, format('GRANT CREATE, USAGE ON SCHEMA %I TO %s;', n.nspname, ${ME})
  FROM pg_namespace n WHERE ${SHOP_SCHEMA} AND NOT has_schema_privilege(n.oid, 'CREATE')
UNION ALL
SELECT 'right-to-write', format('insert, update and delete in %s.%s', n.nspname, c.relname),
  format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I.%I TO %s;', n.nspname, c.relname, ${ME})
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND ${SHOP_RELATION} AND NOT (has_table_privilege(c.oid, 'SELECT')
    AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
UNION ALL
SELECT 'right-to-write', format('switch the triggers of %s.%s off and on, which only its owner may', n.nspname, c.relname),
  format('GRANT %s TO %s;', quote_ident(pg_get_userbyid(c.relowner)), ${ME})
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND ${SHOP_RELATION} AND NOT pg_has_role(c.relowner, 'USAGE')
    AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
UNION ALL
${sequenceRights('right-to-write')}`

/** Sequences that the account may not set. */
function sequenceRights(code: string): string {
  return `SELECT '${code}' AS code, format('set the sequence %s.%s', n.nspname, c.relname) AS what,
    format('GRANT SELECT, USAGE, UPDATE ON SEQUENCE %I.%I TO %s;', n.nspname, c.relname, ${ME}) AS remedy
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND ${SHOP_RELATION}
    AND NOT (has_sequence_privilege(c.oid, 'SELECT') AND has_sequence_privilege(c.oid, 'UPDATE'))`
}

const RIGHTS = { read: READ_RIGHTS, write: WRITE_RIGHTS, identities: sequenceRights('right-to-number') } as const

/** See the port. Asks the catalog; tries nothing. */
export async function missingRights(session: Session, purpose: RightsPurpose): Promise<readonly Finding[]> {
  const rows = await ask(session, missingRow, RIGHTS[purpose])
  return rows.map(({ code, what, remedy }) => ({
    severity: 'error',
    code,
    message: `The account may not ${what} on the ${session.label}.`,
    hint: `As ${remedy.startsWith('ALTER ROLE') ? 'a superuser' : "the database's owner"}, run: ${remedy}`,
  }))
}
