import { z } from 'zod'
import { formatDuration } from '../base/units.ts'
import type { StepRun } from '../run/step.ts'
import { recallCutover, recallLowered } from './dns-change.ts'
import { asOfNow, clockJumped, SteadyTime } from './steady-time.ts'
import type { HitsView } from './watch-hits.ts'
import type { ServersView } from './watch-servers.ts'
import { lastValues, type TrafficView } from './watch-traffic.ts'
import type { World } from './world.ts'

/** What the watch has seen, so that one that was cut off goes on counting, and a late order or hit reopens it. */
const WATCH_KEY = 'watch'
const seenSchema = z
  .object({
    /** Last identity values of the old host. */
    values: z.record(z.string(), z.string()).readonly(),
    /** Milliseconds since 1970: the last sign of a customer there. */
    movedAt: z.number(),
    drainedAt: z.number().nullable(),
  })
  .readonly()
export type Seen = z.infer<typeof seenSchema>

export const recallSeen = (run: StepRun): Seen | undefined => seenSchema.nullish().parse(run.recall(WATCH_KEY)) ?? undefined

export const sameValues = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  Object.keys(b).every((name) => a[name] === b[name]) && Object.keys(a).length === Object.keys(b).length

/** How long the old host must be quiet. */
export interface QuietRules {
  readonly quietMs: number
  /** How many of the old TTLs must have passed. */
  readonly ttls: number
}

export interface Look {
  readonly resolvers: ServersView
  readonly traffic: TrafficView
  readonly hits: HitsView
}

export interface Verdict {
  readonly drained: boolean
  readonly quietForMs: number
  readonly quietMs: number
}

/** A customer who comes later in the countdown than this part of it is told; earlier ones are everyday life. */
const WORTH_TELLING = 0.25

/** Logs have whole seconds, and a look takes its time: closer together, it is the same hit seen again. */
const SAME_HIT_MS = 1000

/** Decides, look by look, whether the old host is drained: by evidence of silence, not by time or DNS alone. */
export class Evidence {
  readonly #world: World
  readonly #rules: QuietRules
  readonly #time: SteadyTime
  /** Nobody can be drained before the answers that were cached at the cutover have expired, several times over. */
  #cutoverAt: number
  #notBefore: number
  readonly #neededMs: number
  #seen: Seen

  constructor(world: World, rules: QuietRules, run: StepRun, currentTtlSeconds: number) {
    this.#world = world
    this.#rules = rules
    this.#time = new SteadyTime(run.clock)
    const now = this.#time.now()
    const cutover = recallCutover(run) ?? { at: now, ttlSeconds: currentTtlSeconds }
    const lowered = recallLowered(run)
    const ttlsMs = rules.ttls * 1000
    // A time that lies ahead was written by a clock that was wrong.
    this.#cutoverAt = Math.min(asOfNow(run.clock, cutover.at).at, now)
    this.#neededMs = Math.max(rules.quietMs, cutover.ttlSeconds * ttlsMs)
    const oldTtlEnd =
      lowered === undefined ? 0 : Math.min(asOfNow(run.clock, lowered.at).at, now) + lowered.oldTtlSeconds * ttlsMs
    this.#notBefore = Math.max(this.#cutoverAt + cutover.ttlSeconds * ttlsMs, oldTtlEnd)
    const seen = recallSeen(run)
    this.#seen =
      seen === undefined ? { values: {}, movedAt: now, drainedAt: null } : { ...seen, movedAt: Math.min(seen.movedAt, now) }
  }

  get now(): number {
    return this.#time.now()
  }

