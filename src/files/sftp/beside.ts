import { systemClock } from '../../base/clock.ts'

/** Files that go another way while a program starts that would be quicker: so many at once; the others wait for the program, or for a place. */
const MOST_BESIDE = 192

/** The slower way of files, while a program starts, or where there is none. */
export class Beside {
  readonly #patienceMs: () => number
  readonly #over = new AbortController()
  #running = 0
  /** Places that were given and are taken in a moment. */
  #given = 0
  readonly #waiting = new Set<() => void>()
  #isPatient: boolean | undefined

  /** `patienceMs`: for so long all wait for the program: on a long way each file by itself takes longer than it takes to start one. */
  constructor(patienceMs: () => number) {
    this.#patienceMs = patienceMs
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1
    this.#given = Math.max(0, this.#given - 1)
    try {
      return await work()
    } finally {
      this.#running -= 1
      const [next] = this.#waiting
      next?.()
    }
  }

  /** Whether a file may go this way now (`run`), before `program` has shown itself; if not, returns when it is to be looked at anew. */
  async mayGo(program: Promise<unknown>): Promise<boolean> {
    this.#isPatient ??= this.#beginPatience()
    if (!this.#isPatient && this.#running + this.#given < MOST_BESIDE) {
      this.#given += 1
      return true
    }
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      program.then(wake, wake)
    })
    return false
  }

  /** Nobody waits any more. */
  close(): void {
    this.#over.abort()
  }

  #beginPatience(): boolean {
    const impatient = (): void => {
      this.#isPatient = false
      for (const wake of this.#waiting) wake()
    }
    systemClock.sleep(this.#patienceMs(), this.#over.signal).then(impatient, impatient)
    return true
  }
}
