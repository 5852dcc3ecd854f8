import { createHash } from 'node:crypto'
import { systemClock } from '../../base/clock.ts'
import { type Finding, MigrateError } from '../../base/errors.ts'
import type { ClosingPower, ClosingState } from '../closing-port.ts'
import { ask, isOwnTable } from './catalog.ts'
import { serverNumber } from './errors.ts'
import { binaryLogFinding, readGrants } from './rights.ts'
import { isSince, type Session } from './session.ts'
import { settingsOf } from './settings.ts'
import { CLOSED, dropTrigger, quoteAccount, triggersCalled } from './triggers.ts'
import { quoteName, quoteText } from './values.ts'

type Use = <T>(work: (session: Session) => Promise<T>) => Promise<T>

/**
 * Closes with what a shop's own account may do. MySQL since 8.0.22: ALTER SCHEMA … READ ONLY ("ALTER DATABASE Statement"). Elsewhere
 * `read_only` holds for a whole server, wants SUPER, and is nothing to whoever has that; so every table gets three triggers that refuse to
 * insert, update and delete, whoever writes and in whichever session.
 */
export const mysqlClosing = (use: Use): ClosingPower => ({
  missing: () => use(missing),
  look: () => use(async (session) => (hasReadOnly(session) ? await lookAtSchema(session) : await lookAtTriggers(session))),
  close: (graceMs) =>
    use(async (session) => {
      if (!hasReadOnly(session)) return await closeTables(session, graceMs)
      await patiently(session, graceMs, await readOnlySql(session, 1))
    }),
  open: (before) =>
    use(async (session) => {
      if (!hasReadOnly(session)) return await openTables(session)
      if (before !== READ_ONLY) await session.query(await readOnlySql(session, 0))
    }),
})

const hasReadOnly = (session: Session): boolean => isSince(session.kind, 'mysql', 8, 0, 22)

const READ_ONLY = 'READ ONLY=1'

async function databaseOf(session: Session): Promise<string> {
  const [[name] = []] = (await session.query('SELECT DATABASE()')).rows
  return name ?? ''
}

const readOnlySql = async (session: Session, value: 0 | 1): Promise<string> => schemaSql(await databaseOf(session), value)

/** Pure. */
export const schemaSql = (database: string, value: 0 | 1): string => `ALTER SCHEMA ${quoteName(database)} READ ONLY = ${value}`

/** "The INFORMATION_SCHEMA SCHEMATA_EXTENSIONS Table". */
async function lookAtSchema(session: Session): Promise<ClosingState> {
  const [row] = await ask(
    session,
    ['options'] as const,
    'SELECT OPTIONS FROM information_schema.SCHEMATA_EXTENSIONS WHERE SCHEMA_NAME = DATABASE()',
  )
  const closed = (row?.options ?? '').includes(READ_ONLY)
  return { closed, before: closed ? READ_ONLY : '', statement: await readOnlySql(session, 1) }
}

const EVENTS = ['INSERT', 'UPDATE', 'DELETE'] as const
type Event = (typeof EVENTS)[number]
const MOST_NAME = 64

/** The name of the trigger that keeps an event from a table. Pure. */
export function triggerName(table: string, event: Event): string {
  const name = `${CLOSED}${event.toLowerCase()}_${table}`
  if (name.length <= MOST_NAME) return name
  const digest = createHash('sha256').update(table).digest('hex').slice(0, 16)
  return `${CLOSED}${event.toLowerCase()}_${digest}`
}

/** Pure. */
export const triggerSql = (table: string, event: Event): string =>
  `CREATE TRIGGER ${quoteName(triggerName(table, event))} BEFORE ${event} ON ${quoteName(table)} FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = ${quoteText('This shop has moved to its new host: nothing is written here any more.')}`

async function lookAtTriggers(session: Session): Promise<ClosingState> {
  const open = await openPlaces(session)
  const [first] = open
  const statement =
    first === undefined ? 'CREATE TRIGGER …' : `${triggerSql(first.table, first.event)}; and so for each table and event`
  return { closed: open.length === 0, before: '', statement }
}