  async add(run: StepRun, look: Look): Promise<Verdict> {
    await this.#followClock(run)
    await this.#note(run, look)
    const now = this.#time.now()
    const quietForMs = now - Math.max(this.#seen.movedAt, this.#cutoverAt)
    const isLongEnough = quietForMs >= this.#neededMs && now >= this.#notBefore
    const quietMs = Math.max(this.#neededMs, quietForMs + this.#notBefore - now)
    const drained = isLongEnough && this.#isKnown(look)
    if (drained) await this.#close(run, look, quietForMs)
    return { drained, quietForMs, quietMs }
  }

  /** What is measured goes by a clock that nobody sets; only what is remembered for the next run has to follow the wall clock. */
  async #followClock(run: StepRun): Promise<void> {
    const jump = this.#time.takeJump()
    if (jump === 0) return
    this.#cutoverAt += jump
    this.#notBefore += jump
    this.#seen = { ...this.#seen, movedAt: this.#seen.movedAt + jump }
    await run.remember(WATCH_KEY, this.#seen)
    run.emit({ event: 'finding', ...clockJumped(jump, 'during the watch', 'Quiet') })
  }

  /** A number that nobody saw before is an order (or another row) that came to the old host; a hit is a customer who is still there. */
  async #note(run: StepRun, { traffic, hits }: Look): Promise<void> {
    const now = this.#time.now()
    const values = traffic.sample === undefined ? this.#seen.values : lastValues(traffic.sample)
    const isOrder = !sameValues(this.#seen.values, values)
    const hitAt = hits.quietForMs === undefined ? 0 : now - hits.quietForMs
    const isHit = hitAt > this.#seen.movedAt + SAME_HIT_MS
    const isFirst = Object.keys(this.#seen.values).length === 0
    if (!isOrder && !isHit) {
      if (this.#seen.drainedAt !== null) this.#seen = { ...this.#seen, drainedAt: null }
      return
    }
    const quietForMs = now - Math.max(this.#seen.movedAt, this.#cutoverAt)
    if (this.#seen.drainedAt !== null) run.emit({ event: 'finding', ...late(isOrder) })
    else if (quietForMs >= this.#neededMs * WORTH_TELLING && !(isFirst && isOrder))
      run.emit({ event: 'note', message: again(isOrder, quietForMs) })
    this.#seen = { values, movedAt: isOrder ? now : Math.max(this.#seen.movedAt, hitAt), drainedAt: null }
    await run.remember(WATCH_KEY, this.#seen)
  }

  /** Quiet is evidence only where somebody could be asked: all servers that answer agree, and what customers leave can be seen. */
  #isKnown({ resolvers, traffic, hits }: Look): boolean {
    const { database } = this.#world.old
    // With no name server in reach, only orders or hits that are seen to have ended are evidence.
    const settled = resolvers.settled || (resolvers.blind && (database !== undefined || hits.state === 'known'))
    return settled && (database === undefined || traffic.sample !== undefined) && hits.state !== 'unanswered'
  }

  async #close(run: StepRun, look: Look, quietForMs: number): Promise<void> {
    const drainedAt = this.#time.now()
    await run.remember(WATCH_KEY, { ...this.#seen, drainedAt })
    const quiet = formatDuration(quietForMs)
    const { agreed, total, blind } = look.resolvers
    const seen = [
      ...(look.traffic.sample === undefined ? [] : [`no new row for ${quiet}`]),
      ...(look.hits.state === 'known' ? [`no customer's hit in its access log for ${quiet}`] : []),
      ...(total === 0 ? [] : [`${agreed} of ${total} name servers agree`]),
      ...(blind ? ['no name server could be asked'] : []),
      `${this.#rules.ttls} old TTLs have passed`,
    ]
    const isSeen = look.traffic.sample !== undefined || look.hits.state === 'known'
    const limits = isSeen
      ? ''
      : ' Neither its database nor its access log was looked at: customers who keep the old address for longer would not be seen.'
    run.emit({ event: 'note', message: `The old host counts as drained: ${seen.join(', ')}.${limits}` })
  }
}

const late = (isOrder: boolean) =>
  ({
    severity: 'warning',
    code: isOrder ? 'late-order' : 'late-hit',
    message: `The old host got new ${isOrder ? 'rows' : 'hits'} after it had counted as drained; the watch is open again, and the countdown begins anew.`,
    hint: 'Run reconcile once more when it ends.',
  }) as const

const again = (isOrder: boolean, quietForMs: number): string =>
  `${isOrder ? 'A new row' : 'A customer’s hit'} came to the old host after ${formatDuration(quietForMs)} of quiet: the countdown begins anew.`
