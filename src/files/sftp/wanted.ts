/** Something that was asked for by its name. */
export interface Wanted {
  readonly name: string
  /** Bytes. */
  readonly size: number
  settle(bytes: Buffer | undefined): void
}

/** So many of those that are wanted no more are kept before they are let go together. */
const MOST_PASSED = 2048

/** What was asked for, in that order, each name once. A Map would be slower the more was taken from its beginning. */
export class WantedInOrder {
  #all: Wanted[] = []
  #passed = 0
  readonly #names = new Set<string>()
  #bytes = 0

  get size(): number {
    return this.#names.size
  }

  /** Of all of them together. */
  get bytes(): number {
    return this.#bytes
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  add(wanted: Wanted): void {
    this.#all.push(wanted)
    this.#names.add(wanted.name)
    this.#bytes += wanted.size
  }

  /** Takes out the one that was asked for first. */
  next(): Wanted | undefined {
    const wanted = this.#all[this.#passed]
    if (wanted === undefined) return undefined
    this.#passed += 1
    if (this.#passed >= MOST_PASSED) {
      this.#all = this.#all.slice(this.#passed)
      this.#passed = 0
    }
    this.#names.delete(wanted.name)
    this.#bytes -= wanted.size
    return wanted
  }
}
