import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { unifiedDiff } from '../files/diff.ts'
import type { FileHost } from '../files/port.ts'
import { decodeText } from '../files/text.ts'
import type { Step, StepRun } from '../run/step.ts'
import {
  applyFileChange,
  type FileChangeContext,
  fileChange,
  fileStateSchema,
  readStanding,
  type StandingFile,
  undoFileChange,
} from './file-change.ts'
import { missingPart, type StepContext } from './world.ts'

/** A file of the old host that makes it relay. */
export interface RelayFile {
  readonly file: string
  /** What is to stand in it, of what stands there; of its own result it makes the same. Throws MigrateErrors that name the file. */
  content(standing: StandingFile | null): Buffer
}

/** One way to make the old host stop writing to the old database. */
export interface Relay {
  readonly title: string
  /** For people, no values: "point .env on the old host at the new database: DATABASE_URL". */
  readonly what: string
  /** Besides that the files can be written. Read-only. `isBegun`: they may have been written already. */
  check(host: FileHost, run: StepRun, isBegun: boolean): Promise<readonly Finding[]>
  /** In the order in which they are written: what takes effect is the last. Read-only. */
  files(host: FileHost, isBegun: boolean): Promise<readonly RelayFile[]>
  /** What must hold right before anything is changed; throws. Read-only. */
  before(run: StepRun): Promise<void>
  /** What the old site answers that it shouldn't; `undefined` when it is as wanted, or can't be asked. Read-only. */
  wrong(run: StepRun): Promise<string | undefined>
  /** What to do when it stays wrong. */
  readonly hint: string
}

const changeSchema = z
  .object({
    kind: z.literal('relay'),
    what: z.string(),
    files: z
      .array(
        z
          .object({
            file: z.string(),
            before: fileStateSchema.nullable(),
            after: fileStateSchema,
            mode: z.int().nullable(),
          })
          .readonly(),
      )
      .readonly(),
  })
  .readonly()
type Change = z.infer<typeof changeSchema>

/** A web server may take a moment to mind its files: IIS restarts the application. */
const MINDED_WITHIN_MS = 10_000
const ASKED_EVERY_MS = 1000
/** PHP minds a changed file only after opcache.revalidate_freq, 2 seconds: what is well at once is asked again after them. */
const ASKED_AGAIN_AFTER_MS = 3000

/**
 * All its files are one change: when the old site doesn't answer as wanted after it, all are given back at once and the step fails.
 * The change is remembered until the old site was seen to do, so that a run that was cut off in between looks again.
 */
export function relayStep(relay: Relay, context: StepContext): Step<Change> {
  const { id, world } = context
  const pendingKey = `${id} pending`
  const place = (change: Change): FileChangeContext => ({ step: id, change, host: hostOf(context), effects: world.effects })
  const takeBack = async (change: Change, run: StepRun): Promise<void> => {
    for (const file of change.files.toReversed()) await undoFileChange(place(change), file, run)
    await run.remember(pendingKey, null)
    await run.remember(begunKey(id), null)
  }
  return {
    id,
    title: relay.title,
    phase: 'cutover',
    change: changeSchema,
    check: (run) => check(relay, context, run),
    plan: async (run) => {
      const change = await planned(relay, context, run)
      if (change !== undefined) return [change]
      const pending = changeSchema.nullish().parse(run.recall(pendingKey))
      return pending ? [pending] : []
    },
    apply: async (change, run) => {
      await relay.before(run)
      await run.remember(pendingKey, change)
      await run.remember(begunKey(id), true)
      const files = new Map((await relay.files(hostOf(context), true)).map((each) => [each.file, each]))
      for (const file of change.files) {
        const content = files.get(file.file)?.content ?? notPlanned(file.file)
        await applyFileChange(place(change), file, content, run)
      }
      const wrong = await stillWrong(relay, run)
      if (wrong !== undefined) {
        await takeBack(change, run)
        throw takenBack(relay, change, wrong)
      }
      await run.remember(pendingKey, null)
    },
    verify: async (run) => {
      const wrong = await relay.wrong(run)
      return wrong === undefined ? [] : [{ severity: 'error', code: 'relay-not-seen', message: wrong, hint: relay.hint }]
    },
    undo: takeBack,
    describe: ({ what }) => what,
  }
}

const begunKey = (id: string): string => `${id} begun`

const isBegun = (id: string, run: StepRun): boolean => run.recall(begunKey(id)) === true

async function check(relay: Relay, { id, world }: StepContext, run: StepRun): Promise<readonly Finding[]> {
  const { files, site } = world.old
  if (files === undefined) return [missingPart(id, "the old host's files", 'old.files: sftp://site@old.example.com/site')]
  const unseen: Finding = {
    severity: 'warning',
    code: 'relay-unseen',
    message: 'The playbook gives no old.site, so how the old site answers after the change can’t be seen.',
    hint: 'Add old.site: https://203.0.113.10, where the old host answers without DNS.',
  }
  const found = await Promise.all([files.check('write'), relay.check(files, run, isBegun(id, run))])
  return [...found.flat(), ...(site === undefined ? [unseen] : [])]
}

async function planned(relay: Relay, context: StepContext, run: StepRun): Promise<Change | undefined> {
  const host = hostOf(context)
  const changes = []
  for (const each of await relay.files(host, isBegun(context.id, run))) {
    const standing = await readStanding(host, each.file, run)
    const after = each.content(standing)
    const change = fileChange(each.file, standing, after)
    if (change === undefined) continue
    const was = standing === null ? '' : decodeText(standing.bytes).text
    // Shown, not journaled: what looks like no secret may still be one.
    run.emit({ event: 'note', message: unifiedDiff(each.file, was, decodeText(after).text) })
    changes.push(change)
  }
  return changes.length === 0 ? undefined : { kind: 'relay', what: relay.what, files: changes }
}

function hostOf({ id, world }: StepContext): FileHost {
  if (world.old.files !== undefined) return world.old.files
  throw new MigrateError('playbook-part-missing', `${id} needs the old host's files, which the playbook doesn't give.`)
}

const notPlanned = (file: string) => (): Buffer => {
  throw new MigrateError('config-item-missing', `The playbook no longer says how ${file} is to be changed. It was left as it is.`)
}

/** Asked until it is well twice, or long enough. */
async function stillWrong(relay: Relay, run: StepRun): Promise<string | undefined> {
  const end = run.clock.monotonic() + MINDED_WITHIN_MS
  for (;;) {
    const wrong = await relay.wrong(run)
    if (wrong === undefined) break
    if (run.clock.monotonic() >= end) return wrong
    await run.clock.sleep(ASKED_EVERY_MS, run.signal)
  }
  await run.clock.sleep(ASKED_AGAIN_AFTER_MS, run.signal)
  return relay.wrong(run)
}

const takenBack = (relay: Relay, { files }: Change, wrong: string): MigrateError =>
  new MigrateError(
    'relay-taken-back',
    `${wrong} That was after ${files.map(({ file }) => file).join(', ')} had been changed on the old host; ${files.length === 1 ? 'it was' : 'they were'} given back as before at once, and the old site goes on as it did.`,
    { hint: relay.hint },
  )
