import { systemClock } from '../../base/clock.ts'

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
    enough.abort()
    work.catch(() => undefined)
  }
}
