import type { MarkedStatement } from '../port.ts'
import { serverNumber } from './errors.ts'
import {
  completeMark,
  completeMarks,
  holdingMark,
  holdingMarks,
  type Mark,
  makeOwnTable,
  removeMark,
  removeMarks,
  setMark,
  setMarks,
  stateOf,
  statesOf,
} from './marks.ts'
import { isStanding, type Probe, probeOfStatement } from './probe.ts'
import { proveReferences } from './references.ts'
import { isSince, type ServerKind, type Session } from './session.ts'
import { isAllowed, settingsOf } from './settings.ts'
import { defineLayout } from './strict-layout.ts'
import { inTransaction } from './transaction.ts'

/** Statements that commit by themselves ("Statements That Cause an Implicit Commit"). */
const DEFINITION = /^\s*(CREATE|ALTER|DROP|RENAME|TRUNCATE|GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR)\b/i

/** Lines in front of an object's definition that set what it is created under: `SET SESSION sql_mode = '…';`. */
const SETTINGS = /^(?:SET SESSION [^;\n]*;\n)+/

/** Runs one statement with its settings, which are put back afterwards. */
export async function runDefinition(session: Session, sql: string): Promise<void> {
  const settings = SETTINGS.exec(sql)?.[0] ?? ''
  try {
    for (const line of settings.split('\n')) if (line !== '') await session.query(settable(session.kind, line))
    await defineLayout(session, sql.slice(settings.length))
  } finally {
    if (settings !== '' && !session.broken) await session.query(settingsOf(session.kind))
  }
}

/**
 * Modes that MySQL 8.0 no longer knows, under which programs of older servers may have been created ("Changes in MySQL 8.0", SQL mode).
 * What they stood for is named beside them (MSSQL: PIPES_AS_CONCAT,ANSI_QUOTES,…), or means nothing to a program.
 */
const GONE_MODES = new Set(
  'NO_AUTO_CREATE_USER,DB2,MAXDB,MSSQL,MYSQL323,MYSQL40,ORACLE,POSTGRESQL,NO_FIELD_OPTIONS,NO_KEY_OPTIONS,NO_TABLE_OPTIONS'.split(
    ',',
  ),
)

/** A setting as this server takes it. Pure. */
export function settable(kind: ServerKind, line: string): string {
  const setting = line.replace(/;$/, '')
  if (!isSince(kind, 'mysql', 8, 0)) return setting
  return setting.replace(/(?<=^SET SESSION sql_mode = ')[^']*/, (modes) =>
    modes
      .split(',')
      .filter((mode) => !GONE_MODES.has(mode))
      .join(','),
  )
}

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
    if (probe.kind === 'foreign key') await allowLooseReferences(session)
    if (state === 'none' || !(await isStanding(session, state))) await runDefinition(session, sql)
    if (probe.kind === 'foreign key') await proveReferences(session, probe.table, statement)
  } catch (error) {
    // Refused by the server: nothing was made. After a lost connection nobody knows, and the mark stays as it is.
    if (serverNumber(error) !== undefined && !session.broken) await removeMark(session, mark)
    throw error
  }
  await completeMark(session, mark)
}

/**
 * MySQL 8.4 and later take no foreign key to what isn't a whole unique key, unless told to ("restrict_fk_on_non_standard_key"). False
 * where the account may not say so.
 */
export async function allowLooseReferences(session: Session): Promise<boolean> {
  return !isSince(session.kind, 'mysql', 8, 4) || (await isAllowed(session, 'SET SESSION restrict_fk_on_non_standard_key = 0'))
}

/** See the port. Statements that are no definitions, or make what nobody can be asked about, are run by themselves. */
export async function executeTogether(session: Session, statements: readonly MarkedStatement[]): Promise<void> {
  await makeOwnTable(session, 'migrate_marks')
  for (const row of rowsOf(statements.map(definition))) {
    if (row.length === 1) for (const { sql, mark } of row) await execute(session, sql, mark)
    else
      await holdingMarks(
        session,
        row.map(({ mark }) => mark),
        () => defineAll(session, row),
      )
  }
}

interface Definition extends MarkedStatement {
  readonly probe: Probe
}

const definition = ({ sql, mark }: MarkedStatement): Definition => {
  const statement = sql.replace(SETTINGS, '')
  return { sql, mark, probe: DEFINITION.test(statement) ? probeOfStatement(statement) : { kind: 'unknown', name: '', table: '' } }
}

/** Cut wherever one must be run by itself; a foreign key's rows are proven between its statement and its mark. */
function rowsOf(statements: readonly Definition[]): readonly (readonly Definition[])[] {
  const rows: Definition[][] = []
  let open: Definition[] | undefined
  for (const each of statements) {
    const isAlone = each.probe.kind === 'unknown' || each.probe.kind === 'foreign key'
    if (open !== undefined && !isAlone) open.push(each)
    else {
      const row = [each]
      rows.push(row)
      open = isAlone ? undefined : row
    }
  }
  return rows
}

/** As `define`, with one question for what stands, and two for the marks. */
async function defineAll(session: Session, statements: readonly Definition[]): Promise<void> {
  const states = await statesOf(
    session,
    statements.map(({ mark }) => mark),
  )
  await setMarks(
    session,
    statements.filter(({ mark }) => !states.has(mark)),
  )
  const waiting = statements.filter(({ mark }) => states.get(mark) !== 'done')
  for (const [at, { sql, mark, probe }] of waiting.entries()) {
    try {
      if (!states.has(mark) || !(await isStanding(session, probe))) await runDefinition(session, sql)
    } catch (error) {
      if (serverNumber(error) !== undefined && !session.broken) {
        const marks = waiting.map((each) => each.mark)
        await completeMarks(session, marks.slice(0, at))
        // What an earlier attempt began further on may stand.
        await removeMarks(session, [mark, ...marks.slice(at + 1).filter((each) => !states.has(each))])
      }
      throw error
    }
  }
  await completeMarks(
    session,
    waiting.map(({ mark }) => mark),
  )
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
