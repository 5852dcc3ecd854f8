import type pg from 'pg'
import { MigrateError } from '../../base/errors.ts'
import type { Cell } from '../port.ts'
import type { Session } from './connection.ts'

/**
 * Between migrate and the server may stand a pooler (PgBouncer, Pgpool, those of managed hosts). In transaction mode it hands the server's
 * sessions from one client to the next after each transaction, with all that was set on them: the shop would get sessions that find none
 * of its tables, and migrate some that print values in another way.
 */

/**
 * Evaluates `settings`, an expression, on a session of ours. Throws `database-pooled`, and nothing is set, where the server's sessions are
 * shared. `open` makes another session.
 */
export async function setUnlessShared(
  session: Session,
  client: pg.Client,
  settings: string,
  open: () => Promise<Session>,
): Promise<void> {
  if (await isSetUnlessPooled(session, client, settings)) return
  if (await isShared(session, open)) throw sharedError(session.label)
  await session.query(`SELECT ${settings}`)
}

/** Evaluates `settings` where no pooler stands between, in one question; false, and nothing is set, where one may. */
async function isSetUnlessPooled(session: Session, client: pg.Client, settings: string): Promise<boolean> {
  // A pooler tells a number of its own at the login.
  const told: unknown = Reflect.get(client, 'processID')
  const isDirect = `pg_catalog.pg_backend_pid() = ${Number(told ?? 0)}`
  const { rows } = await session.query(`SELECT CASE WHEN ${isDirect} THEN ${settings} END`)
  return rows[0]?.[0] !== null
}

const ROUNDS = 3

/**
 * True when the sessions of the server are shared: two connections that are open at the same time are given the same one, or one is given
 * different ones. The other one is made by `open`, and closed.
 */
async function isShared(one: Session, open: () => Promise<Session>): Promise<boolean> {
  const first = await processOf(one)
  const other = await open()
  try {
    for (let round = 0; round < ROUNDS; round += 1)
      if ((await processOf(other)) === first || (await processOf(one)) !== first) return true
    return false
  } finally {
    other.destroy()
  }
}

const processOf = async (session: Session): Promise<Cell | undefined> =>
  (await session.query('SELECT pg_catalog.pg_backend_pid()')).rows[0]?.[0]

const sharedError = (label: string): MigrateError =>
  new MigrateError(
    'database-pooled',
    `Between here and the ${label} stands a pooler (PgBouncer or the like) in transaction mode: what migrate sets on a connection would stay there for the shop's questions, which would find none of their tables. Nothing was set, read or written.`,
    {
      hint: "Write the server's own port in the playbook (often 5432, where the pooler has 6432 or 6543), or that of a pool in session mode.",
    },
  )
