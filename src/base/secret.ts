import { inspect } from 'node:util'

const MASK = '***'

/** A value that never shows itself: however it is printed, logged, inspected or serialised, it reads `***`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself. Call it where the value is used (a driver's password option), and keep the result nowhere. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [Symbol.toPrimitive](): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}

/**
 * Removes known secret values from text that other people's code wrote (a driver's error message, a server's reply).
 * Each value is also looked for as it would stand in a URL.
 */
export class Redactor {
  readonly #needles = new Set<string>()

  add(secret: Secret): void {
    const value = secret.reveal()
    // A shorter value would blank out ordinary words; it is still masked wherever it is held as a Secret.
    if (value.length < 4) return
    this.#needles.add(value)
    this.#needles.add(encodeURIComponent(value))
  }

  redact(text: string): string {
    let result = text
    for (const needle of this.#longestFirst()) result = result.replaceAll(needle, MASK)
    return result
  }

  #longestFirst(): string[] {
    return [...this.#needles].sort((a, b) => b.length - a.length)
  }
}
