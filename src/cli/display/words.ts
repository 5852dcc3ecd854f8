import { isoTime } from '../../base/clock.ts'
import { formatBytes, formatCount, formatDuration } from '../../base/units.ts'
import type { EventBody, HeadroomWatch, ProgressUnit, RunEvent } from '../../run/events.ts'

type Body<E extends EventBody['event']> = Extract<EventBody, { readonly event: E }>

/** `1.21 GiB`, `5,000 files`. */
export const amount = (count: number, unit: ProgressUnit): string => {
  if (unit === 'bytes') return formatBytes(count)
  if (unit === 'seconds') return formatDuration(count * 1000)
  return `${formatCount(count)} ${count === 1 ? unit.slice(0, -1) : unit}`
}

/** `1.21 of 3.00 GiB · 40 %`. */
export function progressWords(done: number, total: number | null, unit: ProgressUnit): string {
  if (total === null || total <= 0) return amount(done, unit)
  const percent = Math.min(100, Math.floor((done / total) * 100))
  return `${unit === 'bytes' || unit === 'seconds' ? amount(done, unit) : formatCount(done)} of ${amount(total, unit)} · ${percent} %`
}

/** `12.3 MiB/s`, `4,100 rows/s`. */
export const rateWords = (perSecond: number, unit: ProgressUnit): string =>
  unit === 'bytes' ? `${formatBytes(perSecond)}/s` : `${formatCount(Math.round(perSecond))} ${unit}/s`

/** Tenths of what is many say nothing. */
const rounded = (count: number): string => formatCount(count < 10 ? Math.round(count * 10) / 10 : Math.round(count))

const perMinute = (count: number | null, what: string): readonly string[] =>
  count === null ? [] : [`${rounded(count)} ${what}/min`]

const trafficWords = (side: string, traffic: Body<'watch'>['old']): string => {
  const figures = [...perMinute(traffic.ordersPerMinute, 'orders'), ...perMinute(traffic.hitsPerMinute, 'hits')]
  const { unanswered = [] } = traffic
  const silent = unanswered.length === 0 ? '' : `, NO ANSWER from its ${unanswered.join(' and ')}`
  return `${side} host ${figures.length === 0 && silent === '' ? 'no figures' : `${figures.join(', ')}${silent}`.replace(/^, /, '')}`
}

/**
 * The watch in lines: traffic, how long it has been quiet, resolvers with those that lag, the headroom that runs out first, and whether
 * rows are carried. `at`: when that was, milliseconds since 1970.
 */
export function watchLines(watch: Body<'watch'>, at: number): readonly string[] {
  const { agreed, total } = watch.resolvers
  const resolvers = `${agreed} of ${total} resolvers give the new address${watch.drained ? ' · the old host is drained' : ''}`
  const tightest = [...watch.headroom].sort(byTimeLeft)[0]
  const headroom = tightest === undefined ? [] : [headroomWords(tightest, watch.headroom.length, at)]
  return [
    `${trafficWords('old', watch.old)} · ${trafficWords('new', watch.new)}`,
    ...(watch.drained ? [] : quietWords(watch.quiet)),
    `${resolvers}${lagWords(watch.lagging ?? [])}`,
    ...headroom,
    ...carryingWords(watch.carrying),
  ]
}

const LAGGARDS_SHOWN = 2

