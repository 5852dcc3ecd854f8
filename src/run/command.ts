import { randomBytes } from 'node:crypto'
import { type Clock, isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import type { Redactor } from '../base/secret.ts'
import type { EventSink, Outcome } from './events.ts'
import { asMigrateError, interruptedError, type Verdict, verdictOf } from './failures.ts'
import type { RunHistory } from './history.ts'
import type { Journal } from './journal.ts'
import type { Holder } from './lock.ts'
import type { PreflightHooks } from './preflight.ts'
import type { Binding, PlannedStep } from './records.ts'
import { redactJson } from './redaction.ts'
import { type Ask, Session } from './session.ts'
import type { HeldState } from './state.ts'
import type { Effects, Sequence, Step } from './step.ts'
import { noStop } from './stopping.ts'
import type { Hook } from './tell-outbox.ts'

/** What every command that works on a run is given. */
export interface CommandOptions extends PreflightHooks {
  /** The playbook's name. */
  readonly name: string
  /** The state directory, absolute. */
  readonly directory: string
  readonly sequence: Sequence
  readonly binding: Binding
  readonly clock: Clock
  readonly sink: EventSink
  readonly redactor: Redactor
  readonly dryRun?: boolean
  /** Answers every question with yes, but for those that only a person may answer. */
  readonly yes?: boolean
  /** Absent without a terminal. */
  readonly ask?: Ask | undefined
  /** The first Ctrl-C or SIGTERM. */
  readonly interrupt?: AbortSignal
  /** The second one: wait for nothing any more. */
  readonly abort?: AbortSignal
  /** Another part of the same command follows when this one ends well: people aren't told that it is done. */
  readonly isPart?: boolean
  /** Who is told of what happens, by the playbook's `notify:`. */
  readonly hooks?: readonly Hook[]
  /** Wraps everything that is written to the state directory; for simulations. */
  readonly effects?: Effects
  /** Who holds the lock; for simulations. This process when absent. */
  readonly holder?: Holder
  /** Names a new run; for simulations. */
  readonly newId?: () => string
}

export interface RunResult {
  readonly outcome: Outcome
  /** The command's exit code. */
  readonly exit: number
  readonly seconds: number
  readonly runId: string
}

/** What the end of a command needs to know, filled in as it becomes known. */
export interface Conclusion {
  runId: string
  /** Seconds since the command began. */
  readonly seconds: () => number
}

/** Runs a command's body and makes `finished` its last event, however it ends. */
export async function concluding(
  options: CommandOptions,
  runId: string,
  body: (conclusion: Conclusion) => Promise<Verdict>,
): Promise<RunResult> {
  const { clock } = options
  const started = clock.monotonic()
  const conclusion: Conclusion = { runId, seconds: () => (clock.monotonic() - started) / 1000 }
  const tell: EventSink = (event) => options.sink(redactJson(event, options.redactor))
  const stamp = () => ({ time: isoTime(clock.now()), run: conclusion.runId, step: null })
  const verdict = await body(conclusion).catch((thrown: unknown): Verdict => {
    const error = asEnding(thrown, options)
    const { code, message, hint } = error
    if (error.ending !== 'interrupted') {
      tell({ ...stamp(), event: 'failed', seconds: conclusion.seconds(), code, message, hint })
    }
    return verdictOf(error)
  })
  const seconds = conclusion.seconds()
  tell({ ...stamp(), event: 'finished', ...verdict, seconds })
  return { ...verdict, seconds, runId: conclusion.runId }
}

export const makeRunId = (clock: Clock): string =>
  `${isoTime(clock.now()).slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}-${randomBytes(3).toString('hex')}`

/** Why a command ended; what was only cut off by the interrupt is told as that. */
function asEnding(thrown: unknown, options: CommandOptions): MigrateError {
  const stopped = options.interrupt?.aborted === true || options.abort?.aborted === true
  return stopped && !(thrown instanceof MigrateError) ? interruptedError() : asMigrateError(thrown)
}

/** Journals how the run ended; an error that belongs to no step is journaled with it and thrown on. */
export async function conclude(
  session: Session,
  options: CommandOptions,
  conclusion: Conclusion,
  body: () => Promise<Verdict>,
): Promise<Verdict> {
  try {
    const verdict = await body()
    await session.flush()
    await session.part(options.isPart === true ? [] : [finishedBody(verdict, conclusion)], options.abort ?? noStop())
    await session.record({ type: 'run-finished', ...verdict, seconds: conclusion.seconds() })
    return verdict
  } catch (thrown) {
    const error = asEnding(thrown, options)
    const { code, message, hint } = error
    const failed = { event: 'failed', seconds: conclusion.seconds(), code, message, hint } as const
    await session.part([failed, finishedBody(verdictOf(error), conclusion)], options.abort ?? noStop())
    if (isJournalFailure(error)) throw error
    const told = error.ending === 'interrupted' ? {} : { code, message, ...(hint === undefined ? {} : { hint }) }
    await session.record({ type: 'run-finished', ...verdictOf(error), seconds: conclusion.seconds(), ...told })
    throw error
  }
}

const finishedBody = (verdict: Verdict, conclusion: Conclusion) =>
  ({ event: 'finished', ...verdict, seconds: conclusion.seconds() }) as const

export const isJournalFailure = (error: MigrateError): boolean =>
  error.code === 'journal-write-failed' || error.code === 'run-lock-lost'

export const plannedStep = (step: Step): PlannedStep => ({
  id: step.id,
  title: step.title,
  phase: step.phase,
  undoable: step.undo !== undefined,
})

export const sessionOf = (options: CommandOptions, id: string, history: RunHistory, journal: Journal | undefined): Session =>
  new Session({
    id,
    directory: options.directory,
    clock: options.clock,
    sink: options.sink,
    redactor: options.redactor,
    history,
    dryRun: journal === undefined,
    yes: options.yes ?? false,
    ask: options.ask,
    journal,
    telling: tellingOf(options),
  })

export const tellingOf = ({
  hooks = [],
  name,
  sequence,
}: CommandOptions): ConstructorParameters<typeof Session>[0]['telling'] => ({
  hooks,
  playbook: name,
  steps: sequence.flat(),
})

export function tellTorn(session: Session, held: HeldState): void {
  if (held.end === undefined || held.end.tornBytes === 0) return
  session.emit(null, {
    event: 'finding',
    severity: 'info',
    code: 'journal-tail-cut',
    message:
      'The last line of the journal was cut off by a crash and has been removed; what it was to announce had not been begun.',
  })
}
