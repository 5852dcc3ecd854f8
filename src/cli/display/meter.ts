interface Sample {
  readonly at: number
  readonly done: number
}

/** Seconds over which a rate is measured: long enough to be calm, short enough to follow a throttle. */
const WINDOW_MS = 15_000

/** Rate and time left of one counter. */
export class Meter {
  #samples: readonly Sample[] = []

  /** `at` in milliseconds. A counter that falls has begun anew. */
  add(at: number, done: number): void {
    const last = this.#samples.at(-1)
    const kept = last !== undefined && done < last.done ? [] : this.#samples.filter((sample) => sample.at >= at - WINDOW_MS)
    this.#samples = [...kept.slice(-200), { at, done }]
  }

  /** Per second over the last seconds; `undefined` as long as that can't be said. */
  get rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (!first || !last || last.at - first.at < 1000 || last.done <= first.done) return undefined
    return ((last.done - first.done) * 1000) / (last.at - first.at)
  }

  millisecondsLeft(total: number | null): number | undefined {
    const [rate, last] = [this.rate, this.#samples.at(-1)]
    if (rate === undefined || last === undefined || total === null || total <= last.done) return undefined
    return ((total - last.done) / rate) * 1000
  }
}
