import { setTimeout as delay } from 'node:timers/promises'

/** The only source of time. Everything else is given a clock, so that a test can hold it still or wind it forward. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number
  /** Milliseconds on a clock that is never set back; only differences mean anything. */
  monotonic(): number
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal ? { signal } : {})
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      throw error
    }
  },
}

/** ISO 8601 in UTC, milliseconds kept. */
export const isoTime = (ms: number): string => new Date(ms).toISOString()
