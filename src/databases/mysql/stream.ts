import { MigrateError } from '../../base/errors.ts'
import { formatDuration } from '../../base/units.ts'
import type { ReadOptions } from '../port.ts'
import { isHeardOf, isWithin } from '../within.ts'
import type { Connections } from './connection.ts'
import type { Collector } from './rows.ts'
import type { Session } from './session.ts'

/** So long a server has to end a statement that it was told to end. */
const END_MS = 5000

/**
 * A statement's rows. Stops at once when it is told to, whatever the server is doing. When nothing comes for `quietMs`, the statement is
 * ended on the server, the session stays as it was, and `database-too-slow` is thrown.
 */
export async function* stream<T>(
  session: Session,
  connections: Connections,
  sql: string,
  collector: Collector<T>,
  { signal, quietMs }: Pick<ReadOptions, 'signal' | 'quietMs'>,
): AsyncGenerator<T> {
  const ended = endOnAbort(session, connections, signal)
  const rows = session.rows(sql, collector, async () => {
    await giveUp(session, connections)
  })
  try {
    for (;;) {
      const next = await nextOf(rows, session, connections, quietMs)
      if (next.done === true) return
      signal?.throwIfAborted()
      yield next.value
    }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    throw error
  } finally {
    await rows.return(undefined)
    await ended()
  }
}

/** What `work` asks of a session; stops at once when it is told to, as `stream` does. */
export async function unlessTold<T>(
  session: Session,
  connections: Connections,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const ended = endOnAbort(session, connections, signal)
  try {
    return await work()
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error
  } finally {
    await ended()
  }
}

/**
 * Has a session's connection go when the signal says so: the server may be silent (a lock, a dead line), so stopping must not wait for its
 * next word. Call what it gives when all is done.
 */
function endOnAbort(session: Session, connections: Connections, signal: AbortSignal | undefined): () => Promise<void> {
  signal?.throwIfAborted()
  let gone: Promise<void> | undefined
  const stop = (): void => {
    gone = connections.end(session)
  }
  signal?.addEventListener('abort', stop, { once: true })
  return async () => {
    signal?.removeEventListener('abort', stop)
    // Whoever ends the program before the server knows takes the word with him.
    await gone
  }
}

async function nextOf<T>(
  rows: AsyncGenerator<T>,
  session: Session,
  connections: Connections,
  quietMs: number | undefined,
): Promise<IteratorResult<T>> {
  if (quietMs === undefined) return await rows.next()
  const next = rows.next()
  if (await isHeardOf(quietMs, () => session.heardAt, next)) return await next
  if (!(await giveUp(session, connections))) await connections.kill(session)
  // On a dead line it would never end.
  if (!(await isWithin(END_MS, next).catch(() => true))) session.destroy()
  await next.catch(() => undefined)
  throw new MigrateError(
    'database-too-slow',
    `No row came from the ${session.label} for ${formatDuration(quietMs)}. The query was cancelled; nothing was changed.`,
    { hint: 'Run again when the old host is quieter: what was saved is kept.', retrySafe: true },
  )
}

/** Tells the server to stop a statement whose rows nobody wants any more. Where no connection is to be had, its rows are let pass: false. */
async function giveUp(session: Session, connections: Connections): Promise<boolean> {
  const helper = await connections.tryAcquire().catch(() => undefined)
  if (helper === undefined) return false
  try {
    // A statement that has ended meanwhile leaves nothing to stop.
    await helper.query(`KILL QUERY ${session.threadId}`).catch(() => undefined)
  } finally {
    connections.release(helper)
  }
  return true
}
