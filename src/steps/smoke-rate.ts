import { type Finding, messageOf } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { LogTail } from '../logs/tail.ts'
import type { StepRun } from '../run/step.ts'
import { MOST_PER_SECOND } from './smoke-load.ts'
import { HostTraffic } from './watch-traffic.ts'
import type { World } from './world.ts'

/** Requests a second, and how that was found; without a rate, why not. */
export type MeasuredRate =
  | { readonly rate: number; readonly how: string; readonly finding?: Finding }
  | { readonly rate: undefined; readonly finding: Finding }

const SECOND_MS = 1000
/** The busiest stretch of so long is what counts: load comes in waves. */
const WAVE_MS = 10 * SECOND_MS
/** Between two looks at the orders. */
const LOOK_MS = 10 * SECOND_MS
/** Where only orders are seen: three of a hundred visitors buy, and each looks at five pages. */
const PAGES_PER_ORDER = 150
/** What a web server gives out without any work of the shop; the load asks for pages. */
const STATIC =
  /\.(?:avif|bmp|css|eot|gif|gz|ico|jpe?g|js|json|map|mjs|mp4|otf|pdf|png|rss|svg|ttf|txt|webm|webmanifest|webp|woff2?|xml|zip)$/i
const OURS = /live-host-migration/

/** How many pages a second the old host is asked for: by the end of its access logs, else by its orders. */
export async function measureRate(world: World, run: StepRun): Promise<MeasuredRate> {
  const { logs = [], database } = world.old
  const pages: number[] = []
  let why = 'the playbook gives neither old.logs nor old.database'
  try {
    for (const place of logs) await new LogTail(place).look(() => (request) => take(request, pages), run.signal)
    if (pages.length > 0) return bounded(busiest(pages), `the busiest ten seconds at the end of its access log`)
    if (logs.length > 0) why = 'its access log tells of no page'
  } catch (error) {
    run.signal.throwIfAborted()
    why = `its access log can't be read (${messageOf(error)})`
  }
  if (database === undefined) return unmeasured(why)
  const orders = await ordersPerSecond(world, run)
  if (orders === undefined) return unmeasured(`${why}, and its orders can't be counted`)
  const how = `${formatCount(Math.round(orders * 3600))} orders an hour at this moment, ${PAGES_PER_ORDER} pages for each`
  return bounded(orders * PAGES_PER_ORDER, how)
}

interface Logged {
  readonly at: number
  readonly path: string
  readonly agent: string | null
}

function take(request: Logged | undefined, pages: number[]): void {
  if (request === undefined || OURS.test(request.agent ?? '')) return
  if (!STATIC.test(request.path.replace(/[?#].*$/, ''))) pages.push(request.at)
}

/** Pages a second in the busiest stretch, of ten seconds where the log tells of so many. Logs have whole seconds. */
function busiest(pages: readonly number[]): number {
  const times = [...pages].sort((a, b) => a - b)
  const spanMs = (times.at(-1) ?? 0) - (times[0] ?? 0) + SECOND_MS
  const waveMs = Math.min(WAVE_MS, spanMs)
  let most = 0
  let first = 0
  for (const [last, at] of times.entries()) {
    while (at - (times[first] ?? at) >= waveMs) first += 1
    most = Math.max(most, last - first + 1)
  }
  return (most * SECOND_MS) / waveMs
}

async function ordersPerSecond(world: World, run: StepRun): Promise<number | undefined> {
  const traffic = new HostTraffic(world.old, world, undefined)
  if ((await traffic.sample(run)).sample === undefined) return undefined
  await run.clock.sleep(LOOK_MS, run.signal)
  const { ordersPerMinute } = await traffic.sample(run)
  return ordersPerMinute === null ? undefined : ordersPerMinute / 60
}

function bounded(perSecond: number, how: string): MeasuredRate {
  const rate = Math.min(MOST_PER_SECOND, Math.max(1, Math.ceil(perSecond)))
  if (perSecond <= MOST_PER_SECOND) return { rate, how }
  return {
    rate,
    how,
    finding: {
      severity: 'info',
      code: 'load-bounded',
      message: `The old host is asked for ${formatCount(Math.ceil(perSecond))} pages a second (${how}); the load is ${formatCount(rate)}, which is the most that is put on a host.`,
      hint: 'For more, use a load generator of your own on several machines.',
    },
  }
}

const unmeasured = (why: string): MeasuredRate => ({
  rate: undefined,
  finding: {
    severity: 'warning',
    code: 'load-unmeasured',
    message: `smoke-test was to put the old host's load on the new one, and that load isn't known: ${why}. None was put on it.`,
    hint: 'Add old.logs, or give a number: smoke-test: { load: { rate: 50 } }.',
  },
})
