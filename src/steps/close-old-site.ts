import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import type { FileHost } from '../files/port.ts'
import type { Step, StepRun } from '../run/step.ts'
import { BeforeImages } from './before-images.ts'
import { ask } from './http-exchange.ts'
import { MAINTENANCE_KEY } from './own-files.ts'
import { missingPart, type StepContext, type World } from './world.ts'

interface Options {
  readonly file: string
  readonly content?: string | undefined
}

const stateSchema = z.object({ sha256: z.string(), size: z.int() }).readonly()
const changeSchema = z
  .object({
    kind: z.literal('maintenance'),
    file: z.string(),
    /** What stood there; `null` when nothing did. Its bytes are kept in the run's folder. */
    before: stateSchema.nullable(),
    after: stateSchema,
  })
  .readonly()
type Change = z.infer<typeof changeSchema>

const PAGE = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>We have moved</title><meta name="robots" content="noindex"></head>
<body><h1>Our shop has moved to a new server</h1><p>Please reload this page in a few minutes: your order is welcome there.</p></body>
</html>
`
/** WordPress minds the file for ten minutes from the time in it (wp_is_maintenance_mode): this one is always young. */
const WORDPRESS = '<?php $upgrading = time();\n'

/** What stands in a maintenance file that the playbook leaves to us. */
const contentOf = ({ file, content }: Options): Buffer =>
  Buffer.from(content ?? (/(?:^|\/)\.maintenance$/.test(file) ? WORDPRESS : PAGE), 'utf8')

/** How long a web server may take to mind the file: IIS ends the application first. */
const MINDED_WITHIN_MS = 30_000
const ASKED_EVERY_MS = 1000
const ANSWER_MS = 10_000

/** A file that the old host's web server or shop takes as the order to answer nobody any more. */
export const closeSite = (options: Options, context: StepContext): Step<Change> => {
  const { id, world } = context
  const content = contentOf(options)
  return {
    id,
    title: 'Close the old site',
    phase: 'settle',
    change: changeSchema,
    check: () => check(id, world),
    plan: (run) => plan(id, world, options.file, content, run),
    apply: (change, run) => apply(context, change, content, run),
    verify: (run) => verify(world, content, run),
    undo: (change, run) => undo(context, change, run),
    describe: ({ file, before }) =>
      `put the maintenance file ${file} on the old host${before === null ? '' : ', in place of the one that is there'}`,
  }
}

const missingFiles = (id: string): Finding =>
  missingPart(id, "the old host's files", 'old.files: sftp://site@old.example.com/site')

async function check(id: string, { old }: World): Promise<readonly Finding[]> {
  if (old.files === undefined) return [missingFiles(id)]
  const unseen: Finding = {
    severity: 'warning',
    code: 'close-old-unseen',
    message: 'The playbook gives no old.site, so whether the old site minds its maintenance file can’t be seen.',
    hint: 'Add old.site: https://203.0.113.10, where the old host answers without DNS.',
  }
  return [...(await old.files.check('write')), ...(old.site === undefined ? [unseen] : [])]
}

function filesOf(id: string, { old }: World): FileHost {
  if (old.files !== undefined) return old.files
  throw new MigrateError('playbook-part-missing', missingFiles(id).message, { ending: 'usage' })
}

const stateOf = (bytes: Buffer): z.infer<typeof stateSchema> => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  size: bytes.length,
})

async function standing(host: FileHost, file: string, run: StepRun): Promise<z.infer<typeof stateSchema> | null> {
  const entry = await host.stat(file)
  if (entry === undefined) return null
  if (entry.kind === 'file') return { sha256: await host.sha256(file, run.signal), size: entry.size }
  throw new MigrateError('maintenance-no-file', `${file} on ${host.label} is a ${entry.kind}, no file. It was left as it is.`, {
    hint: 'Name another file in close-old.',
  })
}

async function plan(id: string, world: World, file: string, content: Buffer, run: StepRun): Promise<readonly Change[]> {
  const before = await standing(filesOf(id, world), file, run)
  const after = stateOf(content)
  return before?.sha256 === after.sha256 ? [] : [{ kind: 'maintenance', file, before, after }]
}

async function apply({ id, world }: StepContext, change: Change, content: Buffer, run: StepRun): Promise<void> {
  const host = filesOf(id, world)
  const now = await standing(host, change.file, run)
  if (now?.sha256 === change.after.sha256) return
  if (now?.sha256 !== change.before?.sha256 || stateOf(content).sha256 !== change.after.sha256)
    throw changedMeanwhile(host, change)
  const images = BeforeImages.open(run, id, change, world.effects)
  try {
    await images.save(host, change.file, run.signal)
  } finally {
    images.close()
  }
  await run.remember(MAINTENANCE_KEY, change.file)
  const mtimeSeconds = Math.floor(run.clock.now() / 1000)
  await host.write(change.file, Readable.from([content]), { mode: 0o644, mtimeSeconds }, run.signal)
}

async function undo({ id, world }: StepContext, change: Change, run: StepRun): Promise<void> {
  const host = filesOf(id, world)
  const now = await standing(host, change.file, run)
  if (now?.sha256 === change.before?.sha256) return
  if (now !== null && now.sha256 !== change.after.sha256) throw changedMeanwhile(host, change)
  const images = BeforeImages.open(run, id, change, world.effects)
  try {
    if (change.before === null) await host.remove(change.file)
    else await images.giveBack(host, change.file, run.signal)
  } finally {
    images.close()
  }
  if ((await standing(host, change.file, run))?.sha256 !== change.before?.sha256) throw changedMeanwhile(host, change)
}

const changedMeanwhile = (host: FileHost, { file }: Change): MigrateError =>
  new MigrateError(
    'maintenance-changed',
    `${file} on ${host.label} was changed by somebody else in the meantime. It was left as it is.`,
    {
      hint: 'Look at the file, mend it by hand, and run again.',
    },
  )

/** The old site is asked until it answers as one that is closed: 503, or the very page. */
async function verify({ old, site }: World, content: Buffer, run: StepRun): Promise<readonly Finding[]> {
  if (old.site === undefined) return []
  const question = { url: site ?? old.site, at: old.site, method: 'GET', headers: {}, body: undefined, timeoutMs: ANSWER_MS }
  const page = content.toString('utf8').trim()
  const end = run.clock.monotonic() + MINDED_WITHIN_MS
  for (;;) {
    const said = await ask(question, run.signal).then(
      ({ status, body }) => (status === 503 || body.includes(page) ? undefined : `answers with status ${status}`),
      (error: unknown) => {
        run.signal.throwIfAborted()
        return `doesn't answer as one that is closed (${messageOf(error)})`
      },
    )
    if (said === undefined) return []
    if (run.clock.monotonic() >= end) return [notClosed(old.site, said)]
    await run.clock.sleep(ASKED_EVERY_MS, run.signal)
  }
}

const notClosed = (site: URL, said: string): Finding => ({
  severity: 'error',
  code: 'old-not-closed',
  message: `The maintenance file stands on the old host, but the old site at ${site.host} ${said}: orders may still be taken there.`,
  hint: 'IIS minds app_offline.htm in the root of the application, WordPress .maintenance beside wp-load.php; others want a rule in their configuration. Correct `file:`, or close the database: close-old: { with: database }.',
})
