import { z } from 'zod'
import { systemClock } from '../../base/clock.ts'
import { type Finding, MigrateError } from '../../base/errors.ts'
import type { ClosingPower, ClosingState } from '../closing-port.ts'
import { ask } from './catalog.ts'
import type { Session } from './connection.ts'
import { quoteName, quoteText } from './values.ts'

type Use = <T>(work: (session: Session) => Promise<T>) => Promise<T>

const SETTING = 'default_transaction_read_only'
/** How often it is asked whether sessions have come to rest. */
const POLL_MS = 100
/** What the server needs for ending a session that it was told to end. */
const ENDING_MS = 5000

/**
 * Closes by the database's own default for transactions, which every session takes up when it begins (PostgreSQL documentation, "Client
 * Connection Defaults", and ALTER DATABASE), and by ending the sessions that began before. A session that sets itself to write again
 * could: no shop does.
 */
export const postgresClosing = (use: Use): ClosingPower => ({
  missing: () => use(missing),
  look: () => use(look),
  close: (graceMs) => use((session) => close(session, graceMs)),
  open: (before) => use((session) => open(session, before)),
})

const stateRow = z.object({
  database: z.string(),
  user: z.string(),
  owner: z.string(),
  owned: z.boolean(),
  /** What the database itself sets; null when nothing. */
  set: z.string().nullable(),
  /** Accounts for which something else holds. */
  exempt: z.array(z.string()),
})

const optionOf = (config: string): string =>
  `(SELECT substr(o, ${SETTING.length + 2}) FROM unnest(${config}) o WHERE o LIKE '${SETTING}=%')`

const STATE = `SELECT current_database()::text AS database, current_user::text AS "user", pg_get_userbyid(d.datdba)::text AS owner,
  pg_has_role(d.datdba, 'USAGE') AS owned,
  (SELECT ${optionOf('s.setconfig')} FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0) AS set,
  coalesce((SELECT array_agg(DISTINCT r.rolname::text) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
    WHERE s.setdatabase IN (0, d.oid) AND NOT r.rolsuper AND ${optionOf('s.setconfig')} IS NOT NULL
      AND NOT ${optionOf('s.setconfig')}::boolean), '{}') AS exempt
FROM pg_database d WHERE d.datname = current_database()`

const sessionRow = z.object({ pid: z.number(), user: z.string(), resting: z.boolean(), ours: z.boolean() })

/**
 * Sessions of the shop, not migrate's own; `ours`: this account may end it ("Server Signaling Functions"). Of other accounts' sessions
 * the server shows little more than that they are there.
 */
const SESSIONS = `SELECT a.pid, coalesce(a.usename, '')::text AS "user", coalesce(a.state = 'idle', false) AS resting,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR coalesce(NOT r.rolsuper
    AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')), false) AS ours
FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND coalesce(a.backend_type, 'client backend') = 'client backend'
  AND NOT (coalesce(a.application_name, '') = 'migrate' AND a.usename = current_user)`

const stateOf = async (session: Session): Promise<z.infer<typeof stateRow>> => {
  const [row] = await ask(session, stateRow, STATE)
  if (row === undefined) throw new MigrateError('fault', `The ${session.label} doesn't say what it is.`)
  return row
}

/** Pure: the statements. */
export const closeSql = (database: string): string => `ALTER DATABASE ${quoteName(database)} SET ${SETTING} = on`
export const openSql = (database: string, before: string): string =>
  before === ''
    ? `ALTER DATABASE ${quoteName(database)} RESET ${SETTING}`
    : `ALTER DATABASE ${quoteName(database)} SET ${SETTING} = ${quoteText(before)}`

async function missing(session: Session): Promise<readonly Finding[]> {
  const { database, user, owner, owned, exempt } = await stateOf(session)
  const findings: Finding[] = []
  if (!owned) {
    findings.push({
      severity: 'error',
      code: 'right-to-close',
      message: `The account ${user} may not close the ${session.label} to writers, which only its owner may.`,
      hint: `As a superuser or ${owner}, run: GRANT ${quoteName(owner)} TO ${quoteName(user)};`,
    })
  }
  const others = new Set((await ask(session, sessionRow, SESSIONS)).filter(({ ours }) => !ours).map((each) => each.user))
  if (others.size > 0) {
    findings.push({
      severity: 'warning',
      code: 'right-to-end-sessions',
      message: `Sessions of ${[...others].join(', ')} in database ${database} can't be ended by ${user}: as long as one stays, it can go on writing.`,
      hint: `As a superuser, run: GRANT pg_signal_backend TO ${quoteName(user)};`,
    })
  }
  return [...findings, ...exempt.map((role) => exemptFinding(session, role, database))]
}

const exemptFinding = (session: Session, role: string, database: string): Finding => ({
  severity: 'error',
  code: 'account-exempt',
  message: `The account ${role} has ${SETTING} switched off for itself, so that closing the ${session.label} wouldn't hold for it.`,
  hint: `Run: ALTER ROLE ${quoteName(role)} RESET ${SETTING}; or ALTER ROLE ${quoteName(role)} IN DATABASE ${quoteName(database)} RESET ${SETTING};`,
})

const isOn = (value: string | null): boolean => /^(?:on|true|yes|1)$/i.test(value ?? '')

async function look(session: Session): Promise<ClosingState> {
  const { database, set, exempt } = await stateOf(session)
  return { closed: isOn(set) && exempt.length === 0, before: set ?? '', statement: closeSql(database) }
}

async function close(session: Session, graceMs: number): Promise<void> {
  const { database } = await stateOf(session)
  await session.query(closeSql(database))
  // Those that are there now, or began before now and show only later, may have begun under the old default.
  const [now] = (await session.query('SELECT clock_timestamp()::text')).rows
  const there = (await ask(session, sessionRow, SESSIONS)).map(({ pid }) => pid)
  const old = `(a.pid = ANY ('{${there.join(',')}}'::int[]) OR a.backend_start <= ${quoteText(now?.[0] ?? 'infinity')}::timestamptz)`
  const started = systemClock.monotonic()
  for (;;) {
    const left = await ask(session, sessionRow, `${SESSIONS} AND ${old}`)
    const waited = systemClock.monotonic() - started
    if (left.length === 0 && waited >= POLL_MS) return
    const isHopeless = waited > graceMs && left.every((each) => !each.ours)
    if (isHopeless || waited > graceMs + ENDING_MS) throw stillOpen(session, left)
    // A session at rest has nothing to lose; one at work has its time.
    const due = left.filter((each) => each.ours && (each.resting || waited >= graceMs)).map((each) => each.pid)
    if (due.length > 0) await session.query(`SELECT pg_terminate_backend(pid) FROM unnest('{${due.join(',')}}'::int[]) pid`)
    await systemClock.sleep(POLL_MS)
  }
}

function stillOpen(session: Session, open: readonly z.infer<typeof sessionRow>[]): MigrateError {
  const users = [...new Set(open.map((each) => each.user))].join(', ')
  return new MigrateError(
    'database-permission-denied',
    `Whoever connects to the ${session.label} now can only read, but ${open.length} sessions of ${users} that were there before go on and can't be ended by this account.`,
    { hint: `As a superuser, run: GRANT pg_signal_backend TO the account, or end them (pg_terminate_backend). Then run again.` },
  )
}

async function open(session: Session, before: string): Promise<void> {
  const { database, set } = await stateOf(session)
  if ((set ?? '') === before) return
  await session.query(openSql(database, before))
}
