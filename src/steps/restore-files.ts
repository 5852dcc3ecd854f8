import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import type { LongList } from '../base/long-list.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import { askedAtOnce } from '../files/asked-at-once.ts'
import type { FileEntry, FileHost, FilePowers } from '../files/port.ts'
import type { Step, StepRun } from '../run/step.ts'
import { deletionShape, refuseTooMany } from './deletions.ts'
import { filesTime } from './estimate.ts'
import { batchSchema, planBatches } from './file-batches.ts'
import { MANY, tellRemarks } from './file-fetch.ts'
import { verifyRestored } from './file-proof.ts'
import { deleteEntries, deletionSchema, type Putting, putBatch, restoreDeleted, takeBackBatch } from './file-put.ts'
import { type Relaying, relay, relaySchema, takeBackRelay } from './file-relay.ts'
import { FileStore, type SnapshotTotals } from './file-store.ts'
import { surveyFiles } from './file-survey.ts'
import { RelayRecords } from './relay-records.ts'
import { RestoreRecord } from './restore-files-record.ts'
import { rewrittenFiles } from './rewritten.ts'
import { choiceAmong, chosenOfOld, filesDirectory, selectionOf, snapshotFilesKind } from './snapshot-files.ts'
import { Surplus } from './surplus.ts'
import { missingPart, type StepContext, type StepKind } from './world.ts'

const optionsSchema = z
  .strictObject({
    ...deletionShape,
    verify: z
      .enum(['all', 'sample', 'sizes'])
      .default('all')
      .meta({ description: 'What is compared afterwards: every content, one in twenty, or sizes alone' }),
  })
  .prefault({})
type Options = z.infer<typeof optionsSchema>

/** The digest of the snapshot that stands on the new host: what later changes of files are told by. */
export const RESTORED_FILES_KEY = 'files-restored'

const estimateSchema = z.object({ do: z.literal('estimate'), files: z.int(), bytes: z.int() }).readonly()
type Estimate = z.infer<typeof estimateSchema>

