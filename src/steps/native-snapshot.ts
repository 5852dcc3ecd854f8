import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { type Finding, MigrateError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import { describeFiles } from '../databases/native/files.ts'
import type { NativeSaved, NativeWishes } from '../databases/native-port.ts'
import { fullName, type Schema } from '../databases/schema.ts'
import type { SnapshotStore } from '../databases/snapshot/store.ts'
import type { Step, StepRun } from '../run/step.ts'
import { backupNotFound, claimBackup, fetchBackup, findBackup, missingFiles, releaseBackup } from './backup-files.ts'
import { databaseOf, gather } from './database-parts.ts'
import { runDumpCommand } from './dump-command.ts'
import { copyTime } from './estimate.ts'
import { copiedTables } from './rules.ts'
import { type Decision, decide, decisionFindings, type MethodOptions, methodOf, wishesOf } from './snapshot-method.ts'
import type { StepContext } from './world.ts'

/** What of the snapshot through the driver serves every method. */
export interface SharedSnapshot {
  store(run: StepRun): SnapshotStore
  /** The old database's schema now, for a plan; the snapshot that begins right after it goes by it. */
  look(run: StepRun): Promise<Schema>
  /** The schema of this snapshot, saved when it begins; an earlier one is kept if the database still agrees with it. */
  begin(store: SnapshotStore, run: StepRun): Promise<Schema>
  connections(): number
}

const dumpChangeSchema = z.object({
  method: z.enum(['native', 'command']),
  tool: z.string(),
  format: z.string(),
  reason: z.string(),
  tables: z.number(),
  rows: z.number(),
  bytes: z.number(),
})
type DumpChange = z.infer<typeof dumpChangeSchema>

const isDump = (change: Json): change is DumpChange => dumpChangeSchema.safeParse(change).success

/**
 * The step `snapshot-database` by the method that the playbook says: portable is the step given; the others are here. Whatever was
 * saved, its checksums are in the manifest before it counts.
 */
export class SnapshotByMethod<C extends Json> implements Step {
  readonly id: string
  readonly title: string
  readonly phase = 'prepare'
  readonly change: z.ZodType<Json>
  /** What the options name; for restore-database, in a plan before there is a snapshot. */
  readonly method: Decision['method']
  readonly #portable: Step<C>
  readonly #shared: SharedSnapshot
  readonly #options: MethodOptions
  readonly #context: StepContext
  #decision: Decision | undefined

  constructor(portable: Step<C>, shared: SharedSnapshot, options: MethodOptions, context: StepContext) {
    this.id = portable.id
    this.title = portable.title
    this.change = z.union([dumpChangeSchema, portable.change])
    this.method = methodOf(options)
    this.#portable = portable
    this.#shared = shared
    this.#options = options
    this.#context = context
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const { world, playbookDirectory } = this.#context
    if (world.old.database === undefined) return this.#portable.check(run)
    const { from, backup } = this.#options
    return gather(
      () => this.#portable.check(run),
      async () => decisionFindings(await this.#decide(), this.method !== 'portable' || world.old.database?.native !== undefined),
      async () => (backup?.file === undefined ? [] : missingFiles(this.id, world.old)),
      async () => {
        if (from === undefined) return []
        const found = await findBackup(from, playbookDirectory, world.old)
        if (found === undefined) throw backupNotFound(from, playbookDirectory)
        const where = found.place === 'here' ? found.path : `${found.path} on ${world.old.files?.label}`
        return [
          {
            severity: 'info',
            code: 'backup-found',
            message: `The backup ${where} has ${formatBytes(found.bytes)}. Rows written after it was made are left to reconcile.`,
          },
        ]
      },
    )
  }

  async plan(run: StepRun): Promise<readonly Json[]> {
    if (this.method === 'portable') {
      // For the line of the plan; `check` shows an error of it.
      this.#decision ??= await decide(this.#options, this.#context.world)
      return this.#portable.plan(run)
    }
    const manifest = await this.#shared.store(run).manifest()
    if (manifest.complete) return []
    const decision = await this.#decide()
    if (!decision.possible) throw notPossible(decision)
    const old = databaseOf(this.#context.world.old)
    const copied = new Set(copiedTables(this.#context.world, await this.#shared.look(run)).map((table) => fullName(table.name)))
    const sizes = (await old.sizes()).filter((size) => copied.has(fullName(size.table)))
    const change: DumpChange = {
      method: this.method,
      tool: decision.tool,
      format: decision.format,
      reason: decision.reason,
      tables: copied.size,
      rows: sizes.reduce((sum, size) => sum + size.rows, 0),
      bytes: sizes.reduce((sum, size) => sum + size.bytes, 0),
    }
    return [change]
  }

  async apply(change: Json, run: StepRun): Promise<void> {
    if (!isDump(change)) return this.#portable.apply(this.#portable.change.parse(change), run)
    const store = this.#shared.store(run)
    const schema = await this.#shared.begin(store, run)
    await this.#context.world.effects('native snapshot', async () => {
      for (const name of await readdir(store.directory))
        if (name.startsWith('dump-')) await rm(join(store.directory, name), { recursive: true, force: true })
    })
    // A name of its own: what an earlier attempt, killed a moment ago, may still write doesn't get into this one.
    const folder = `dump-${randomBytes(4).toString('hex')}`
    const { method, tool, format, reason } = change
    await store.beginDump({ method, tool, format, reason, folder })
    const directory = join(store.directory, folder)
    const saved = await this.#context.world.effects('native snapshot', () => this.#save(change, directory, schema, run))
    const files = await describeFiles(directory, run.signal)
    if (files.length === 0 && saved.place === 'directory') throw nothingSaved(change, directory)
    await store.saveDump({
      files: [...files],
      rows: saved.rows === null ? null : { ...saved.rows },
      consistent: saved.consistent,
      elsewhere: saved.place === 'server',
    })
    await store.complete(isoTime(run.clock.now()))
  }

  async #save(change: DumpChange, directory: string, schema: Schema, run: StepRun): Promise<NativeSaved> {
    const { world, playbookDirectory } = this.#context
    const { command, from, backup } = this.#options
    if (command !== undefined) {
      await mkdir(directory, { recursive: true })
      const untouched = 'The new host was not changed.'
      await runDumpCommand(
        { command, directory: playbookDirectory, snapshot: directory, host: world.old, step: this.id, untouched },
        run,
      )
      return { consistent: true, rows: null, place: 'directory' }
    }
    if (from !== undefined) return this.#take(from, directory, run)
    const file = backup?.file
    if (file !== undefined) await claimBackup(world.old, file, run)
    const native = databaseOf(world.old).native
    if (native === undefined) throw notPossible({ reason: `${change.tool} is no longer there` })
    const copied = new Set(copiedTables(world, schema))
    const saved = await native.save({
      wishes: wishesOf(this.#options),
      directory,
      schema,
      skip: schema.tables.filter((table) => !copied.has(table)).map((table) => table.name),
      connections: this.#shared.connections(),
      signal: run.signal,
      progress: (done, total, unit, item) => run.progress(done, total, unit, item),
    })
    if (saved.place === 'directory' || file === undefined) return saved
    await fetchBackup(world.old, file, directory, run)
    await releaseBackup(world.old, run)
    return { ...saved, place: 'directory' }
  }

  /** A backup that is there already is copied into the snapshot's folder. */
  async #take(from: string, directory: string, run: StepRun): Promise<NativeSaved> {
    const { world, playbookDirectory } = this.#context
    const found = await findBackup(from, playbookDirectory, world.old)
    if (found === undefined) throw backupNotFound(from, playbookDirectory)
    await mkdir(directory, { recursive: true })
    if (found.place === 'here') await copyFile(found.path, join(directory, basename(found.path)))
    else await fetchBackup(world.old, found.path, directory, run)
    return { consistent: true, rows: null, place: 'directory' }
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const manifest = await this.#shared.store(run).manifest()
    const dump = manifest.dump
    if (!manifest.complete || dump?.saved == null) return this.#portable.verify(run)
    const { files, rows, consistent, elsewhere } = dump.saved
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    const counted =
      rows === null
        ? 'its rows are counted once they are restored'
        : `${formatCount(Object.values(rows).reduce((sum, count) => sum + count, 0))} rows${consistent ? ' of one moment' : ''}`
    const where = elsewhere
      ? 'lies where the playbook says (backup.url)'
      : `${formatCount(files.length)} files, ${formatBytes(bytes)}, with a checksum of each`
    return [{ severity: 'info', code: 'snapshot-taken', message: `Saved with ${dump.tool}: ${where}; ${counted}.` }]
  }

  async undo(change: Json, run: StepRun): Promise<void> {
    if (isDump(change)) await releaseBackup(this.#context.world.old, run)
    else return this.#portable.undo?.(this.#portable.change.parse(change), run)
    const store = this.#shared.store(run)
    await store.remove()
  }

  describe(change: Json): string {
    if (isDump(change)) {
      const size = `${formatCount(change.tables)} tables, about ${formatCount(change.rows)} rows, ${formatBytes(change.bytes)}`
      return `save ${size}, by method ${change.method} with ${change.tool}: ${change.reason} (${copyTime(change.bytes)})`
    }
    const text = this.#portable.describe(this.#portable.change.parse(change))
    return this.#decision === undefined ? text : `${text}; method portable: ${this.#decision.reason}`
  }

  /**
   * What a native snapshot will be, for whoever restores it and asks before it is there; `undefined` when it can't be taken, which
   * `check` of this step says. Read-only.
   */
  async expected(): Promise<Pick<NativeWishes, 'format' | 'savedBy'> | undefined> {
    const { possible, format, tool } = await this.#decide()
    return possible ? { format, savedBy: tool } : undefined
  }

  async #decide(): Promise<Decision> {
    this.#decision ??= await decide(this.#options, this.#context.world)
    return this.#decision
  }
}

const notPossible = ({ reason }: Pick<Decision, 'reason'>): MigrateError =>
  new MigrateError(
    'native-not-possible',
    `The playbook asks for a native snapshot, which isn't possible: ${reason}. Neither host was changed.`,
    {
      hint: 'Bring in what is missing, or say method: portable, which needs none of it.',
    },
  )

const nothingSaved = (change: DumpChange, directory: string): MigrateError =>
  new MigrateError('snapshot-incomplete', `The ${change.method} left nothing in ${directory}. The new host was not changed.`, {
    hint: 'The command must write into the folder $MIGRATE_SNAPSHOT.',
  })
