import { serverNumber } from './errors.ts'
import { completeMark, holdingMark, type Mark, makeOwnTable, removeMark, setMark, stateOf } from './marks.ts'
import { isStanding, probeOfStatement } from './probe.ts'
import { proveReferences } from './references.ts'
import { isSince, type Session } from './session.ts'
import { settingsOf } from './settings.ts'
import { inTransaction } from './transaction.ts'

/** Statements that commit by themselves ("Statements That Cause an Implicit Commit"). */
const DEFINITION = /^\s*(CREATE|ALTER|DROP|RENAME|TRUNCATE|GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR)\b/i

/** Lines in front of an object's definition that set what it is created under: `SET SESSION sql_mode = '…';`. */
const SETTINGS = /^(?:SET SESSION [^;\n]*;\n)+/

/** Runs one statement with its settings, which are put back afterwards. */
export async function runDefinition(session: Session, sql: string): Promise<void> {
  const settings = SETTINGS.exec(sql)?.[0] ?? ''
  try {
    for (const line of settings.split('\n')) if (line !== '') await session.query(settable(session, line))
    await session.query(sql.slice(settings.length))
  } finally {
    if (settings !== '' && !session.broken) await session.query(settingsOf(session.kind))
  }
}

/** MySQL 8 no longer knows a mode that programs of older servers were created under; it never meant anything to them. */
const settable = (session: Session, line: string): string =>
  (isSince(session.kind, 'mysql', 8, 0) ? line.replace(/NO_AUTO_CREATE_USER,?/, '') : line)
    .replace(/,?(?=';$)/, '')
    .replace(/;$/, '')

/** See the port. */
export async function execute(session: Session, sql: string, mark: Mark): Promise<void> {
  await makeOwnTable(session, 'migrate_marks')
  const statement = sql.replace(SETTINGS, '')
  if (DEFINITION.test(statement)) return await holdingMark(session, mark, () => define(session, sql, statement, mark))
  await inTransaction(
    session,
    async () => {
      if (await setMark(session, mark)) await session.query(sql)
    },
    true,
  )
}

/** The mark is there before the statement, so that a kill at any moment leaves something to go by. */
async function define(session: Session, sql: string, statement: string, mark: Mark): Promise<void> {
  const state = await stateOf(session, mark)
  if (state === 'done') return
  const probe = probeOfStatement(statement)
  if (state === 'none') await setMark(session, mark, probe)
  try {
    if (state === 'none' || !(await isStanding(session, state))) await runDefinition(session, sql)
    if (probe.kind === 'foreign key') await proveReferences(session, probe.table, statement)
  } catch (error) {
    // Refused by the server: nothing was made. After a lost connection nobody knows, and the mark stays as it is.
    if (serverNumber(error) !== undefined && !session.broken) await removeMark(session, mark)
    throw error
  }
  await completeMark(session, mark)
}

/** What DROP says of something that isn't there: it went before a kill that left its mark. */
const GONE = new Set([1051, 1091, 1146, 1305, 1360, 1539, 4091])

/** See the port. */
export async function retract(session: Session, sql: string | null, mark: Mark): Promise<void> {
  await makeOwnTable(session, 'migrate_marks')
  if (sql !== null && DEFINITION.test(sql)) {
    return await holdingMark(session, mark, async () => {
      if ((await stateOf(session, mark)) === 'none') return
      await runDefinition(session, sql).catch((error: unknown) => {
        if (!GONE.has(serverNumber(error) ?? 0)) throw error
      })
      await removeMark(session, mark)
    })
  }
  await inTransaction(
    session,
    async () => {
      if ((await removeMark(session, mark)) && sql !== null) await session.query(sql)
    },
    true,
  )
}
