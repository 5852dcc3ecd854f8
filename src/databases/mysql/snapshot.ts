import { MigrateError } from '../../base/errors.ts'
import type { Reader } from '../port.ts'
import { isOwnTable } from './catalog.ts'
import type { Connections } from './connection.ts'
import { readerOn } from './read.ts'
import type { Session } from './session.ts'
import { rollback } from './transaction.ts'
import { quoteName } from './values.ts'

const BEGIN = 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY'
/** Nobody waits longer behind a lock of ours, seconds. */
const LOCK_WAIT_SECONDS = 1

/**
 * Readers of one instant. InnoDB has no snapshot that can be handed on, so all are begun while nobody can commit a change: under
 * `LOCK TABLES … READ` on the shop's tables, or else `FLUSH TABLES WITH READ LOCK`, held for as long as it takes to begin them (a
 * few ms) and given up when it isn't had within a second. Without either right, one reader does it all.
 * Tables of other engines than InnoDB know no snapshot ("MyISAM Storage Engine"): where there are some, nothing is consistent.
 */
export async function readTogether<T>(
  connections: Connections,
  wanted: number,
  work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>,
): Promise<T> {
  const sessions: Session[] = []
  return await connections.stoppable(sessions, () => readOn(connections, sessions, wanted, work))
}

/** Whatever happens, every session that it took stands in `sessions` and is given back at the end. */
async function readOn<T>(
  connections: Connections,
  sessions: Session[],
  wanted: number,
  work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>,
): Promise<T> {
  let whole = false
  try {
    const first = await connections.acquire()
    sessions.push(first)
    const tables = await tablesOf(first)
    const consistent = tables.every(({ engine }) => engine === 'InnoDB')
    if (wanted > 1) await beginTogether(connections, wanted, tables, sessions)
    else await first.query(BEGIN)
    const reader = (session: Session): Reader => readerOn(session, connections, consistent)
    const result = await work([reader(first), ...sessions.slice(1).map(reader)])
    whole = true
    return result
  } finally {
    for (const session of sessions) {
      // After a failure or a stop the line may be dead: nobody waits for its answer.
      if (whole) await ended(session)
      else session.destroy()
      connections.release(session)
    }
  }
}

async function ended(session: Session): Promise<void> {
  await rollback(session)
  if (session.broken) return
  await session.resultsAs('text').catch(() => session.destroy())
}

interface LockedTable {
  readonly name: string
  readonly engine: string
}

async function tablesOf(session: Session): Promise<readonly LockedTable[]> {
  const { rows } = await session.query(
    `SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')`,
  )
  return rows.map(([name, engine]) => ({ name: name ?? '', engine: engine ?? '' })).filter(({ name }) => !isOwnTable(name))
}

/** Begins further connections as far as they are free: one is always left for other questions. */
async function beginTogether(
  connections: Connections,
  wanted: number,
  tables: readonly LockedTable[],
  sessions: Session[],
): Promise<void> {
  const [first] = sessions
  if (first === undefined) throw new MigrateError('fault', 'A snapshot was begun without a connection.')
  const others: Session[] = []
  while (others.length + 1 < Math.min(wanted, connections.limit - 1)) {
    const session = await connections.tryAcquire()
    if (session === undefined) break
    others.push(session)
  }
  const holder = others.length === 0 ? undefined : await connections.tryAcquire()
  let isHeld = false
  try {
    isHeld = holder !== undefined && (await holdWriters(holder, tables))
    const begun = isHeld ? [first, ...others] : [first]
    await Promise.all(begun.map((session) => session.query(BEGIN)))
    sessions.push(...begun.slice(1))
  } finally {
    if (holder !== undefined) {
      if (isHeld) await holder.query('UNLOCK TABLES')
      connections.release(holder)
    }
    if (!sessions.includes(others[0] ?? first)) for (const session of others) connections.release(session)
  }
}

/** True when no transaction can commit a change to these tables until UNLOCK TABLES. */
async function holdWriters(session: Session, tables: readonly LockedTable[]): Promise<boolean> {
  await session.query(`SET SESSION lock_wait_timeout = ${LOCK_WAIT_SECONDS}`)
  try {
    const names = tables.map(({ name }) => `${quoteName(name)} READ`)
    for (const sql of [`LOCK TABLES ${names.join(', ')}`, 'FLUSH TABLES WITH READ LOCK']) {
      if (names.length === 0 || (await isDone(session, sql))) return true
    }
    return false
  } finally {
    await session.query('SET SESSION lock_wait_timeout = 5')
  }
}

/** False when the right is missing, or somebody holds a lock for too long. */
async function isDone(session: Session, sql: string): Promise<boolean> {
  try {
    await session.query(sql)
    return true
  } catch (error) {
    const { code } = session.error(error)
    if (code === 'database-permission-denied' || code === 'database-busy') return false
    throw error
  }
}
