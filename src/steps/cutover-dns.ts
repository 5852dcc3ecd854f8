import { z } from 'zod'
import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import { describeChange } from '../dns/diff.ts'
import type { DnsRecord, RecordChange } from '../dns/port.ts'
import { type Expectation, expectationsOf, observe } from '../dns/propagation.ts'
import type { Step, StepRun } from '../run/step.ts'
import { type Certificate, certificateFindings, readCertificate } from '../site/certificate.ts'
import {
  CUTOVER_KEY,
  currentDiff,
  type DnsChange,
  dnsChangeSchema,
  dnsOf,
  effectiveTtl,
  makeChanges,
  missingDns,
  recallLowered,
  takeBack,
} from './dns-change.ts'
import { unproxied } from './dns-expectations.ts'
import { proxiedFindings, zoneFindings } from './dns-findings.ts'
import { asOfNow, clockJumped, SteadyTime, stamp } from './steady-time.ts'
import type { DnsTarget, StepContext, StepKind, World } from './world.ts'

const optionsSchema = z.strictObject({}).prefault({})
type Options = z.infer<typeof optionsSchema>

export const cutoverDnsKind: StepKind<Options> = {
  name: 'cutover-dns',
  summary: 'Points the playbook’s names at the new host, all of them in one change.',
  options: optionsSchema,
  create: (_options, { id, world }: StepContext): Step<DnsChange> => ({
    id,
    title: 'Point DNS at the new host',
    phase: 'cutover',
    change: dnsChangeSchema,
    check: (run) => check(world, run),
    plan: (run) => plan(dnsOf(world, 'cutover-dns'), run),
    apply: (change, run) => apply(world, change, run),
    verify: (run) => verify(dnsOf(world, 'cutover-dns'), run),
    undo: (change, run) => undo(dnsOf(world, 'cutover-dns'), change, run),
    describe: ({ records }) => records.map(describeChange).join('\n'),
  }),
}

async function check(world: World, run: StepRun): Promise<readonly Finding[]> {
  const { dns } = world
  if (dns === undefined) return [missingDns('cutover-dns')]
  const provider = await dns.provider.check(run.signal)
  if (provider.some((finding) => finding.severity === 'error')) return provider
  const { findings, changes, current } = await currentDiff(dns, run.signal)
  const seen = await seeNewCertificate(world, run)
  return [
    // lower-ttl asks the provider too; here only what is wrong would be news.
    ...provider.filter((finding) => finding.severity !== 'info'),
    ...findings,
    ...proxiedFindings(dns, current),
    ...(await zoneFindings({ dns, current, changes, site: world.site, certificate: seen.certificate }, run)),
    ...seen.findings.map((finding): Finding => (finding.severity === 'error' ? { ...finding, severity: 'warning' } : finding)),
  ]
}

/** What customers would meet on the new host: its certificate, if it gives one, and what is wrong with that. */
async function seeNewCertificate(
  world: World,
  run: StepRun,
): Promise<{ readonly certificate?: Certificate; readonly findings: readonly Finding[] }> {
  const { site } = world
  const host = world.new.site
  if (site?.protocol !== 'https:' || host?.protocol !== 'https:') return { findings: [] }
  try {
    const certificate = await readCertificate({ site, host, signal: run.signal })
    return { certificate, findings: certificateFindings(certificate, site, host, run.clock.now()) }
  } catch (error) {
    run.signal.throwIfAborted()
    const hint = `The new host must answer for ${site.origin} before DNS moves.`
    const code = error instanceof MigrateError ? error.code : 'site-failed'
    return { findings: [{ severity: 'error', code, message: messageOf(error), hint }] }
  }
}

async function plan(dns: DnsTarget, run: StepRun): Promise<readonly DnsChange[]> {
  const first = await currentDiff(dns, run.signal)
  const conflict = first.findings.find((finding) => finding.severity === 'error')
  if (conflict !== undefined)
    throw new MigrateError(conflict.code, conflict.message, conflict.hint === undefined ? {} : { hint: conflict.hint })
  if (first.changes.length === 0) return []
  const cached = first.changes.some(({ before }) => before !== null && !before.proxied)
  if (!run.dryRun) tellHighTtls(first.changes, run)
  if (run.dryRun || !cached || !(await waitForOldTtl(run))) return [{ kind: 'dns', records: first.changes }]
  const { changes } = await currentDiff(dns, run.signal)
  return changes.length === 0 ? [] : [{ kind: 'dns', records: changes }]
}

