import type { Clock } from '../base/clock.ts'

const FEWEST_ROWS = 10
const MOST_ROWS = 2000
const FIRST_ROWS = 100
/** A transaction that takes longer holds rows up that customers wait for; one that is much shorter wastes round trips. */
const LONG_MS = 500
const SHORT_MS = 125

/** How many rows a transaction takes: fewer where they take long, so that customers never wait for long. */
export class Pace {
  readonly #clock: Clock
  #rows = FIRST_ROWS

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get rows(): number {
    return this.#rows
  }

  async timed<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#clock.monotonic()
    const result = await work()
    const ms = this.#clock.monotonic() - before
    if (ms > LONG_MS) this.#rows = Math.max(FEWEST_ROWS, Math.floor(this.#rows / 2))
    else if (ms < SHORT_MS) this.#rows = Math.min(MOST_ROWS, this.#rows * 2)
    return result
  }
}
