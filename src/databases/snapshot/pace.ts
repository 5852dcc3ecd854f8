import type { Clock } from '../../base/clock.ts'

/** How fast a copy goes: readers at a time, and how long each waits before a query. */
export interface Pace {
  readonly readers: number
  readonly pauseMs: number
}

export interface PaceLimits {
  readonly mostReaders: number
  /** An answer of the old shop that takes longer is a reason to slow down. */
  readonly limitMs: number
  /** How many may be at work at once at so many readers; as many as there are readers when absent. */
  readonly atOnce?: (readers: number) => number
}

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 30_000
/** Between this share of the limit and the limit itself nothing changes, so that the pace doesn't swing. */
const CALM_SHARE = 0.8
/** Answers that are looked at together: a single slow one says little. */
const RECENT = 3
const ENOUGH = 2

/**
 * The next pace after the old shop answered in `recentMs`. Half as many readers, then pauses that double, when it is slow; shorter
 * pauses, then one reader more at a time, when it isn't (additive increase, multiplicative decrease, as TCP does: RFC 5681,
 * section 3.1). Pure.
 */
export function nextPace({ readers, pauseMs }: Pace, recentMs: number, { mostReaders, limitMs }: PaceLimits): Pace {
  if (recentMs > limitMs) {
    if (readers > 1) return { readers: Math.floor(readers / 2), pauseMs }
    return { readers, pauseMs: pauseMs === 0 ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS) }
  }
  if (recentMs > limitMs * CALM_SHARE) return { readers, pauseMs }
  if (pauseMs > 0) return { readers, pauseMs: pauseMs > FIRST_PAUSE_MS ? pauseMs / 2 : 0 }
  return { readers: Math.min(readers + 1, mostReaders), pauseMs: 0 }
}

/** Twice the quiet time, and at least 100 ms more than it: a page of 20 ms may well take 60. */
export const limitFor = (quietMs: number): number => Math.max(quietMs * 2, quietMs + 100)

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}

/** Lets as many readers ask as the pace allows. The pace is set by what the old shop's answers take. */
export class Throttle {
  readonly #limits: PaceLimits
  readonly #clock: Clock
  #pace: Pace
  #recent: number[] = []
  #active = 0
  #waiting: (() => void)[] = []

  constructor(limits: PaceLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#pace = { readers: limits.mostReaders, pauseMs: 0 }
  }

  get pace(): Pace {
    return this.#pace
  }

  /** Takes note of an answer's time; returns what the recent ones took when the pace changed because of it. */
  observe(ms: number): number | undefined {
    this.#recent = [...this.#recent, ms].slice(-RECENT)
    if (this.#recent.length < ENOUGH) return undefined
    const recentMs = median(this.#recent)
    const before = this.#pace
    this.#pace = nextPace(before, recentMs, this.#limits)
    if (this.#pace.readers === before.readers && this.#pace.pauseMs === before.pauseMs) return undefined
    // What was measured at another pace says nothing about this one.
    this.#recent = []
    this.#wake()
    return recentMs
  }

  /** Waits for a reader's turn to ask. Every `enter` that returned needs a `leave`. */
  async enter(signal: AbortSignal): Promise<void> {
    while (this.#active >= this.#most()) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiting.push(wake)
        signal.addEventListener('abort', wake, { once: true })
      })
    }
    this.#active += 1
    try {
      if (this.#pace.pauseMs > 0) await this.#clock.sleep(this.#pace.pauseMs, signal)
    } catch (error) {
      this.leave()
      throw error
    }
  }

  #most(): number {
    const { readers } = this.#pace
    return this.#limits.atOnce?.(readers) ?? readers
  }

  leave(): void {
    this.#active -= 1
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
