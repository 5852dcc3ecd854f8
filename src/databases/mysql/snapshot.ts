import type { Reader } from '../port.ts'
import { isWithin } from '../within.ts'
import { isOwnTable } from './catalog.ts'
import type { Connections } from './connection.ts'
import { serverNumber } from './errors.ts'
import { readerOn } from './read.ts'
import type { Session } from './session.ts'
import { WAIT_SETTINGS } from './settings.ts'
import { type AtBegin, SAVEPOINT, Standing } from './standing.ts'
import { rollback } from './transaction.ts'
import { quoteName } from './values.ts'

const BEGIN = 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY'
/** So long, at most, a lock of ours is waited for, and writers behind it. Servers wait in whole seconds: the rest is ended from here. */
const LOCK_WAIT_MS = 200
/** So long, at most, it is held, and writers wait for its end. */
const HELD_MS = 400
/** Where nobody here can end either any more, the server does, after a second: it waits no longer for a lock, nor for a word from us. */
const LEFT_ALONE = 'SET SESSION lock_wait_timeout = 1, wait_timeout = 1'

/**
 * Readers of one instant. InnoDB has no snapshot that can be handed on, so all are begun while nobody can commit a change to its tables:
 * under `LOCK TABLES … READ`, for which no reader waits, held as long as it takes to begin them (a few ms), and given up when it isn't
 * had at once. Without it, one reader does it all. `FLUSH TABLES WITH READ LOCK` is never asked for: it waits for the longest query of
 * the whole server, and every writer behind it ("FLUSH Statement").
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

/** Whatever happens, every session that it took stands in `sessions` and is given back at the end, closed where not all went well. */
async function readOn<T>(
  connections: Connections,
  sessions: Session[],
  wanted: number,
  work: (readers: readonly [Reader, ...Reader[]]) => Promise<T>,
): Promise<T> {
  let whole = false
  const ends: Promise<void>[] = []
  try {
    const first = await connections.acquire()
    sessions.push(first)
    const tables = await tablesOf(first)
    const consistent = tables.every(({ engine }) => engine === 'InnoDB')
    const kept = tables.filter(({ engine }) => engine === 'InnoDB')
    const begin: AtBegin = {
      created: new Map(kept.map(({ name, created }) => [name, created])),
      parted: new Set(kept.flatMap(({ name, isParted }) => (isParted ? [name] : []))),
      ends: new Map(),
      isSettled: false,
    }
    const others = await othersOf(connections, Math.min(wanted, connections.limit - 1) - 1, sessions)
    if (others === undefined) await first.query(BEGIN)
    else await beginTogether(connections, first, others, tables, sessions)
    await Promise.all(sessions.map((session) => session.query(SAVEPOINT)))
    const standings: Standing[] = []
    const reader = (session: Session): Reader => {
      const standing = new Standing(session, begin, (ask) => aside(connections, ask))
      standings.push(standing)
      return readerOn(session, connections, { consistent, standing })
    }
    const result = await work([reader(first), ...sessions.slice(1).map(reader)])
    await Promise.all(standings.map((standing) => standing.prove()))
    whole = true
    return result
  } finally {
    for (const session of sessions) {
      if (whole) await ended(session)
      // After a failure or a stop the line may be dead: nobody waits for its answer.
      else ends.push(connections.end(session))
      connections.release(session)
    }
    await Promise.all(ends)
  }
}

