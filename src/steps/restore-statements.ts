import { MigrateError } from '../base/errors.ts'
import { loadMarksOf, statementMark, tableCreatedBy } from '../databases/plan/restore.ts'
import { lanes, leadersFirst, type PlannedStatement } from '../databases/plan/statements.ts'
import type { Database, MarkedStatement } from '../databases/port.ts'
import type { StepRun } from '../run/step.ts'
import { ORPHANS_KEY, RESTORED_KEY } from './restore-work.ts'

export interface StatementsOptions {
  readonly run: StepRun
  readonly database: Database
  readonly statements: readonly PlannedStatement[]
  readonly connections: number
  /** Bytes of a table's rows, about: an index on many of them takes long. */
  readonly bytesOf: (table: string) => number
}

/** Statements of small tables that one connection runs together. */
const MOST_TOGETHER = 64
const SMALL_BYTES = 2 ** 20

/**
 * Runs the statements of one change that don't stand yet, each exactly once: in their order, or, where they name tables, table beside
 * table, the largest first, and of a large one index beside index. Ends when all have stopped.
 */
export async function runStatements(options: StatementsOptions): Promise<void> {
  const { run, database, connections } = options
  const marks = await database.marks(run.id)
  const missing = options.statements.filter(({ name }) => !marks.has(statementMark(name)))
  for (const name of missing.flatMap(({ stale }) => stale))
    if (marks.has(name)) await database.retract(null, { run: run.id, name })
  const waiting = tasksOf(missing, options.bytesOf)
  const stop = new AbortController()
  const signal = AbortSignal.any([run.signal, stop.signal])
  let done = options.statements.length - missing.length
  const perform = async ({ portions }: Task): Promise<void> => {
    for (const together of portions) {
      signal.throwIfAborted()
      await runTogether(
        database,
        together.map((statement) => marked(run, statement)),
      )
      done += together.length
      run.progress(done, options.statements.length, 'changes', together.at(-1)?.name ?? '')
    }
  }
  const most = waiting.reduce((sum, task) => sum + 1 + task.next.length, 0)
  await sideBySide(Math.min(connections, most), waiting, perform, stop)
}

/** A statement's error after a snapshot of several moments: two rows may have what no two rows ever had at once, and no key takes that. */
export function perhapsOfSeveralMoments(error: unknown): unknown {
  if (!(error instanceof MigrateError) || error.code !== 'database-statement-failed') return error
  return new MigrateError(error.code, error.message, {
    hint: 'The snapshot is of several moments. If two of its rows claim what one alone may have, such as an e-mail that a customer took to another account meanwhile, take it anew: first  migrate rollback PLAYBOOK, then  migrate run PLAYBOOK. Otherwise mend what the server names, and run again.',
    cause: error,
  })
}

/** What one connection does before it takes up more: portions, each run together, one after the other. */
interface Task {
  readonly portions: readonly (readonly PlannedStatement[])[]
  /** What may be begun once they stand. */
  readonly next: readonly Task[]
}

/** Performs tasks, as many at a time as told; ends when all have stopped. The first that fails stops the others. */
async function sideBySide(
  most: number,
  waiting: Task[],
  perform: (task: Task) => Promise<void>,
  stop: AbortController,
): Promise<void> {
  let busy = 0
  let change = Promise.withResolvers<void>()
  const worker = async (): Promise<void> => {
    while (waiting.length > 0 || busy > 0) {
      const task = waiting.shift()
      if (task === undefined) {
        await change.promise
        continue
      }
      busy += 1
      try {
        await perform(task)
        waiting.unshift(...task.next)
      } catch (error) {
        waiting.length = 0
        stop.abort(error)
        throw error
      } finally {
        busy -= 1
        change.resolve()
        change = Promise.withResolvers<void>()
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.max(1, most) }, worker))
  const failed = ends.find((end) => end.status === 'rejected')
  if (failed !== undefined) throw stop.signal.reason ?? failed.reason
}

function tasksOf(statements: readonly PlannedStatement[], bytesOf: (table: string) => number): Task[] {
  const inOrder = statements.filter(({ table }) => table === undefined)
  const sized = [...lanes(statements.filter(({ table }) => table !== undefined))]
    .map(([table, lane]) => ({ lane, bytes: bytesOf(table) }))
    .toSorted((a, b) => b.bytes - a.bytes)
  const large = sized.filter(({ bytes }) => bytes > SMALL_BYTES).flatMap(({ lane }) => tasksOfLarge(lane))
  const small = sized.filter(({ bytes }) => bytes <= SMALL_BYTES).map(({ lane }) => lane)
  return [
    ...(inOrder.length === 0 ? [] : [alone(ordered(inOrder))]),
    ...large,
    ...bundled(small).map((bundle) => alone([bundle])),
  ]
}

const alone = (portions: Task['portions']): Task => ({ portions, next: [] })

/** Each statement takes long: one after the other, and then those side by side that may be. */
function tasksOfLarge(lane: readonly PlannedStatement[]): readonly Task[] {
  const [leaders, others] = leadersFirst(lane)
  const next = others.map((statement) => alone([[statement]]))
  return leaders.length === 0 ? next : [{ portions: leaders.map((statement) => [statement]), next }]
}

/** What is made while the tables are empty takes no time, and is made together; what comes after the rows may. */
const ordered = (statements: readonly PlannedStatement[]): Task['portions'] =>
  statements.every(({ stage }) => stage === 'before')
    ? bundled(statements.map((statement) => [statement]))
    : statements.map((statement) => [statement])

/** Lanes joined into bundles; none is cut. */
function bundled(parts: readonly (readonly PlannedStatement[])[]): readonly (readonly PlannedStatement[])[] {
  const bundles: PlannedStatement[][] = []
  for (const part of parts) {
    const last = bundles.at(-1)
    if (last !== undefined && last.length + part.length <= MOST_TOGETHER) last.push(...part)
    else bundles.push([...part])
  }
  return bundles
}

/**
 * Takes a statement back, with the marks of the rows that go with it, and reads back that it is gone. With the last of them go
 * migrate's own tables. `refuse`: throws where its table may not go.
 */
export async function takeBackStatement(
  run: StepRun,
  database: Database,
  statement: Pick<PlannedStatement, 'name' | 'undo'>,
  refuse: (table: string) => Promise<void>,
): Promise<void> {
  const mark = { run: run.id, name: statementMark(statement.name) }
  const created = tableCreatedBy(statement.name)
  const marks = await database.marks(run.id)
  if (created !== undefined && marks.has(mark.name)) await refuse(created)
  // The table goes together with its mark; marks of its rows mean nothing without it.
  await database.retract(statement.undo, mark)
  for (const name of loadMarksOf(statement.name, marks)) await database.retract(null, { run: run.id, name })
  const left = await database.marks(run.id)
  if (left.has(mark.name))
    throw new MigrateError('undo-failed', `${database.label} still has ${statement.name}, though it was taken back.`)
  if (left.size > 0) return
  await run.remember(RESTORED_KEY, null)
  await run.remember(ORPHANS_KEY, null)
  await database.removeOwnTables()
}

const marked = (run: StepRun, { sql, name }: PlannedStatement): MarkedStatement => ({
  sql,
  mark: { run: run.id, name: statementMark(name) },
})

async function runTogether(database: Database, statements: readonly MarkedStatement[]): Promise<void> {
  if (statements.length > 1 && database.executeTogether !== undefined) await database.executeTogether(statements)
  else for (const { sql, mark } of statements) await database.execute(sql, mark)
}
