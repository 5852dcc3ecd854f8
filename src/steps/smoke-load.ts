import { z } from 'zod'
import type { Finding } from '../base/errors.ts'
import { formatCount, formatDuration } from '../base/units.ts'
import type { LoadResult } from '../site/load.ts'
import { durationMs } from './options.ts'

/** As much as a shop in the news gets, and no weapon. */
export const MOST_PER_SECOND = 1000
const LONGEST_MS = 300_000

const settingsSchema = z.strictObject({
  rate: z
    .union([z.literal('auto'), z.number().min(1).max(MOST_PER_SECOND)], {
      error: `must be auto, or a number of at most ${MOST_PER_SECOND}`,
    })
    .default('auto')
    .meta({
      description: `Requests a second, ${MOST_PER_SECOND} at most; auto measures the pages that the old host is asked for`,
    }),
  for: durationMs
    .refine((ms) => ms >= 1000 && ms <= LONGEST_MS, { error: 'must be between 1s and 5m' })
    .prefault('10s')
    .meta({ description: 'How long: 10s' }),
  connections: z.int().min(1).max(200).default(20).meta({ description: 'Customers at a time' }),
  slowest: durationMs.prefault('2s').meta({ description: 'How long one of a hundred requests may take: 2s' }),
})

export const loadSchema = z
  .union([z.literal('auto').transform(() => settingsSchema.parse({})), settingsSchema], {
    error: 'must be auto, or a mapping such as { rate: 50 }',
  })
  .meta({
    description: 'Put a load on the new host, and see that it bears it: auto for as much as the old one has, or { rate: 50 }',
  })
/** With the rate as it was measured, where that was wanted. */
export interface LoadSettings {
  readonly rate: number
  /** Milliseconds. */
  readonly slowest: number
}

/** What a load on the new host showed. Pure. */
export function loadFindings(result: LoadResult, { slowest, rate }: LoadSettings, host: URL): readonly Finding[] {
  const failed = [...result.failed.values()].reduce((sum, count) => sum + count, 0)
  const seen = `${formatCount(result.requests)} requests, ${Math.round(result.perSecond)} a second: half of them within ${formatDuration(result.p50)}, 99 of 100 within ${formatDuration(result.p99)}, the slowest ${formatDuration(result.slowest)}`
  if (failed + result.unanswered > 0) {
    const statuses = [...result.failed].map(([status, count]) => `${formatCount(count)} × ${status}`)
    const parts = [...statuses, ...(result.unanswered > 0 ? [`${formatCount(result.unanswered)} without an answer`] : [])]
    return [
      {
        severity: 'error',
        code: 'load-failed',
        message: `${host.host} fails under a load of ${rate} requests a second: ${parts.join(', ')} (of ${seen}).`,
        hint: 'Order a larger machine or more database connections before customers are sent there; look at its error log.',
      },
    ]
  }
  if (result.p99 > slowest) {
    return [
      {
        severity: 'error',
        code: 'load-slow',
        message: `${host.host} is slow under a load of ${rate} requests a second: ${seen}. The playbook allows ${formatDuration(slowest)}.`,
        hint: 'Order a larger machine, or raise smoke-test: { load: { slowest: … } } if that is good enough.',
      },
    ]
  }
  return [{ severity: 'info', code: 'load-borne', message: `${host.host} bears the load: ${seen}.` }]
}
