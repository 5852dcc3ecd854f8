import { type Clock, systemClock } from '../../src/base/clock.ts'

/** Real time to sleep by, but an answer takes what its page says that it costs: a busy machine adds nothing to it. */
export class PageClock implements Clock {
  #spentMs = 0

  now(): number {
    return systemClock.now()
  }

  monotonic(): number {
    return this.#spentMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }

  async spend(ms: number): Promise<void> {
    await this.sleep(ms)
    this.#spentMs += ms
  }
}
