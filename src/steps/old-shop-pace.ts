import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import { limitFor, median, type Pace, Throttle } from '../databases/snapshot/pace.ts'
import type { StepRun } from '../run/step.ts'
import { siteClient } from '../site/request.ts'
import { durationMs } from './options.ts'
import type { World } from './world.ts'

/** `auto`: by what the old shop's answers took before; a number: at most so many milliseconds. */
export type ThrottleMode = 'auto' | 'off' | number

/** The option of a step that copies from the old host. */
export const throttleShape = {
  throttle: z
    .union([z.enum(['auto', 'off']), durationMs], { error: 'must be auto, off, or a duration such as 500ms' })
    .prefault('auto')
    .meta({
      description:
        "The copy slows down when the old shop's page takes longer than this to answer; auto: than twice what it took before",
    }),
}

/** Smaller copies are over before anything could be measured. */
const WORTH_BYTES = 4 * 2 ** 20
const QUIET_SAMPLES = 5
const EVERY_MS = 2000
/** An answer that takes longer counts as this long. */
const LONGEST_MS = 10_000

/** Something whose answering time tells how the old shop is doing. */
interface Pulse {
  /** "the old shop", "the old database". */
  readonly who: string
  /** Milliseconds; never more than LONGEST_MS. Throws when it doesn't answer at all. */
  measure(signal: AbortSignal): Promise<number>
  close(): Promise<void>
}

interface ShopPaceOptions {
  readonly run: StepRun
  readonly world: World
  readonly mode: ThrottleMode
  readonly readers: number
  readonly everyMs?: number
  /** What a copy does at a pace, when that isn't a number of connections. */
  readonly manner?: Manner
}

export interface PaceOptions extends ShopPaceOptions {
  readonly bytes: number
}

export interface Manner {
  /** "the copy". */
  readonly what: string
  /** "copying 8 files at a time, 250 ms apart". */
  said(pace: Pace): string
  /** How many may be at work at once. */
  atOnce(readers: number): number
}

const BY_CONNECTIONS: Manner = {
  what: 'the copy',
  said: ({ readers, pauseMs }) => `copying with ${readers} ${readers === 1 ? 'connection' : 'connections'}${apart(pauseMs)}`,
  atOnce: (readers) => readers,
}

/** ", 250 ms apart". */
export const apart = (pauseMs: number): string => (pauseMs > 0 ? `, ${formatDuration(pauseMs)} apart` : '')

/**
 * Runs a copy from the old host that slows down when the old shop's answers do. Its page is asked for every few seconds, one request
 * at a time; without a page the database's own answers are measured.
 */
export const atOldShopsPace = <T>(
  { bytes, ...options }: PaceOptions,
  copy: (throttle: Throttle | undefined) => Promise<T>,
): Promise<T> => new OldShopPace(options).during(bytes, copy)

/** While something is read from the old host: how fast it may be, and the end of looking at the shop. */
export interface Watched {
  readonly throttle: Throttle
  end(): Promise<void>
}

/** How fast one step reads from the old host. What the shop's answers took is known from one of its copies to the next. */
export class OldShopPace {
  readonly #options: ShopPaceOptions
  /** What the shop's answers took before, milliseconds, and how fast the last copy went. */
  #known: { readonly quietMs: number; readonly throttle: Throttle } | undefined
  #isWithoutPulse = false

  constructor(options: ShopPaceOptions) {
    this.#options = options
  }

  /** `bytes`: of all that the step copies. */
  async during<T>(bytes: number, copy: (throttle: Throttle | undefined) => Promise<T>): Promise<T> {
    const watched = bytes < WORTH_BYTES ? undefined : await this.begin()
    try {
      return await copy(watched?.throttle)
    } finally {
      await watched?.end()
    }
  }

