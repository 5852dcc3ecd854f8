import { MigrateError } from '../base/errors.ts'
import { underStop } from '../base/stop.ts'
import { formatDuration } from '../base/units.ts'
import type { StepRun } from '../run/step.ts'

/**
 * What `work` gives, if it comes within `ms`; else throws MigrateError `no-answer`, and what was begun is told to stop. Throws the
 * run's own stop when that comes first.
 */
export async function limited<T>(run: StepRun, ms: number, work: () => Promise<T>): Promise<T> {
  const [over, late] = [new AbortController(), new AbortController()]
  const stop = AbortSignal.any([run.signal, late.signal])
  const working = underStop(stop, work)
  const ending = new Promise<never>((_, reject) => {
    const end = (): void => reject(stop.reason)
    if (stop.aborted) end()
    else stop.addEventListener('abort', end, { once: true, signal: over.signal })
  })
  run.clock.sleep(ms, over.signal).then(
    () => late.abort(new MigrateError('no-answer', `no answer within ${formatDuration(ms)}`)),
    // It came in time.
    () => undefined,
  )
  try {
    return await Promise.race([working, ending])
  } finally {
    over.abort()
    working.catch(() => undefined)
  }
}
