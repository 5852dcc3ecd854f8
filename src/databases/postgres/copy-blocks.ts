import { MigrateError } from '../../base/errors.ts'
import { formatDuration } from '../../base/units.ts'
import type { Block, ReadOptions } from '../port.ts'
import { fullName, type Table } from '../schema.ts'
import { isHeardOf } from '../within.ts'
import type { Session } from './connection.ts'
import type { CopyOut } from './copy-out.ts'
import { rewrittenOr } from './rewritten.ts'

export interface Form {
  readonly blockBytes: number
  readonly binary: boolean
}

interface Copied {
  readonly table: Table
  readonly sql: string
  /** Statements that stand before it. */
  readonly before: string
}

/** In a savepoint, so that a copy that is given up midway leaves the snapshot standing. All in one question to the server. */
export async function* copyBlocks(
  session: Session,
  { table, sql, before }: Copied,
  options: ReadOptions,
  form: Form,
): AsyncGenerator<Block> {
  // A copy lasts as long as whoever takes its rows; going back to the savepoint gives the next statement its time again.
  const untimed = `SAVEPOINT reading; SET LOCAL statement_timeout = 0; ${before}; ${sql}; ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading`
  const copy = session.copyOut(untimed, form)
  try {
    for (;;) {
      const block = await nextBlock(copy, table, options.quietMs)
      if (block === undefined) return
      yield block
    }
  } catch (error) {
    throw session.error(rewrittenOr(error, table, session.label), sql)
  } finally {
    if (!copy.ended) await giveUp(session, copy)
  }
}

/** Throws `database-too-slow` when nothing came for `quietMs`. */
async function nextBlock(copy: CopyOut, table: Table, quietMs: number | undefined): Promise<Block | undefined> {
  const next = copy.next()
  if (quietMs === undefined || (await isHeardOf(quietMs, () => copy.heardAt, next))) return await next
  throw new MigrateError(
    'database-too-slow',
    `No row of ${fullName(table.name)} came for ${formatDuration(quietMs)}. The query was cancelled; nothing was changed.`,
    { hint: 'Run again when the old host is quieter: what was saved is kept.', retrySafe: true },
  )
}

/** Ends a copy that is still running: the server is told to stop, and what it had sent already is thrown away. */
async function giveUp(session: Session, copy: CopyOut): Promise<void> {
  if (session.broken) return
  if (!copy.failed) await session.cancel()
  await copy.discard()
  // One that came to its end meanwhile has released its savepoint itself.
  if (!copy.ended && !session.broken) await session.query('ROLLBACK TO SAVEPOINT reading; RELEASE SAVEPOINT reading')
}
