import { systemClock } from '../base/clock.ts'
import { inTime as within } from '../base/time-limit.ts'
import { formatDuration } from '../base/units.ts'

/** Nobody ends it but its own time. */
const NEVER = new AbortController().signal

/**
 * Waits for `work`, but no longer than `limitMs`: then `hangUp` is called, and an error thrown that says "Timeout". For what a server is
 * asked by a library that would wait for ever.
 */
export function inTime<T>(limitMs: number, what: string, work: Promise<T>, hangUp: () => void): Promise<T> {
  const late = (): Error => {
    hangUp()
    return new Error(`Timeout: ${what} took longer than ${formatDuration(limitMs)}`)
  }
  return within({ clock: systemClock, signal: NEVER, ms: limitMs, late }, () => work)
}
