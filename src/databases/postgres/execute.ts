import { MigrateError } from '../../base/errors.ts'
import type { MarkedStatement } from '../port.ts'
import type { Session } from './connection.ts'
import { UNLINK_ALL, unlinkAll } from './large-objects.ts'
import { marking, marksOf, ownTable, unmarking } from './marks.ts'
import { inMarkedTransaction, inTransaction } from './transaction.ts'

type Mark = MarkedStatement['mark']

/** See the port. */
export async function execute(session: Session, sql: string, mark: Mark): Promise<void> {
  const marks = await ownTable(session, 'migrate_marks')
  await inMarkedTransaction(session, { marking: marking(marks, [mark]), hurry: false }, async ({ count }) => {
    if (count === 1) await session.query(sql)
  })
}

/** See the port. In one transaction, which the server rolls back whole when it refuses one of them: then each is run by itself. */
export async function executeTogether(session: Session, statements: readonly MarkedStatement[]): Promise<void> {
  const marks = await ownTable(session, 'migrate_marks')
  const setting = marking(
    marks,
    statements.map(({ mark }) => mark),
  )
  try {
    await inMarkedTransaction(session, { marking: setting, hurry: false }, async ({ rows }) => {
      const missing = new Set(rows.map(([name]) => name))
      const wanted = statements.filter(({ mark }) => missing.has(mark.name))
      // Each on lines of its own: it may end in a comment.
      if (wanted.length > 0) await session.query(wanted.map(({ sql }) => `${sql}\n;`).join('\n'))
    })
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'database-statement-failed' || session.broken) throw error
    for (const { sql, mark } of statements) await execute(session, sql, mark)
  }
}

/** See the port. */
export async function retract(session: Session, sql: string | null, mark: Mark): Promise<void> {
  const marks = await ownTable(session, 'migrate_marks')
  if (sql === UNLINK_ALL && (await marksOf(session, mark.run)).has(mark.name)) await unlinkAll(session)
  await inMarkedTransaction(session, { marking: unmarking(marks, mark), hurry: true }, async ({ count }) => {
    if (count === 1 && sql !== null) await session.query(sql)
  })
}

/** See the port. */
export const runStatements = (session: Session, statements: readonly string[]): Promise<readonly number[]> =>
  inTransaction(
    session,
    'write',
    async () => {
      const counts: number[] = []
      for (const sql of statements) counts.push((await session.query(sql)).count)
      return counts
    },
    false,
  )
