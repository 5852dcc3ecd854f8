import { z } from 'zod'
import type { Finding } from '../base/errors.ts'
import { parseDuration } from '../base/units.ts'
import { describeChange } from '../dns/diff.ts'
import { canonicalName } from '../dns/names.ts'
import type { DnsRecord, RecordChange } from '../dns/port.ts'
import type { Step, StepRun } from '../run/step.ts'
import {
  currentRecords,
  type DnsChange,
  dnsChangeSchema,
  dnsOf,
  effectiveTtl,
  LOWERED_KEY,
  type Lowered,
  makeChanges,
  missingDns,
  recallLowered,
  takeBack,
} from './dns-change.ts'
import { stamp } from './steady-time.ts'
import type { DnsTarget, StepContext, StepKind, World } from './world.ts'

const DEFAULT_TTL_SECONDS = 60
/** 1 means "automatic" to providers; what they allow lies higher, and they say so themselves. */
const SMALLEST_TTL_SECONDS = 2
const LARGEST_TTL_SECONDS = 86_400
const TTL_HELP = 'must be whole seconds between 2 and 86400: 60 or 60s'

const ttlSeconds = z
  .union([z.number(), z.string()], { error: TTL_HELP })
  .transform((value, context) => {
    const seconds = typeof value === 'number' ? value : (parseDuration(value) ?? Number.NaN) / 1000
    if (Number.isInteger(seconds) && seconds >= SMALLEST_TTL_SECONDS && seconds <= LARGEST_TTL_SECONDS) return seconds
    context.addIssue({ code: 'custom', message: TTL_HELP })
    return z.NEVER
  })
  .meta({ description: 'Seconds, or a duration such as 60s' })

const optionsSchema = z.strictObject({ ttl: ttlSeconds.prefault(DEFAULT_TTL_SECONDS) }).prefault({})
type Options = z.infer<typeof optionsSchema>

export const lowerTtlKind: StepKind<Options> = {
  name: 'lower-ttl',
  summary: 'Lowers the TTL of the records that will move, so that the world follows quickly when they do.',
  options: optionsSchema,
  create: ({ ttl }, { id, world }: StepContext): Step<DnsChange> => ({
    id,
    title: `Lower the TTL of the DNS records to ${ttl} s`,
    phase: 'prepare',
    change: dnsChangeSchema,
    check: (run) => check(world, ttl, run),
    plan: (run) => plan(dnsOf(world, 'lower-ttl'), ttl, run),
    apply: (change, run) => apply(dnsOf(world, 'lower-ttl'), change, run),
    verify: async (run) => {
      const dns = dnsOf(world, 'lower-ttl')
      return toLower(dns, await currentRecords(dns, run.signal), ttl).map((change) => stillHigh(change, dns.provider.manual))
    },
    undo: (change, run) => undo(dnsOf(world, 'lower-ttl'), change, run),
    describe: ({ records }) => (records.length === 0 ? 'note when the TTL fell' : records.map(describeChange).join('\n')),
  }),
}

async function check(world: World, ttl: number, run: StepRun): Promise<readonly Finding[]> {
  if (world.dns === undefined) return [missingDns('lower-ttl')]
  const { provider } = world.dns
  const findings = await provider.check(run.signal)
  if (findings.some((finding) => finding.severity === 'error')) return findings
  const least = (await provider.leastTtlSeconds?.(run.signal)) ?? 0
  return ttl >= least ? findings : [...findings, tooLow(ttl, least, provider.label)]
}

const tooLow = (ttl: number, least: number, provider: string): Finding => ({
  severity: 'error',
  code: 'dns-ttl-too-low',
  message: `lower-ttl asks for a TTL of ${ttl} s, and the smallest that ${provider} takes on its plan is ${least} s.`,
  hint: `Write lower-ttl: { ttl: ${least} } in the playbook.`,
})

/** The playbook's records whose TTL is higher. A proxied one has no TTL of its own to lower. */
function toLower(dns: DnsTarget, current: readonly DnsRecord[], ttl: number): readonly RecordChange[] {
  const ours = (record: DnsRecord): boolean =>
    dns.records.some((wanted) => canonicalName(wanted.name) === record.name && wanted.type === record.type)
  return current
    .filter((record) => ours(record) && !record.proxied && effectiveTtl(record) > ttl)
    .map((before) => ({ before, after: { ...before, ttlSeconds: ttl } }))
}

async function plan(dns: DnsTarget, ttl: number, run: StepRun): Promise<readonly DnsChange[]> {
  const lowered = recallLowered(run)
  // A person lowered it as far as the registrar's form allows: asking again changes nothing.
  if (dns.provider.manual && lowered?.done === true) return []
  const records = toLower(dns, await currentRecords(dns, run.signal), ttl)
  if (records.length > 0) return [{ kind: 'dns', records }]
  // Cut off between the change and its note: without the time, the cutover wouldn't know how long to wait.
  return lowered?.done === false ? [{ kind: 'dns', records: [] }] : []
}

async function apply(dns: DnsTarget, { records }: DnsChange, run: StepRun): Promise<void> {
  const earlier = recallLowered(run)
  const ttls = records.flatMap(({ before }) => (before === null ? [] : [effectiveTtl(before)]))
  const oldTtlSeconds = Math.max(earlier?.oldTtlSeconds ?? 0, ...ttls)
  const note = { oldTtlSeconds, ttls: [...toRaise(records, earlier)] }
  await run.remember(LOWERED_KEY, { at: stamp(run.clock), ...note, done: false })
  await makeChanges(dns, records, run)
  await run.remember(LOWERED_KEY, { at: stamp(run.clock), ...note, done: true })
}

/** One line a name and type, with the TTL that stood there before anything was lowered. */
function toRaise(records: readonly RecordChange[], earlier: Lowered | undefined): Lowered['ttls'] {
  const ttls = new Map((earlier?.ttls ?? []).map((each) => [`${each.name} ${each.type}`, each]))
  for (const { before, after } of records) {
    if (before === null || after === null) continue
    const { name, type } = before
    const from = ttls.get(`${name} ${type}`)?.from ?? before.ttlSeconds
    ttls.set(`${name} ${type}`, { name, type, from, to: after.ttlSeconds })
  }
  return [...ttls.values()]
}

async function undo(dns: DnsTarget, { records }: DnsChange, run: StepRun): Promise<void> {
  await takeBack(dns, records, run)
  await run.remember(LOWERED_KEY, null)
}

const stillHigh = ({ before }: RecordChange, byHand: boolean): Finding => ({
  severity: byHand ? 'warning' : 'error',
  code: 'dns-ttl-not-lowered',
  message: `${before?.type} ${before?.name} still has a TTL of ${before === null ? '?' : effectiveTtl(before)} s when read back.`,
  hint: byHand
    ? 'Many registrars have a smallest TTL. Customers’ resolvers will follow the cutover only after this one.'
    : 'Run again; if it stays, look in the provider’s panel for what sets it back (other tools, a minimum TTL).',
})
