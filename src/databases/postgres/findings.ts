import { z } from 'zod'
import type { Schema } from '../schema.ts'
import { ask, notOfExtension, SHOP_RELATION, SHOP_SCHEMA } from './catalog.ts'
import type { Session } from './connection.ts'
import { CARRIED_TABLE } from './introspect-tables.ts'

type Finding = Schema['findings'][number]

const nameRow = z.object({ name: z.string() })

interface Probe {
  readonly severity: Finding['severity']
  readonly code: string
  readonly message: (name: string) => string
  readonly hint: string
  /** Gives one row with `name` for each thing that can't be carried. */
  readonly sql: string
}

const RELATIONS = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`
const FULL_NAME = `n.nspname || '.' || c.relname AS name`

/** Types whose values name objects of one server by number or in its own way. */
const SERVER_BOUND = [
  'regproc',
  'regprocedure',
  'regoper',
  'regoperator',
  'regclass',
  'regtype',
  'regconfig',
  'regdictionary',
  'regnamespace',
  'regrole',
  'regcollation',
]

const probes: readonly Probe[] = [
  {
    severity: 'error',
    code: 'encoding-unknown',
    message: (name) =>
      `The database ${name} has the encoding SQL_ASCII: nobody knows which characters its bytes mean, so they can't be carried faithfully.`,
    hint: 'Dump it, convert the text to UTF-8 and load it into a database with the encoding UTF8 first.',
    sql: `SELECT datname AS name FROM pg_database WHERE datname = current_database() AND encoding = 0`,
  },
  {
    severity: 'error',
    code: 'table-partitioned',
    message: (name) => `The table ${name} is partitioned; migrate doesn't carry partitioned tables yet.`,
    hint: 'Move this table with pg_dump and pg_restore, and set it to skip in the playbook.',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} WHERE c.relkind = 'p' AND NOT c.relispartition AND ${SHOP_RELATION} ORDER BY 1`,
  },
  {
    severity: 'error',
    code: 'table-inherits',
    message: (name) => `The table ${name} inherits from another or is inherited from; migrate doesn't carry such tables yet.`,
    hint: 'Move these tables with pg_dump and pg_restore, and set them to skip in the playbook.',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} WHERE c.relkind = 'r' AND NOT c.relispartition AND ${SHOP_RELATION}
      AND EXISTS (SELECT 1 FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) ORDER BY 1`,
  },
  {
    severity: 'error',
    code: 'table-foreign',
    message: (name) => `${name} is a foreign table: its rows lie on another server and aren't copied.`,
    hint: 'Set up the foreign server on the new host by hand (CREATE SERVER …), or drop the table if nothing uses it.',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} WHERE c.relkind = 'f' AND ${SHOP_RELATION} ORDER BY 1`,
  },
  {
    severity: 'error',
    code: 'column-bound-to-server',
    message: (name) => `The column ${name} holds numbers of this server's own objects, which mean nothing on another.`,
    hint: 'Change the column to text, or leave its table out.',
    sql: `SELECT format('%s.%s.%s (%s)', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) AS name ${RELATIONS}
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1
      WHERE coalesce(e.typname, t.typname) IN ('${SERVER_BOUND.join("', '")}') AND ${CARRIED_TABLE} ORDER BY 1`,
  },
  {
    severity: 'error',
    code: 'row-security',
    message: (name) => `The table ${name} has row security: its policies name roles, which migrate doesn't copy.`,
    hint: 'Create the roles and policies on the new host by hand (pg_policies lists them), and read with an account that sees every row.',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} WHERE c.relrowsecurity AND ${CARRIED_TABLE} ORDER BY 1`,
  },
  {
    severity: 'error',
    code: 'large-objects',
    message: (name) => `The database holds ${name} large objects, which migrate doesn't carry.`,
    hint: 'Move them with pg_dump --large-objects, or store them in a bytea column.',
    sql: `SELECT count(*)::text AS name FROM pg_largeobject_metadata HAVING count(*) > 0`,
  },
  {
    severity: 'error',
    code: 'object-not-carried',
    message: (name) => `The ${name} isn't carried by migrate.`,
    hint: 'Create it on the new host by hand before the run, or drop it if nothing uses it.',
    sql: `SELECT format('aggregate %s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE p.prokind = 'a' AND ${SHOP_SCHEMA} AND ${notOfExtension('pg_proc', 'p.oid')}
      UNION ALL SELECT format('operator %s.%s', n.nspname, o.oprname) FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
      WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_operator', 'o.oid')}
      UNION ALL SELECT format('collation %s.%s', n.nspname, o.collname) FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
      WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_collation', 'o.oid')}
      UNION ALL SELECT format('base type %s.%s', n.nspname, t.typname) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE t.typtype = 'b' AND t.typelem = 0 AND ${SHOP_SCHEMA} AND ${notOfExtension('pg_type', 't.oid')}
      UNION ALL SELECT format('text search configuration %s.%s', n.nspname, t.cfgname) FROM pg_ts_config t
      JOIN pg_namespace n ON n.oid = t.cfgnamespace WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_ts_config', 't.oid')}
      UNION ALL SELECT format('cast from %s to %s', format_type(x.castsource, NULL), format_type(x.casttarget, NULL)) FROM pg_cast x
      WHERE x.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = 'pg_cast'::regclass AND e.objid = x.oid
        AND e.deptype IN ('e', 'i')) ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'index-broken',
    message: (name) => `The index ${name} is broken (it was never built to its end) and isn't carried.`,
    hint: 'Nothing uses it. Drop it on the old host, or build it anew there first (REINDEX INDEX).',
    sql: `SELECT n.nspname || '.' || x.relname AS name FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
      JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT i.indisvalid AND ${CARRIED_TABLE} ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'sequence-cycles',
    message: (name) => `The sequence ${name} begins anew when it reaches its end, so a number may come twice.`,
    hint: 'Check that it is far from its end, or switch the cycle off (ALTER SEQUENCE … NO CYCLE).',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} JOIN pg_sequence q ON q.seqrelid = c.oid WHERE q.seqcycle AND ${SHOP_RELATION} ORDER BY 1`,
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
    code: 'publication',
    message: (name) =>
      `The publication ${name} isn't carried: whatever subscribes to it must be pointed to the new host by hand.`,
    hint: 'Create it on the new host after the migration.',
    sql: `SELECT pubname AS name FROM pg_publication ORDER BY 1`,
  },
]

/** What exists here and can't be carried, by name. */
export async function readFindings(session: Session): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const { severity, code, message, hint, sql } of probes) {
    for (const { name } of await ask(session, nameRow, sql)) findings.push({ severity, code, message: message(name), hint })
  }
  return findings
}
