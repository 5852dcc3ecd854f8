import { OWN_SCHEMA } from './catalog.ts'
import type { Session } from './connection.ts'
import { inTransaction } from './transaction.ts'
import { quoteName, quoteText } from './values.ts'

/**
 * migrate's own tables on a database: `migrate_marks` (what was done) and `migrate_ledger` (which rows were carried). They stand
 * in `public` where the account may create tables there, else in a schema of their own, `migrate_own`.
 */
export type OwnTable = 'migrate_marks' | 'migrate_ledger'

const COLUMNS: Readonly<Record<OwnTable, string>> = {
  migrate_marks: 'run text, name text, at timestamp with time zone NOT NULL DEFAULT now(), PRIMARY KEY (run, name)',
  migrate_ledger: `id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run text NOT NULL, table_name text NOT NULL,
    source_key text NOT NULL, target_key text NOT NULL, action text NOT NULL, source_state text NOT NULL,
    target_state text NOT NULL, at text NOT NULL`,
}

/** By their hash: a key may be longer than what an index takes. */
const INDEXED: Readonly<Record<OwnTable, readonly string[]>> = { migrate_marks: [], migrate_ledger: ['source_key', 'target_key'] }

/** The table's quoted name; `undefined` when it isn't there. Read-only. */
export async function findOwnTable(session: Session, table: OwnTable): Promise<string | undefined> {
  const { rows } = await session.query(
    `SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = ${quoteText(table)} AND c.relkind = 'r' AND n.nspname IN ('public', '${OWN_SCHEMA}') ORDER BY n.nspname DESC`,
  )
  const schema = rows[0]?.[0]
  return typeof schema === 'string' ? `${quoteName(schema)}.${table}` : undefined
}

/** The table's quoted name; makes it when it isn't there, in a transaction of its own. */
export async function ownTable(session: Session, table: OwnTable): Promise<string> {
  const known = session.ownTables.get(table)
  if (known !== undefined) return known
  const name = (await findOwnTable(session, table)) ?? (await makeOwnTable(session, table))
  session.ownTables.set(table, name)
  return name
}

async function makeOwnTable(session: Session, table: OwnTable): Promise<string> {
  const { rows } = await session.query(
    `SELECT 1 FROM pg_namespace WHERE nspname = 'public' AND has_schema_privilege(oid, 'USAGE')
       AND has_schema_privilege(oid, 'CREATE')`,
  )
  const schema = rows.length > 0 ? 'public' : OWN_SCHEMA
  const name = `${quoteName(schema)}.${table}`
  await inTransaction(
    session,
    'write',
    async () => {
      // Two connections may come here at once: the lock lets the second find what the first made.
      await session.query(`SELECT pg_advisory_xact_lock(hashtext('migrate_own'))`)
      if (schema !== 'public') await session.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}`)
      await session.query(`CREATE TABLE IF NOT EXISTS ${name} (${COLUMNS[table]})`)
      for (const column of INDEXED[table]) await session.query(`CREATE INDEX ON ${name} USING hash (${column})`)
    },
    true,
  )
  return name
}

/** Names of the marks of a run; [] without the table. */
export async function marksOf(session: Session, run: string): Promise<ReadonlySet<string>> {
  const table = await findOwnTable(session, 'migrate_marks')
  if (table === undefined) return new Set()
  const { rows } = await session.query(`SELECT name FROM ${table} WHERE run = $1`, [run])
  return new Set(rows.map(([name]) => name ?? ''))
}

type Mark = { readonly run: string; readonly name: string }

/**
 * Sets marks and returns the names of those that weren't there. Another transaction that is setting the same one is waited for.
 */
export const marking = (table: string, marks: readonly Mark[]): string =>
  `INSERT INTO ${table} (run, name) VALUES ${marks.map(({ run, name }) => `(${quoteText(run)}, ${quoteText(name)})`).join(', ')}
   ON CONFLICT DO NOTHING RETURNING name`

/** Removes a mark and returns its name when it was there. */
export const unmarking = (table: string, { run, name }: Mark): string =>
  `DELETE FROM ${table} WHERE run = ${quoteText(run)} AND name = ${quoteText(name)} RETURNING name`

export async function removeOwn(session: Session): Promise<void> {
  session.ownTables.clear()
  for (const table of ['migrate_marks', 'migrate_ledger'] as const) {
    const name = await findOwnTable(session, table)
    if (name !== undefined) await session.query(`DROP TABLE ${name}`)
  }
  await session.query(`DROP SCHEMA IF EXISTS ${quoteName(OWN_SCHEMA)}`)
}
