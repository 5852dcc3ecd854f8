import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import { expectationsOf } from '../dns/propagation.ts'
import type { Step, StepRun } from '../run/step.ts'
import { gather } from './database-parts.ts'
import { currentRecords, dnsOf, effectiveTtl, missingDns, recallCutover, recallLowered } from './dns-change.ts'
import { unproxied } from './dns-expectations.ts'
import { FollowPasses } from './follow-passes.ts'
import { takeBackLeaps } from './leap-moves.ts'
import { Leapfrog } from './leapfrog.ts'
import { durationMs } from './options.ts'
import { watchHeadroom } from './watch-headroom.ts'
import { type ServersView, ServerWatch } from './watch-servers.ts'
import { HostTraffic, lastValues, type TrafficView } from './watch-traffic.ts'
import type { StepContext, StepKind, World } from './world.ts'

const optionsSchema = z
  .strictObject({
    resolvers: z
      .union([z.literal('default'), z.array(z.string()).min(1)])
      .default('default')
      .meta({ description: '`default`, or addresses with ports: [127.0.20.1:5301]' }),
    quiet: durationMs.prefault('30m').describe('So long without a new row on the old host before it counts as drained'),
    every: durationMs.prefault('30s').describe('Time between two looks'),
    orders: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The table whose new rows are the orders; found by its name when absent' }),
    ahead: durationMs
      .prefault('1h')
      .describe(
        "A headroom that would be used up within this time is left behind: the old host's numbers are moved past the new one's",
      ),
    carry: z
      .boolean()
      .default(true)
      .describe('Carry what is born on the old host to the new one within seconds; what isn’t plainly new is left to reconcile'),
    max: durationMs.optional().describe('Watch no longer than this'),
  })
  .prefault({})
type Options = z.infer<typeof optionsSchema>

const changeSchema = z.object({ kind: z.literal('watch'), names: z.array(z.string()).readonly(), quietMs: z.number() }).readonly()
type WatchChange = z.infer<typeof changeSchema>

/** What the watch has seen, so that one that was cut off goes on counting, and a late order reopens it. */
const WATCH_KEY = 'watch'
const seenSchema = z
  .object({
    /** Last identity values of the old host. */
    values: z.record(z.string(), z.string()).readonly(),
    /** Milliseconds since 1970: when they last moved. */
    movedAt: z.number(),
    drainedAt: z.number().nullable(),
  })
  .readonly()
type Seen = z.infer<typeof seenSchema>

export const watchPropagationKind: StepKind<Options> = {
  name: 'watch-propagation',
  summary: 'Watches the world follow DNS and the old host fall silent, and how much of the headroom it uses meanwhile.',
  options: optionsSchema,
  create: (options, { id, world }: StepContext): Step<WatchChange> => ({
    id,
    title: 'Watch until the old host gets no more orders',
    phase: 'settle',
    change: changeSchema,
    check: () => check(world, options),
    plan: (run) => plan(world, options, run),
    apply: (_change, run) => watch(world, options, run),
    verify: () => Promise.resolve([]),
    // Looking changes nothing; what was moved meanwhile is in the run's memory.
    undo: (_change, run) => takeBackLeaps(world, run),
    describe: ({ names, quietMs }) =>
      `watch ${names.join(', ')} until the old host had no new row for ${formatDuration(quietMs)}`,
  }),
}

function check(world: World, options: Options): Promise<readonly Finding[]> {
  const findings: Finding[] = world.dns === undefined ? [missingDns('watch-propagation')] : []
  // Throws for an address that is none.
  world.resolvers(options.resolvers)
  if (world.old.database === undefined) {
    findings.push({
      severity: 'warning',
      code: 'watch-without-database',
      message: 'The playbook gives no old.database, so the watch can’t see orders arrive there: it goes by DNS and time alone.',
      hint: 'Add old.database, or look at the old shop’s orders yourself before you switch it off.',
    })
  }
  return world.old.database === undefined
    ? Promise.resolve(findings)
    : gather(
        async () => findings,
        () => cantLeap(world),
      )
}

/** Without the right to move the old host's numbers the watch can only tell when they run out. */
async function cantLeap(world: World): Promise<readonly Finding[]> {
  const missing = (await world.old.database?.missingRights('identities')) ?? []
  const [first] = missing
  if (first === undefined) return []
  return [
    {
      severity: 'info',
      code: 'leap-only-by-hand',
      message:
        "The old host's account may not move its numbers. If the old host should use up its headroom while it is watched, you are told the statement to run there.",
      hint: `To have it done by itself: ${missing.map(({ hint }) => hint ?? '').join(' ')}`,
    },
  ]
}

const recallSeen = (run: StepRun): Seen | undefined => seenSchema.nullish().parse(run.recall(WATCH_KEY)) ?? undefined

async function plan(world: World, options: Options, run: StepRun): Promise<readonly WatchChange[]> {
  const names = [...new Set(dnsOf(world, 'watch-propagation').records.map((record) => record.name))]
  const change: WatchChange = { kind: 'watch', names, quietMs: options.quiet }
  const seen = recallSeen(run)
  // What drained before the last cutover (undone meanwhile, perhaps) says nothing about this one.
  if (seen === undefined || seen.drainedAt === null || seen.drainedAt < (recallCutover(run)?.at ?? 0)) return [change]
  const { sample } = await new HostTraffic(world.old, world, options.orders).sample(run)
  // An old host that was switched off after it had drained can't have got anything since.
  return sample === undefined || sameValues(seen.values, lastValues(sample)) ? [] : [change]
}

