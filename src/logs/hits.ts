const MINUTE_MS = 60_000
const SLICE_MS = 10_000
/** Over so long a stretch hits are averaged: servers write their logs up to a minute late. */
const WINDOW_SLICES = 18
const KEPT_SLICES = 60
/** Further apart, the host's clock isn't ours. */
const SAME_CLOCK_MS = 2 * MINUTE_MS

/**
 * Counts requests by the time that the log gives them. What time it is now on that host is told by how far its newest lines are from
 * the moment they were read at, so neither its clock nor its zone has to be right, and ours may be set meanwhile.
 */
export class HitCount {
  readonly #slices = new Map<number, number>()
  /** Host's time minus our monotonic clock, as our own wall clock had it at the beginning. */
  readonly #ours: number
  /** The same by the newest lines that came in while watching. */
  #theirs: number | undefined
  #newest = Number.NEGATIVE_INFINITY
  #lastHit: number | undefined

  /** Milliseconds: wall clock and monotonic clock at one moment. */
  constructor(now: number, monotonic: number) {
    this.#ours = now - monotonic
  }

  /** Any line, of a customer or not: it tells the host's time. `fresh`: it was written since the last look. */
  saw(at: number, monotonic: number, fresh: boolean): void {
    this.#newest = Math.max(this.#newest, at)
    if (fresh) this.#theirs = Math.max(this.#theirs ?? Number.NEGATIVE_INFINITY, at - monotonic)
  }

  /** So many hits of customers at this time, milliseconds since 1970 by the host's clock. */
  add(at: number, hits: number): void {
    this.#lastHit = Math.max(this.#lastHit ?? at, at)
    const slice = Math.floor(at / SLICE_MS)
    if (slice <= Math.floor(this.#newest / SLICE_MS) - KEPT_SLICES) return
    this.#slices.set(slice, (this.#slices.get(slice) ?? 0) + hits)
    if (this.#slices.size > KEPT_SLICES) this.#slices.delete(Math.min(...this.#slices.keys()))
  }

  /** Hits per minute over the last minutes. */
  perMinute(monotonic: number): number {
    const until = Math.floor(this.#now(monotonic) / SLICE_MS)
    let hits = 0
    for (let slice = until - WINDOW_SLICES + 1; slice <= until; slice += 1) hits += this.#slices.get(slice) ?? 0
    return Math.round((hits * 100 * MINUTE_MS) / (WINDOW_SLICES * SLICE_MS)) / 100
  }

  /** Milliseconds since the last hit; `undefined` when none was seen. */
  quietFor(monotonic: number): number | undefined {
    return this.#lastHit === undefined ? undefined : Math.max(0, this.#now(monotonic) - this.#lastHit)
  }

  /** Milliseconds since 1970 by the host's clock. */
  #now(monotonic: number): number {
    const theirs = this.#theirs ?? this.#ours
    return monotonic + (Math.abs(theirs - this.#ours) > SAME_CLOCK_MS ? theirs : this.#ours)
  }
}
