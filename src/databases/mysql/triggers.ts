import { createHash } from 'node:crypto'
import type { Table } from '../schema.ts'
import { ask } from './catalog.ts'
import { runDefinition } from './execute.ts'
import { makeOwnTable, withoutTable } from './marks.ts'
import { isSince, NO_ROWS, type Session } from './session.ts'
import { quoteName, quoteText } from './values.ts'

/**
 * MySQL can't switch a trigger off. Those of a table that rows are carried into get a guard, once: the same trigger, asking a session
 * variable first that only migrate's own sessions set. Customers' writes fire it as before, before, during and after; nothing is
 * locked while rows are carried; a kill leaves a trigger that works for everybody. The guard is taken off when the database is closed.
 */
export interface Trigger {
  readonly name: string
  readonly table: string
  readonly timing: string
  readonly event: string
  /** The statement that it runs, without our guard. */
  readonly body: string
  /** `user@host`, unquoted. */
  readonly definer: string
  /** sql_mode and collation_connection under which it was created. */
  readonly sqlMode: string
  readonly collation: string
  readonly guarded: boolean
}

const VARIABLE = '@migrate_carries_rows'
const GUARD_BEGIN = `BEGIN /* migrate: silent in its own sessions */ IF ${VARIABLE} IS NULL THEN\n`
/** Whoever waits for the table queues behind a definition that waits for it. */
const WAIT_SHORTLY = 'SET SESSION lock_wait_timeout = 2;\n'
const GUARD_END = '\n; END IF; END'

/** How the triggers are called by which is seen that one can be made before the one goes whose place it takes. */
const TRIAL = 'migrate_trial_'

/** It does nothing, also where a kill leaves it. */
function trialOf(trigger: Trigger): { readonly trial: Trigger; readonly idle: string } {
  const digest = createHash('sha256').update(trigger.name).digest('hex').slice(0, 16)
  return { trial: { ...trigger, name: TRIAL + digest }, idle: `BEGIN IF FALSE THEN\n${trigger.body}${GUARD_END}` }
}

/** How the triggers are called by which a database is closed to writers (closing.ts): none of the shop's. */
export const CLOSED = 'migrate_closed_'

const called = (prefix: string): string => `LEFT(TRIGGER_NAME, ${prefix.length}) = ${quoteText(prefix)}`

/** Names of the database's triggers that begin so: migrate's own. */
export async function triggersCalled(session: Session, prefix: string): Promise<readonly string[]> {
  const sql = `SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() AND ${called(prefix)}`
  return (await ask(session, ['name'] as const, sql)).map(({ name }) => name ?? '')
}

const COLUMNS = ['name', 'table', 'timing', 'event', 'body', 'definer', 'sqlMode', 'collation'] as const

/** The database's triggers in the order in which they fire; of these tables only, where given. */
export async function readTriggers(session: Session, tables?: readonly string[]): Promise<readonly Trigger[]> {
  if (tables?.length === 0) return []
  const among = tables === undefined ? '' : ` AND EVENT_OBJECT_TABLE IN (${tables.map(quoteText).join(', ')})`
  const rows = await ask(
    session,
    COLUMNS,
    `SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT, DEFINER, SQL_MODE, COLLATION_CONNECTION
     FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()${among} AND NOT (${called(CLOSED)} OR ${called(TRIAL)})
     ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, TRIGGER_NAME`,
  )
  return rows.map((row) => {
    const { body, guarded } = statementOf(row.body ?? '')
    return {
      name: row.name ?? '',
      table: row.table ?? '',
      timing: row.timing ?? '',
      event: row.event ?? '',
      body,
      definer: row.definer ?? '',
      sqlMode: row.sqlMode ?? '',
      collation: row.collation ?? '',
      guarded,
    }
  })
}

/**
 * What a trigger runs, without our guard and without the semicolon that ended it where it was made among other statements of one text:
 * MySQL keeps that (seen in 9.7), and takes none before the guard's. Pure.
 */
export function statementOf(text: string): Pick<Trigger, 'body' | 'guarded'> {
  const guarded = text.startsWith(GUARD_BEGIN) && text.endsWith(GUARD_END)
  const body = guarded ? text.slice(GUARD_BEGIN.length, -GUARD_END.length) : text
  return { guarded, body: body.replace(/\s*;\s*$/, '') }
}

/** Settings that a stored program remembers from its creation ("Stored Object Access Control", SHOW CREATE TRIGGER). */
export const createdUnder = (sqlMode: string, collation: string): string =>
  `SET SESSION sql_mode = ${quoteText(sqlMode)};\nSET SESSION collation_connection = ${collation};\n`

/** Without a definer: it is the account that creates it. */
export const triggerSql = (trigger: Trigger): string => definition(trigger, trigger.body, 'CREATE')

/** `place`: beside which other one of its moment it fires, `FOLLOWS …` or `PRECEDES …`; after all of them when ''. */
const definition = (
  { name, table, timing, event, sqlMode, collation }: Trigger,
  body: string,
  create: string,
  place: string = '',
): string =>
  `${createdUnder(sqlMode, collation)}${create} TRIGGER ${quoteName(name)} ${timing} ${event} ON ${quoteName(table)} FOR EACH ROW ${place}${body}`

