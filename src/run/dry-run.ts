import type { Finding } from '../base/errors.ts'
import { differences } from './binding.ts'
import { type CommandOptions, type Conclusion, sessionOf } from './command.ts'
import { asMigrateError, errorAmong, FAILED, OK, type Verdict, verdictOf } from './failures.ts'
import { RunHistory } from './history.ts'
import { type PreflightStops, preflight } from './preflight.ts'
import { redactJson } from './redaction.ts'
import { namedSteps, type Selection } from './selection.ts'
import type { Session } from './session.ts'
import { readHistory } from './state.ts'
import type { Sequence, Step } from './step.ts'
import { noStop, within } from './stopping.ts'

/**
 * The whole plan, writing nothing anywhere (law 6): the same `check` and `plan` as a run, stopped before `apply`. A step that
 * can't plan doesn't keep the others from it.
 */
export async function rehearse(
  options: CommandOptions & Selection,
  selected: Sequence,
  conclusion: Conclusion,
): Promise<Verdict> {
  const session = await readingSession(options, conclusion)
  for (const id of namedSteps(options)) session.named.add(id)
  session.emit(null, { event: 'started', playbook: options.name, dryRun: true, resumed: session.history.run !== undefined })
  const stops = stopsOf(options)
  const found = await preflight(session, dueSteps(session, selected), stops, options)
  let failed = false
  for (const step of selected.flat()) {
    stops.signal.throwIfAborted()
    const planned = await planStep(session, step, found.get(step.id) ?? [], stops)
    failed ||= !planned
  }
  return failed ? FAILED : verdictAmong(found)
}

/** `migrate check`: every step's preconditions, all together, and nothing else. Writes nothing anywhere. */
export async function checkAll(options: CommandOptions, selected: Sequence, conclusion: Conclusion): Promise<Verdict> {
  const session = await readingSession(options, conclusion)
  session.emit(null, { event: 'started', playbook: options.name, dryRun: true, resumed: session.history.run !== undefined })
  const found = await preflight(session, dueSteps(session, selected), stopsOf(options), options)
  return verdictAmong(found)
}

function verdictAmong(found: ReadonlyMap<string, readonly Finding[]>): Verdict {
  const error = errorAmong([...found.values()].flat())
  return error === undefined ? OK : verdictOf(error)
}

const dueSteps = (session: Session, selected: Sequence): readonly Step[] =>
  selected.flat().filter((step) => session.history.statusOf(step.id) !== 'finished')

function stopsOf(options: CommandOptions): PreflightStops {
  const abort = options.abort ?? noStop()
  return { signal: AbortSignal.any([options.interrupt ?? noStop(), abort]), abort }
}

/** Sees an earlier run's journal as that run would; another playbook's journal says nothing about this one. */
async function readingSession(options: CommandOptions, conclusion: Conclusion): Promise<Session> {
  const { history } = await readHistory(options.directory)
  const binding = redactJson(options.binding, options.redactor)
  const run = history.run
  const lines =
    run === undefined
      ? []
      : [
          ...differences(run.binding.playbook, binding.playbook),
          ...differences(run.binding.endpoints, binding.endpoints, 'endpoints'),
        ]
  const usable = run !== undefined && lines.length === 0 && !history.rolledBack
  if (usable) conclusion.runId = run.id
  const session = sessionOf(options, conclusion.runId, usable ? history : new RunHistory(), undefined)
  if (lines.length > 0) {
    session.emit(null, {
      event: 'finding',
      severity: 'warning',
      code: 'run-bound-elsewhere',
      message: `An earlier run in ${options.directory} was begun with other values:\n${lines.map((line) => `  ${line}`).join('\n')}`,
      hint: 'This plan leaves it out of account. To run it, put the old values back, or begin a new run with --fresh.',
    })
  }
  return session
}

async function planStep(session: Session, step: Step, findings: readonly Finding[], stops: PreflightStops): Promise<boolean> {
  const started = session.clock.monotonic()
  const seconds = (): number => (session.clock.monotonic() - started) / 1000
  session.emit(step.id, { event: 'started', title: step.title })
  try {
    const changes = await within(session.clock, stops, { ms: undefined, what: step.title }, (signal) =>
      step.plan(session.lend(step, signal, 'read')),
    )
    for (const change of changes) {
      const undoable = step.undo !== undefined
      session.emit(step.id, { event: 'change', phase: 'planned', change, summary: step.describe(change), undoable })
    }
    session.emit(step.id, { event: 'done', seconds: seconds(), ...(changes.length === 0 ? { skipped: true } : {}) })
    return true
  } catch (thrown) {
    if (stops.signal.aborted) throw thrown
    const { code, message, hint } = asMigrateError(thrown)
    // What its check found is reason enough; the plan is attempted all the same, since a right that is missing hides no change.
    if (findings.some((finding) => finding.severity === 'error')) {
      session.emit(step.id, { event: 'note', message: `Not planned, because of what its check found: ${message}` })
      session.emit(step.id, { event: 'done', seconds: seconds(), skipped: true })
      return true
    }
    session.emit(step.id, { event: 'failed', seconds: seconds(), code, message, hint })
    return false
  }
}
