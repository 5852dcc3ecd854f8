import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import type { Step, StepRun } from '../run/step.ts'
import { certificateFindings, readCertificate } from '../site/certificate.ts'
import { installFindings, installOn, uninstallFrom } from './certificate-install.ts'
import { keptCertificate, keptFingerprint, obtainAndKeep, withdrawProofs } from './certificate-obtain.ts'
import { missingPart, type StepContext, type StepKind, type World } from './world.ts'

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory'
const absolute = z
  .string()
  .regex(/^\/[A-Za-z0-9._/@+-]+$/, 'must be an absolute path of plain letters, such as /etc/ssl/shop.pem')

const optionsSchema = z.strictObject({
  terms: z.literal('agreed').meta({ description: 'You agree to the authority’s terms of service' }),
  email: z.email().optional().meta({ description: 'Where the authority writes to when a certificate runs out' }),
  names: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .meta({ description: 'Names it is for; the site’s own and those of dns.records when left out' }),
  directory: z
    .url({ protocol: /^https$/ })
    .default(LETS_ENCRYPT)
    .meta({ description: 'The authority’s ACME directory' }),
  ca: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Path of a PEM file, where the directory’s own certificate is signed by nobody known' }),
  install: z
    .strictObject({
      chain: absolute.meta({ description: 'Where the certificate and its chain go on the new host' }),
      key: absolute.meta({ description: 'Where its private key goes' }),
      reload: z
        .string()
        .min(1)
        .optional()
        .meta({ description: 'Command that makes the web server take it: systemctl reload nginx' }),
    })
    .optional()
    .meta({ description: 'Put there over SSH; without it they are kept in the run’s folder, and a person installs them' }),
})
export type CertificateOptions = z.infer<typeof optionsSchema>

const changeSchema = z.object({ certificate: z.array(z.string()).readonly(), directory: z.string() }).readonly()
export type CertificateChange = z.infer<typeof changeSchema>

/** A certificate for the customers' name on the new host, before DNS moves. */
export const certificateKind: StepKind<CertificateOptions> = {
  name: 'certificate',
  summary: 'Obtain a certificate for the new host by the DNS challenge (ACME), and install it, before DNS moves',
  options: optionsSchema,
  create: (options, context): Step<CertificateChange> => ({
    id: context.id,
    title: 'Obtain a certificate for the new host',
    phase: 'prepare',
    change: changeSchema,
    check: (run) => check(options, context, run),
    plan: (run) => plan(options, context, run),
    apply: (change, run) => apply(options, context, change, run),
    verify: (run) => verify(options, context.world, run),
    undo: (_change, run) => undo(options, context, run),
    describe: ({ certificate, directory }) =>
      `obtain a certificate for ${certificate.join(', ')} from ${new URL(directory).host}${options.install === undefined ? ', for a person to install' : ` and put it at ${options.install.chain} on the new host`}`,
  }),
}

/** The site's name and every name in the zone that moves with it, without doubles. */
export function namesFor({ names }: CertificateOptions, { site, dns }: World): readonly string[] {
  if (names !== undefined) return names
  return [...new Set([...(site === undefined ? [] : [site.hostname]), ...(dns?.records.map((record) => record.name) ?? [])])]
}

async function check(options: CertificateOptions, { id, world }: StepContext, run: StepRun): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  if (world.site === undefined) findings.push(missingPart(id, 'site', 'site: https://shop.example'))
  if (world.new.site === undefined) findings.push(missingPart(id, 'new.site', 'new: { site: https://198.51.100.20 }'))
  if (world.dns === undefined) findings.push(missingPart(id, 'dns', 'dns: { provider: cloudflare, … }'))
  else if (world.dns.provider.texts === undefined) findings.push(byHand(id))
  if (options.install !== undefined) {
    if (world.new.shell === undefined)
      findings.push(missingPart(id, 'a shell on the new host', 'new: { files: "sftp://site@new.example.com/site" }'))
    else findings.push(...(await installFindings(options.install, world.new.shell, run)))
  }
  return findings
}

const byHand = (id: string): Finding => ({
  severity: 'error',
  code: 'certificate-by-hand',
  message: `${id} proves by TXT records whose the zone is, and with dns.provider manual nobody can make them in time.`,
  hint: 'Obtain the certificate in the new host’s control panel, and take this step out.',
})

/** Nothing to do where the new host already shows a certificate that holds for the site. */
async function plan(options: CertificateOptions, { world }: StepContext, run: StepRun): Promise<readonly CertificateChange[]> {
  const change: CertificateChange = { certificate: namesFor(options, world), directory: options.directory }
  if (run.history(change) === 'applied') return []
  return (await shown(world, run, options)).length === 0 ? [] : [change]
}

/** What is wrong with what the new host shows; [] when customers could be sent there. */
async function shown({ site, new: target }: World, run: StepRun, options: CertificateOptions): Promise<readonly Finding[]> {
  if (site === undefined || target.site === undefined) return []
  const host = target.site
  try {
    const certificate = await readCertificate({ site, host, signal: run.signal })
    // An authority of one's own isn't known to this machine: what it signed here is good all the same.
    const isOurs = options.ca !== undefined && certificate.fingerprint === (await keptFingerprint(run))
    return certificateFindings(isOurs ? { ...certificate, problem: null } : certificate, site, host, run.clock.now())
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    return [{ severity: 'error', code: error.code, message: error.message, hint: error.hint }]
  }
}

async function apply(options: CertificateOptions, context: StepContext, change: CertificateChange, run: StepRun): Promise<void> {
  await withdrawProofs(context.world, run)
  const kept = (await keptCertificate(run)) ?? (await obtainAndKeep(options, context, change, run))
  const { shell } = context.world.new
  if (options.install !== undefined && shell !== undefined) return await installOn(shell, options.install, kept, run)
  const question = `Install the certificate on the new host: chain ${kept.chainPath}, key ${kept.keyPath}. Is it done?`
  if (await run.confirm(question, 'Upload both in the new host’s control panel; the key is secret.')) return
  throw new MigrateError('not-confirmed', 'The certificate is not yet on the new host.', {
    ending: 'waiting',
    hint: `Install ${kept.chainPath} and ${kept.keyPath} there, then run again.`,
  })
}

/** How long a web server may take to show a new certificate. */
const SHOWN_WITHIN_MS = 30_000
const ASKED_EVERY_MS = 1000

async function verify(options: CertificateOptions, world: World, run: StepRun): Promise<readonly Finding[]> {
  const end = run.clock.monotonic() + SHOWN_WITHIN_MS
  for (;;) {
    const wrong = await shown(world, run, options)
    if (wrong.every((finding) => finding.severity !== 'error') || run.clock.monotonic() >= end) return wrong
    await run.clock.sleep(ASKED_EVERY_MS, run.signal)
  }
}

async function undo({ install }: CertificateOptions, context: StepContext, run: StepRun): Promise<void> {
  await withdrawProofs(context.world, run)
  const { shell } = context.world.new
  if (install !== undefined && shell !== undefined) await uninstallFrom(shell, install, run)
}
