import { join } from 'node:path'
import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import type { Throttle } from '../databases/snapshot/pace.ts'
import { type Choice, choiceOf } from '../files/choice.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { Effects, Step, StepRun } from '../run/step.ts'
import { recallCutover } from './dns-change.ts'
import { filesTime } from './estimate.ts'
import { HOST, openEarlier, takeOverEarlier } from './file-earlier.ts'
import { copyToStore, FILES_PACE, MANY, outstanding, tellRemarks } from './file-fetch.ts'
import { RecentListing } from './file-recent.ts'
import { FileStore } from './file-store.ts'
import { LongNames } from './long-names.ts'
import { atOldShopsPace, type ThrottleMode, throttleShape } from './old-shop-pace.ts'
import { listOldFiles } from './paced-listing.ts'
import { missingPart, type StepContext, type StepKind } from './world.ts'

const optionsSchema = z
  .strictObject({
    include: z.array(z.string().min(1)).meta({ description: 'Only paths that match one of these patterns' }).optional(),
    exclude: z.array(z.string().min(1)).meta({ description: 'No paths that match one of these patterns' }).optional(),
    ...throttleShape,
  })
  .prefault({})
type Options = z.infer<typeof optionsSchema>

const changeSchema = z
  .object({
    from: z.string(),
    /** Everything that the snapshot will hold, and what of it is still to be fetched. */
    files: z.int(),
    bytes: z.int(),
    fetchFiles: z.int(),
    fetchBytes: z.int(),
  })
  .readonly()
type Change = z.infer<typeof changeSchema>

/** Where a run keeps its snapshot of files. */
export const filesDirectory = (run: StepRun): string => join(run.directory, 'files')

/** Saves the old host's files in the run's folder. Reads the old host, never writes there. */
export const snapshotFilesKind: StepKind<Options> = {
  name: 'snapshot-files',
  summary: 'Save the files of the old host in the run’s folder',
  options: optionsSchema,
  create: (options, context) => new SnapshotFiles(options, context),
}

/** Facts of the store: what the playbook had it hold, and that it was whole before and is taken once more. */
const SELECTION = 'selection'
const ANOTHER = 'another'

/** Which paths a snapshot was to hold, as it was told when it was taken. */
export function selectionOf(store: FileStore): Choice {
  const { include, exclude } = optionsSchema.parse(JSON.parse(store.fact(SELECTION) ?? '{}'))
  return choiceOf(include, exclude)
}

/** Which paths a playbook's snapshot will hold; all when there is none among its steps. */
export const choiceAmong = (steps: readonly Step[]): Choice => among(steps)?.isChosen ?? choiceOf(undefined)

const among = (steps: readonly Step[]): SnapshotFiles | undefined => steps.find((each) => each instanceof SnapshotFiles)

/** The old host's entries that a playbook's snapshot will hold, listed no faster than it would copy them. */
export async function* chosenOfOld(
  files: FileHost,
  { world, others }: Pick<StepContext, 'world' | 'others'>,
  run: StepRun,
): AsyncGenerator<FileEntry> {
  const isChosen = choiceAmong(others())
  const { looksInto } = isChosen
  for await (const entry of listOldFiles(files, { run, world, mode: among(others())?.throttle ?? 'auto', looksInto }))
    if (isChosen(entry.path)) yield entry
}

class SnapshotFiles implements Step<Change> {
  readonly id: string
  readonly title = 'Save the files of the old host'
  readonly phase = 'prepare'
  readonly change = changeSchema
  readonly #context: StepContext
  readonly #options: Options
  #recent: RecentListing | undefined
  /** Whether the playbook wants a path of the old host saved. */
  readonly isChosen: Choice
  readonly throttle: ThrottleMode

  constructor(options: Options, context: StepContext) {
    this.id = context.id
    this.#context = context
    this.#options = options
    this.isChosen = choiceOf(options.include, options.exclude)
    this.throttle = options.throttle
  }

