import { systemClock } from '../../base/clock.ts'

/**
 * Notices when a server that is connected answers nothing any more. SSH's own sign of life doesn't tell: the part of the server that has
 * the files may hang (a disk over the network) while the other part goes on.
 */
export class Silence {
  readonly #limitMs: number
  readonly #onSilent: () => void
  readonly #over = new AbortController()
  #heardAt = 0
  #waiting = 0
  #isWatching = false
  /** Something was asked while nothing else was waited for, and the answer hasn't come. */
  #isMeasuring = false
  /** The shortest time in which an answer came, milliseconds; `Infinity` before the first. */
  shortestMs = Number.POSITIVE_INFINITY

  constructor(limitMs: number, onSilent: () => void) {
    this.#limitMs = limitMs
    this.#onSilent = onSilent
  }

  asked(): void {
    if (this.#waiting === 0) {
      this.#heardAt = systemClock.monotonic()
      this.#isMeasuring = true
    }
    this.#waiting += 1
    if (this.#isWatching || this.#over.signal.aborted) return
    this.#isWatching = true
    this.#watch().catch(() => undefined) // ended by `end`
  }

  answered(): void {
    this.#waiting -= 1
    const now = systemClock.monotonic()
    if (this.#isMeasuring) this.shortestMs = Math.min(this.shortestMs, now - this.#heardAt)
    this.#isMeasuring = false
    this.#heardAt = now
  }

  end(): void {
    this.#over.abort()
  }

  /** One look after the other, as long as anything is waited for: nothing is done for each answer. */
  async #watch(): Promise<void> {
    let left = this.#limitMs
    while (left > 0) {
      await systemClock.sleep(left, this.#over.signal)
      if (this.#waiting === 0) {
        this.#isWatching = false
        return
      }
      // This process may have had no turn for long (a machine asleep, or overloaded): what came meanwhile is taken in first.
      await new Promise((resolve) => setImmediate(resolve))
      left = this.#limitMs - (systemClock.monotonic() - this.#heardAt)
    }
    this.#onSilent()
  }
}