/** Those that will go on for longest, first. */
function lagWords(lagging: Body<'watch'>['lagging'] & {}): string {
  if (lagging.length === 0) return ''
  const named = lagging
    .toSorted((a, b) => (b.ttlLeftSeconds ?? 0) - (a.ttlLeftSeconds ?? 0))
    .slice(0, LAGGARDS_SHOWN)
    .map(({ server, ttlLeftSeconds }) =>
      ttlLeftSeconds === null ? server : `${server} for ${formatDuration(ttlLeftSeconds * 1000)} more`,
    )
  const rest = lagging.length - named.length
  return ` · still the old one: ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

const quietWords = (quiet: Body<'watch'>['quiet']): readonly string[] =>
  quiet === undefined ? [] : [`old host quiet for ${secondsWords(quiet.seconds)} of ${secondsWords(quiet.of)}`]
const secondsWords = (seconds: number): string => (seconds < 1 ? '0 s' : formatDuration(seconds * 1000))

/** What was carried is counted below the figures; here, whether passes are made. */
const carryingWords = (carrying: Body<'watch'>['carrying']): readonly string[] => {
  if (carrying === undefined || (carrying.lastAt === null && !carrying.failing)) return []
  const last = carrying.lastAt === null ? 'none yet' : `at ${carrying.lastAt.slice(11, 19)} UTC`
  return carrying.failing
    ? [`carrying orders over is PAUSED, and tried again by itself; last pass that worked: ${last}`]
    : [`last pass that looked for rows to carry over: ${last}`]
}

/** The guard in lines: what it looks at, what is wrong since when, and when that counts. */
export function guardLines(guard: Body<'guard'>): readonly string[] {
  const { state, watched, faults, since, decidesAt, orders } = guard
  const rate = orders.perMinute === null ? '' : ` · ${rounded(orders.perMinute)} orders/min`
  const expected = orders.expected === null ? '' : ` of about ${rounded(orders.expected)} expected`
  const what = `new host ${GUARD_STATES[state]} (${watched.join(', ')})${rate}${rate === '' ? '' : expected}`
  const wrong = faults.map(({ message }) => message).join('; ')
  const until = decidesAt === null ? '' : `; it counts from ${decidesAt.slice(11, 19)} UTC on: ${GUARD_ACTIONS[guard.failback]}`
  const failing = since === null || wrong === '' ? [] : [`failing since ${since.slice(11, 19)} UTC: ${wrong}${until}`]
  return [what, ...failing]
}

const GUARD_STATES = { well: 'well', failing: 'fails', failed: 'has failed', unknown: 'out of sight' } as const
const GUARD_ACTIONS = { offer: 'then you are asked', auto: 'then it goes back', off: 'then it is told' } as const

const byTimeLeft = (a: HeadroomWatch, b: HeadroomWatch): number => {
  if (a.runsOutAt !== b.runsOutAt) return (a.runsOutAt ?? '9') < (b.runsOutAt ?? '9') ? -1 : 1
  const [left, right] = [BigInt(a.left), BigInt(b.left)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** Identity values come as decimal text. */
const number = (text: string): string => formatCount(BigInt(text))

/** After a leap it is the new host that has to stay within it. */
const ofHost = ({ host }: { readonly host?: 'new' }): string => (host === undefined ? '' : ` (of the ${host} host)`)

const headroomWords = (use: HeadroomWatch, count: number, at: number): string => {
  const leftMs = use.runsOutAt === null ? 0 : Math.max(0, Date.parse(use.runsOutAt) - at)
  const until =
    use.runsOutAt === null
      ? ''
      : `, runs out in ${secondsWords(Math.round(leftMs / 1000))} (${use.runsOutAt.slice(0, 16).replace('T', ' ')} UTC)`
  const others = count === 2 ? ' · another has more' : count > 2 ? ` · ${count - 1} others have more` : ''
  return `headroom ${use.table}.${use.column}${ofHost(use)}: used ${number(use.used)}, left ${number(use.left)}${until}${others}`
}

/** What a pass of reconcile did, table by table, and its proof; a cheap one during the watch has none. */
export function reconciledLines(body: Body<'reconciled'>): readonly string[] {
  const tables = Object.entries(body.tables).flatMap(([name, counts]) => {
    const parts = Object.entries(counts).filter(([, count]) => count > 0)
    return parts.length === 0 ? [] : [`${name}: ${parts.map(([what, count]) => `${formatCount(count)} ${what}`).join(', ')}`]
  })
  const headroom = body.headroom
    .filter((use) => use.used !== '0')
    .map(
      (use) =>
        `headroom ${use.table}.${use.column}${ofHost(use)}: raised by ${number(use.raisedBy)}, used ${number(use.used)}, left ${number(use.left)}`,
    )
  const { rows, accounted, unaccounted } = body.proof
  if (body.newOnly === true) {
    const left = unaccounted === 0 ? [] : [`${formatCount(unaccounted)} more wait for the full pass`]
    return tables.length === 0 ? left : [`carried over as they came: ${[...tables, ...left].join(' · ')}`]
  }
  const rest = unaccounted === 0 ? 'every one accounted for' : `${formatCount(unaccounted)} NOT accounted for`
  const proof = `proof: ${formatCount(rows)} rows on the ${body.from ?? 'old'} host, ${unaccounted === 0 ? rest : `${formatCount(accounted)} accounted for, ${rest}`}`
  return [`pass ${body.pass}: ${tables.length === 0 ? 'nothing to carry' : tables.join(' · ')}`, ...headroom, proof]
}

/** Rows that cheap passes have carried so far, for the screen. */
export const straysLine = (strays: ReadonlyMap<string, number>, lastAt: number | undefined): readonly string[] => {
  if (strays.size === 0) return []
  const last = lastAt === undefined ? '' : ` · last at ${isoTime(lastAt).slice(11, 19)} UTC`
  return [`carried over as they came: ${[...strays].map(([table, rows]) => `${table} ${formatCount(rows)}`).join(' · ')}${last}`]
}

const SEVERITY = { error: 'PROBLEM', warning: 'warning', info: 'note' } as const

export const findingLines = (body: Body<'finding'>): readonly string[] => [
  `${SEVERITY[body.severity]}: ${body.message}`,
  ...(body.hint === undefined ? [] : [`  → ${body.hint}`]),
]

const OUTCOMES = {
  ok: 'Done',
  failed: 'Failed',
  parked: 'Done, with rows or files parked for a person',
  waiting: 'Waits for a person',
  interrupted: 'Interrupted at a safe point; run again to resume',
} as const

export const finishedWords = (body: Pick<Body<'finished'>, 'outcome' | 'seconds'>): string =>
  `${OUTCOMES[body.outcome]} (${formatDuration(body.seconds * 1000)}).`

export const failedLines = (body: Body<'failed'>): readonly string[] => [
  `FAILED: ${body.message}`,
  ...(body.hint === undefined ? [] : [`  → ${body.hint}`]),
]

/** An event in plain lines; [] for what a person needn't read. Progress is thinned out by the caller. */
export function eventLines(event: RunEvent, verbose: boolean): readonly string[] {
  switch (event.event) {
    case 'started':
      return startedLines(event)
    case 'finding':
      return event.severity === 'info' && !verbose ? [] : findingLines(event)
    case 'change':
      if (event.phase === 'applied') return [`done: ${event.summary}`]
      if (event.phase === 'undone') return [`taken back: ${event.summary}`]
      return verbose ? [`${event.phase}: ${event.summary}`] : []
    case 'progress':
      return [`${progressWords(event.done, event.total, event.unit)}${event.item === undefined ? '' : ` · ${event.item}`}`]
    case 'watch':
      return watchLines(event, Date.parse(event.time))
    case 'guard':
      return event.state === 'well' && !verbose ? [] : guardLines(event)
    case 'reconciled':
      return reconciledLines(event)
    case 'note':
      return [event.message]
    case 'waiting':
      return [`WAITS FOR YOU: ${event.message}`, ...(event.hint === undefined ? [] : [`  → ${event.hint}`])]
    case 'done':
      return [event.skipped ? 'nothing left to do' : `finished in ${formatDuration(event.seconds * 1000)}`]
    case 'failed':
      return failedLines(event)
    case 'finished':
      return [finishedWords(event)]
  }
}

function startedLines(event: RunEvent & Body<'started'>): readonly string[] {
  if (event.step !== null) return [event.title ?? event.step]
  const what = event.dryRun ? 'Plan for' : event.resumed ? 'Resuming' : 'Migrating'
  return [`${what} ${event.playbook ?? 'the shop'} (run ${event.run})`]
}
