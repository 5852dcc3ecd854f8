import type { Clock } from '../base/clock.ts'
import type { FileEntry } from '../files/port.ts'

/** A longer listing isn't held: what is asked twice weighs little beside the files themselves. */
const MOST_ENTRIES = 20_000
const MOST_AGE_MS = 60_000

/** A whole listing that was read a moment ago, as long as it is short: on a long way it would take a second to ask for it again. */
export class RecentListing {
  readonly #clock: Clock
  readonly #begun: number
  #entries: FileEntry[] | undefined = []

  constructor(clock: Clock) {
    this.#clock = clock
    this.#begun = clock.monotonic()
  }

  add(entry: FileEntry): void {
    if (this.#entries !== undefined && this.#entries.length < MOST_ENTRIES) this.#entries.push(entry)
    else this.#entries = undefined
  }

  /** `undefined` when it was long, or is not of this moment any more. */
  entries(): readonly FileEntry[] | undefined {
    return this.#clock.monotonic() - this.#begun > MOST_AGE_MS ? undefined : this.#entries
  }
}
