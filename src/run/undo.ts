import { MigrateError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { formatCount } from '../base/units.ts'
import { assertSameBinding } from './binding.ts'
import {
  type CommandOptions,
  type Conclusion,
  conclude,
  concluding,
  isJournalFailure,
  makeRunId,
  type RunResult,
  sessionOf,
  tellTorn,
} from './command.ts'
import { asMigrateError, INTERRUPTED, OK, type Verdict, verdictOf } from './failures.ts'
import type { PastChange, RunHistory } from './history.ts'
import { redactJson } from './redaction.ts'
import { retrying } from './retry.ts'
import type { Session } from './session.ts'
import { holdState, openHeldJournal, readHistory } from './state.ts'
import { directly, type Phase, type Step } from './step.ts'
import { noStop, type Stops, whileApplying, within } from './stopping.ts'

export interface RollbackOptions extends CommandOptions {
  /** Only changes of steps of these phases; all when absent. */
  readonly phases?: readonly Phase[]
  /** Only changes of these steps; all when absent. */
  readonly steps?: readonly string[]
  /**
   * What sends customers back comes first: steps that are `undoneLast` are taken back after all others, and one of them that can't
   * be is told and left for the next rollback.
   */
  readonly customersFirst?: boolean
}

/**
 * Takes back every change begun, newest first, finished or not, over all the processes that worked on the run. Can itself be cut
 * off and run again. Never throws; ends as `runSequence` does. A dry run tells what would be taken back.
 */
export async function rollback(options: RollbackOptions): Promise<RunResult> {
  return await concluding(options, makeRunId(options.clock), async (conclusion) => {
    if (options.dryRun === true) return await tellOnly(options, conclusion)
    const before = await readHistory(options.directory)
    if (before.history.run === undefined) return nothingToTakeBack(options, conclusion, before.history)
    const effects = options.effects ?? directly
    const held = await holdState(options.directory, effects, options.holder)
    try {
      const run = held.history.run
      if (run === undefined) return nothingToTakeBack(options, conclusion, held.history)
      conclusion.runId = run.id
      assertSameBinding(run.binding, redactJson(options.binding, options.redactor), run.id)
      const journal = await openHeldJournal(options.directory, options.clock, held, effects)
      try {
        const session = sessionOf(options, run.id, held.history, journal)
        await session.record({ type: 'rollback-started', run: run.id })
        session.emit(null, { event: 'started', playbook: options.name, dryRun: false, resumed: true })
        tellTorn(session, held)
        return await conclude(session, options, conclusion, () => takeBackAll(session, options))
      } finally {
        await journal.close()
      }
    } finally {
      await effects('lock: release', () => held.lock.release())
    }
  })
}

function nothingToTakeBack(options: RollbackOptions, conclusion: Conclusion, history: RunHistory): Verdict {
  const session = sessionOf(options, conclusion.runId, history, undefined)
  session.emit(null, { event: 'note', message: 'Nothing to take back: nothing was changed by a run of this playbook.' })
  return OK
}

/** Changes to take back, newest first. One that was begun several times in a row is taken back once. */
export interface Undoing {
  readonly key: string
  readonly change: Json
  readonly summary: string
  readonly step: string
  /** The journal's lines that began it. */
  readonly lines: number[]
  readonly undoable: boolean
  readonly redacted: boolean
}

export function undoings(history: RunHistory, wanted: (change: PastChange) => boolean): readonly Undoing[] {
  const result: Undoing[] = []
  const latestOfStep = new Map<string, Undoing>()
  for (const past of [...history.changes].reverse()) {
    if (past.state === 'undone' || !wanted(past)) continue
    const newer = latestOfStep.get(past.step)
    if (newer !== undefined && newer.key === past.key) {
      newer.lines.push(past.n)
      continue
    }
    const { key, summary, step, undoable, redacted } = past
    const undoing: Undoing = {
      key,
      summary,
      step,
      undoable,
      redacted,
      lines: [past.n],
      // A long one is read when its turn comes.
      get change() {
        return past.change
      },
    }
    latestOfStep.set(past.step, undoing)
    result.push(undoing)
  }
  return result
}

function wantedBy(options: RollbackOptions): (change: PastChange) => boolean {
  const phases = new Map(options.sequence.flat().map((step) => [step.id, step.phase]))
  return ({ step }) => {
    const phase = phases.get(step)
    const inPhase = options.phases === undefined || (phase !== undefined && options.phases.includes(phase))
    return inPhase && (options.steps === undefined || options.steps.includes(step))
  }
}

async function takeBackAll(session: Session, options: RollbackOptions): Promise<Verdict> {
  const interrupt = options.interrupt ?? noStop()
  const steps = new Map(options.sequence.flat().map((step) => [step.id, step]))
  const all = inOrder(undoings(session.history, wantedBy(options)), steps, options)
  const failed = new Map<string, MigrateError>()
  if (all.length === 0) session.emit(null, { event: 'note', message: 'Nothing left to take back.' })
  for (const undoing of all) {
    if (interrupt.aborted || options.abort?.aborted === true) return INTERRUPTED
    const step = steps.get(undoing.step)
    // Older changes of a step wait with the newer one.
    if (failed.has(undoing.step)) continue
    if (step === undefined || whyNot(step, undoing) !== undefined) continue
    try {
      await takeBack(session, options, step, undoing)
    } catch (error) {
      if (!isLeftForLater(error, step, options)) throw error
      failed.set(step.id, error)
      session.emit(step.id, { event: 'finding', ...waits(error) })
    }
  }
  tellRemaining(session, all, steps, options)
  const [first] = failed.values()
  if (first !== undefined) return verdictOf(first)
  const left = undoings(session.history, (change) => whyNot(steps.get(change.step), change) === undefined)
  if (left.length === 0) await session.record({ type: 'rolled-back', run: session.id })
  return OK
}

const isLast = (step: Step | undefined, { customersFirst }: RollbackOptions): boolean =>
  customersFirst === true && step?.undoneLast === true

function inOrder(all: readonly Undoing[], steps: ReadonlyMap<string, Step>, options: RollbackOptions): readonly Undoing[] {
  const { last = [], first = [] } = Object.groupBy(all, ({ step }) => (isLast(steps.get(step), options) ? 'last' : 'first'))
  return [...first, ...last]
}

const isLeftForLater = (error: unknown, step: Step, options: RollbackOptions): error is MigrateError =>
  isLast(step, options) && options.abort?.aborted !== true && error instanceof MigrateError && !isJournalFailure(error)

const waits = ({ message, hint }: MigrateError) => ({ severity: 'warning', code: 'not-taken-back-yet', message, hint }) as const

function whyNot(step: Step | undefined, undoing: Pick<Undoing, 'undoable' | 'redacted'>): string | undefined {
  if (step === undefined) return 'the playbook has no such step any more'
  if (step.undo === undefined || !undoing.undoable) return 'this step can’t be taken back'
  return undoing.redacted ? 'it held a secret, which is not kept in the journal' : undefined
}

/** What stays as it is, said once for each step. */
function tellRemaining(
  session: Session,
  all: readonly Undoing[],
  steps: ReadonlyMap<string, Step>,
  { customersFirst }: RollbackOptions,
): void {
  const staying = all.filter((undoing) => whyNot(steps.get(undoing.step), undoing) !== undefined)
  for (const [id, own] of Map.groupBy(staying, ({ step }) => step)) {
    const [first] = own
    if (first === undefined) continue
    const shown = own.slice(0, REMAINING_SHOWN).map(({ summary }) => summary)
    const more = own.length > shown.length ? `; and ${formatCount(own.length - shown.length)} more` : ''
    session.emit(id, {
      event: 'finding',
      severity: 'warning',
      code: 'not-taken-back',
      message: `Remains as it is: ${shown.join('; ')}${more} (${whyNot(steps.get(id), first)}).`,
      // After the cutover what was carried to the new host belongs there; before it, nothing has been carried.
      hint:
        customersFirst === true
          ? 'It does no harm where it is: customers are sent to the old host.'
          : 'Take it back by hand if it is in the way.',
    })
  }
}

const REMAINING_SHOWN = 3

async function takeBack(session: Session, options: RollbackOptions, step: Step, undoing: Undoing): Promise<void> {
  const abort = options.abort ?? noStop()
  const stops: Stops = { interrupt: options.interrupt ?? noStop(), abort, sibling: noStop() }
  const signal = whileApplying(step.phase, stops)
  const note = (message: string): void => session.emit(step.id, { event: 'note', message })
  for (const of of undoing.lines) await session.record({ type: 'change-undoing', of })
  try {
    const change = step.change.parse(undoing.change)
    await retrying(session.clock, signal, note, () =>
      within(session.clock, { signal, abort }, { ms: undefined, what: undoing.summary }, async (inner) =>
        step.undo?.(change, session.lend(step, inner, 'write')),
      ),
    )
  } catch (thrown) {
    throw signal.aborted ? thrown : cantTakeBack(thrown, undoing)
  }
  await session.flush()
  for (const of of undoing.lines) await session.record({ type: 'change-undone', of })
  session.emit(step.id, { event: 'change', phase: 'undone', change: undoing.change, summary: undoing.summary, undoable: true })
}

function cantTakeBack(thrown: unknown, undoing: Undoing): MigrateError {
  const { code, message, hint, ending } = asMigrateError(thrown)
  return new MigrateError(
    code,
    `"${undoing.summary}" (${undoing.step}) could not be taken back: ${message} What was begun before it still stands.`,
    {
      ending,
      cause: thrown,
      hint: `${hint === undefined ? '' : `${hint} `}Then run  migrate rollback PLAYBOOK  again: it goes on here.`,
    },
  )
}

async function tellOnly(options: RollbackOptions, conclusion: Conclusion): Promise<Verdict> {
  const { history } = await readHistory(options.directory)
  conclusion.runId = history.run?.id ?? conclusion.runId
  const session = sessionOf(options, conclusion.runId, history, undefined)
  session.emit(null, { event: 'started', playbook: options.name, dryRun: true, resumed: history.run !== undefined })
  const steps = new Map(options.sequence.flat().map((step) => [step.id, step]))
  const all = inOrder(undoings(history, wantedBy(options)), steps, options)
  if (all.length === 0) session.emit(null, { event: 'note', message: 'Nothing to take back.' })
  tellRemaining(session, all, steps, options)
  for (const undoing of all) {
    if (whyNot(steps.get(undoing.step), undoing) !== undefined) continue
    const { change, summary } = undoing
    session.emit(undoing.step, { event: 'change', phase: 'planned', change, summary: `take back: ${summary}`, undoable: true })
  }
  return OK
}
