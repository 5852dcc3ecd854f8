import { formatCount, formatDuration } from '../base/units.ts'
import { positionOf, RELIABLE_MS } from '../databases/plan/headroom.ts'
import type { IdentityState, Layout } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import type { OrderOptions } from './guard-options.ts'
import { identityName, recallHeadroom } from './headroom.ts'
import { courseOf } from './rate-samples.ts'
import { ordersIdentities } from './watch-traffic.ts'

const MINUTE_MS = 60_000
/** So many windows back a rate is remembered: demand that falls slowly, as towards the night, takes what is expected with it. */
const MEMORY_WINDOWS = 6
/** With a smaller share of the world sent here, a rate says too little of the whole demand. */
const TELLING_SHARE = 0.5

export interface OrderSight {
  /** Orders per minute over the window; `null` before it is full. */
  readonly perMinute: number | null
  /** Orders per minute that are expected here; `null` where nobody knows. */
  readonly expected: number | null
  readonly fault: string | undefined
}

interface Count {
  readonly at: number
  readonly orders: bigint
  readonly share: number
}

/**
 * Holds the orders on the new host against those that are expected: the busiest stretch of late, at first as it was measured on the
 * old host, times the share of name servers that send customers here. Pure but for what it was shown.
 */
export class OrderRate {
  readonly #options: OrderOptions
  #counts: readonly Count[] = []
  #demand: readonly { readonly at: number; readonly perMinute: number }[]

  /** `measured`: orders per minute before the cutover; `at`: milliseconds, monotonic. */
  constructor(options: OrderOptions, measured: number | null, at: number) {
    this.#options = options
    this.#demand = measured === null ? [] : [{ at, perMinute: measured }]
  }

  /** What was counted so far says nothing of what comes: the numbers were moved. */
  restart(): void {
    this.#counts = []
  }

  /** `orders`: how many there were so far, from whichever beginning. `share`: of the world's customers, 0 to 1. */
  add(at: number, orders: bigint, share: number): OrderSight {
    const { window, atLeast, expected: enough } = this.#options
    const within = [...this.#counts, { at, orders, share }]
    const first = within.findLast((count) => at - count.at >= window)
    this.#counts = first === undefined ? within : within.filter((count) => count.at >= first.at)
    const demand = Math.max(...this.#demand.map(({ perMinute }) => perMinute), 0)
    const least = Math.min(...this.#counts.map((count) => count.share))
    const expected = this.#demand.length === 0 ? null : demand * least
    if (first === undefined) return { perMinute: null, expected, fault: undefined }
    const minutes = (at - first.at) / MINUTE_MS
    const came = Number(orders - first.orders)
    const awaited = (expected ?? 0) * minutes
    if (awaited >= enough && came < awaited * atLeast) {
      const fault = `${formatCount(came)} orders came within ${formatDuration(at - first.at)}, where about ${formatCount(Math.round(awaited))} are expected`
      return { perMinute: came / minutes, expected, fault }
    }
    this.#remember(at, came / minutes, least)
    return { perMinute: came / minutes, expected, fault: undefined }
  }

  #remember(at: number, perMinute: number, share: number): void {
    const recent = this.#demand.filter((rate) => at - rate.at < this.#options.window * MEMORY_WINDOWS)
    this.#demand = share < TELLING_SHARE ? recent : [...recent, { at, perMinute: perMinute / share }]
  }
}

/** Counts the orders of the new host by the numbers that it has given. */
export class OrderWatch {
  readonly #options: OrderOptions
  #rate: OrderRate | undefined
  #leaps = 0

  constructor(options: OrderOptions) {
    this.#options = options
  }

  look(run: StepRun, schema: Layout, states: readonly IdentityState[], share: number): OrderSight {
    const byName = new Map(states.map((state) => [identityName(state.identity), state]))
    const names = ordersIdentities(schema.tables, byName, this.#options.table)
    const now = run.clock.monotonic()
    this.#rate ??= new OrderRate(this.#options, measuredRate(run, names, byName), now)
    const leaps = recallHeadroom(run).reduce((sum, { leaps: made }) => sum + (made?.length ?? 0), 0)
    if (leaps !== this.#leaps) this.#rate.restart()
    this.#leaps = leaps
    const orders = names.reduce((sum, name) => sum + given(byName.get(name)), 0n)
    return this.#rate.add(now, orders, share)
  }
}

const given = (state: IdentityState | undefined): bigint =>
  state === undefined ? 0n : positionOf(state) / BigInt(state.identity.increment)

/** Orders per minute on the old host between the snapshot and the last look at its numbers; `null` where that was but a glance. */
function measuredRate(run: StepRun, names: readonly string[], states: ReadonlyMap<string, IdentityState>): number | null {
  const course = courseOf(run)
  const rates = names.flatMap((name) => {
    const seen = course?.(name)
    const increment = states.get(name)?.identity.increment
    if (seen === undefined || increment === undefined) return []
    const ms = seen.last.at - seen.first.at
    if (ms < RELIABLE_MS) return []
    return [(Number((seen.last.position - seen.first.position) / BigInt(increment)) * MINUTE_MS) / ms]
  })
  return rates.length === 0 ? null : rates.reduce((sum, rate) => sum + Math.max(0, rate), 0)
}
