import type { Clock } from '../base/clock.ts'

const FEWEST_ROWS = 10
const MOST_ROWS = 2000
const FIRST_ROWS = 100
/** A transaction that takes longer holds rows up that customers wait for; one that is much shorter wastes round trips. */
const LONG_MS = 500
const SHORT_MS = 125

interface Measured {
  readonly rows: number
  readonly ms: number
}

/**
 * How many rows a transaction takes: fewer where they take long, so that customers never wait for long. What a transaction takes whatever
 * its rows (a table that is searched without an index) isn't theirs: fewer of them would only have it taken more often.
 */
export class Pace {
  readonly #clock: Clock
  #rows = FIRST_ROWS
  #fixedMs = 0
  #last: Measured | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get rows(): number {
    return this.#rows
  }

  async timed<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#clock.monotonic()
    const result = await work()
    const now = { rows: this.#rows, ms: this.#clock.monotonic() - before }
    if (this.#last !== undefined && this.#last.rows > now.rows) this.#fixedMs = fixedPart(this.#last, now)
    this.#last = now
    const ms = now.ms - this.#fixedMs
    if (ms > LONG_MS) this.#rows = Math.max(FEWEST_ROWS, Math.floor(this.#rows / 2))
    else if (ms < SHORT_MS) this.#rows = Math.min(MOST_ROWS, this.#rows * 2)
    return result
  }
}

/** What would be left of the time with no rows at all, as two transactions of more and of fewer rows show. */
function fixedPart(more: Measured, fewer: Measured): number {
  const perRow = Math.max(0, more.ms - fewer.ms) / (more.rows - fewer.rows)
  return Math.max(0, fewer.ms - perRow * fewer.rows)
}
