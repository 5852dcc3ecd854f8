import type { Connections } from './connection.ts'
import type { Collector } from './rows.ts'
import type { Session } from './session.ts'

/** A statement's rows. Stops at once when it is told to, whatever the server is doing. */
export async function* stream<T>(
  session: Session,
  connections: Connections,
  sql: string,
  collector: Collector<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  signal?.throwIfAborted()
  // The server may be silent (a lock, a dead line), so stopping must not wait for its next word: the connection goes.
  const stop = (): void => session.destroy()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    for await (const batch of session.rows(sql, collector, () => giveUp(session, connections))) {
      signal?.throwIfAborted()
      yield batch
    }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    throw error
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/** Tells the server to stop a statement whose rows nobody wants any more; without a free connection, its rows are let pass. */
async function giveUp(session: Session, connections: Connections): Promise<void> {
  const helper = await connections.tryAcquire()
  if (helper === undefined) return
  try {
    // A statement that has ended meanwhile leaves nothing to stop.
    await helper.query(`KILL QUERY ${session.threadId}`).catch(() => undefined)
  } finally {
    connections.release(helper)
  }
}
