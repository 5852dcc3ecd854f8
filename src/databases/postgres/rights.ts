import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import type { RightsPurpose } from '../port.ts'
import type { Schema } from '../schema.ts'
import { ask, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'
import type { Session } from './connection.ts'
import { UNREADABLE_LARGE_OBJECT } from './large-objects.ts'

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

/** One right that is missing. Those with the same words and statement are told together; `object`, where there is one, is granted in it. */
const missingRow = z.object({
  code: z.string(),
  /** What it is for: "read the tables"; `of` follows. */
  what: z.string(),
  of: z.string(),
  /** The statement up to the object, and after it. */
  before: z.string(),
  object: z.string().nullable(),
  after: z.string(),
})
type Missing = z.infer<typeof missingRow>

const ME = 'quote_ident(current_user)'
const TO_ME = `' TO ' || ${ME} || ';'`
const RELATION = `format('%I.%I', n.nspname, c.relname)`
const RELATION_NAME = `n.nspname || '.' || c.relname`

/** A partition's rows are read and written through its table, whose rights alone count then. */
const READ_RIGHTS = `SELECT 'right-to-read' AS code, 'use the schema' AS what, n.nspname::text AS of, 'GRANT USAGE ON SCHEMA ' AS before, quote_ident(n.nspname) AS object, ${TO_ME} AS after
  FROM pg_namespace n WHERE ${SHOP_SCHEMA} AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT 'right-to-read', 'read the ' || k.kind, ${RELATION_NAME}, format('GRANT SELECT ON %s ', upper(k.kind)), ${RELATION}, ${TO_ME}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind) k
  WHERE c.relkind IN ('r', 'p', 'S') AND NOT c.relispartition AND ${SHOP_RELATION}
    AND NOT CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END
UNION ALL
SELECT 'right-to-read', 'see every row, since row security is on, of', ${RELATION_NAME}, format('ALTER ROLE %s BYPASSRLS;', ${ME}), NULL, ''
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND ${SHOP_RELATION} AND row_security_active(c.oid)
UNION ALL
SELECT 'right-to-read', format('read, of the extension %s, which may keep rows of the shop''s in it, the table', e.extname), ${RELATION_NAME},
  format('GRANT USAGE ON SCHEMA %I TO %s; GRANT SELECT ON TABLE ', n.nspname, ${ME}), ${RELATION}, ${TO_ME}
  FROM pg_extension e JOIN pg_class c ON c.oid = ANY (e.extconfig) JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
UNION ALL
-- A grant on each would miss those that are born later.
SELECT 'right-to-read', 'read the large objects of', r.owner, format('GRANT %I', r.owner), NULL, ${TO_ME}
  FROM (SELECT DISTINCT pg_get_userbyid(m.lomowner)::text AS owner FROM pg_largeobject_metadata m WHERE ${UNREADABLE_LARGE_OBJECT}) r`

const WRITE_RIGHTS = `SELECT 'right-to-create' AS code, 'create tables and schemas in the database' AS what, current_database()::text AS of,
    'GRANT CREATE ON DATABASE ' AS before, quote_ident(current_database()) AS object, ${TO_ME} AS after
  WHERE NOT has_database_privilege(current_database(), 'CREATE')
    AND NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'public' AND has_schema_privilege(oid, 'CREATE'))
UNION ALL
SELECT 'right-to-create', 'create tables in the schema', n.nspname, 'GRANT CREATE, USAGE ON SCHEMA ', quote_ident(n.nspname), ${TO_ME}
  FROM pg_namespace n WHERE ${SHOP_SCHEMA} AND NOT has_schema_privilege(n.oid, 'CREATE')
UNION ALL
SELECT 'right-to-write', 'insert, update and delete in', ${RELATION_NAME}, 'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE ', ${RELATION}, ${TO_ME}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND ${SHOP_RELATION} AND NOT (has_table_privilege(c.oid, 'SELECT')
    AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
UNION ALL
SELECT 'right-to-write', 'switch the triggers off and on, which only the owner may, of', ${RELATION_NAME}, format('GRANT %s', quote_ident(pg_get_userbyid(c.relowner))), NULL, ${TO_ME}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND ${SHOP_RELATION} AND NOT pg_has_role(c.relowner, 'USAGE')
    AND EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
UNION ALL
SELECT 'right-to-write', 'change the large objects of', r.owner, format('GRANT %I', r.owner), NULL, ${TO_ME}
  FROM (SELECT DISTINCT pg_get_userbyid(m.lomowner)::text AS owner FROM pg_largeobject_metadata m WHERE NOT pg_has_role(m.lomowner, 'USAGE')) r
UNION ALL
${sequenceRights('right-to-write')}`

/** Sequences that the account may not set. */
function sequenceRights(code: string): string {
  return `SELECT '${code}' AS code, 'set the sequence' AS what, ${RELATION_NAME} AS of, 'GRANT SELECT, USAGE, UPDATE ON SEQUENCE ' AS before, ${RELATION} AS object, ${TO_ME} AS after
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND ${SHOP_RELATION}
    AND NOT (has_sequence_privilege(c.oid, 'SELECT') AND has_sequence_privilege(c.oid, 'UPDATE'))`
}

const RIGHTS = { read: READ_RIGHTS, write: WRITE_RIGHTS, identities: sequenceRights('right-to-number') } as const

/** See the port. Asks the catalog; tries nothing. A shop may have hundreds of tables: what one statement grants is one finding. */
export async function missingRights(session: Session, purpose: RightsPurpose): Promise<readonly Finding[]> {
  const rows = await ask(session, missingRow, `SELECT * FROM (${RIGHTS[purpose]}) AS m ORDER BY m.code, m.what, m.before, m.of`)
  const together = Map.groupBy(rows, ({ code, what, before, after }) => [code, what, before, after].join('\n'))
  return [...together.values()].flatMap((group) => missingFinding(session.label, group))
}

function missingFinding(label: string, group: readonly Missing[]): readonly Finding[] {
  const [first] = group
  if (first === undefined) return []
  const { code, what, before, after } = first
  const kind = group.length > 1 && ENDS_IN_KIND.test(what) ? `${what}s` : what
  return [
    {
      severity: 'error',
      code,
      message: `The account may not ${kind} ${firstOf(group.map(({ of }) => of))} on the ${label}.`,
      hint: `As ${before.startsWith('ALTER ROLE') ? 'a superuser' : "the database's owner"}, run: ${before}${group.flatMap(({ object }) => object ?? []).join(', ')}${after}`,
    },
  ]
}

const ENDS_IN_KIND = /(schema|table|sequence)$/