  async check(_run: StepRun): Promise<readonly Finding[]> {
    const { files } = this.#context.world.old
    if (files === undefined) return [missingPart(this.id, 'the old host’s files', 'old.files: sftp://user@old.example.com/site')]
    return files.check('read')
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const { effects } = this.#context.world
    const own = FileStore.openExisting(filesDirectory(run), effects)
    const store = own ?? (await openEarlier(run.directory, this.#old().label, effects))
    try {
      const isWhole = (await own?.whole()) !== undefined
      // A snapshot that is whole stays as it is, unless the person wants another: later changes on the old host must not undo what
      // was restored from it, and never once customers are on the new one.
      if (isWhole && (!run.named || recallCutover(run) !== undefined)) return []
      const host = this.#old()
      if (store === undefined) host.prepare?.('read')
      const recent = new RecentListing(run.clock)
      const listing = listOldFiles(host, {
        run,
        world: this.#context.world,
        mode: this.throttle,
        looksInto: this.isChosen.looksInto,
      })
      const { differs, ...counts } = await outstanding(listing, store, this.isChosen, (entry) => recent.add(entry))
      this.#recent = recent
      return isWhole && !differs ? [] : [{ from: host.label, ...counts }]
    } finally {
      store?.close()
    }
  }

  async apply(change: Change, run: StepRun): Promise<void> {
    const { effects } = this.#context.world
    const host = this.#old()
    if (change.fetchFiles >= MANY) host.prepare?.('read')
    const listed = this.#recent?.entries()
    this.#recent = undefined
    await takeOverEarlier(run.directory, filesDirectory(run), host.label, effects)
    const store = FileStore.open(filesDirectory(run), effects)
    try {
      const isAnother = store.marked() !== undefined || store.fact(ANOTHER) !== undefined
      if (isAnother) await store.setFact(ANOTHER, '')
      await store.reopen()
      await store.setFact(HOST, host.label)
      await store.setFact(SELECTION, JSON.stringify({ include: this.#options.include, exclude: this.#options.exclude }))
      // One that is taken once more is restored when it is whole: until then the new host keeps what it has of the first.
      const followed = !isAnother && run.handOver()
      const copying = { host, store, wanted: this.isChosen, totalBytes: change.bytes, listed, followed }
      await this.#atPace(change, run, (throttle) => copyToStore({ ...copying, throttle }, run))
      await store.complete()
    } finally {
      store.close()
    }
  }

  /** Fewer files at once, then pauses, when the old shop's answers slow down. */
  async #atPace({ fetchBytes }: Change, run: StepRun, copy: (throttle: Throttle | undefined) => Promise<void>): Promise<void> {
    const { world } = this.#context
    const pace = { run, world, mode: this.throttle, bytes: fetchBytes, ...FILES_PACE }
    await atOldShopsPace(pace, copy)
    tellRemarks(this.#old(), run)
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const store = FileStore.openExisting(filesDirectory(run), this.#context.world.effects)
    try {
      const totals = await store?.whole()
      if (store === undefined || totals === undefined) return [notWhole(this.id)]
      return [
        {
          severity: 'info',
          code: 'snapshot-files-whole',
          message: `The snapshot holds ${formatCount(totals.files)} files, ${formatBytes(totals.bytes)}, every one with its hash.`,
        },
        ...(await noteFindings(store, run, this.#context.world.effects)),
      ]
    } finally {
      store?.close()
    }
  }

  async undo(_change: Change, run: StepRun): Promise<void> {
    await FileStore.remove(filesDirectory(run), this.#context.world.effects)
  }

  describe(change: Change): string {
    const all = `${formatCount(change.files)} files, ${formatBytes(change.bytes)}`
    if (change.fetchFiles === change.files) return `fetch ${all} from ${change.from} (${filesTime(change.files, change.bytes)})`
    return `fetch the remaining ${formatCount(change.fetchFiles)} files, ${formatBytes(change.fetchBytes)} (of ${all}) from ${change.from} (${filesTime(change.fetchFiles, change.fetchBytes)})`
  }

  #old(): FileHost {
    const { files } = this.#context.world.old
    if (files !== undefined) return files
    throw new MigrateError('playbook-part-missing', `${this.id} needs the old host's files, which the playbook doesn't give.`)
  }
}

const notWhole = (id: string): Finding => ({
  severity: 'error',
  code: 'snapshot-files-incomplete',
  message: `The snapshot of ${id} is not whole: an entry or a content is missing. The old host was not touched.`,
  hint: 'Run again: what is there is kept, the rest is fetched.',
})

const MEANINGS: Readonly<Record<string, { readonly code: string; readonly message: string }>> = {
  changed: {
    code: 'file-changed-while-read',
    message: 'changed while they were read, and were read again until they held still',
  },
  unsettled: { code: 'file-keeps-changing', message: 'changed every time they were read; the last state read is kept' },
  other: { code: 'file-not-copied', message: 'are sockets, pipes or devices and are not copied' },
  vanished: {
    code: 'file-not-found-by-name',
    message: 'are listed there, but not found under the names that the listing gives, and are not copied',
  },
  escapes: { code: 'link-leads-outside', message: 'are links that lead outside the site’s folder and are not copied' },
}

async function noteFindings(store: FileStore, run: StepRun, effects: Effects): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const [note, { code, message }] of Object.entries(MEANINGS)) {
    const names = new LongNames()
    for (const path of store.noted(note)) names.add(path)
    const told = await names.told(run, effects, code)
    if (names.count === 0) continue
    const severity = note === 'changed' ? 'info' : 'warning'
    findings.push({ severity, code, message: `${formatCount(names.count)} files ${message}: ${told}.` })
  }
  return findings
}