/** By a connection beside those that read; nobody waits for one. */
async function aside<T>(connections: Connections, work: (session: Session) => Promise<T>): Promise<T | undefined> {
  const session = await connections.tryAcquire()
  if (session === undefined) return undefined
  try {
    return await connections.stoppable([session], () => work(session))
  } finally {
    connections.release(session)
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
  readonly created: string
  readonly isParted: boolean
}

async function tablesOf(session: Session): Promise<readonly LockedTable[]> {
  const { rows } = await session.question(
    `SELECT TABLE_NAME, ENGINE, CREATE_TIME, CREATE_OPTIONS FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')`,
  )
  const tables = rows.map(([name, engine, created, options]) => ({
    name: name ?? '',
    engine: engine ?? '',
    created: created ?? '',
    isParted: /\bpartitioned\b/i.test(options ?? ''),
  }))
  return tables.filter(({ name }) => !isOwnTable(name))
}

interface Others {
  readonly readers: readonly Session[]
  /** Holds writers off meanwhile. */
  readonly holder: Session
}

/** Further connections, as far as they are free; `undefined` where there is none for another reader. */
async function othersOf(connections: Connections, most: number, sessions: Session[]): Promise<Others | undefined> {
  const taken: Session[] = []
  while (taken.length <= most && most > 0) {
    const session = await connections.tryAcquire()
    if (session === undefined) break
    sessions.push(session)
    taken.push(session)
  }
  const holder = taken.pop()
  if (holder === undefined) return undefined
  if (taken.length > 0) return { readers: taken, holder }
  leave(connections, [holder], sessions)
  return undefined
}

function leave(connections: Connections, some: readonly Session[], sessions: Session[]): void {
  for (const session of some) {
    sessions.splice(sessions.indexOf(session), 1)
    connections.release(session)
  }
}

/** Begins all of them at one moment, or `first` alone; whoever isn't begun then stands in `sessions` no more. */
async function beginTogether(
  connections: Connections,
  first: Session,
  { readers, holder }: Others,
  tables: readonly LockedTable[],
  sessions: Session[],
): Promise<void> {
  await holder.query(LEFT_ALONE)
  const isHeld = await holdWriters(holder, first, tables)
  const begun = (isHeld ? [first, ...readers] : [first]).map((session) => session.query(BEGIN))
  const all = Promise.all(begun)
  // Where something else fails first, that is told.
  all.catch(() => undefined)
  const inTime = isHeld && (await isWithin(HELD_MS, all))
  // What began after the writers went on is of another moment.
  const together = isHeld && (await isTold(holder, 'UNLOCK TABLES')) && inTime
  await isTold(holder, `SET SESSION ${WAIT_SETTINGS}`)
  if (isHeld && !together) for (const session of readers) session.destroy()
  await (together || !isHeld ? all : begun[0])
  leave(connections, together ? [holder] : [holder, ...readers], sessions)
}

/** False where the server has closed the line, and ended with it what it held. */
async function isTold(session: Session, sql: string): Promise<boolean> {
  if (session.broken) return false
  try {
    await session.query(sql)
    return true
  } catch (error) {
    if (session.error(error).code !== 'database-connection-lost') throw error
    session.destroy()
    return false
  }
}

/** True when no transaction can commit a change to these tables until UNLOCK TABLES. `other` ends the waiting. */
async function holdWriters(holder: Session, other: Session, tables: readonly LockedTable[]): Promise<boolean> {
  const names = tables.filter(({ engine }) => engine === 'InnoDB').map(({ name }) => `${quoteName(name)} READ`)
  if (names.length === 0) return true
  const locking = isLocked(holder, `LOCK TABLES ${names.join(', ')}`)
  if (await isWithin(LOCK_WAIT_MS, locking)) return await locking
  await other.query(`KILL QUERY ${holder.threadId}`).catch((error: unknown) => {
    // One that the server has closed already is there no more.
    if (other.broken) throw error
  })
  // Had it the lock by then, its next statement may be the one that is killed.
  if (await locking) holder.destroy()
  return false
}

/**
 * False whatever the server has against it: a missing right, somebody else's lock, a table that went a moment ago, a cluster that forbids
 * it, the word to stop waiting. None of that keeps one reader from reading it all.
 */
async function isLocked(session: Session, sql: string): Promise<boolean> {
  try {
    await session.query(sql)
    return true
  } catch (error) {
    if (session.broken || serverNumber(error) === undefined) throw error
    return false
  }
}
