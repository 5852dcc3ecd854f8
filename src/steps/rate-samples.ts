import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { type Course, perMinute, positionOf, RELIABLE_MS } from '../databases/plan/headroom.ts'
import type { Database } from '../databases/port.ts'
import type { IdentityState, Layout } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { identityName } from './headroom.ts'
import { identitiesBy } from './schema-seen.ts'
import { asOfNow, stamp } from './steady-time.ts'

const lookSchema = z.object({ at: z.string(), positions: z.record(z.string(), z.string()) })
type Look = z.infer<typeof lookSchema>

/** Where the old host's identities stood when the snapshot began, and when that was. */
const FIRST_KEY = 'identities-at-snapshot'

/** The newest look at the old host's identities since the snapshot began, and the busiest stretch of each so far. */
const RATES_KEY = 'identity-rates'
const ratesSchema = z.object({ last: lookSchema, peaks: z.record(z.string(), z.number()) })

/** Looks grow rarer as the time since the snapshot grows, so that the journal doesn't grow with it: a twentieth of that time. */
const SPARSENESS = 20

const lookOf = (at: number, states: readonly IdentityState[]): Look => ({
  at: isoTime(at),
  positions: Object.fromEntries(states.map((state) => [identityName(state.identity), String(positionOf(state))])),
})

/** Begins to measure: what was seen in an earlier snapshot counts no more. */
export const rememberFirstLook = (run: StepRun, at: number, states: readonly IdentityState[]): Promise<void> =>
  run.remember(FIRST_KEY, lookOf(at, states))

/** By a clock that nobody can set, where this process took the look. */
const timeOf = (run: StepRun, look: Look): number => asOfNow(run.clock, Date.parse(look.at)).at

const recallFirst = (run: StepRun): Look | undefined => lookSchema.safeParse(run.recall(FIRST_KEY)).data

/** What the run saw of the old host's identities so far, by name; `undefined` before the snapshot began. */
export function courseOf(run: StepRun): ((name: string) => Course | undefined) | undefined {
  const first = recallFirst(run)
  if (first === undefined) return undefined
  const rates = ratesSchema.safeParse(run.recall(RATES_KEY)).data
  const last = rates !== undefined && timeOf(run, rates.last) >= timeOf(run, first) ? rates.last : first
  return (name) => {
    const [begun, seen] = [first.positions[name], last.positions[name]]
    if (begun === undefined || seen === undefined) return undefined
    return {
      first: { at: timeOf(run, first), position: BigInt(begun) },
      last: { at: timeOf(run, last), position: BigInt(seen) },
      peak: last === first ? 0 : (rates?.peaks[name] ?? 0),
    }
  }
}

/**
 * Does `work`, and looks at the old host's identities before it, after it and whenever it calls `look`: a minute apart at least, and
 * never twice at a time. A look that fails is told and costs nothing but the look. `schema` is the snapshot's: only what stood there
 * when it began is measured.
 */
export async function whileSampling(run: StepRun, sampled: Sampled, work: (look: () => void) => Promise<void>): Promise<void> {
  const sampler = new Sampler(run, sampled)
  try {
    sampler.look()
    await work(() => sampler.look())
    sampler.look()
  } finally {
    await sampler.settled()
  }
}

export interface Sampled {
  readonly old: Database
  readonly schema: Layout
}

class Sampler {
  readonly #run: StepRun
  readonly #old: Database
  #schema: Layout
  #looking: Promise<void> | undefined
  #failed = false

  constructor(run: StepRun, { old, schema }: Sampled) {
    this.#run = run
    this.#old = old
    this.#schema = schema
  }

  look(): void {
    const first = recallFirst(this.#run)
    if (first === undefined || this.#looking !== undefined || this.#failed || this.#run.signal.aborted) return
    const rates = ratesSchema.safeParse(this.#run.recall(RATES_KEY)).data
    const last = rates !== undefined && timeOf(this.#run, rates.last) >= timeOf(this.#run, first) ? rates.last : first
    const now = this.#run.clock.now()
    const pauseMs = Math.max(RELIABLE_MS, (now - timeOf(this.#run, first)) / SPARSENESS)
    if (now - timeOf(this.#run, last) < pauseMs) return
    this.#looking = this.#look(last, last === first ? {} : (rates?.peaks ?? {})).finally(() => {
      this.#looking = undefined
    })
  }

  async settled(): Promise<void> {
    await this.#looking
  }

  async #look(last: Look, before: Readonly<Record<string, number>>): Promise<void> {
    const { clock } = this.#run
    try {
      const { schema, states } = await identitiesBy(this.#old, this.#schema)
      this.#schema = schema
      const sinceLast = clock.now() - timeOf(this.#run, last)
      const now = stamp(clock)
      const peaks: Record<string, number> = { ...before }
      for (const state of states) {
        const name = identityName(state.identity)
        const position = last.positions[name]
        if (position === undefined) continue
        const rate = perMinute(BigInt(position), positionOf(state), state.identity.increment, sinceLast)
        peaks[name] = Math.max(peaks[name] ?? 0, rate)
      }
      await this.#run.remember(RATES_KEY, { last: lookOf(now, states), peaks })
    } catch (error) {
      this.#failed = true
      if (!this.#run.signal.aborted)
        this.#run.emit({
          event: 'note',
          message: `How fast the old host numbers its rows couldn't be looked at (${messageOf(error)}).`,
        })
    }
  }
}