const changeSchema = z.union([
  batchSchema,
  deletionSchema,
  relaySchema,
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
  /** What is to be removed is known only when the snapshot is whole. */
  readonly follows: string | undefined
  readonly change = changeSchema
  readonly #options: Options
  readonly #context: StepContext

  constructor(options: Options, context: StepContext) {
    this.id = context.id
    this.follows = options.delete ? undefined : snapshotFilesKind.name
    this.#options = options
    this.#context = context
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const { files } = this.#context.world.new
    if (files === undefined)
      return [missingPart(this.id, 'the new host’s files', 'new.files: sftp://user@new.example.com/var/www/shop')]
    return [...(await files.check('write')), ...(await this.#surveyFindings(files, run))]
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const store = FileStore.openExisting(filesDirectory(run), this.#context.world.effects)
    try {
      const following = run.isFollowing()
      const totals = following ? undefined : await store?.whole()
      if (store !== undefined && totals !== undefined) return await this.#planFrom(store, totals, run)
      if (following) return [{ do: 'relay', from: this.#context.world.old.files?.label ?? 'the old host' }]
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
    const record = this.#record(run)
    await record.begin()
    if (change.do === 'delete') return deleteEntries(this.#putting(run), change)
    if (change.do === 'relay') {
      const { digest, isTimed } = await relay(this.#relaying(run), change)
      if (!isTimed) await record.noteUntimed(this.#new().label)
      await this.#new().sweep?.()
      tellRemarks(this.#new(), run)
      return record.relayed(digest)
    }
    const store = this.#store(run)
    try {
      if (!(await putBatch(this.#putting(run), store, change))) await record.noteUntimed(this.#new().label)
      await this.#new().sweep?.()
      tellRemarks(this.#new(), run)
    } finally {
      store.close()
    }
    await record.sent(change)
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const store = this.#store(run)
    try {
      const { effects } = this.#context.world
      const restored = { host: this.#new(), powers: await this.#powers(run), store, rewritten: rewrittenFiles(run), effects }
      const { findings, wrong } = await verifyRestored(restored, run, this.#options.verify)
      const snapshot = store.marked()?.digest
      if (snapshot === undefined) return findings
      for (const { batch, places } of wrong) await this.#record(run).foundWrong({ snapshot, batch }, places)
      if (findings.every(({ severity }) => severity !== 'error')) await run.remember(RESTORED_FILES_KEY, snapshot)
      return findings
    } finally {
      store.close()
    }
  }

  async undo(change: Change, run: StepRun): Promise<void> {
    if (change.do === 'estimate') return
    await this.#new().sweep?.()
    if (change.do === 'delete') return restoreDeleted(this.#putting(run), change)
    if (change.do === 'relay') return takeBackRelay(this.#putting(run), change)
    const store = this.#store(run)
    try {
      await takeBackBatch(this.#putting(run), store, change)
    } finally {
      store.close()
    }
    await this.#record(run).takenBack(change)
  }

  describe(change: Change): string {
    if (change.do === 'delete')
      return `remove ${formatCount(change.entries.length)} files and folders that the old host doesn't have`
    if (change.do === 'relay') return `upload the files from ${change.from} while they are saved`
    const size = `${formatCount(change.files)} files, ${formatBytes(change.bytes)}`
    if (change.do === 'estimate') return `upload about ${size} (${filesTime(change.files, change.bytes)})`
    if (change.write === '') return `find part ${change.batch} there already`
    const replaced = change.before.length === 0 ? '' : `, replacing ${formatCount(change.before.length)} that stand there`
    return `upload part ${change.batch}: ${size}${replaced} (up to ${change.last})`
  }

  async #planFrom(store: FileStore, totals: SnapshotTotals, run: StepRun): Promise<readonly Change[]> {
    const record = this.#record(run)
    const relayed = record.isRelayed(totals.digest)
    const settled = (batch: number): boolean => relayed || record.isSettled({ snapshot: totals.digest, batch })
    const wrong = (batch: number): ReadonlySet<number> => record.wrong({ snapshot: totals.digest, batch })
    // Where nothing was put yet, nearly all of it will be.
    if (totals.files >= MANY) this.#new().prepare?.(record.hasBegun || run.dryRun ? 'list' : 'list-to-write', totals.bytes)
    // Asked side by side: each takes some round trips.
    const listed = askedAtOnce(this.#listed(run))
    const powers = await this.#powers(run)
    const rules = { powers, isSettled: settled, wrong, rewritten: new Set(rewrittenFiles(run).keys()) }
    const surplus = this.#surplus(store, totals, powers, run)
    const changes: Change[] = []
    try {
      for await (const batch of planBatches(store, totals.digest, listed, rules, (entry) => surplus.add(entry))) {
        // A batch cut off between its last file and the note that it is done is gone through once more, so that the note is made.
        if (batch.write !== '' || (record.hasBegun && !settled(batch.batch))) changes.push(batch)
      }
      return [...changes, ...deletionsOf(await surplus.end())]
    } finally {
      surplus.close()
    }
  }

  #surplus(store: FileStore, totals: SnapshotTotals, powers: FilePowers, run: StepRun): Surplus {
    const { delete: deletes, 'max-delete': most } = this.#options
    return new Surplus({
      old: this.#context.world.old.files,
      isChosen: selectionOf(store),
      isSaved: (path) => store.entry(path) !== undefined,
      deletes,
      powers,
      put: RelayRecords.openPut(run, this.#context.world.effects),
      signal: run.signal,
      allow: (count) => refuseTooMany(count, totals.entries, most, this.#new().label),
    })
  }

  async #estimate(run: StepRun): Promise<Estimate> {
    const { files } = this.#context.world.old
    const estimate = { do: 'estimate' as const, files: 0, bytes: 0 }
    if (files === undefined) return estimate
    for await (const entry of chosenOfOld(files, this.#context, run)) {
      if (entry.kind !== 'file') continue
      estimate.files += 1
      estimate.bytes += entry.size
    }
    return estimate
  }

  async #surveyFindings(host: FileHost, run: StepRun): Promise<readonly Finding[]> {
    const { files: old } = this.#context.world.old
    if (old === undefined || this.#record(run).hasBegun) return []
    return surveyFiles(old, host, chosenOfOld(old, this.#context, run))
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

  #relaying(run: StepRun): Relaying {
    return {
      ...this.#putting(run),
      directory: filesDirectory(run),
      listed: () => this.#listed(run),
      connections: this.#context.world.new.connections,
      rewritten: new Set(rewrittenFiles(run).keys()),
    }
  }

  /** The new host's entries; none when its folder isn't there yet. */
  async *#listed(run: StepRun): AsyncGenerator<FileEntry> {
    const host = this.#new()
    try {
      yield* host.list('', run.signal, choiceAmong(this.#context.others()).looksInto)
    } catch (error) {
      if (!(error instanceof MigrateError) || error.code !== 'file-missing') throw error
      // Missing in the midst of a listing is another matter: then an entry is gone, and the plan must be made again.
      if ((await host.check('read')).every((finding) => finding.code !== 'files-root-missing')) throw error
    }
  }

  #putting(run: StepRun): Putting {
    return { host: this.#new(), step: this.id, effects: this.#context.world.effects, run }
  }

  #new(): FileHost {
    const { files } = this.#context.world.new
    if (files !== undefined) return files
    throw new MigrateError('playbook-part-missing', `${this.id} needs the new host's files, which the playbook doesn't give.`)
  }

  async #powers(run: StepRun): Promise<FilePowers> {
    const powers = await this.#new().powers()
    return { ...powers, times: powers.times && this.#record(run).tellsByTime }
  }

  #record(run: StepRun): RestoreRecord {
    return new RestoreRecord(this.id, run)
  }
}

const deletionsOf = (surplus: LongList<FileEntry>): readonly Change[] =>
  surplus.ofPages((items) => ({
    do: 'delete',
    get entries() {
      return [...items()]
    },
  }))
