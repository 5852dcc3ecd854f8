import { MigrateError } from '../base/errors.ts'
import { type Json, jsonSchema } from '../base/json.ts'
import { asFinal, asMigrateError, errorAmong, interruptedError } from './failures.ts'
import { isParking, STOPPED } from './history.ts'
import { holdsSecret } from './redaction.ts'
import { retrying } from './retry.ts'
import { findingFields, type Session } from './session.ts'
import type { Step } from './step.ts'
import { type Stops, softly, whileApplying, within } from './stopping.ts'

/** How a step came to its end. `stopped`: because of a step beside it. */
export type StepEnd =
  | { readonly kind: 'finished'; readonly skipped: boolean; readonly parked: boolean }
  | { readonly kind: 'failed' | 'waiting' | 'interrupted' | 'stopped'; readonly error: MigrateError }

/** Runs one step to its end: plan, each change after its line in the journal, then the evidence. Never throws. */
export async function executeStep(session: Session, step: Step, stops: Stops): Promise<StepEnd> {
  const started = session.clock.monotonic()
  const seconds = (): number => (session.clock.monotonic() - started) / 1000
  session.emit(step.id, { event: 'started', title: step.title })
  try {
    const skipped = await work(session, step, stops)
    await finish(session, step, seconds(), skipped)
    return { kind: 'finished', skipped, parked: session.history.isParked(step.id) }
  } catch (thrown) {
    const end = endOf(thrown, stops)
    await reportEnd(session, step, seconds(), end)
    return end
  }
}

/** Returns true when there was nothing to do and the journal says that the step had finished. */
async function work(session: Session, step: Step, stops: Stops): Promise<boolean> {
  const { history } = session
  const wasFinished = history.statusOf(step.id) === 'finished'
  await session.record({ type: 'step-started', step: step.id })
  const changes = await asked(session, step, stops, (signal) => step.plan(session.lend(step, signal, 'read')))
  if (wasFinished && changes.length === 0 && !history.isParked(step.id)) return true
  if (wasFinished && changes.length > 0 && step.phase === 'prepare' && history.cutOver && !session.named.has(step.id)) {
    session.emit(step.id, leftAlone(step, changes.length))
    return true
  }
  announce(session, step, changes)
  await applyAll(session, step, changes, stops)
  const findings = await asked(session, step, stops, (signal) => step.verify(session.lend(step, signal, 'write')))
  for (const finding of findings) {
    const fields = findingFields(finding)
    session.emit(step.id, { event: 'finding', ...fields })
    await session.record({ type: 'finding', step: step.id, ...fields })
  }
  const error = errorAmong(findings.filter((finding) => !isParking(finding.code)))
  if (error !== undefined) throw error
  return false
}

/** What a step finds in the world; asked again where a connection broke or somebody ended the question, as a change is. */
async function asked<T>(session: Session, step: Step, stops: Stops, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = softly(stops)
  return await retrying(session.clock, signal, noteOf(session, step), () =>
    within(session.clock, { signal, abort: stops.abort }, { ms: undefined, what: step.title }, ask),
  )
}

const noteOf =
  (session: Session, step: Step) =>
  (message: string): void =>
    session.emit(step.id, { event: 'note', message })

const leftAlone = (step: Step, count: number) =>
  ({
    event: 'finding',
    severity: 'warning',
    code: 'left-alone-after-cutover',
    message: `"${step.title}" had finished before the cutover, and would now change ${count === 1 ? 'something' : `${count} things`} again: left alone, because customers may be on the new host.`,
    hint: `If you mean it to be done again, run with --only ${step.id}.`,
  }) as const

function announce(session: Session, step: Step, changes: readonly Json[]): void {
  for (const change of changes) {
    session.emit(step.id, {
      event: 'change',
      phase: 'planned',
      change,
      summary: step.describe(change),
      undoable: step.undo !== undefined,
    })
  }
}

