const BEGUN = Promise.resolve()

/**
 * Runs tasks side by side within bounds: at most `most` at once, and together no heavier than `weight`; of tasks that are heavy by
 * themselves `heavy` at once, with room left for light ones. The first failure is thrown to whoever starts the next task or drains; nothing
 * more is started then, and `signal` tells the others.
 */
export class InFlight {
  readonly #most: number
  readonly #weight: number
  /** From so heavy on a task counts as heavy by itself, and as so heavy then. */
  readonly #heavyFrom: number
  readonly #heaviest: number
  readonly #stop = new AbortController()
  readonly signal: AbortSignal
  #running = 0
  #carried = 0
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(most: number, weight: number, signal: AbortSignal, heavy = 4) {
    this.#most = most
    this.#weight = weight
    this.#heavyFrom = weight / 8
    this.#heaviest = weight / (heavy + 0.5)
    this.signal = AbortSignal.any([signal, this.#stop.signal])
  }

  /** Whether a task so heavy would begin at once. */
  hasRoom(weight: number): boolean {
    return this.#failure === undefined && !this.signal.aborted && this.#fits(this.#counted(weight))
  }

  /** Returns once the task has begun. */
  start(weight: number, task: () => Promise<void>): Promise<void> {
    const counted = this.#counted(weight)
    if (!this.hasRoom(weight)) return this.#startLater(counted, task)
    this.#begin(counted, task)
    return BEGUN
  }

  #counted(weight: number): number {
    return weight < this.#heavyFrom ? weight : this.#heaviest
  }

  async #startLater(counted: number, task: () => Promise<void>): Promise<void> {
    while (this.#failure === undefined && !this.#fits(counted)) await this.#changed()
    this.#throwFailure()
    this.signal.throwIfAborted()
    this.#begin(counted, task)
  }

  #begin(counted: number, task: () => Promise<void>): void {
    this.#running += 1
    this.#carried += counted
    task().then(
      () => this.#ended(counted),
      (error: unknown) => {
        this.#failure ??= { error }
        this.#stop.abort(error)
        this.#ended(counted)
      },
    )
  }

  #ended(counted: number): void {
    this.#running -= 1
    this.#carried -= counted
    this.#wake?.()
  }

  /** Returns when every task has ended. */
  async drain(): Promise<void> {
    while (this.#running > 0) await this.#changed()
    this.#throwFailure()
    this.signal.throwIfAborted()
  }

  /** Stops what is under way and waits for its end, whatever that is; for a `finally`. */
  async settle(): Promise<void> {
    if (this.#running > 0) this.#stop.abort(new Error('stopped'))
    while (this.#running > 0) await this.#changed()
  }

  #fits(weight: number): boolean {
    return this.#running < this.#most && (this.#running === 0 || this.#carried + weight <= this.#weight)
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
