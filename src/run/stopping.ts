import type { Clock } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { underStop } from '../base/stop.ts'
import { formatDuration } from '../base/units.ts'
import type { Phase } from './step.ts'

/** What can end a step's work from outside. */
export interface Stops {
  /** The first Ctrl-C (or SIGTERM). */
  readonly interrupt: AbortSignal
  /** The second one: wait for nothing any more. */
  readonly abort: AbortSignal
  /** A step of the same group has failed. */
  readonly sibling: AbortSignal
}

const never: AbortSignal = new AbortController().signal

export const noStop = (): AbortSignal => never

/** What ends reading at once, and keeps the next change from being begun. */
export const softly = (stops: Stops): AbortSignal => AbortSignal.any([stops.interrupt, stops.abort, stops.sibling])

/** What a change in hand listens to: in the cutover it is finished first. */
export const whileApplying = (phase: Phase, stops: Stops): AbortSignal => (phase === 'cutover' ? stops.abort : softly(stops))

/** How long something that was told to stop may take to do so. A database's call ends within two seconds (base/stop.ts). */
const GRACE_MS = 30_000

/**
 * Does `work` with a signal that aborts with `signal` or after `limit.ms`. Waits for work that was aborted to come to its end
 * (30 s at most), so that nothing goes on behind the runner's back; only `abort`, the second Ctrl-C, doesn't wait.
 */
export async function within<T>(
  clock: Clock,
  signals: { readonly signal: AbortSignal; readonly abort: AbortSignal },
  limit: { readonly ms: number | undefined; readonly what: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signals.signal.throwIfAborted()
  const timeout = new AbortController()
  const finished = new AbortController()
  const signal = AbortSignal.any([signals.signal, timeout.signal])
  const working = underStop(signal, () => work(signal))
  try {
    return await Promise.race([
      working,
      rejectOnceAborted(signals.abort, finished.signal),
      giveUp(clock, signal, finished.signal),
      ...(limit.ms === undefined ? [] : [timeOut(clock, limit.ms, limit.what, timeout, finished.signal)]),
    ])
  } catch (error) {
    // What the work itself says once it was cut off matters less than why it was.
    if (timeout.signal.aborted && !signals.signal.aborted) throw timeout.signal.reason
    throw error
  } finally {
    finished.abort()
    working.catch(() => undefined)
  }
}

function rejectOnceAborted(signal: AbortSignal, finished: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: finished })
  })
}

/** Rejects when work goes on for longer than the grace after it was told to stop. */
async function giveUp(clock: Clock, signal: AbortSignal, finished: AbortSignal): Promise<never> {
  await rejectOnceAborted(signal, finished).catch(() => undefined)
  await sleepUnless(clock, GRACE_MS, finished)
  throw signal.reason
}

async function timeOut(clock: Clock, ms: number, what: string, timeout: AbortController, finished: AbortSignal): Promise<never> {
  await sleepUnless(clock, ms, finished)
  timeout.abort(
    new MigrateError('step-timed-out', `${what} took longer than ${formatDuration(ms)} and was stopped.`, {
      hint: 'Run again to resume; if it needs more time, raise the step’s timeout in the playbook.',
    }),
  )
  // The work now has its grace to come to an end (giveUp).
  return await new Promise<never>(() => undefined)
}

/** Never resolves once `finished` has come. */
async function sleepUnless(clock: Clock, ms: number, finished: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, finished)
  } catch (error) {
    if (!finished.aborted) throw error
    await new Promise<never>(() => undefined)
  }
}
