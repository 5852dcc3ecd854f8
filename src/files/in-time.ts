import { systemClock } from '../base/clock.ts'
import { formatDuration } from '../base/units.ts'

/**
 * Waits for `work`, but no longer than `limitMs`: then `hangUp` is called, and an error thrown that says "Timeout". For what a server is
 * asked by a library that would wait for ever.
 */
export async function inTime<T>(limitMs: number, what: string, work: Promise<T>, hangUp: () => void): Promise<T> {
  const enough = new AbortController()
  const late = systemClock.sleep(limitMs, enough.signal).then(() => {
    hangUp()
    throw new Error(`Timeout: ${what} took longer than ${formatDuration(limitMs)}`)
  })
  late.catch(() => undefined) // the work came first
  work.catch(() => undefined) // whoever waits was told that it is late
  try {
    return await Promise.race([work, late])
  } finally {
    enough.abort()
  }
}
