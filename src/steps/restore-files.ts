import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { Step, StepRun } from '../run/step.ts'
import { filesTime } from './estimate.ts'
import { type Batch, batchSchema, planBatches } from './file-batches.ts'
import { verifyRestored } from './file-proof.ts'
import { deleteEntries, deletionSchema, type Putting, putBatch, restoreDeleted, takeBackBatch } from './file-put.ts'
import { FileStore, type SnapshotTotals } from './file-store.ts'
import { rewrittenFiles } from './rewritten.ts'
import { filesDirectory } from './snapshot-files.ts'
import { missingPart, type StepContext, type StepKind } from './world.ts'

const optionsSchema = z
  .strictObject({
    delete: z.boolean().default(false).meta({ description: 'Remove from the new host what the old one does not have' }),
  })
  .prefault({})
type Options = z.infer<typeof optionsSchema>

/** Removed by one change at most. */
const MOST_DELETED = 500

const estimateSchema = z.object({ do: z.literal('estimate'), files: z.int(), bytes: z.int() }).readonly()
type Estimate = z.infer<typeof estimateSchema>

const changeSchema = z.union([
  batchSchema,
  deletionSchema,
  /** In a dry run, before there is a snapshot. */
  estimateSchema,
])
type Change = z.infer<typeof changeSchema>

/** Brings the saved files to the new host. */
export const restoreFilesKind: StepKind<Options> = {
  name: 'restore-files',
  summary: 'Bring the saved files to the new host',
  options: optionsSchema,
  create: (options, context) => new RestoreFiles(options, context),
}

class RestoreFiles implements Step<Change> {
  readonly id: string
  readonly title = 'Bring the files to the new host'
  readonly phase = 'prepare'
  readonly change = changeSchema
  readonly #options: Options
  readonly #context: StepContext