/** Longer than this, seconds, and nothing lowered it: people should know what they go into. */
const HIGH_TTL_SECONDS = 300

function tellHighTtls(changes: readonly RecordChange[], run: StepRun): void {
  if (recallLowered(run) !== undefined) return
  const high = changes.flatMap(({ before }) =>
    before === null || before.proxied || effectiveTtl(before) <= HIGH_TTL_SECONDS ? [] : [before],
  )
  if (high.length === 0) return
  const longest = formatDuration(Math.max(...high.map(effectiveTtl)) * SECOND_MS)
  run.emit({
    event: 'finding',
    severity: 'warning',
    code: 'cutover-ttl-high',
    message: `${high.map(({ type, name }) => `${type} ${name}`).join(', ')}: the TTL was never lowered, so resolvers go on sending customers to the old host for up to ${longest} after the cutover.`,
    hint: 'Put lower-ttl into the playbook and run it a day before. Their orders on the old host are carried over by reconcile.',
  })
}

const SECOND_MS = 1000
/** The countdown goes by seconds only at its end. */
const LAST_SECONDS = 120
const LONG_STEP_SECONDS = 10
const WAITED_FOR = 'until the old TTL has passed everywhere'

/**
 * Waits until no resolver can still hold an answer with the old, long TTL. While planning, because there Ctrl-C stops at once and
 * nothing has been changed. Returns false when there was nothing to wait for, or a person said to go on.
 */
async function waitForOldTtl(run: StepRun): Promise<boolean> {
  const lowered = recallLowered(run)
  if (lowered === undefined) return false
  const total = lowered.oldTtlSeconds
  // A wall clock that was set back meanwhile must not make the wait longer than the TTL is.
  const { at, jumpMs } = asOfNow(run.clock, lowered.at)
  const jumped = (ms: number, since: string): void =>
    run.emit({ event: 'finding', ...clockJumped(ms, since, 'The wait for the old TTL') })
  if (jumpMs !== 0) jumped(jumpMs, 'since the TTL was lowered')
  const leftAtFirst = Math.min(at + total * SECOND_MS - run.clock.now(), total * SECOND_MS)
  if (leftAtFirst <= 0) return false
  if (await goesOnEarly(run, leftAtFirst)) return false
  const start = run.clock.monotonic()
  const time = new SteadyTime(run.clock)
  for (let left = leftAtFirst; left > 0; left = leftAtFirst - (run.clock.monotonic() - start)) {
    run.progress(total - Math.ceil(left / SECOND_MS), total, 'seconds', WAITED_FOR)
    const stepSeconds = left > LAST_SECONDS * SECOND_MS ? LONG_STEP_SECONDS : 1
    await run.clock.sleep(Math.min(left, stepSeconds * SECOND_MS), run.signal)
    const jump = time.takeJump()
    if (jump !== 0) jumped(jump, 'during the countdown')
  }
  run.progress(total, total, 'seconds', WAITED_FOR)
  return true
}

async function goesOnEarly(run: StepRun, leftMs: number): Promise<boolean> {
  const left = formatDuration(leftMs)
  const risk = `Resolvers may hold the old address for another ${left}: customers behind them would go on buying on the old host for so long.`
  try {
    const early = await run.confirm(
      `${risk} Cut over now all the same? No = wait.`,
      'Without an answer the run waits and then goes on by itself.',
    )
    if (early)
      run.emit({
        event: 'finding',
        severity: 'warning',
        code: 'cutover-before-ttl',
        message: risk,
        hint: 'Their orders are carried over by reconcile.',
      })
    return early
  } catch (error) {
    // Nobody to ask: waiting is the safe answer.
    if (error instanceof MigrateError && error.ending === 'waiting') return false
    throw error
  }
}

