import { z } from 'zod'
import type { Schema } from '../schema.ts'
import { ask, SHOP_RELATION } from './catalog.ts'
import type { Session } from './connection.ts'
import { objectProbes, type Probe } from './findings-objects.ts'
import { CARRIED_TABLE, TABLE_OR_PARTITION, UNGUARDED } from './introspect-tables.ts'
import { CHECK_MAY_CHANGE } from './objects-tables.ts'

/** `table`: full name of the one that it is about, where leaving that out in the playbook helps. */
const nameRow = z.object({ name: z.string(), table: z.string().nullish() })

const RELATIONS = `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`
const FULL_NAME = `n.nspname || '.' || c.relname AS name`
const OF_TABLE = `n.nspname || '.' || c.relname AS "table"`

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
    code: 'table-foreign',
    message: (name) => `${name} is a foreign table: its rows lie on another server and aren't copied.`,
    hint: 'Leave it out in the playbook (tables: … skip), and set up the foreign server and the table on the new host by hand, before restore-database where a view needs it; or drop the table if nothing uses it.',
    sql: `SELECT ${FULL_NAME}, ${OF_TABLE} ${RELATIONS} WHERE c.relkind = 'f' AND ${SHOP_RELATION} ORDER BY 1`,
  },
  {
    severity: 'error',
    code: 'column-bound-to-server',
    message: (name) => `The column ${name} holds numbers of this server's own objects, which mean nothing on another.`,
    hint: 'Change the column to text, or leave its table out in the playbook (tables: … skip).',
    sql: `SELECT format('%s.%s.%s (%s)', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) AS name, ${OF_TABLE} ${RELATIONS}
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1 LEFT JOIN pg_type b ON b.oid = t.typbasetype
      WHERE coalesce(b.typname, e.typname, t.typname) IN ('${SERVER_BOUND.join("', '")}') AND ${CARRIED_TABLE} ORDER BY 1`,
  },
  {
    severity: 'error',
    code: 'name-ambiguous',
    message: (name) => `Two tables could both be meant by the name ${name}, since one of their names has a dot in it.`,
    hint: 'Rename one of them on the old host.',
    sql: `SELECT n.nspname || '.' || c.relname AS name ${RELATIONS} WHERE ${CARRIED_TABLE} GROUP BY 1 HAVING count(*) > 1 ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'foreign-key-off',
    message: (name) =>
      `The foreign key ${name} is switched off on the old host (its triggers are disabled), so rows without a parent may stand there.`,
    hint: 'On the new host it will guard new rows only (NOT VALID). Switch it on where it stands to have all rows checked: ALTER TABLE … ENABLE TRIGGER ALL.',
    sql: `SELECT format('%s.%s.%s', n.nspname, r.relname, o.conname) AS name FROM pg_constraint o JOIN pg_class r ON r.oid = o.conrelid
      JOIN pg_namespace n ON n.oid = r.relnamespace WHERE o.contype = 'f' AND ${UNGUARDED} ORDER BY 1`,
  },
  {
    severity: 'info',
    code: 'check-changes',
    message: (name) =>
      `The check ${name} may ask for more than its row (the time, a setting, other tables): rows that kept to it once may no longer do.`,
    hint: 'They are carried all the same; where there are some, the check guards new rows alone on the new host (NOT VALID), as it does on the old one.',
    sql: `SELECT format('%s.%s.%s', n.nspname, c.relname, o.conname) AS name ${RELATIONS} JOIN pg_constraint o ON o.conrelid = c.oid
      WHERE o.conislocal AND ${CHECK_MAY_CHANGE}
      AND ${TABLE_OR_PARTITION} ORDER BY 1`,
  },
  {
    severity: 'info',
    code: 'tablespace',
    message: (name) => `${name} lies in a tablespace of its own on the old host, and will lie in the new database's usual one.`,
    hint: 'Nothing to do unless the new host has a disk of its own for it (ALTER TABLE … SET TABLESPACE).',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} WHERE c.reltablespace <> 0 AND ${SHOP_RELATION} ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'access-method',
    message: (name) => `The table ${name} isn't kept in PostgreSQL's usual way (heap), but will be on the new host.`,
    hint: 'Nothing is lost. Set its access method there by hand if it matters.',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} JOIN pg_am m ON m.oid = c.relam WHERE c.relkind IN ('r', 'm') AND m.amname <> 'heap' AND ${SHOP_RELATION} ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'index-broken',
    message: (name) => `The index ${name} is broken (it was never built to its end) and isn't carried.`,
    hint: 'Nothing uses it. Drop it on the old host, or build it anew there first (REINDEX INDEX).',
    sql: `SELECT n.nspname || '.' || x.relname AS name FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
      JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT i.indisvalid AND x.relkind = 'i' AND ${TABLE_OR_PARTITION} ORDER BY 1`,
  },
  {
    severity: 'warning',
    code: 'sequence-cycles',
    message: (name) => `The sequence ${name} begins anew when it reaches its end, so a number may come twice.`,
    hint: 'Check that it is far from its end, or switch the cycle off (ALTER SEQUENCE … NO CYCLE).',
    sql: `SELECT ${FULL_NAME} ${RELATIONS} JOIN pg_sequence q ON q.seqrelid = c.oid WHERE q.seqcycle AND ${SHOP_RELATION} ORDER BY 1`,
  },
]

/** What exists here and can't be carried, by name. */
export async function readFindings(session: Session): Promise<Schema['findings']> {
  const findings: Schema['findings'][number][] = []
  for (const { severity, code, message, hint, sql } of [...probes, ...objectProbes]) {
    for (const { name, table } of await ask(session, nameRow, sql))
      findings.push({ severity, code, message: message(name), hint, ...(table ? { table } : {}) })
  }
  return findings
}
