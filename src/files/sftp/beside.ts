/** Files that go another way while a program starts that would be quicker: so many at once; the others wait for the program, or for a place. */
const MOST_BESIDE = 192

export class Beside {
  #running = 0
  readonly #waiting = new Set<() => void>()

  get isFull(): boolean {
    return this.#running >= MOST_BESIDE
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1
    try {
      return await work()
    } finally {
      this.#running -= 1
      const [next] = this.#waiting
      next?.()
    }
  }

  /** Returns when there is a place again, or when `other` has ended. */
  async placeOr(other: Promise<unknown>): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      other.then(wake, wake)
    })
  }
}