interface Place {
  readonly table: string
  readonly event: Event
}

/** What can still be written. A database without tables is open. */
async function openPlaces(session: Session): Promise<readonly Place[]> {
  const tables = await ask(
    session,
    ['name'] as const,
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
     ORDER BY TABLE_NAME`,
  )
  const standing = new Set(await ownTriggers(session))
  return tables
    .flatMap(({ name }) => (name === null || isOwnTable(name) ? [] : [name]))
    .flatMap((table) => EVENTS.map((event) => ({ table, event })))
    .filter(({ table, event }) => !standing.has(triggerName(table, event)))
}

const ownTriggers = (session: Session): Promise<readonly string[]> => triggersCalled(session, CLOSED)

async function closeTables(session: Session, graceMs: number): Promise<void> {
  const end = systemClock.monotonic() + graceMs
  for (const { table, event } of await openPlaces(session))
    await patiently(session, Math.max(0, end - systemClock.monotonic()), triggerSql(table, event), table)
}

const ALREADY_THERE = 1359
const BUSY = new Set([1205, 3572])

/**
 * A definition waits for transactions that use the table, and whoever comes after it waits behind it: so it waits only for a moment, lets
 * the others pass, and tries again until the grace is over.
 */
async function patiently(session: Session, graceMs: number, sql: string, table?: string): Promise<void> {
  const end = systemClock.monotonic() + graceMs
  await session.query('SET SESSION lock_wait_timeout = 1')
  try {
    for (;;) {
      try {
        await session.query(sql)
        return
      } catch (error) {
        const number = serverNumber(error) ?? 0
        if (number === ALREADY_THERE) return
        if (!BUSY.has(number)) throw error
        if (systemClock.monotonic() >= end) throw stillInUse(session, table, error)
        await systemClock.sleep(100)
      }
    }
  } finally {
    if (!session.broken) await session.query(settingsOf(session.kind))
  }
}

const stillInUse = (session: Session, table: string | undefined, cause: unknown): MigrateError =>
  new MigrateError(
    'database-busy',
    `A transaction that doesn't end keeps ${table === undefined ? 'the database' : `the table ${table}`} of the ${session.label} from being closed to writers. What was closed before it stays closed.`,
    { hint: 'End it (SHOW PROCESSLIST, then KILL), or give close-old a longer grace; then run again.', cause, retrySafe: true },
  )

async function openTables(session: Session): Promise<void> {
  for (const name of await ownTriggers(session)) await dropTrigger(session, name)
}

async function missing(session: Session): Promise<readonly Finding[]> {
  const [row] = await ask(session, ['database', 'user'] as const, 'SELECT DATABASE(), CURRENT_USER()')
  const database = row?.database ?? ''
  const grants = await readGrants(session, database)
  const needed = hasReadOnly(session) ? 'ALTER' : 'TRIGGER'
  const has = [grants.global, grants.database].some((set) => set.has(needed) || set.has('ALL'))
  const lacking: readonly Finding[] = has
    ? []
    : [
        {
          severity: 'error',
          code: 'right-to-close',
          message: `The account may not close the ${session.label} to writers.`,
          hint: `As an account that may grant it, run: GRANT ${needed} ON ${quoteName(database)}.* TO ${quoteAccount(row?.user ?? '')};`,
        },
      ]
  if (hasReadOnly(session)) return lacking
  const log = await binaryLogFinding(session, grants)
  return [
    ...lacking,
    ...log.map(
      (finding): Finding => ({
        ...finding,
        severity: 'error',
        code: 'right-to-close',
        message: `The ${session.label} writes a binary log, so that this account may not create the triggers that close it to writers.`,
        hint: 'Have the host run: SET GLOBAL log_bin_trust_function_creators = 1; (or GRANT SUPER ON *.* to the account), or close the shop by close-old: { with: maintenance }.',
      }),
    ),
  ]
}
