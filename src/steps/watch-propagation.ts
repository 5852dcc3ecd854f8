import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import { expectationsOf } from '../dns/propagation.ts'
import type { Traffic } from '../run/events.ts'
import type { Step, StepRun } from '../run/step.ts'
import { gather } from './database-parts.ts'
import { currentRecords, dnsOf, effectiveTtl, missingDns, recallCutover } from './dns-change.ts'
import { unproxied } from './dns-expectations.ts'
import { FollowPasses } from './follow-passes.ts'
import { takeBackLeaps } from './leap-moves.ts'
import { Leapfrog } from './leapfrog.ts'
import { durationMs } from './options.ts'
import { Evidence, recallSeen, sameValues, type Verdict } from './watch-evidence.ts'
import { watchHeadroom } from './watch-headroom.ts'
import { type HitsView, HostHits } from './watch-hits.ts'
import { type ServersView, ServerWatch } from './watch-servers.ts'
import { tellShare } from './watch-share.ts'
import { HostTraffic, lastValues, type TrafficView } from './watch-traffic.ts'
import { cantSeeOrders } from './watch-unseen.ts'
import type { StepContext, StepKind, World } from './world.ts'

const optionsSchema = z
  .strictObject({
    resolvers: z
      .union([z.literal('default'), z.array(z.string()).min(1)])
      .default('default')
      .meta({
        description: '`default`, or addresses with ports: [127.0.20.1:5301], or https://9.9.9.9/dns-query to ask over HTTPS',
      }),
    quiet: durationMs
      .prefault('30m')
      .describe('So long without a new row, or a customer’s hit, on the old host before it counts as drained'),
    ttls: z
      .number()
      .min(1)
      .max(100)
      .default(3)
      .describe(
        'So many of the TTLs that the old answers had must have passed too: resolvers keep them for longer than they should',
      ),
    bots: z
      .boolean()
      .default(false)
      .describe('Count the hits of search engines and programs too, which go on for ever at an old address'),
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

export const watchPropagationKind: StepKind<Options> = {
  name: 'watch-propagation',
  summary: 'Watches the world follow DNS and the old host fall silent, and how much of the headroom it uses meanwhile.',
  options: optionsSchema,
  create: (options, { id, world }: StepContext): Step<WatchChange> => ({
    id,
    title: 'Watch until the old host gets no more orders',
    phase: 'settle',
    change: changeSchema,
    check: (run) => check(world, options, run),
    plan: (run) => plan(world, options, run),
    apply: (_change, run) => watch(world, options, run),
    verify: () => Promise.resolve([]),
    // Looking changes nothing; what was moved meanwhile is in the run's memory.
    undo: (_change, run) => takeBackLeaps(world, run),
    undoneLast: true,
    describe: ({ names, quietMs }) =>
      `watch ${names.join(', ')} until the old host had no new row for ${formatDuration(quietMs)}`,
  }),
}

function check(world: World, options: Options, run: StepRun): Promise<readonly Finding[]> {
  const findings: Finding[] = world.dns === undefined ? [missingDns('watch-propagation')] : []
  // Throws for an address that is none.
  world.resolvers(options.resolvers)
  if (world.old.database === undefined) findings.push(withoutDatabase(world.old.logs !== undefined))
  return gather(
    async () => findings,
    () => cantLeap(world),
    () => cantSeeOrders(world, options.orders, run),
    () => cantCountHits(world, options, run),
  )
}

const withoutDatabase = (hasLogs: boolean): Finding => ({
  severity: 'warning',
  code: 'watch-without-database',
  message: `The playbook gives no old.database, so the watch can’t see orders arrive there: it goes by ${hasLogs ? 'DNS, time and the hits in its access log' : 'DNS and time alone'}.`,
  hint: hasLogs
    ? 'Add old.database, or look at the old shop’s orders yourself before you switch it off.'
    : 'Add old.database, or old.logs to have hits counted, or look at the old shop’s orders yourself before you switch it off.',
})

/** What would keep the watch from counting hits. */
async function cantCountHits(world: World, options: Options, run: StepRun): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const host of [world.old, world.new]) await new HostHits(host, options.bots).look(run, (finding) => findings.push(finding))
  return findings
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

async function plan(world: World, options: Options, run: StepRun): Promise<readonly WatchChange[]> {
  const names = [...new Set(dnsOf(world, 'watch-propagation').records.map((record) => record.name))]
  const change: WatchChange = { kind: 'watch', names, quietMs: options.quiet }
  const seen = recallSeen(run)
  // What drained before the last cutover (undone meanwhile, perhaps) says nothing about this one.
  if (seen === undefined || seen.drainedAt === null || seen.drainedAt < (recallCutover(run)?.at ?? 0)) return [change]
  const { sample } = await new HostTraffic(world.old, world, options.orders).sample(run)
  // An old host that was switched off after it had drained can't have got anything since.
  if (sample !== undefined && !sameValues(seen.values, lastValues(sample))) return [change]
  const { quietForMs } = await new HostHits(world.old, options.bots).look(run)
  const hitAt = quietForMs === undefined ? 0 : run.clock.now() - quietForMs
  return hitAt > seen.drainedAt + LOGGED_LATE_MS ? [change] : []
}

/** Servers write their logs up to a minute late, by clocks that differ. */
const LOGGED_LATE_MS = 120_000

async function watch(world: World, options: Options, run: StepRun): Promise<void> {
  const dns = dnsOf(world, 'watch-propagation')
  const current = await currentRecords(dns)
  const servers = new ServerWatch(world, dns, world.resolvers(options.resolvers), expectationsOf(unproxied(dns.records, current)))
  const traffics = {
    old: new HostTraffic(world.old, world, options.orders),
    new: new HostTraffic(world.new, world, options.orders),
  }
  const hits = { old: new HostHits(world.old, options.bots), new: new HostHits(world.new, options.bots) }
  const leapfrog = new Leapfrog(world, traffics, options.ahead)
  const rules = { quietMs: options.quiet, ttls: options.ttls }
  const evidence = new Evidence(world, rules, run, Math.max(0, ...current.map(effectiveTtl)))
  const startedAt = run.clock.monotonic()
  const warned = new Set<string>()
  const passes = options.carry ? FollowPasses.open(world, run) : undefined
  for (;;) {
    const [resolvers, oldTraffic, newTraffic, oldHits, newHits] = await Promise.all([
      servers.look(run),
      traffics.old.sample(run),
      traffics.new.sample(run),
      hits.old.look(run),
      hits.new.look(run),
      run.observing?.refresh(),
    ])
    tellShare(world, resolvers)
    const sight = await leapfrog.look(run, { old: oldTraffic.sample, new: newTraffic.sample })
    const verdict = await evidence.add(run, { resolvers, traffic: oldTraffic, hits: oldHits })
    run.emit({
      event: 'watch',
      resolvers: { agreed: resolvers.agreed, total: resolvers.total },
      old: figuresOf(oldTraffic, oldHits),
      new: figuresOf(newTraffic, newHits),
      headroom: watchHeadroom(run, sight, traffics, warned),
      drained: verdict.drained,
      quiet: { seconds: Math.max(0, Math.floor(verdict.quietForMs / 1000)), of: Math.ceil(verdict.quietMs / 1000) },
      lagging: resolvers.lagging,
      ...(passes === undefined ? {} : { carrying: passes.carrying }),
    })
    if (resolvers.blind && !warned.has('blind')) {
      warned.add('blind')
      run.emit({ event: 'finding', ...blindFinding })
    }
    if (verdict.drained) return
    const left = options.max === undefined ? Number.POSITIVE_INFINITY : startedAt + options.max - run.clock.monotonic()
    if (left <= 0) throw notDrained(options, resolvers, verdict)
    const rest = () => leapfrog.rest(run, Math.min(options.every, left))
    await (passes === undefined ? rest() : passes.during(run, rest))
  }
}

function figuresOf(traffic: TrafficView, hits: HitsView): Traffic {
  const unanswered = [...(traffic.isUnanswered ? ['database'] : []), ...(hits.state === 'unanswered' ? ['access logs'] : [])]
  const figures = { ordersPerMinute: traffic.ordersPerMinute, hitsPerMinute: hits.hitsPerMinute }
  return unanswered.length === 0 ? figures : { ...figures, unanswered }
}

const blindFinding = {
  severity: 'warning',
  code: 'dns-unobservable',
  message:
    'No name server answers from here, so nobody can be asked whether the change has arrived: the watch goes by what customers leave on the old host and by the TTL alone.',
  hint: 'Open UDP and TCP port 53, or give `resolvers:` that this machine may ask.',
} as const

function notDrained(options: Options, resolvers: ServersView, { quietForMs, quietMs }: Verdict): MigrateError {
  const quiet = formatDuration(Math.max(0, quietForMs))
  const message = `Not drained after ${formatDuration(options.max ?? 0)}: ${resolvers.agreed} of ${resolvers.total} name servers agree, and the old host has been quiet for ${quiet} of the ${formatDuration(quietMs)} needed. Nothing is lost: orders there are still kept.`
  return new MigrateError('watch-not-drained', message, {
    ending: 'waiting',
    hint: 'Run again to watch on; migrate reconcile PLAYBOOK  carries over what has come so far.',
  })
}
