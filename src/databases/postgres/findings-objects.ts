import type { Finding } from '../../base/errors.ts'
import { notOfExtension, SHOP_SCHEMA } from './catalog.ts'
import { DEFAULT_RIGHTS } from './objects-rights.ts'

export interface Probe {
  readonly severity: Finding['severity']
  readonly code: string
  readonly message: (name: string) => string
  readonly hint: string
  /** Gives one row with `name` for each thing that can't be carried. */
  readonly sql: string
}

/** Kinds without whose objects a table, a type or an index may be impossible. Oids below 16384 are the server's own. */
const NOT_CARRIED = `SELECT format('base type %s.%s', n.nspname, t.typname) AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typtype = 'b' AND t.typelem = 0 AND ${SHOP_SCHEMA} AND ${notOfExtension('pg_type', 't.oid')}
UNION ALL SELECT format('range type %s.%s (it has a canonical function)', n.nspname, t.typname) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  JOIN pg_range r ON r.rngtypid = t.oid WHERE r.rngcanonical <> 0 AND ${SHOP_SCHEMA} AND ${notOfExtension('pg_type', 't.oid')}
UNION ALL SELECT format('operator class %s.%s', n.nspname, o.opcname) FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
  WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_opclass', 'o.oid')}
UNION ALL SELECT format('operator family %s.%s', n.nspname, o.opfname) FROM pg_opfamily o JOIN pg_namespace n ON n.oid = o.opfnamespace
  WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_opfamily', 'o.oid')}
UNION ALL SELECT format('text search parser %s.%s', n.nspname, t.prsname) FROM pg_ts_parser t JOIN pg_namespace n ON n.oid = t.prsnamespace
  WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_ts_parser', 't.oid')}
UNION ALL SELECT format('text search template %s.%s', n.nspname, t.tmplname) FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace
  WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_ts_template', 't.oid')}
UNION ALL SELECT 'language ' || l.lanname FROM pg_language l WHERE l.oid >= 16384 AND ${notOfExtension('pg_language', 'l.oid')}
UNION ALL SELECT 'access method ' || m.amname FROM pg_am m WHERE m.oid >= 16384 AND ${notOfExtension('pg_am', 'm.oid')}
UNION ALL SELECT format('transform for %s language %s', format_type(t.trftype, NULL), l.lanname) FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
  WHERE ${notOfExtension('pg_transform', 't.oid')}
UNION ALL SELECT format('conversion %s.%s', n.nspname, v.conname) FROM pg_conversion v JOIN pg_namespace n ON n.oid = v.connamespace
  WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_conversion', 'v.oid')}
ORDER BY 1`

/** Doors to other servers: they hold no rows, and their passwords can't be read. */
const FOREIGN = `SELECT 'foreign-data wrapper ' || w.fdwname AS name FROM pg_foreign_data_wrapper w WHERE ${notOfExtension('pg_foreign_data_wrapper', 'w.oid')}
UNION ALL SELECT 'foreign server ' || s.srvname FROM pg_foreign_server s WHERE ${notOfExtension('pg_foreign_server', 's.oid')}
UNION ALL SELECT format('user mapping of %s on the foreign server %s', m.usename, m.srvname) FROM pg_user_mappings m ORDER BY 1`