/** `'user'@'host'` from `user@host`; a host has no @. */
export const quoteAccount = (account: string): string => {
  const at = account.lastIndexOf('@')
  return `${quoteText(account.slice(0, at))}@${quoteText(account.slice(at + 1))}`
}

/** Replaces triggers of one table, all of one moment, by themselves with or without the guard; their order stays. */
async function replaceAll(session: Session, triggers: readonly Trigger[], guarded: boolean): Promise<void> {
  for (const [at, trigger] of triggers.entries()) {
    // There is no moment without the trigger (MariaDB, "CREATE TRIGGER", OR REPLACE since 10.1.4).
    if (isSince(session.kind, 'mariadb', 10, 1, 4))
      await runDefinition(
        session,
        WAIT_SHORTLY + definition(trigger, bodyOf(trigger, guarded), `CREATE OR REPLACE ${by(trigger)}`),
      )
    else await replaceLocked(session, triggers, at, guarded)
  }
}

const by = ({ definer }: Trigger): string => `DEFINER=${quoteAccount(definer)}`

const bodyOf = ({ body }: Trigger, guarded: boolean): string => (guarded ? `${GUARD_BEGIN}${body}${GUARD_END}` : body)

/**
 * Replaces one of the triggers of a moment, in its place among them: a kill before the others' turn leaves their order as it is.
 * MySQL has no OR REPLACE: the table is locked while its trigger is dropped and made anew (a few ms), and the definition is kept in
 * `migrate_triggers` until it stands, so that a kill in between is mended by the next one who comes here. Where it can't be made (the
 * account lacks a right, "Stored Object Access Control"; the server's binary log forbids it), the old one stays as it was.
 */
export async function replaceLocked(session: Session, triggers: readonly Trigger[], at: number, guarded: boolean): Promise<void> {
  const [trigger, next] = triggers.slice(at)
  if (trigger === undefined) return
  const place = next === undefined ? '' : `PRECEDES ${quoteName(next.name)} `
  const create = `CREATE ${by(trigger)}`
  const sql = definition(trigger, bodyOf(trigger, guarded), create, place)
  await makeOwnTable(session, 'migrate_triggers')
  const name = quoteText(trigger.name)
  await session.query(
    `INSERT INTO migrate_triggers (name, definition) VALUES (${name}, ${quoteText(sql)})
     ON DUPLICATE KEY UPDATE definition = VALUES(definition)`,
  )
  await session.query('SET SESSION lock_wait_timeout = 2')
  await session.query(`LOCK TABLES ${quoteName(trigger.table)} WRITE, migrate_triggers WRITE`)
  try {
    const { trial, idle } = trialOf(trigger)
    await dropTrigger(session, trial.name)
    await runDefinition(session, definition(trial, idle, create))
    await dropTrigger(session, trial.name)
    await dropTrigger(session, trigger.name)
    await runDefinition(session, sql)
    await session.query(`DELETE FROM migrate_triggers WHERE name = ${name}`)
  } finally {
    if (!session.broken) await session.query('UNLOCK TABLES')
  }
}

export const dropTrigger = (session: Session, name: string) => session.query(`DROP TRIGGER IF EXISTS ${quoteName(name)}`)

/** Makes the triggers that a kill between DROP and CREATE has left out. */
async function mend(session: Session): Promise<void> {
  const { rows } = await withoutTable(async () => session.query('SELECT name, definition FROM migrate_triggers'), NO_ROWS)
  if (rows.length === 0) return
  for (const trial of await triggersCalled(session, TRIAL)) await dropTrigger(session, trial)
  const there = new Set((await readTriggers(session)).map((trigger) => trigger.name))
  for (const [name, sql] of rows) {
    if (!there.has(name ?? '')) await runDefinition(session, sql ?? '')
    await session.query(`DELETE FROM migrate_triggers WHERE name = ${quoteText(name ?? '')}`)
  }
}

/** Triggers that fire one after the other, on one table: all of a group are replaced, so that their order stays. */
const groupOf = ({ table, timing, event }: Trigger): string => JSON.stringify([table, timing, event])

/** The guards of one adapter. */
export class Guards {
  #hasLooked = false
  #isGuarding = false

  /** Runs `work` with the triggers of `tables` silent in this session. Not within a transaction: DDL would end it. */
  async silently<T>(session: Session, tables: readonly Pick<Table, 'name'>[], work: () => Promise<T>): Promise<T> {
    if (!this.#hasLooked) await mend(session)
    this.#hasLooked = true
    const triggers = await readTriggers(
      session,
      tables.map((table) => table.name.name),
    )
    if (triggers.length === 0) return await work()
    this.#isGuarding = true
    for (const group of Map.groupBy(triggers, groupOf).values())
      if (group.some((trigger) => !trigger.guarded)) await replaceAll(session, group, true)
    await session.query(`SET ${VARIABLE} = 1`)
    try {
      return await work()
    } finally {
      if (!session.broken) await session.query(`SET ${VARIABLE} = NULL`)
    }
  }

  get areUp(): boolean {
    return this.#isGuarding
  }

  /** Takes every guard off, also those that a killed process left. */
  async takeOff(session: Session): Promise<void> {
    await mend(session)
    for (const group of Map.groupBy(await readTriggers(session), groupOf).values())
      if (group.some((trigger) => trigger.guarded)) await replaceAll(session, group, false)
    this.#isGuarding = false
  }
}
