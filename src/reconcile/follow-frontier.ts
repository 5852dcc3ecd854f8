import type { KeyCells } from '../databases/port.ts'
import { keyText } from './fingerprint.ts'

/**
 * Numbers are given before rows are committed: a row may appear behind one that was seen already. So long, milliseconds, the keys before
 * the newest are looked at again.
 */
export const HOT_MS = 30_000

/** How far a table's newborn rows are looked through: everything up to the frontier is settled, or left to the full pass. */
export class Frontier {
  #after: KeyCells | undefined
  /** Keys beyond the frontier, in the table's order, and when each was first seen (monotonic, milliseconds). */
  #seen = new Map<string, { readonly key: KeyCells; readonly at: number }>()
  readonly #settled = new Set<string>()

  constructor(after: KeyCells | undefined) {
    this.#after = after
  }

  /** The rows after this key are asked for; after none: all. */
  get after(): KeyCells | undefined {
    return this.#after
  }

  /** A row that is carried, or that only the full pass can judge: it isn't looked at again. */
  settle(key: string): void {
    this.#settled.add(key)
  }

  isSettled(key: string): boolean {
    return this.#settled.has(key)
  }

  /**
   * Notes the keys that stand after the frontier now, in order. With `more` behind them they are no longer new: the frontier moves to
   * the last one. Otherwise it moves up to those that were seen long enough ago.
   */
  advance(keys: readonly KeyCells[], now: number, more: boolean): void {
    const before = this.#seen
    this.#seen = new Map(keys.map((key) => [keyText(key), before.get(keyText(key)) ?? { key, at: now }]))
    for (const [text, { key, at }] of this.#seen) {
      if (!more && now - at < HOT_MS) return
      this.#after = key
      this.#seen.delete(text)
      this.#settled.delete(text)
    }
  }
}
