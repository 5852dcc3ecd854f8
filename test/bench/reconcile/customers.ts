import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { systemClock } from '../../../src/base/clock.ts'
import type { BenchPair } from './pair.ts'

const CUSTOMERS = 4
/** Between two orders of one customer, milliseconds: a busy shop, not one at its end. */
const PAUSE_MS = 20

export interface Latency {
  readonly orders: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly most: number
}

/** Lets customers order on the new host while `work` is done; how long their orders took. */
export async function whileBuying(pair: BenchPair, work: () => Promise<unknown>): Promise<Latency> {
  const over = new AbortController()
  const histogram = createHistogram()
  const customers = await Promise.all(Array.from({ length: CUSTOMERS }, () => pair.customer()))
  const buying = customers.map(async (customer) => {
    while (!over.signal.aborted) {
      const begun = systemClock.monotonic()
      await customer.order()
      histogram.record(Math.max(1, Math.round((systemClock.monotonic() - begun) * 1000)))
      await systemClock.sleep(PAUSE_MS, over.signal).catch(() => undefined)
    }
  })
  try {
    await work()
  } finally {
    over.abort()
    await Promise.all(buying)
    await Promise.all(customers.map((customer) => customer.close()))
  }
  return latencyOf(histogram)
}

const latencyOf = (histogram: RecordableHistogram): Latency => ({
  orders: histogram.count,
  p50: histogram.percentile(50) / 1000,
  p99: histogram.percentile(99) / 1000,
  most: histogram.max / 1000,
})
