import { MigrateError } from '../../base/errors.ts'
import type { Session } from './session.ts'

/**
 * Runs `work` in a transaction; rolled back when it throws. `repeatable`: doing all of it again after the answer to the commit was
 * lost does no harm (a mark tells); otherwise a connection lost at the commit is not retrySafe.
 */
export async function inTransaction<T>(session: Session, work: () => Promise<T>, repeatable: boolean): Promise<T> {
  await session.query('START TRANSACTION')
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
  try {
    await session.query('COMMIT')
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
}
