import { MigrateError } from '../base/errors.ts'
import { statementMark, tableCreatedBy } from '../databases/plan/restore.ts'
import type { Database, Statement } from '../databases/port.ts'
import { fullName, type Schema } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { tablesOf } from './schema-seen.ts'

/** Marks on the new host of a restore that isn't made of our own statements. */
export const BEGUN_MARK = 'native restore begun'
export const DONE_MARK = 'native restore done'

/** Sets a mark and does nothing else. Every engine knows this statement. */
const NOTHING = 'SELECT 1'

export const setMark = (database: Database, run: StepRun, name: string): Promise<void> =>
  database.execute(NOTHING, { run: run.id, name })

/** Statements that made what stands on this database now, in an order of creation. */
export const standing = async (database: Database): Promise<readonly Statement[]> => database.ddl(await database.schema())

const CHUNK = 100

/**
 * Drops whatever of `schema` stands on the database and isn't in `before` (names of statements), newest first. What it doesn't know
 * by name it leaves alone. Throws `undo-failed` with the names of what is left.
 */
export async function dropRestored(database: Database, schema: Schema, before: ReadonlySet<string>, run: StepRun): Promise<void> {
  const wanted = new Set(database.ddl(schema).map((statement) => statement.name))
  const ours = async () =>
    (await standing(database)).filter(({ name, undo }) => wanted.has(name) && !before.has(name) && undo !== null)
  const doomed = (await ours()).toReversed()
  for (let at = 0; at < doomed.length; at += CHUNK) {
    run.signal.throwIfAborted()
    await database.runStatements(doomed.slice(at, at + CHUNK).flatMap(({ undo }) => undo ?? []))
    run.progress(Math.min(at + CHUNK, doomed.length), doomed.length, 'changes', 'dropping')
  }
  const left = await ours()
  if (left.length === 0) return
  throw new MigrateError(
    'undo-failed',
    `${database.label} still has ${left.map(({ name }) => name).join(', ')}, though they were dropped.`,
    { hint: 'Find out what makes them anew, then run again.' },
  )
}

/**
 * Sets the mark of every statement of the schema, so that nothing is planned any more. A definition that the restore didn't bring is
 * made now, by its own statement; a table that it didn't bring is an error, since its rows are missing too.
 */
export async function markStatements(database: Database, schema: Schema, run: StepRun): Promise<void> {
  const statements = database.ddl(schema)
  const [there, marks] = await Promise.all([standing(database), database.marks(run.id)])
  const names = new Set(there.map(({ name }) => name))
  const missing = statements.filter(({ name }) => tableCreatedBy(name) !== undefined && !names.has(name))
  if (missing.length > 0) {
    throw new MigrateError(
      'native-restore-incomplete',
      `The snapshot didn't bring ${missing.map(({ name }) => name).join(', ')} to the ${database.label}. Customers still use the old host.`,
      {
        hint: 'Is the snapshot of this database, and newer than these tables? Take it anew: first  migrate rollback PLAYBOOK, then  migrate run PLAYBOOK.',
      },
    )
  }
  const waiting = statements.filter(({ name }) => !marks.has(statementMark(name)))
  for (const [at, { name, sql }] of waiting.entries()) {
    run.signal.throwIfAborted()
    await database.execute(names.has(name) ? NOTHING : sql, { run: run.id, name: statementMark(name) })
    if (at % CHUNK === 0) run.progress(at, waiting.length, 'changes', 'marks')
  }
}

/** Takes all marks of a restore off again, those that tell what was begun last, and migrate's own tables when no mark is left. */
export async function removeMarks(database: Database, run: StepRun): Promise<void> {
  const marks = [...(await database.marks(run.id))]
  const last = (name: string): boolean => name === BEGUN_MARK
  for (const name of [...marks.filter((each) => !last(each)), ...marks.filter(last)]) {
    if (!name.startsWith('statement ') && name !== BEGUN_MARK && name !== DONE_MARK) continue
    await database.retract(null, { run: run.id, name })
  }
  if ((await database.marks(run.id)).size === 0) await database.removeOwnTables()
}

/** Names of the tables that stand on the database. */
export const standingTables = async (database: Database): Promise<ReadonlySet<string>> =>
  new Set((await tablesOf(database)).map((table) => fullName(table.name)))
