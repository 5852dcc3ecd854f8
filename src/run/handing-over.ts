/**
 * Which steps are at work, and which of them have handed over: a step that follows another (`Step.follows`) may begin beside it as
 * soon as that one says that there is something to take up.
 */
export class HandingOver {
  readonly #atWork = new Set<string>()
  readonly #waiting = new Map<string, (() => void)[]>()

  began(step: string): void {
    this.#atWork.add(step)
  }

  ended(step: string): void {
    this.#atWork.delete(step)
  }

  isAtWork(step: string): boolean {
    return this.#atWork.has(step)
  }

  /** Calls `begin` once, when `step` hands over; never when it doesn't. */
  onceHandedOver(step: string, begin: () => void): void {
    this.#waiting.set(step, [...(this.#waiting.get(step) ?? []), begin])
  }

  /** Said by a step at work; of no effect from one that has ended. Returns whether another one begins beside it. */
  handOver(step: string): boolean {
    if (!this.#atWork.has(step)) return false
    const waiting = this.#waiting.get(step) ?? []
    this.#waiting.delete(step)
    for (const begin of waiting) begin()
    return waiting.length > 0
  }
}