  constructor(options: Options, context: StepContext) {
    this.id = context.id
    this.#options = options
    this.#context = context
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const { files } = this.#context.world.new
    if (files === undefined)
      return [missingPart(this.id, 'the new host’s files', 'new.files: sftp://user@new.example.com/var/www/shop')]
    return [...(await files.check('write')), ...(await this.#roomFindings(files, run))]
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const store = FileStore.openExisting(filesDirectory(run), this.#context.world.effects)
    try {
      const totals = store?.whole()
      if (store !== undefined && totals !== undefined) return await this.#planFrom(store, totals, run)
      if (run.dryRun) return [await this.#estimate(run)]
      throw new MigrateError(
        'snapshot-missing',
        `${this.id} finds no whole snapshot of the old host's files in the run's folder. The new host was not touched.`,
        {
          hint: 'Put snapshot-files before restore-files in the playbook, or run it again with --from snapshot-files.',
        },
      )
    } finally {
      store?.close()
    }
  }

  async apply(change: Change, run: StepRun): Promise<void> {
    if (change.do === 'estimate') throw new MigrateError('fault', 'An estimate was to be applied. This is a fault in migrate.')
    await run.remember(this.#begunKey(), true)
    if (change.do === 'delete') return deleteEntries(this.#putting(run), change)
    const store = this.#store(run)
    try {
      await putBatch(this.#putting(run), store, change)
    } finally {
      store.close()
    }
    await run.remember(this.#settledKey(change), true)
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const store = this.#store(run)
    try {
      return await verifyRestored(this.#new(), store, rewrittenFiles(run), run)
    } finally {
      store.close()
    }
  }

  async undo(change: Change, run: StepRun): Promise<void> {
    if (change.do === 'estimate') return
    if (change.do === 'delete') return restoreDeleted(this.#putting(run), change)
    const store = this.#store(run)
    try {
      await takeBackBatch(this.#putting(run), store, change)
    } finally {
      store.close()
    }
    await run.remember(this.#settledKey(change), false)
  }

  describe(change: Change): string {
    if (change.do === 'delete')
      return `remove ${formatCount(change.entries.length)} files and folders that the old host doesn't have`
    const size = `${formatCount(change.files)} files, ${formatBytes(change.bytes)}`
    if (change.do === 'estimate') return `upload about ${size} (${filesTime(change.files, change.bytes)})`
    if (change.write === '') return `find part ${change.batch} there already`
    const replaced = change.before.length === 0 ? '' : `, replacing ${formatCount(change.before.length)} that stand there`
    return `upload part ${change.batch}: ${size}${replaced} (up to ${change.last})`
  }

  async #planFrom(store: FileStore, totals: SnapshotTotals, run: StepRun): Promise<readonly Change[]> {
    const host = this.#new()
    const begun = run.recall(this.#begunKey()) === true
    const surplus: z.infer<typeof deletionSchema>['entries'] = []
    const settled = (batch: number): boolean => run.recall(this.#settledKey({ snapshot: totals.digest, batch })) === true
    const rules = { powers: await host.powers(), isSettled: settled, rewritten: new Set(rewrittenFiles(run).keys()) }
    const changes: Change[] = []
    const onSurplus = (entry: FileEntry): void => {
      if (this.#options.delete && entry.kind !== 'other') surplus.push({ ...entry })
    }
    for await (const batch of planBatches(store, totals.digest, listed(host, run), rules, onSurplus)) {
      // A batch cut off between its last file and the note that it is done is gone through once more, so that the note is made.
      if (batch.write !== '' || (begun && !settled(batch.batch))) changes.push(batch)
    }
    for (let start = 0; start < surplus.length; start += MOST_DELETED) {
      changes.push({ do: 'delete', entries: surplus.slice(start, start + MOST_DELETED) })
    }
    return changes
  }

  async #estimate(run: StepRun): Promise<Estimate> {
    const { files } = this.#context.world.old
    const estimate = { do: 'estimate' as const, files: 0, bytes: 0 }
    if (files === undefined) return estimate
    for await (const entry of files.list('', run.signal)) {
      if (entry.kind !== 'file') continue
      estimate.files += 1
      estimate.bytes += entry.size
    }
    return estimate
  }

  async #roomFindings(host: FileHost, run: StepRun): Promise<readonly Finding[]> {
    const free = await host.freeBytes()
    const { files: old } = this.#context.world.old
    if (free === null || old === undefined || run.recall(this.#begunKey()) === true) return []
    const { bytes } = await this.#estimate(run)
    if (bytes <= free) return []
    return [
      {
        severity: 'error',
        code: 'files-disk-full',
        message: `The files need ${formatBytes(bytes)}, and ${host.label} has ${formatBytes(free)} free.`,
        hint: 'Free space or raise the quota on the new host before the run.',
      },
    ]
  }

  #store(run: StepRun): FileStore {
    const store = FileStore.openExisting(filesDirectory(run), this.#context.world.effects)
    if (store !== undefined) return store
    throw new MigrateError(
      'snapshot-missing',
      `The saved files of this run are gone from ${filesDirectory(run)}. The new host was not touched.`,
      {
        hint: 'Run again from snapshot-files.',
      },
    )
  }

  #putting(run: StepRun): Putting {
    return { host: this.#new(), step: this.id, effects: this.#context.world.effects, run }
  }

  #new(): FileHost {
    const { files } = this.#context.world.new
    if (files !== undefined) return files
    throw new MigrateError('playbook-part-missing', `${this.id} needs the new host's files, which the playbook doesn't give.`)
  }

  #begunKey(): string {
    return `${this.id}/begun`
  }

  #settledKey(batch: Pick<Batch, 'snapshot' | 'batch'>): string {
    return `${this.id}/settled/${batch.snapshot.slice(0, 16)}/${batch.batch}`
  }
}

/** The new host's entries; none when its folder isn't there yet. */
async function* listed(host: FileHost, run: StepRun): AsyncGenerator<FileEntry> {
  try {
    yield* host.list('', run.signal)
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'file-missing') throw error
    // Missing in the midst of a listing is another matter: then an entry is gone, and the plan must be made again.
    if ((await host.check('read')).every((finding) => finding.code !== 'files-root-missing')) throw error
  }
}
