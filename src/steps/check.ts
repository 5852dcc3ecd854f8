import { z } from 'zod'
import type { Finding } from '../base/errors.ts'
import { formatBytes, formatCount, formatDuration } from '../base/units.ts'
import type { Step, StepRun } from '../run/step.ts'
import { CacheFolders } from './cache-folders.ts'
import { gather } from './database-parts.ts'
import { ask } from './http-exchange.ts'
import { mailFindings } from './mail-findings.ts'
import { numberedByShop } from './numbered-by-shop.ts'
import { unknownNames } from './playbook-names.ts'
import { serverFindings } from './restore-check.ts'
import { forgottenConfigs } from './rewrite-config-forgotten.ts'
import { copiedTables, schemaFindings } from './rules.ts'
import { infoForCheck, schemaForCheck } from './schema-seen.ts'
import { chosenOfOld } from './snapshot-files.ts'
import { suspectedReferences } from './suspects.ts'
import type { Host, StepContext, StepKind, World } from './world.ts'

const optionsSchema = z.strictObject({}).prefault({})

/** Clocks further apart than this make logs hard to compare and signed requests fail. */
const SKEW_LIMIT_MS = 60_000
const SITE_TIMEOUT_MS = 10_000

export const checkKind: StepKind<z.infer<typeof optionsSchema>> = {
  name: 'check',
  summary: 'Look at both hosts and the DNS, and report every problem and risk at once',
  options: optionsSchema,
  create: (_options, { id, world, others }: StepContext): Step => ({
    id,
    title: 'Look at both hosts',
    phase: 'prepare',
    change: z.never(),
    check: (run) => lookAtAll(world, others(), run),
    plan: async () => [],
    apply: async () => undefined,
    verify: async () => [],
    // It only reads: there is nothing to take back.
    undo: async () => undefined,
    describe: () => '',
  }),
}

/** Every port is asked, side by side; what one of them throws is a finding and hides none of the others. Read-only. */
const lookAtAll = (world: World, others: readonly Step[], run: StepRun): Promise<readonly Finding[]> =>
  gather(
    () => lookAtDatabase(world.old, 'read', run),
    () => lookAtDatabase(world.new, 'write', run),
    () => compareDatabases(world, run),
    () => lookAtFiles(world.old, 'read'),
    () => lookAtFiles(world.new, 'write'),
    () => lookAtRoom({ world, others: () => others }, run),
    () => forgottenConfigs(world, others, run),
    async () => (world.dns === undefined ? [] : await world.dns.provider.check()),
    () => mailFindings(world, run),
    () => lookAtClock(world.old, world, run),
    () => lookAtClock(world.new, world, run),
  )

async function lookAtDatabase({ side, database }: Host, purpose: 'read' | 'write', run: StepRun): Promise<readonly Finding[]> {
  if (database === undefined) return []
  const info = await infoForCheck(run, database)
  const size = info.sizeBytes === null ? 'size unknown' : formatBytes(info.sizeBytes)
  return [
    {
      severity: 'info',
      code: 'database-found',
      message: `${side} database: ${info.product}, ${info.database} (${size}), as ${info.user}.`,
    },
    ...(await database.missingRights(purpose)),
  ]
}

async function compareDatabases(world: World, run: StepRun): Promise<readonly Finding[]> {
  const [old, target] = [world.old.database, world.new.database]
  if (old === undefined) return []
  const schema = await schemaForCheck(run, old)
  const copied = { ...schema, tables: copiedTables(world, schema) }
  return gather(
    async () => (target === undefined ? [] : serverFindings(run, old, target)),
    async () => (await target?.unmet?.(schema)) ?? [],
    async () => [...schemaFindings(world, schema), ...unknownNames(world, schema), ...numberedByShop(world, schema)],
    async () => (await old.oversize?.(copied, await target?.rowLimits?.())) ?? [],
    async () => (await old.orphans?.(copied)) ?? [],
    async () => (await old.broken?.(schema)) ?? [],
    () => suspectedReferences(world, schema, run),
  )
}

const lookAtFiles = async ({ files }: Host, purpose: 'read' | 'write'): Promise<readonly Finding[]> =>
  files === undefined ? [] : await files.check(purpose)

/** Is there room on the new host for all files of the old one that are to be copied? And need they all be? */
async function lookAtRoom(context: Pick<StepContext, 'world' | 'others'>, run: StepRun): Promise<readonly Finding[]> {
  const { old, new: target } = context.world
  if (old.files === undefined) return []
  const caches = new CacheFolders()
  let [files, bytes] = [0, 0]
  for await (const entry of chosenOfOld(old.files, context, run)) {
    caches.add(entry)
    if (entry.kind !== 'file') continue
    files += 1
    bytes += entry.size
  }
  const found: Finding = {
    severity: 'info',
    code: 'files-found',
    message: `old files: ${formatCount(files)} files, ${formatBytes(bytes)}.`,
  }
  const free = target.files === undefined ? null : await target.files.freeBytes()
  if (target.files === undefined || free === null || free > bytes) return [found, ...caches.findings()]
  return [
    found,
    ...caches.findings(),
    {
      severity: 'error',
      code: 'no-room',
      message: `${target.files.label} has ${formatBytes(free)} free; the old host's files need ${formatBytes(bytes)}.`,
      hint: 'Make room on the new host, or order a larger disk.',
    },
  ]
}

/** A web server's Date header (RFC 9110, section 6.6.1) against this machine's clock. No answer says nothing: smoke-test asks. */
async function lookAtClock(host: Host, { site }: World, run: StepRun): Promise<readonly Finding[]> {
  if (host.site === undefined) return []
  const url = site ?? host.site
  const question = { url, at: host.site, method: 'HEAD', headers: {}, body: undefined, timeoutMs: SITE_TIMEOUT_MS }
  const before = run.clock.now()
  const answer = await ask(question, run.signal).catch((error: unknown) => {
    if (run.signal.aborted) throw error
    return undefined
  })
  const stated = Date.parse(answer?.headers.date ?? '')
  const apart = Math.abs(stated - (before + run.clock.now()) / 2)
  if (Number.isNaN(apart) || apart < SKEW_LIMIT_MS) return []
  return [
    {
      severity: 'warning',
      code: 'clock-skew',
      message: `The clock of the ${host.side} host (${host.site.host}) and this machine's are ${formatDuration(apart)} apart.`,
      hint: 'Set them by NTP: times in logs, and rules that choose the newer row, go by these clocks.',
    },
  ]
}