/** As many changes side by side as the step allows. After a failure no further one is begun; the first failure is thrown. */
async function applyAll(session: Session, step: Step, changes: readonly Json[], stops: Stops): Promise<void> {
  const failed = new AbortController()
  const local: Stops = { ...stops, sibling: AbortSignal.any([stops.sibling, failed.signal]) }
  const errors: unknown[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < changes.length && errors.length === 0) {
      const change = changes[next]
      next += 1
      if (change === undefined) continue
      try {
        softly(stops).throwIfAborted()
        await applyOne(session, step, change, local)
      } catch (error) {
        errors.push(error)
        failed.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, step.parallel ?? 1) }, worker))
  if (errors.length > 0) throw errors[0]
  softly(stops).throwIfAborted()
}

async function applyOne(session: Session, step: Step, change: Json, stops: Stops): Promise<void> {
  const summary = step.describe(change)
  const undoable = step.undo !== undefined
  const redacted = holdsSecret(change, session.redacted(change))
  const of = await session.record({
    type: 'change-begun',
    step: step.id,
    change,
    summary,
    undoable,
    ...(redacted ? { redacted } : {}),
  })
  session.emit(step.id, { event: 'change', phase: 'applying', change, summary, undoable })
  const signal = whileApplying(step.phase, stops)
  try {
    await retrying(session.clock, signal, noteOf(session, step), () =>
      within(session.clock, { signal, abort: stops.abort }, { ms: step.timeoutMs, what: `"${summary}"` }, (inner) =>
        step.apply(change, session.lend(step, inner, 'write')),
      ),
    )
  } catch (error) {
    throw signal.aborted ? error : asFinal(error)
  }
  await session.flush()
  await session.record({ type: 'change-applied', of })
  session.emit(step.id, { event: 'change', phase: 'applied', change, summary, undoable })
}

async function finish(session: Session, step: Step, seconds: number, skipped: boolean): Promise<void> {
  await session.flush()
  const { watch, figures } = session.observed(step.id)
  if (watch !== undefined) await session.record({ type: 'observed', step: step.id, body: jsonSchema.parse(watch) })
  await session.record({ type: 'step-finished', step: step.id, skipped, seconds, figures: Object.fromEntries(figures) })
  session.emit(step.id, { event: 'done', seconds, ...(skipped ? { skipped } : {}) })
}

function endOf(thrown: unknown, stops: Stops): StepEnd {
  if (stops.interrupt.aborted || stops.abort.aborted) {
    if (isJustTheStop(thrown, stops)) return { kind: 'interrupted', error: interruptedError() }
  } else if (stops.sibling.aborted && isJustTheStop(thrown, stops)) {
    return { kind: 'stopped', error: stoppedError() }
  }
  const error = asMigrateError(thrown)
  const kind = error.ending === 'waiting' || error.ending === 'interrupted' ? error.ending : 'failed'
  return { kind, error }
}

/** An error that only tells that the work was cut off, in whichever words; a MigrateError has something of its own to say. */
function isJustTheStop(thrown: unknown, stops: Stops): boolean {
  const reasons: readonly unknown[] = [stops.interrupt.reason, stops.abort.reason, stops.sibling.reason]
  if (thrown !== undefined && reasons.includes(thrown)) return true
  return !(thrown instanceof MigrateError) || thrown.ending === 'interrupted' || thrown.retrySafe
}

const stoppedError = (): MigrateError =>
  new MigrateError(STOPPED, 'Stopped, because a step beside it failed.', { hint: 'It goes on when you run again.' })

async function reportEnd(session: Session, step: Step, seconds: number, end: StepEnd): Promise<void> {
  if (end.kind === 'finished') return
  const { code, message, hint, ending } = end.error
  try {
    await session.flush()
    await session.record({
      type: 'step-failed',
      step: step.id,
      code,
      message,
      ...(hint === undefined ? {} : { hint }),
      ending,
    })
  } catch (unwritten) {
    // The step's own error is the one to act on, unless this is the same one.
    if (unwritten !== end.error) session.emit(step.id, { event: 'note', message: asMigrateError(unwritten).message })
  }
  if (end.kind === 'waiting') session.emit(step.id, { event: 'waiting', message, hint })
  else session.emit(step.id, { event: 'failed', seconds, code, message, hint })
}