const sameValues = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  Object.keys(b).every((name) => a[name] === b[name]) && Object.keys(a).length === Object.keys(b).length

async function watch(world: World, options: Options, run: StepRun): Promise<void> {
  const dns = dnsOf(world, 'watch-propagation')
  const current = await currentRecords(dns)
  const servers = new ServerWatch(dns, world.resolvers(options.resolvers), expectationsOf(unproxied(dns.records, current)))
  const traffics = {
    old: new HostTraffic(world.old, world, options.orders),
    new: new HostTraffic(world.new, world, options.orders),
  }
  const leapfrog = new Leapfrog(world, traffics, options.ahead)
  const startedAt = run.clock.now()
  const cutoverAt = recallCutover(run)?.at ?? startedAt
  const notBefore = earliestEnd(run, startedAt, Math.max(0, ...current.map(effectiveTtl)))
  const warned = new Set<string>()
  const passes = options.carry ? FollowPasses.open(world, run) : undefined
  let seen: Seen = recallSeen(run) ?? { values: {}, movedAt: startedAt, drainedAt: null }
  for (;;) {
    const [resolvers, oldTraffic, newTraffic] = await Promise.all([
      servers.look(run),
      traffics.old.sample(run),
      traffics.new.sample(run),
      run.observing?.refresh(),
    ])
    const sight = await leapfrog.look(run, { old: oldTraffic.sample, new: newTraffic.sample })
    seen = await note(run, seen, oldTraffic)
    const quietForMs = run.clock.now() - Math.max(seen.movedAt, cutoverAt)
    const quiet = quietForMs >= options.quiet && run.clock.now() >= notBefore
    const drained = quiet && isKnown(world, resolvers, oldTraffic)
    run.emit({
      event: 'watch',
      resolvers: { agreed: resolvers.agreed, total: resolvers.total },
      old: { ordersPerMinute: oldTraffic.ordersPerMinute, hitsPerMinute: null },
      new: { ordersPerMinute: newTraffic.ordersPerMinute, hitsPerMinute: null },
      headroom: watchHeadroom(run, sight, traffics, warned),
      drained,
    })
    if (resolvers.blind && !warned.has('blind')) {
      warned.add('blind')
      run.emit({ event: 'finding', ...blindFinding })
    }
    if (drained) return await run.remember(WATCH_KEY, { ...seen, drainedAt: run.clock.now() })
    const left = options.max === undefined ? Number.POSITIVE_INFINITY : startedAt + options.max - run.clock.now()
    if (left <= 0) throw notDrained(options, resolvers, quietForMs)
    const rest = () => leapfrog.rest(run, Math.min(options.every, left))
    await (passes === undefined ? rest() : passes.during(run, rest))
  }
}

/** Nobody can be drained before the answers that were cached at the cutover have expired. Milliseconds since 1970. */
function earliestEnd(run: StepRun, startedAt: number, currentTtlSeconds: number): number {
  const cutover = recallCutover(run) ?? { at: startedAt, ttlSeconds: currentTtlSeconds }
  const lowered = recallLowered(run)
  return Math.max(cutover.at + cutover.ttlSeconds * 1000, lowered === undefined ? 0 : lowered.at + lowered.oldTtlSeconds * 1000)
}

/** Keeps what was seen when it moved: a number that nobody saw before is an order (or another row) that came to the old host. */
async function note(run: StepRun, seen: Seen, { sample }: TrafficView): Promise<Seen> {
  if (sample === undefined) return seen
  const values = lastValues(sample)
  if (sameValues(seen.values, values)) return { ...seen, drainedAt: null }
  if (seen.drainedAt !== null) {
    run.emit({
      event: 'finding',
      severity: 'warning',
      code: 'late-order',
      message: 'The old host got new rows after it had counted as drained; the watch is open again.',
      hint: 'Run reconcile once more when it ends.',
    })
  }
  const next: Seen = { values, movedAt: run.clock.now(), drainedAt: null }
  await run.remember(WATCH_KEY, next)
  return next
}

/** Quiet is evidence only where somebody could be asked: all servers that answer agree, and the old host's rows can be seen. */
function isKnown(world: World, resolvers: ServersView, old: TrafficView): boolean {
  const { database } = world.old
  // With no name server in reach, only a database that is seen to be quiet is evidence.
  const settled = resolvers.settled || (resolvers.blind && database !== undefined)
  return settled && (database === undefined || old.sample !== undefined)
}

const blindFinding = {
  severity: 'warning',
  code: 'dns-unobservable',
  message:
    'No name server answers from here, so nobody can be asked whether the change has arrived: the watch goes by the old host’s rows and the TTL alone.',
  hint: 'Open UDP and TCP port 53, or give `resolvers:` that this machine may ask.',
} as const

function notDrained(options: Options, resolvers: ServersView, quietForMs: number): MigrateError {
  const quiet = formatDuration(quietForMs)
  const message = `Not drained after ${formatDuration(options.max ?? 0)}: ${resolvers.agreed} of ${resolvers.total} name servers agree, and the old host has been quiet for ${quiet} of the ${formatDuration(options.quiet)} asked for. Nothing is lost: orders there are still kept.`
  return new MigrateError('watch-not-drained', message, {
    ending: 'waiting',
    hint: 'Run again to watch on; migrate reconcile carries over what has come so far.',
  })
}
