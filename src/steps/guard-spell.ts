/** What one look at a host came to; `unknown` when our own line may be at fault: it counts neither way. */
export type Look = 'well' | 'failing' | 'unknown'

export interface SpellRules {
  /** So many looks in a row, at least, make a spell. */
  readonly looks: number
  /** It must have failed for so long, milliseconds, before it counts as failed. */
  readonly afterMs: number
  /** And have been well for so long again before it counts as well. */
  readonly wellMs: number
  /** Between two looks no more than this is counted: a machine that slept saw nothing meanwhile. */
  readonly gapMs: number
}

/**
 * `well`; `failing`: not for long enough yet; `failed`: for so long that something is to be decided, until it has been well for
 * long again.
 */
export interface Standing {
  readonly state: 'well' | 'failing' | 'failed'
  /** Looks that counted in the present spell, of failing or, once failed, of being well again; 0 when there is none. */
  readonly looks: number
  /** How long that spell has lasted, as far as it was looked at, milliseconds. */
  readonly lastedMs: number
  /** How long it must go on, milliseconds and looks; 0 when nothing is awaited. */
  readonly leftMs: number
  readonly leftLooks: number
  /** True for the look by which it came to count as failed, and no other: whoever rings does it then. */
  readonly rings: boolean
}

const NONE = { looks: 0, lastedMs: 0 }

/** Takes looks one by one and tells a failure from a hiccup: it rings once for each failure, not for a host that flaps. */
export class Spell {
  readonly #rules: SpellRules
  #failed = false
  #run: { readonly looks: number; readonly lastedMs: number } = NONE
  /** The last look, if it belongs to the present spell. */
  #lastAt: number | undefined

  constructor(rules: SpellRules) {
    this.#rules = rules
  }

  /** `at`: milliseconds, monotonic. */
  add(at: number, look: Look): Standing {
    if (look === 'unknown') {
      // What was seen stays seen; the time until the next look is not.
      this.#lastAt = undefined
      return this.#standing(false)
    }
    const goesOn = (look === 'failing') !== this.#failed
    if (!goesOn) {
      this.#run = NONE
      this.#lastAt = undefined
      return this.#standing(false)
    }
    const ms = this.#lastAt === undefined ? 0 : Math.min(Math.max(0, at - this.#lastAt), this.#rules.gapMs)
    this.#run = { looks: this.#run.looks + 1, lastedMs: this.#run.lastedMs + ms }
    this.#lastAt = at
    const { leftMs, leftLooks } = this.#left()
    if (leftMs > 0 || leftLooks > 0) return this.#standing(false)
    const before = this.#run
    this.#failed = !this.#failed
    this.#run = NONE
    this.#lastAt = undefined
    return this.#failed ? { ...this.#standing(true), ...before } : this.#standing(false)
  }

  #left(): { readonly leftMs: number; readonly leftLooks: number } {
    const { looks, afterMs, wellMs } = this.#rules
    return {
      leftMs: Math.max(0, (this.#failed ? wellMs : afterMs) - this.#run.lastedMs),
      leftLooks: Math.max(0, looks - this.#run.looks),
    }
  }

  #standing(rings: boolean): Standing {
    const state = this.#failed ? 'failed' : this.#run.looks > 0 ? 'failing' : 'well'
    const left = state === 'well' ? { leftMs: 0, leftLooks: 0 } : this.#left()
    return { state, ...this.#run, ...left, rings }
  }
}