async function apply(world: World, { records }: DnsChange, run: StepRun): Promise<void> {
  const dns = dnsOf(world, 'cutover-dns')
  if (!records.every(({ after }) => after?.proxied === true)) await refuseBadCertificate(world, run)
  const befores = records.flatMap(({ before }) => (before === null || before.proxied ? [] : [effectiveTtl(before)]))
  const ttlSeconds = Math.max(0, ...befores)
  // Before the effect too: if this is cut off, the watch must still know that DNS may have moved.
  await run.remember(CUTOVER_KEY, { at: stamp(run.clock), ttlSeconds })
  await makeChanges(dns, records, run)
  await run.remember(CUTOVER_KEY, { at: stamp(run.clock), ttlSeconds })
}

async function refuseBadCertificate(world: World, run: StepRun): Promise<void> {
  const bad = (await seeNewCertificate(world, run)).findings.find((finding) => finding.severity === 'error')
  if (bad === undefined) return
  throw new MigrateError(
    bad.code,
    `${bad.message} DNS was not changed: customers are still on the old host.`,
    bad.hint === undefined ? {} : { hint: bad.hint },
  )
}

const LOOK_EVERY_MS = 2000
const LOOKS = 60

async function verify(dns: DnsTarget, run: StepRun): Promise<readonly Finding[]> {
  const { changes, current } = await currentDiff(dns, run.signal)
  if (changes.length > 0) {
    return changes.map(
      (change): Finding => ({
        severity: 'error',
        code: 'dns-not-changed',
        message: `The provider doesn't say what the playbook wants when read back: ${describeChange(change)} is still to be done.`,
        hint: 'Run again; if it stays, find out who changes the record back.',
      }),
    )
  }
  return await publishedFindings(dns, current, run)
}

/** Providers take some seconds to tell their name servers. */
async function publishedFindings(dns: DnsTarget, current: readonly DnsRecord[], run: StepRun): Promise<readonly Finding[]> {
  const expectations = expectationsOf(unproxied(dns.records, current))
  if (expectations.length === 0) return []
  const unknown = (why: string): Finding => ({
    severity: 'warning',
    code: 'dns-authoritative-unknown',
    message: `The provider says the new records stand, but the zone's name servers couldn't be asked: ${why}.`,
    hint: 'Check that UDP and TCP port 53 are open from here, or give dns.nameservers in the playbook.',
  })
  try {
    const servers = await dns.authoritative()
    for (let looks = 1; ; looks += 1) {
      const { opinions, answered, agreed } = await observe(expectations, servers, run.signal)
      if (answered > 0 && agreed === answered) return await secondOpinion(dns, expectations, run)
      if (looks >= LOOKS) {
        const others = opinions
          .filter((opinion) => opinion.state !== 'agrees')
          .map((opinion) => `${opinion.server}: ${opinion.detail}`)
        return answered === 0 ? [unknown(others.join('; '))] : [notPublished(dns.zone, others)]
      }
      await run.clock.sleep(LOOK_EVERY_MS, run.signal)
    }
  } catch (error) {
    run.signal.throwIfAborted()
    return [unknown(messageOf(error))]
  }
}

/** A fault in how we ask would otherwise be believed; asked once, and only where there is a second way of asking. */
async function secondOpinion(dns: DnsTarget, expectations: readonly Expectation[], run: StepRun): Promise<readonly Finding[]> {
  const { opinions } = await observe(expectations, (await dns.secondOpinion?.()) ?? [], run.signal)
  return opinions
    .filter((opinion) => opinion.state === 'lags')
    .map((opinion) => ({
      severity: 'warning',
      code: 'dns-second-opinion-differs',
      message: `Asked a second time, by other means, ${opinion.server} says otherwise: ${opinion.detail}.`,
      hint: 'Ask it yourself with dig; one of several servers behind one address may lag.',
    }))
}

const notPublished = (zone: string, others: readonly string[]): Finding => ({
  severity: 'error',
  code: 'dns-not-published',
  message: `The provider says the new records stand, but the name servers of ${zone} still answer with the old ones: ${others.join('; ')}.`,
  hint: `See that the domain's name servers are this provider's. Customers are still sent to the old host; run again to look again.`,
})

async function undo(dns: DnsTarget, { records }: DnsChange, run: StepRun): Promise<void> {
  await takeBack(dns, records, run)
  await run.remember(CUTOVER_KEY, null)
}