  /** `undefined`: the playbook wants no throttle, or gives nothing whose answers tell how the old shop is. */
  async begin(): Promise<Watched | undefined> {
    const { run, world, mode } = this.#options
    if (mode === 'off' || this.#isWithoutPulse) return undefined
    const pulse = await pulseOf(world, run)
    if (pulse === undefined) {
      this.#isWithoutPulse = true
      return undefined
    }
    try {
      const known = await this.#measured(pulse)
      const ended = new AbortController()
      const signal = AbortSignal.any([run.signal, ended.signal])
      const watching = watch(this.#options, pulse, known.throttle, known.quietMs, signal)
      // Told by `end`.
      watching.catch(() => undefined)
      const end = async (): Promise<void> => {
        ended.abort()
        await watching.finally(() => pulse.close())
      }
      return { throttle: known.throttle, end }
    } catch (error) {
      await pulse.close()
      throw error
    }
  }

  async #measured(pulse: Pulse): Promise<{ readonly quietMs: number; readonly throttle: Throttle }> {
    if (this.#known !== undefined) return this.#known
    const { run, mode, readers, manner = BY_CONNECTIONS } = this.#options
    const quietMs = await quietTime(pulse, run.signal)
    const limitMs = typeof mode === 'number' ? mode : limitFor(quietMs)
    run.emit({
      event: 'note',
      message: `${pulse.who} answers in ${formatDuration(quietMs)}; ${manner.what} slows down when that becomes more than ${formatDuration(limitMs)}`,
    })
    this.#known = { quietMs, throttle: new Throttle({ mostReaders: readers, limitMs, atOnce: manner.atOnce }, run.clock) }
    return this.#known
  }
}

/** Does work from the old host when its turn comes. */
export async function inItsTurn<T>(throttle: Throttle | undefined, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  if (throttle === undefined) return work()
  await throttle.enter(signal)
  try {
    return await work()
  } finally {
    throttle.leave()
  }
}

/** `undefined`: the playbook gives nothing whose answers tell how the old shop is. */
async function pulseOf(world: World, run: StepRun): Promise<Pulse | undefined> {
  const site = sitePulse(world, run)
  if (site === undefined) return databasePulse(world, run)
  try {
    await site.measure(run.signal)
    return site
  } catch (error) {
    await site.close()
    if (!(error instanceof MigrateError)) throw error
    const instead = databasePulse(world, run)
    const follows = instead === undefined ? 'is not slowed down by anything' : "follows the old database's answers instead"
    run.emit({ event: 'note', message: `${error.message} The copy's pace ${follows}.` })
    return instead
  }
}

function sitePulse({ old, site }: World, { clock }: StepRun): Pulse | undefined {
  if (old.site === undefined) return undefined
  const client = siteClient({ site: site ?? old.site, host: old.site, connections: 1, timeoutMs: LONGEST_MS })
  return {
    who: 'the old shop',
    measure: async (signal) => {
      const begun = clock.monotonic()
      try {
        await client.get(new URL('/', client.site), { signal })
      } catch (error) {
        // One that doesn't answer in time is as slow as can be measured.
        if (!(error instanceof MigrateError) || error.code !== 'site-timed-out') throw error
      }
      return Math.min(clock.monotonic() - begun, LONGEST_MS)
    },
    close: () => client.close(),
  }
}

/** A question about migrate's own marks: an answer from the catalog, whatever the size of the shop. */
function databasePulse(world: World, { id, clock }: StepRun): Pulse | undefined {
  const { database } = world.old
  if (database === undefined) return undefined
  return {
    who: 'the old database',
    measure: async (signal) => {
      const begun = clock.monotonic()
      const enough = new AbortController()
      const tooLong = clock.sleep(LONGEST_MS, AbortSignal.any([signal, enough.signal])).catch(() => signal.throwIfAborted())
      try {
        await Promise.race([database.marks(id), tooLong])
      } finally {
        enough.abort()
      }
      return Math.min(clock.monotonic() - begun, LONGEST_MS)
    },
    close: async () => undefined,
  }
}

async function quietTime(pulse: Pulse, signal: AbortSignal): Promise<number> {
  const samples: number[] = []
  while (samples.length < QUIET_SAMPLES) samples.push(await pulse.measure(signal))
  return median(samples)
}

async function watch(
  { run, readers, everyMs = EVERY_MS, manner = BY_CONNECTIONS }: ShopPaceOptions,
  pulse: Pulse,
  throttle: Throttle,
  quietMs: number,
  signal: AbortSignal,
): Promise<void> {
  const answer = async (): Promise<number | undefined> => {
    try {
      await run.clock.sleep(everyMs, signal)
      return await pulse.measure(signal)
    } catch (error) {
      if (signal.aborted) return undefined
      // A shop that doesn't answer at all is not better off than a slow one.
      if (error instanceof MigrateError) return LONGEST_MS
      throw error
    }
  }
  for (let before = throttle.pace; ; before = throttle.pace) {
    const ms = await answer()
    if (ms === undefined) return
    const recentMs = throttle.observe(ms)
    if (recentMs === undefined) continue
    const { readers: now, pauseMs } = throttle.pace
    const isSlower = now < before.readers || pauseMs > before.pauseMs
    const isFullSpeed = now === readers && pauseMs === 0
    if (!isSlower && !isFullSpeed) continue
    const answers = `${pulse.who} answers in ${formatDuration(recentMs)}${isSlower ? ` instead of ${formatDuration(quietMs)}` : ' again'}`
    run.emit({ event: 'note', message: `${answers}: ${manner.said({ readers: now, pauseMs })}` })
  }
}
