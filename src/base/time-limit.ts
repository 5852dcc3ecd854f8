import type { Clock } from './clock.ts'

export interface TimeLimit {
  readonly clock: Clock
  /** Ends the work too, with its own reason. */
  readonly signal: AbortSignal
  readonly ms: number
  /** What is thrown when the time is up. */
  readonly late: () => Error
}

/**
 * What `work` gives, if it comes in time. Its signal aborts when the time is up or when the limit's own signal does, and that one's reason
 * is thrown, whatever the work says once it was cut off. Work that doesn't end when it is told to is left behind.
 */
export async function inTime<T>({ clock, signal, ms, late }: TimeLimit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  signal.throwIfAborted()
  const [over, limit] = [new AbortController(), new AbortController()]
  const stop = AbortSignal.any([signal, limit.signal])
  clock.sleep(ms, over.signal).then(
    () => limit.abort(late()),
    // It came in time.
    () => undefined,
  )
  const working = work(stop)
  try {
    return await Promise.race([
      working,
      new Promise<never>((_, reject) => {
        stop.addEventListener('abort', () => reject(stop.reason), { once: true, signal: over.signal })
      }),
    ])
  } catch (error) {
    throw stop.aborted ? stop.reason : error
  } finally {
    over.abort()
    working.catch(() => undefined)
  }
}
