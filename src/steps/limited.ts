import { MigrateError } from '../base/errors.ts'
import { underStop } from '../base/stop.ts'
import { inTime } from '../base/time-limit.ts'
import { formatDuration } from '../base/units.ts'
import type { StepRun } from '../run/step.ts'

/**
 * What `work` gives, if it comes within `ms`; else throws MigrateError `no-answer`, and what was begun is told to stop. Throws the
 * run's own stop when that comes first.
 */
export const limited = <T>({ clock, signal }: StepRun, ms: number, work: () => Promise<T>): Promise<T> =>
  inTime({ clock, signal, ms, late: () => new MigrateError('no-answer', `no answer within ${formatDuration(ms)}`) }, (stop) =>
    underStop(stop, work),
  )
