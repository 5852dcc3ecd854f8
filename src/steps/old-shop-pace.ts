import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import { limitFor, median, Throttle } from '../databases/snapshot/pace.ts'
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

export interface PaceOptions {
  readonly run: StepRun
  readonly world: World
  readonly mode: ThrottleMode
  readonly readers: number
  readonly bytes: number
  readonly everyMs?: number
  /** What a copy does at a pace, when that isn't a number of connections. */
  readonly manner?: Manner
}

export interface Manner {
  /** "8 files at a time". */
  said(readers: number): string
  /** How many may be at work at once. */
  atOnce(readers: number): number
}

const BY_CONNECTIONS: Manner = {
  said: (readers) => `with ${readers} ${readers === 1 ? 'connection' : 'connections'}`,
  atOnce: (readers) => readers,
}

/**
 * Runs a copy from the old host that slows down when the old shop's answers do. Its page is asked for every few seconds, one request
 * at a time; without a page the database's own answers are measured.
 */
export async function atOldShopsPace<T>(options: PaceOptions, copy: (throttle: Throttle | undefined) => Promise<T>): Promise<T> {
  const { run, world, mode, readers, bytes, manner = BY_CONNECTIONS } = options
  if (mode === 'off' || bytes < WORTH_BYTES) return copy(undefined)
  const pulse = await pulseOf(world, run)
  if (pulse === undefined) return copy(undefined)
  const ended = new AbortController()
  try {
    const quietMs = await quietTime(pulse, run.signal)
    const limitMs = mode === 'auto' ? limitFor(quietMs) : mode
    const throttle = new Throttle({ mostReaders: readers, limitMs, atOnce: manner.atOnce }, run.clock)
    run.emit({
      event: 'note',
      message: `${pulse.who} answers in ${formatDuration(quietMs)}; the copy slows down when that becomes more than ${formatDuration(limitMs)}`,
    })
    const watching = watch(options, pulse, throttle, quietMs, AbortSignal.any([run.signal, ended.signal]))
    try {
      return await copy(throttle)
    } finally {
      ended.abort()
      await watching
    }
  } finally {
    await pulse.close()
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
  { run, readers, everyMs = EVERY_MS, manner = BY_CONNECTIONS }: PaceOptions,
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
    const pauses = pauseMs > 0 ? `, ${formatDuration(pauseMs)} apart` : ''
    run.emit({ event: 'note', message: `${answers}: copying ${manner.said(now)}${pauses}` })
  }
}
