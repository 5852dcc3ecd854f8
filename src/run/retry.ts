import retry from 'p-retry'
import type { Clock } from '../base/clock.ts'
import { MigrateError, messageOf } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'

const RETRIES = 5
const FIRST_WAIT_MS = 1000

/**
 * Does `work`, and does it again up to 5 times, after 1, 2, 4, 8 and 16 s, when it throws an error that says of itself that this
 * is safe (`retrySafe`). Any other error is thrown on at once. `note` is told of each new try.
 */
export async function retrying<T>(
  clock: Clock,
  signal: AbortSignal,
  note: (message: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  return await retry(work, {
    retries: RETRIES,
    // The waiting is done below, on the run's clock.
    minTimeout: 0,
    shouldRetry: ({ error }) => isRetrySafe(error),
    onFailedAttempt: async ({ error, attemptNumber, retriesLeft }) => {
      if (!isRetrySafe(error) || retriesLeft === 0 || signal.aborted) return
      const waitMs = FIRST_WAIT_MS * 2 ** (attemptNumber - 1)
      note(`${messageOf(error)} Trying again in ${formatDuration(waitMs)} (${attemptNumber} of ${RETRIES}).`)
      await clock.sleep(waitMs, signal)
    },
  })
}

const isRetrySafe = (error: unknown): boolean => error instanceof MigrateError && error.retrySafe
