import { type CommandOptions, concluding, makeRunId, type RunResult, tellingOf } from './command.ts'
import { asMigrateError, errorAmong, interruptedError, OK, type Verdict, verdictOf } from './failures.ts'
import { isLocked } from './lock.ts'
import { preflight } from './preflight.ts'
import { selectSteps } from './selection.ts'
import { Session } from './session.ts'
import { readHistory } from './state.ts'
import type { Step } from './step.ts'
import { noStop, within } from './stopping.ts'

/**
 * Does steps that only look, side by side, beside a run that may be at work or after it: no lock, no journal, nothing written
 * anywhere. What the run remembers is known to them as it stands at the start. Never throws; ends as `runSequence` does.
 */
export async function observeSteps(options: CommandOptions, only: readonly string[]): Promise<RunResult> {
  return await concluding(options, makeRunId(options.clock), async (conclusion) => {
    const steps = selectSteps(options.sequence, { only }).flat()
    const { history } = await readHistory(options.directory)
    conclusion.runId = history.run?.id ?? conclusion.runId
    // A run that is at work tells people by itself.
    const isBeside = (options.hooks ?? []).length > 0 && (await isLocked(options.directory))
    const session = new Session({
      id: conclusion.runId,
      directory: options.directory,
      clock: options.clock,
      sink: options.sink,
      redactor: options.redactor,
      history,
      dryRun: false,
      yes: options.yes ?? false,
      ask: options.ask,
      journal: undefined,
      telling: isBeside ? undefined : tellingOf(options),
      observing: { history: async () => (await readHistory(options.directory)).history },
    })
    session.emit(null, { event: 'started', playbook: options.name, dryRun: false, resumed: history.run !== undefined })
    const abort = options.abort ?? noStop()
    const stops = { signal: AbortSignal.any([options.interrupt ?? noStop(), abort]), abort }
    const found = await preflight(session, steps, stops)
    const error = errorAmong([...found.values()].flat())
    if (error !== undefined) throw error
    if (isBeside)
      session.emit(null, {
        event: 'note',
        message: 'The run that is at work tells people what happens; this watch only shows it.',
      })
    for (const { id } of steps) session.handingOver.began(id)
    try {
      const verdicts = await Promise.all(
        steps.map((step) => look(session, step, stops).finally(() => session.handingOver.ended(step.id))),
      )
      return verdicts.find((verdict) => verdict !== OK) ?? OK
    } finally {
      await session.part([], abort)
    }
  })
}

async function look(
  session: Session,
  step: Step,
  stops: { readonly signal: AbortSignal; readonly abort: AbortSignal },
): Promise<Verdict> {
  const started = session.clock.monotonic()
  const seconds = (): number => (session.clock.monotonic() - started) / 1000
  session.emit(step.id, { event: 'started', title: step.title })
  const guarded = <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> =>
    within(session.clock, stops, { ms: undefined, what: step.title }, work)
  try {
    const changes = await guarded((signal) => step.plan(session.lend(step, signal, 'read')))
    for (const change of changes) await guarded((signal) => step.apply(change, session.lend(step, signal, 'write')))
    if (changes.length === 0) session.emit(step.id, { event: 'note', message: 'Nothing has happened since it was last watched.' })
    session.emit(step.id, { event: 'done', seconds: seconds(), ...(changes.length === 0 ? { skipped: true } : {}) })
    return OK
  } catch (thrown) {
    const error = stops.signal.aborted ? interruptedError() : asMigrateError(thrown)
    const { code, message, hint, ending } = error
    if (ending === 'waiting') session.emit(step.id, { event: 'waiting', message, hint })
    else session.emit(step.id, { event: 'failed', seconds: seconds(), code, message, hint })
    return verdictOf(error)
  }
}
