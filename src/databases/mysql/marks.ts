import { createHash } from 'node:crypto'
import { MigrateError } from '../../base/errors.ts'
import { NO_SUCH_TABLE, serverNumber } from './errors.ts'
import { isStanding, type Probe, probeSchema } from './probe.ts'
import { NO_ROWS, type Session } from './session.ts'
import { quoteText } from './values.ts'

export interface Mark {
  readonly run: string
  readonly name: string
}

const COLLATE = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_bin'

/**
 * migrate's own tables: `migrate_marks` (what was done), `migrate_ledger` (which rows were carried), `migrate_triggers` (triggers that
 * are being put back). Always InnoDB: a mark must be kept or lost together with the rows it speaks of.
 * DDL commits by itself ("Statements That Cause an Implicit Commit"), so a mark for it is set before, with the object that it makes
 * (`probe`), and completed afterwards (`probe` NULL). One that a kill left incomplete is judged by whether its object stands.
 */
const OWN_TABLES = {
  migrate_marks: `id char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, run text ${COLLATE} NOT NULL,
    name text ${COLLATE} NOT NULL, probe text ${COLLATE} NULL, at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP`,
  migrate_ledger: `id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, run text ${COLLATE} NOT NULL, table_name varchar(190) ${COLLATE} NOT NULL,
    source_key longtext ${COLLATE} NOT NULL, target_key longtext ${COLLATE} NOT NULL, action varchar(20) ${COLLATE} NOT NULL,
    source_state longtext ${COLLATE} NOT NULL, target_state longtext ${COLLATE} NOT NULL, at varchar(40) ${COLLATE} NOT NULL,
    KEY (table_name), KEY (source_key(100)), KEY (target_key(100))`,
  migrate_triggers: `name varchar(64) ${COLLATE} NOT NULL PRIMARY KEY, definition longtext ${COLLATE} NOT NULL`,
} as const
export type OwnTable = keyof typeof OWN_TABLES

/** What `work` gives, or `otherwise` when the own table that it reads isn't there. */
export async function withoutTable<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (serverNumber(error) === NO_SUCH_TABLE) return otherwise
    throw error
  }
}

/** Makes the table when it isn't there. */
export async function makeOwnTable(session: Session, table: OwnTable): Promise<void> {
  const found = await withoutTable(async () => session.query(`SELECT 1 FROM ${table} LIMIT 0`), undefined)
  if (found === undefined) await session.query(`CREATE TABLE IF NOT EXISTS ${table} (${OWN_TABLES[table]}) ENGINE=InnoDB`)
}

const idOf = ({ run, name }: Mark): string =>
  createHash('sha256')
    .update(JSON.stringify([run, name]))
    .digest('hex')
const whereOf = (mark: Mark): string => `WHERE id = '${idOf(mark)}'`

/** Names of the marks of a run that stand; [] without the table. */
export async function marksOf(session: Session, run: string): Promise<ReadonlySet<string>> {
  const { rows } = await withoutTable(
    async () => session.query(`SELECT name, probe FROM migrate_marks WHERE run = ${quoteText(run)}`),
    NO_ROWS,
  )
  const names = new Set<string>()
  for (const [name, probe] of rows) {
    if (probe === null || probe === undefined || (await isStanding(session, probeOf(probe)))) names.add(name ?? '')
  }
  return names
}

const probeOf = (text: string): Probe => probeSchema.parse(JSON.parse(text))

/** How a mark stands: not at all, complete, or begun with the object that it makes. */
export async function stateOf(session: Session, mark: Mark): Promise<'none' | 'done' | Probe> {
  const { rows } = await session.query(`SELECT probe FROM migrate_marks ${whereOf(mark)}`)
  if (rows.length === 0) return 'none'
  const probe = rows[0]?.[0] ?? null
  return probe === null ? 'done' : probeOf(probe)
}

const DUPLICATE = 1062

/** Sets a mark within the open transaction; false when it was there. Another transaction that is setting the same one is waited for. */
export async function setMark(session: Session, mark: Mark, probe?: Probe): Promise<boolean> {
  try {
    await setMarks(session, [{ mark, probe }])
    return true
  } catch (error) {
    if (serverNumber(error) === DUPLICATE) return false
    throw error
  }
}

export async function completeMark(session: Session, mark: Mark): Promise<void> {
  await session.query(`UPDATE migrate_marks SET probe = NULL ${whereOf(mark)}`)
}

export async function removeMark(session: Session, mark: Mark): Promise<boolean> {
  const { count } = await session.query(`DELETE FROM migrate_marks ${whereOf(mark)}`)
  return count === 1
}