/** What belongs to the server, to other servers, or to what only a superuser may make. */
export const objectProbes: readonly Probe[] = [
  {
    severity: 'error',
    code: 'object-not-carried',
    message: (name) => `The ${name} isn't carried by migrate.`,
    hint: 'Move the database with pg_dump and pg_restore, or drop it on the old host if nothing uses it.',
    sql: NOT_CARRIED,
  },
  {
    severity: 'warning',
    code: 'foreign-server',
    message: (name) => `The ${name} isn't carried: what it opens lies on another server, and its password can't be read.`,
    hint: 'Set it up on the new host by hand if the shop needs it.',
    sql: FOREIGN,
  },
  {
    severity: 'warning',
    code: 'function-native',
    message: (name) => `Only a superuser may create the function ${name}, and what it calls must be installed on the new host.`,
    hint: 'Have the account made a superuser for the restore, or drop the function if nothing uses it.',
    sql: `SELECT format('%s.%s(%s) in the language %s', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), l.lanname) AS name
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
      WHERE NOT l.lanpltrusted AND ${SHOP_SCHEMA} AND ${notOfExtension('pg_proc', 'p.oid')} AND NOT EXISTS (SELECT 1 FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i') AND p.prokind <> 'a'
      UNION ALL SELECT format('%s.%s(%s) with a state of the type internal', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
      FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE g.aggtranstype = 'internal'::regtype AND ${SHOP_SCHEMA} AND ${notOfExtension('pg_proc', 'p.oid')}
      UNION ALL SELECT format('of the cast from %s to %s, which has none', format_type(x.castsource, NULL), format_type(x.casttarget, NULL)) FROM pg_cast x
      WHERE x.oid >= 16384 AND x.castmethod = 'b' AND ${notOfExtension('pg_cast', 'x.oid')} ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'event-trigger',
    message: (name) => `The event trigger ${name} isn't carried: only a superuser may create one.`,
    hint: 'Create it on the new host by hand if the shop needs it.',
    sql: `SELECT t.evtname AS name FROM pg_event_trigger t WHERE ${notOfExtension('pg_event_trigger', 't.oid')} ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'setting-not-carried',
    message: (name) => `The old host sets ${name}, which isn't carried.`,
    hint: 'If the shop relies on it (search_path above all), set it on the new host in the same way.',
    sql: `SELECT c || CASE WHEN r.rolname IS NULL THEN ' for the database' ELSE ' for the account ' || r.rolname END AS name
      FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c LEFT JOIN pg_roles r ON r.oid = s.setrole
      WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        OR (s.setdatabase = 0 AND r.rolname = current_user) ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'connections-limited',
    message: (name) =>
      `The account may have ${name} connections at a time on the old server (CONNECTION LIMIT), migrate's among them.`,
    hint: 'If the shop logs in by the same account, customers get the rest: give connections: in the playbook accordingly (old: { connections: 1 }), or have an account of its own made for migrate.',
    sql: `SELECT r.rolconnlimit::text AS name FROM pg_roles r WHERE r.rolname = current_user AND r.rolconnlimit >= 0 AND NOT r.rolsuper`,
  },
  {
    severity: 'warning',
    code: 'publication',
    message: (name) =>
      `The publication ${name} isn't carried: whatever subscribes to it must be pointed to the new host by hand.`,
    hint: 'Create it on the new host after the migration.',
    sql: `SELECT pubname AS name FROM pg_publication ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'subscription',
    message: (name) => `The subscription ${name} isn't carried: the new host won't get what it brings.`,
    hint: 'Create it on the new host after the migration, and drop it on the old one then.',
    sql: `SELECT s.subname AS name FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'security-label',
    message: (name) =>
      `The security label of the ${name} isn't carried: it means something to the old server's own module alone.`,
    hint: 'Set it on the new host by hand if it has the same module.',
    sql: `SELECT l.objtype || ' ' || l.objname AS name FROM pg_seclabels l WHERE l.objtype NOT IN ('role', 'tablespace') ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'grants-not-carried',
    message: (name) => `What ${name} may do here isn't carried: grants belong to the server's accounts.`,
    hint: 'The report lists each grant. Create the account on the new host and grant them there if the shop logs in by it.',
    sql: `SELECT DISTINCT r.rolname AS name FROM (
        SELECT x.grantee, c.relowner AS owner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x WHERE ${SHOP_SCHEMA}
        UNION ALL SELECT x.grantee, c.relowner FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
          aclexplode(a.attacl) x WHERE ${SHOP_SCHEMA}
        UNION ALL SELECT x.grantee, p.proowner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) x WHERE ${SHOP_SCHEMA}
        UNION ALL SELECT x.grantee, n.nspowner FROM pg_namespace n, aclexplode(n.nspacl) x WHERE ${SHOP_SCHEMA}
        UNION ALL SELECT x.grantee, t.typowner FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace, aclexplode(t.typacl) x WHERE ${SHOP_SCHEMA}
        UNION ALL SELECT x.grantee, m.lomowner FROM pg_largeobject_metadata m, aclexplode(m.lomacl) x
        UNION ALL SELECT x.grantee, d.defaclrole FROM pg_default_acl d, aclexplode(d.defaclacl) x) g
      JOIN pg_roles r ON r.oid = g.grantee WHERE g.grantee <> g.owner AND r.rolname <> current_user AND r.oid >= 16384 ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'default-rights-not-carried',
    message: (name) => `The old host changes by default what everybody (PUBLIC) may do: ${name}. That isn't carried.`,
    hint: 'After the restore, run ALTER DEFAULT PRIVILEGES with these words on the new host, as the account that will create things there.',
    sql: DEFAULT_RIGHTS,
  },
  {
    severity: 'info',
    code: 'database-comment',
    message: (name) => `The comment on the ${name}`,
    hint: 'Set it on the new host by hand (COMMENT ON) if somebody reads it.',
    sql: `SELECT 'database itself isn''t carried: ' || x.description AS name FROM pg_shdescription x JOIN pg_database d ON d.oid = x.objoid
      WHERE x.classoid = 'pg_database'::regclass AND d.datname = current_database()
      UNION ALL SELECT 'schema public isn''t carried: ' || x.description FROM pg_description x JOIN pg_namespace n ON n.oid = x.objoid
      WHERE x.classoid = 'pg_namespace'::regclass AND n.nspname = 'public' AND lower(x.description) <> 'standard public schema'`,
  },
]
