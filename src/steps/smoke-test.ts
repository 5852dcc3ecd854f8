import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import type { Step, StepRun } from '../run/step.ts'
import { certificateFindings, readCertificate } from '../site/certificate.ts'
import { putLoad } from '../site/load.ts'
import { probeSite, type SiteProbe } from '../site/probe.ts'
import { siteClient } from '../site/request.ts'
import { compareProbes, oldHostFindings } from './smoke-compare.ts'
import { compareDetails } from './smoke-details.ts'
import { loadFindings, loadSchema } from './smoke-load.ts'
import { type MeasuredRate, measureRate } from './smoke-rate.ts'
import { type Host, missingPart, type StepContext, type StepKind, type World } from './world.ts'

const path = z.string().regex(/^\//, 'must begin with /: "/checkout"')

const optionsSchema = z
  .strictObject({
    paths: z.array(path).min(1).prefault(['/']).meta({ description: 'Pages to ask for on both hosts' }),
    assets: z.boolean().default(true).meta({ description: 'Ask for every picture, style sheet and script of these pages too' }),
    tolerance: z
      .number()
      .min(0)
      .max(1)
      .default(0.2)
      .meta({ description: 'By how much a page may differ in length, as a share: 0.2' }),
    expect: z
      .strictObject({ status: z.number().int().min(100).max(599).optional(), contains: z.string().min(1).optional() })
      .optional()
      .meta({ description: 'What each page must be on the new host, whatever the old one says' }),
    load: loadSchema.optional(),
  })
  .prefault({})
export type SmokeOptions = z.infer<typeof optionsSchema>

const changeSchema = z
  .object({ kind: z.literal('smoke-test'), paths: z.array(z.string()).readonly(), assets: z.boolean() })
  .readonly()
type SmokeChange = z.infer<typeof changeSchema>

export const smokeTestKind: StepKind<SmokeOptions> = {
  name: 'smoke-test',
  summary: 'Asks both hosts for the same pages and everything on them, and tells what is missing on the new one.',
  options: optionsSchema,
  create: (options, { id, world }: StepContext): Step<SmokeChange> => {
    const change: SmokeChange = { kind: 'smoke-test', paths: options.paths, assets: options.assets }
    return {
      id,
      title: 'Compare the pages of both hosts',
      phase: 'prepare',
      change: changeSchema,
      check: (run) => check(world, options, run),
      plan: (run) => Promise.resolve(run.history(change) === 'applied' ? [] : [change]),
      apply: (_change, run) => compareHosts(world, options, run),
      verify: () => Promise.resolve([]),
      // It only reads: there is nothing to take back.
      undo: () => Promise.resolve(),
      describe: ({ paths, assets }) => `ask both hosts for ${paths.join(', ')}${assets ? ' and everything on them' : ''}`,
    }
  },
}

interface Sites {
  readonly site: URL
  readonly old: URL
  readonly new: URL
}

function sitesOf(world: World): Sites | readonly Finding[] {
  const { site } = world
  if (site !== undefined && world.old.site !== undefined && world.new.site !== undefined)
    return { site, old: world.old.site, new: world.new.site }
  return [
    ...(site === undefined ? [missingPart('smoke-test', 'site', 'site: https://shop.example')] : []),
    ...(world.old.site === undefined ? [missingPart('smoke-test', 'old.site', 'old: { site: https://203.0.113.10 }')] : []),
    ...(world.new.site === undefined ? [missingPart('smoke-test', 'new.site', 'new: { site: https://198.51.100.20 }')] : []),
  ]
}

const isMissing = (sites: Sites | readonly Finding[]): sites is readonly Finding[] => Array.isArray(sites)

/** The old host's pages as they are now, and the certificate that the new host will need. The new host's pages come later. */
async function check(world: World, options: SmokeOptions, run: StepRun): Promise<readonly Finding[]> {
  const sites = sitesOf(world)
  if (isMissing(sites)) return sites
  const probe = await probeHost(world.old, sites.old, sites.site, { ...options, details: false }, run)
  return [...oldHostFindings(probe, sites.old), ...(await certificates(sites, run))]
}

async function certificates({ site, new: host }: Sites, run: StepRun): Promise<readonly Finding[]> {
  if (site.protocol !== 'https:' || host.protocol !== 'https:') return []
  try {
    const certificate = await readCertificate({ site, host, signal: run.signal })
    // cutover-dns refuses a bad one; here it is news, as there is still time to mend it.
    return certificateFindings(certificate, site, host, run.clock.now()).map((finding) => ({ ...finding, severity: 'warning' }))
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    return [{ severity: 'warning', code: error.code, message: error.message, hint: error.hint }]
  }
}

interface Asked extends Pick<SmokeOptions, 'paths' | 'assets'> {
  readonly details: boolean
}

async function probeHost(host: Host, at: URL, site: URL, options: Asked, run: StepRun): Promise<SiteProbe> {
  const client = siteClient({ site, host: at, connections: host.connections })
  try {
    return await probeSite(client, {
      paths: options.paths,
      assets: options.assets,
      details: options.details,
      parallel: host.connections,
      clock: run.clock,
      signal: run.signal,
      progress: (done, total) => run.progress(done, total, 'requests', `${host.side} host`),
    })
  } finally {
    await client.close()
  }
}

/** Only a host whose pages are right is worth the load. */
async function underLoad(
  compared: readonly Finding[],
  { load, paths }: SmokeOptions,
  sites: Sites,
  { world, run }: { readonly world: World; readonly run: StepRun },
): Promise<readonly Finding[]> {
  if (load === undefined || compared.some((finding) => finding.severity === 'error')) return []
  const { connections, slowest } = load
  const measured: MeasuredRate = load.rate === 'auto' ? await measureRate(world, run) : { rate: load.rate, how: '' }
  const about = measured.finding === undefined ? [] : [measured.finding]
  if (measured.rate === undefined) return about
  const { rate, how } = measured
  const seconds = Math.round(load.for / 1000)
  run.emit({
    event: 'note',
    message: `Asking ${sites.new.host} for ${rate} pages a second during ${seconds} s${how === '' ? '' : `, as many as the old host is asked for (${how})`}.`,
  })
  const result = await putLoad({ site: sites.site, host: sites.new, paths, rate, seconds, connections, signal: run.signal })
  return [...about, ...loadFindings(result, { rate, slowest }, sites.new)]
}

async function compareHosts(world: World, options: SmokeOptions, run: StepRun): Promise<void> {
  const sites = sitesOf(world)
  if (isMissing(sites)) throw new MigrateError('playbook-part-missing', sites.map((finding) => finding.message).join(' '))
  // One after the other, so that both report their own progress and the old host isn't hurried.
  const before = await probeHost(world.old, sites.old, sites.site, { ...options, details: true }, run)
  const after = await probeHost(world.new, sites.new, sites.site, { ...options, details: true }, run)
  const compared = [...compareProbes(before, after, options), ...compareDetails(before, after, sites)]
  const findings = [...compared, ...(await underLoad(compared, options, sites, { world, run }))]
  for (const finding of findings) run.emit({ event: 'finding', ...finding })
  const errors = findings.filter((finding) => finding.severity === 'error')
  const [first] = errors
  if (first === undefined) {
    run.emit({
      event: 'note',
      message: `${after.pages.length} pages and ${after.assets.length} assets are the same on ${sites.new.host}.`,
    })
    return
  }
  const more = errors.length === 1 ? '' : ` And ${errors.length - 1} more, listed above.`
  throw new MigrateError(
    'smoke-test-failed',
    `${sites.new.host} isn't ready for customers: ${first.message}${more} Nothing was changed.`,
    {
      hint: first.hint ?? 'Mend it on the new host, then run again: this step is done anew.',
    },
  )
}
