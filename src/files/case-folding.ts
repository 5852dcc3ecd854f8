/** Of the names of a large folder so many are enough to find one that tells. */
const ENOUGH = 1000

/**
 * Finds out whether names that differ in case alone are the same on a host, without writing: by asking for the other case of a name that is
 * there. Is to be shown all names of one folder, and holds few of them.
 */
export class CaseProbe {
  readonly #first = new Set<string>()
  /** Other cases of those, which no name has so far. */
  #others: Set<string> | undefined

  see(name: string): void {
    if (this.#others !== undefined) this.#others.delete(name)
    else if (otherCase(name) !== name && this.#first.add(name).size === ENOUGH) this.#others = this.#unseen()
  }

  /** `null` when no name tells. */
  async foldsCase(isThere: (name: string) => Promise<boolean>): Promise<boolean | null> {
    const [telling] = this.#others ?? this.#unseen()
    return telling === undefined ? null : isThere(telling)
  }

  #unseen(): Set<string> {
    return new Set([...this.#first].map(otherCase).filter((name) => !this.#first.has(name)))
  }
}

/** ASCII letters the other way round; the name as it is when it has none. */
export const otherCase = (name: string): string =>
  name.replaceAll(/[a-z]/gi, (letter) => (letter < 'a' ? letter.toLowerCase() : letter.toUpperCase()))

/** Equal for names that a host which folds case takes for one. A letter whose capital is more than one letter (\u00df) stays as it is. */
export const folded = (name: string): string =>
  Array.from(name, (letter) => {
    const capital = letter.toUpperCase()
    return capital.length === letter.length ? capital : letter
  }).join('')
