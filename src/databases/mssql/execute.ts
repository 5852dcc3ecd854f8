import { MigrateError } from '../../base/errors.ts'
import type { MarkedStatement } from '../port.ts'
import { isDuplicate } from './errors.ts'
import { ensureOwnTable, type Mark, readMarks, removeMark, setMarks } from './marks.ts'
import { MARKS_TABLE } from './names.ts'
import type { Session } from './session.ts'

/** Runs `work` and sets the mark in one transaction; `otherwise` when it was there. */
export async function underMark<T>(session: Session, mark: Mark, otherwise: T, work: () => Promise<T>): Promise<T> {
  const marks = await ensureOwnTable(session, MARKS_TABLE)
  try {
    return await session.transaction(true, async () =>
      (await setMarks(session, marks, [mark])).has(mark.name) ? await work() : otherwise,
    )
  } catch (error) {
    // Two that set one mark at once: the other was first.
    if (!isDuplicate(error) || session.broken || !(await readMarks(session, mark.run)).has(mark.name)) throw error
    return otherwise
  }
}

/** See the port. */
export const execute = (session: Session, sql: string, mark: Mark): Promise<void> =>
  underMark(session, mark, undefined, async () => {
    await session.batch(sql)
  })

/** See the port. In one transaction, which the server rolls back whole when it refuses one of them: then each is run by itself. */
export async function executeTogether(session: Session, statements: readonly MarkedStatement[]): Promise<void> {
  const marks = await ensureOwnTable(session, MARKS_TABLE)
  try {
    await session.transaction(true, async () => {
      const missing = await setMarks(
        session,
        marks,
        statements.map(({ mark }) => mark),
      )
      const wanted = statements.filter(({ mark }) => missing.has(mark.name))
      for (const sql of batches(wanted.map((each) => each.sql))) await session.batch(sql)
    })
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'database-statement-failed' || session.broken) throw error
    for (const { sql, mark } of statements) await execute(session, sql, mark)
  }
}

/** See the port. */
export async function retract(session: Session, sql: string | null, mark: Mark): Promise<void> {
  const marks = await ensureOwnTable(session, MARKS_TABLE)
  await session.transaction(true, async () => {
    if ((await removeMark(session, marks, mark)) && sql !== null) await session.batch(sql)
  })
}

/** Tables, and keys of tables that stand: several fit into one batch. Many other things must stand alone in theirs ("Batches of SQL statements"). */
const JOINED = /^(?:CREATE TABLE|ALTER TABLE [^;]*? ADD CONSTRAINT) /

export function batches(statements: readonly string[]): readonly string[] {
  const joined: string[][] = []
  let open: string[] | undefined
  for (const sql of statements) {
    const fits = JOINED.test(sql)
    if (open !== undefined && fits) open.push(sql)
    else {
      const batch = [sql]
      joined.push(batch)
      open = fits ? batch : undefined
    }
  }
  return joined.map((batch) => (batch.length === 1 ? (batch[0] ?? '') : batch.map((sql) => `${sql}\n;`).join('\n')))
}