/** The same for several marks at once; one that doesn't stand at all isn't in the answer. */
export async function statesOf(session: Session, marks: readonly Mark[]): Promise<ReadonlyMap<Mark, 'done' | Probe>> {
  const ids = new Map(marks.map((mark) => [idOf(mark), mark]))
  const { rows } = await session.query(`SELECT id, probe FROM migrate_marks WHERE id IN (${idList(marks)})`)
  const found = new Map<Mark, 'done' | Probe>()
  for (const [id, probe] of rows) {
    const mark = ids.get(id ?? '')
    if (mark !== undefined) found.set(mark, probe === null || probe === undefined ? 'done' : probeOf(probe))
  }
  return found
}

/** Sets marks that don't stand yet, each with the object that its statement makes, where it is one that makes some. */
export async function setMarks(
  session: Session,
  marks: readonly { readonly mark: Mark; readonly probe?: Probe | undefined }[],
): Promise<void> {
  if (marks.length === 0) return
  const values = marks.map(({ mark, probe }) => {
    const text = probe === undefined ? 'NULL' : quoteText(JSON.stringify(probe))
    return `('${idOf(mark)}', ${quoteText(mark.run)}, ${quoteText(mark.name)}, ${text})`
  })
  await session.query(`INSERT INTO migrate_marks (id, run, name, probe) VALUES ${values.join(', ')}`)
}

/**
 * Sets those of the marks that don't stand, within the open transaction, and returns them; `undefined`, with none set, when another
 * transaction has set one of them meanwhile: a new transaction sees it.
 */
export async function setMissing(session: Session, marks: readonly Mark[]): Promise<ReadonlySet<Mark> | undefined> {
  const standing = await statesOf(session, marks)
  const missing = marks.filter((mark) => !standing.has(mark))
  try {
    await setMarks(
      session,
      missing.map((mark) => ({ mark })),
    )
    return new Set(missing)
  } catch (error) {
    if (serverNumber(error) === DUPLICATE) return undefined
    throw error
  }
}

export async function completeMarks(session: Session, marks: readonly Mark[]): Promise<void> {
  if (marks.length > 0) await session.query(`UPDATE migrate_marks SET probe = NULL WHERE id IN (${idList(marks)})`)
}

export async function removeMarks(session: Session, marks: readonly Mark[]): Promise<void> {
  if (marks.length > 0) await session.query(`DELETE FROM migrate_marks WHERE id IN (${idList(marks)})`)
}

const idList = (marks: readonly Mark[]): string => marks.map((mark) => `'${idOf(mark)}'`).join(', ')

export async function removeOwn(session: Session): Promise<void> {
  for (const table of Object.keys(OWN_TABLES)) await session.query(`DROP TABLE IF EXISTS ${table}`)
}

/** How long to wait for another connection that works on the same mark, seconds: a killed one's statement may still run. */
const LOCK_SECONDS = 600

/** Runs `work` while no other connection does so for the same mark ("Locking Functions"). */
export const holdingMark = <T>(session: Session, mark: Mark, work: () => Promise<T>): Promise<T> =>
  holdingMarks(session, [mark], work)

/** The same for several: a connection may hold as many such locks as it likes (since MySQL 5.7.5 and MariaDB 10.0.2). */
export async function holdingMarks<T>(session: Session, marks: readonly Mark[], work: () => Promise<T>): Promise<T> {
  const names = marks.map((mark) => `'migrate ${idOf(mark).slice(0, 40)}'`)
  const ask = (question: (name: string) => string): string => `SELECT ${names.map(question).join(', ')}`
  // Some clusters forbid such locks (Percona XtraDB Cluster's strict mode): there one run's own lock must do.
  const isHeld = await session.query(ask((name) => `GET_LOCK(${name}, ${LOCK_SECONDS})`)).then(
    ({ rows }) => {
      const missed = rows[0]?.findIndex((held) => held !== '1') ?? 0
      const mark = marks[missed]
      if (mark === undefined) return true
      throw new MigrateError(
        'database-busy',
        `On the ${session.label} another connection has been at "${mark.name}" for ${LOCK_SECONDS} seconds. Nothing was changed.`,
        { hint: 'Look what it does (SHOW FULL PROCESSLIST), wait for its end, and run again.', retrySafe: true },
      )
    },
    (error: unknown) => {
      if (session.error(error).code === 'database-statement-failed') return false
      throw error
    },
  )
  try {
    return await work()
  } finally {
    if (isHeld && !session.broken) await session.query(ask((name) => `RELEASE_LOCK(${name})`))
  }
}
