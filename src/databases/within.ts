import { systemClock } from '../base/clock.ts'

/** True when it settles in time; what fails later fails for whoever waits for it then. */
export async function isWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  const enough = new AbortController()
  const late = systemClock.sleep(ms, enough.signal).then(
    () => false,
    () => true,
  )
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    // A reason of our own: without one, an error is made for it, with its stack.
    enough.abort(null)
    work.catch(() => undefined)
  }
}

/**
 * True when it settles while there is word of what it waits for: false once nothing was heard for `ms`, since it is waited for or, by
 * `heardAt` (on the monotonic clock), since then. What fails later fails for whoever waits for it then.
 */
export async function isHeardOf(ms: number, heardAt: () => number, work: Promise<unknown>): Promise<boolean> {
  const begun = systemClock.monotonic()
  for (let left = ms; left > 0; left = Math.max(begun, heardAt()) + ms - systemClock.monotonic())
    if (await isWithin(left, work)) return true
  return false
}
