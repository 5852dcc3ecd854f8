import { MigrateError } from '../../base/errors.ts'
import type { Result, Session } from './connection.ts'

/** How a transaction is begun. Writers wait 5 s for a lock at most, so that customers never queue long behind us. */
const BEGIN = {
  read: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
  // The shop's own functions, run by triggers, checks and defaults, find their tables by the account's usual search path.
  // What writes (a load, an index) may take its time; questions may not.
  write:
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL search_path TO DEFAULT; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = 0",
} as const

/**
 * For a transaction that sets marks and isn't the last one of its kind: its commit needn't wait for the disk. If the server crashes within the next second, what was done
 * and its mark are gone together, and are done again (PostgreSQL documentation, "Asynchronous Commit").
 */
const UNHURRIED = 'SET LOCAL synchronous_commit = off'

/**
 * Runs `work` in a transaction; rolled back when it throws. `repeatable`: doing all of it again after the answer to the commit was
 * lost does no harm (a mark tells); otherwise a connection lost at the commit is not retrySafe.
 */
export async function inTransaction<T>(
  session: Session,
  kind: keyof typeof BEGIN,
  work: () => Promise<T>,
  repeatable: boolean,
): Promise<T> {
  await session.query(BEGIN[kind])
  let result: T
  try {
    result = await work()
  } catch (error) {
    await rollback(session)
    throw error
  }
  await commit(session, repeatable)
  return result
}

/**
 * `inTransaction`, begun with a statement that sets marks, in one question to the server; `work` is given its result. `hurry`: its end is on disk
 * when this returns; otherwise within a second, or with the next such commit.
 */
export async function inMarkedTransaction<T>(
  session: Session,
  { marking, hurry }: { readonly marking: string; readonly hurry: boolean },
  work: (marked: Result) => Promise<T>,
): Promise<T> {
  let result: T
  try {
    result = await work(await session.query([BEGIN.write, ...(hurry ? [] : [UNHURRIED]), marking].join('; ')))
  } catch (error) {
    await rollback(session)
    throw error
  }
  await commit(session, true)
  return result
}

/** Takes a transaction back. A connection on which even that fails is closed, with the same end. Never throws. */
export async function rollback(session: Session): Promise<void> {
  try {
    await session.query('ROLLBACK')
  } catch {
    // The server rolls back by itself when the connection ends; an error before this one is the one to report.
    session.destroy()
  }
}

async function commit(session: Session, repeatable: boolean): Promise<void> {
  let answer: Result
  try {
    answer = await session.query('COMMIT')
  } catch (error) {
    const failure = session.error(error)
    if (failure.code === 'database-connection-lost' && !repeatable) {
      throw new MigrateError(
        failure.code,
        `The connection to the ${session.label} broke while a transaction was being committed: it may be kept or not.`,
        { hint: 'Run again: what was kept is found and not done twice.', cause: error, retrySafe: false },
      )
    }
    throw failure
  }
  if (answer.command !== 'COMMIT')
    throw new MigrateError('fault', `The ${session.label} rolled a transaction back instead of committing it.`)
}
