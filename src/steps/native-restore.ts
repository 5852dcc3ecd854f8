import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Finding } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import { proveFiles } from '../databases/native/files.ts'
import type { NativeWishes } from '../databases/native-port.ts'
import { type RestoreChange, restoreChangeSchema, statementMark } from '../databases/plan/restore.ts'
import type { Database } from '../databases/port.ts'
import { fullName, type Schema } from '../databases/schema.ts'
import { type Manifest, rowsOf } from '../databases/snapshot/manifest.ts'
import { SnapshotStore } from '../databases/snapshot/store.ts'
import type { Step, StepRun } from '../run/step.ts'
import { claimBackup, missingFiles, putBackup, releaseBackup } from './backup-files.ts'
import { databaseOf, gather } from './database-parts.ts'
import { runDumpCommand } from './dump-command.ts'
import {
  BEGUN_MARK,
  DONE_MARK,
  dropRestored,
  markStatements,
  removeMarks,
  setMark,
  standing,
  standingTables,
} from './native-drop.ts'
import { SnapshotByMethod } from './native-snapshot.ts'
import { comparedWithOld } from './native-verify.ts'
import { refuseMoreRows } from './restore-guard.ts'
import { BEFORE_KEY, commandMissing, noDump, REPLACED_KEY, type RestoreMethodOptions, uselessCommand } from './restore-method.ts'
import { ORPHANS_KEY, RESTORED_KEY } from './restore-work.ts'
import { copiedTables, trackedTables } from './rules.ts'
import { serverOf } from './snapshot-method.ts'
import type { StepContext } from './world.ts'

const dumpChangeSchema = z.object({
  kind: z.literal('dump'),
  tool: z.string(),
  savedBy: z.string(),
  tables: z.number(),
  rows: z.number().nullable(),
  bytes: z.number(),
  /** Names of what stood on the new host before: an undo leaves it alone. */
  before: z.array(z.string()),
})
const changeSchema = z.union([dumpChangeSchema, restoreChangeSchema])
type Change = z.infer<typeof changeSchema>
type DumpChange = z.infer<typeof dumpChangeSchema>

/**
 * The step `restore-database` for every kind of snapshot: one read through the driver is restored by the step given; one that the
 * engine's own tools or a command made is restored by the same here. The identities, the baseline and the proof are the same.
 */
export class RestoreByMethod implements Step<Change> {
  readonly id: string
  readonly title: string
  readonly phase = 'prepare'
  readonly follows: string | undefined
  readonly change = changeSchema
  readonly #portable: Step<RestoreChange>
  readonly #options: RestoreMethodOptions
  readonly #context: StepContext

  constructor(portable: Step<RestoreChange>, options: RestoreMethodOptions, context: StepContext) {
    this.id = portable.id
    this.title = portable.title
    this.follows = portable.follows
    this.#portable = portable
    this.#options = options
    this.#context = context
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const { old, new: target } = this.#context.world
    if (old.database === undefined || target.database === undefined) return this.#portable.check(run)
    const database = target.database
    const method = await this.#method(run)
    const findings = await this.#portable.check(run)
    if (method === 'portable') return this.#options.command === undefined ? findings : [...findings, uselessCommand(this.id)]
    const ours = await this.#isBegun(run, database)
    return gather(
      async () => findings.filter(({ code }) => !(ours && code === 'target-not-empty')),
      async () => (method === 'command' ? this.#commandFindings() : this.#nativeFindings(run, database)),
    )
  }

  #commandFindings(): readonly Finding[] {
    return this.#options.command === undefined ? [commandMissing(this.id)] : []
  }

  async #nativeFindings(run: StepRun, database: Database): Promise<readonly Finding[]> {
    if (this.#options.command !== undefined) return []
    const { backup } = this.#options
    const files = backup?.file === undefined ? [] : missingFiles(this.id, this.#context.world.new)
    const saved = await this.#saved(await this.#store(run).manifest())
    if (saved === undefined) return files
    const means = await database.native?.tools('restore', { ...serverOf(backup), ...saved })
    if (means === undefined || means.tool === null) {
      const reason = means?.reason ?? 'the engine has no tools of its own that migrate knows'
      return [
        ...files,
        { severity: 'error', code: 'native-not-possible', message: `A native restore isn't possible: ${reason}.` },
      ]
    }
    const other =
      database.native?.replaces === true && !(await this.#isBegun(run, database)) ? await standingTables(database) : new Set()
    const occupied: readonly Finding[] =
      other.size === 0
        ? []
        : [
            {
              severity: 'error',
              code: 'target-not-empty',
              message: `${database.label} holds ${[...other].join(', ')}: ${means.tool} would replace the whole database. Nothing was touched.`,
              hint: 'Give an empty database as new.database.',
            },
          ]
    return [...files, ...means.findings, ...occupied]
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const method = await this.#method(run)
    if (method === 'portable') return this.#portable.plan(run)
    const target = databaseOf(this.#context.world.new)
    const store = this.#store(run)
    const manifest = await store.manifest()
    if (!manifest.complete && !run.dryRun) throw noDump(store)
    const after = (await this.#portable.plan(run)).filter(({ kind }) => kind === 'identities' || kind === 'baseline')
    const schema = await this.#schema(run)
    const marks = await target.marks(run.id)
    const done = marks.has(DONE_MARK) && target.ddl(schema).every(({ name }) => marks.has(statementMark(name)))
    return done ? after : [await this.#change(run, target, schema, manifest), ...after]
  }

  async #change(run: StepRun, target: Database, schema: Schema, manifest: Manifest): Promise<DumpChange> {
    const { dump } = manifest
    const copied = copiedTables(this.#context.world, schema)
    const wishes = async (): Promise<NativeWishes> => ({ ...serverOf(this.#options.backup), ...(await this.#saved(manifest)) })
    const means = this.#options.command === undefined ? await target.native?.tools('restore', await wishes()) : undefined
    const files = dump?.saved?.files ?? []
    return {
      kind: 'dump',
      tool: this.#options.command === undefined ? (means?.tool ?? dump?.tool ?? '') : 'command',
      savedBy: dump?.tool ?? '',
      tables: copied.length,
      rows: dump?.saved?.rows == null ? null : copied.reduce((sum, table) => sum + rowsOf(manifest, fullName(table.name)), 0),
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      before: [...((await this.#isBegun(run, target)) ? this.#before(run) : (await standing(target)).map(({ name }) => name))],
    }
  }

  async apply(change: Change, run: StepRun): Promise<void> {
    if (change.kind !== 'dump') return this.#portable.apply(change, run)
    const target = databaseOf(this.#context.world.new)
    const schema = await this.#schema(run)
    if (!(await target.marks(run.id)).has(DONE_MARK)) {
      await this.#restore(change, run, target, schema)
      if (target.native?.replaces === true) await run.remember(REPLACED_KEY, (await target.info()).fingerprint)
      for (const mark of [BEGUN_MARK, DONE_MARK]) await setMark(target, run, mark)
    }
    await markStatements(target, schema, run)
  }

  async #restore(change: DumpChange, run: StepRun, target: Database, schema: Schema): Promise<void> {
    const { world } = this.#context
    if (await this.#isBegun(run, target)) await this.#clear(run, target, schema, change.before)
    const store = this.#store(run)
    const { dump } = await store.manifest()
    if (dump?.saved == null) throw noDump(store)
    const directory = join(store.directory, dump.folder)
    if (!dump.saved.elsewhere) await proveFiles(directory, dump.saved.files, run.signal)
    await run.remember(BEFORE_KEY, change.before)
    if (run.recall(REPLACED_KEY) != null) await run.remember(REPLACED_KEY, null)
    await setMark(target, run, BEGUN_MARK)
    const { command, backup } = this.#options
    if (command !== undefined) {
      const untouched = 'What it restored so far is dropped when it is run again.'
      const host = world.new
      const { playbookDirectory } = this.#context
      await world.effects('restore by command', () =>
        runDumpCommand({ command, directory: playbookDirectory, snapshot: directory, host, step: this.id, untouched }, run),
      )
      return
    }
    const [file] = dump.saved.files
    if (backup?.file !== undefined && file !== undefined) {
      await claimBackup(world.new, backup.file, run)
      await putBackup(world.new, join(directory, file.path), backup.file, run)
    }
    const copied = new Set(copiedTables(world, schema))
    const wishes: NativeWishes = { ...serverOf(backup), format: dump.format, savedBy: dump.tool }
    if (dump.saved.elsewhere) await mkdir(directory, { recursive: true })
    await world.effects('native restore', async () =>
      target.native?.restore({
        run: run.id,
        wishes,
        directory,
        schema,
        skip: schema.tables.filter((table) => !copied.has(table)).map((table) => table.name),
        connections: world.new.connections,
        signal: run.signal,
        progress: (done, total, unit, item) => run.progress(done, total, unit, item),
      }),
    )
    await releaseBackup(world.new, run)
  }

  /** Takes away what a restore of this run that was cut off, or is taken back, left. */
  async #clear(run: StepRun, target: Database, schema: Schema, before: readonly string[]): Promise<void> {
    await target.native?.discard(run.id)
    await dropRestored(target, schema, new Set(before), run)
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const manifest = await this.#store(run).manifest()
    const { dump } = manifest
    if (dump === null) return this.#portable.verify(run)
    const schema = await this.#schema(run)
    if (dump.saved?.rows == null)
      return comparedWithOld(run, databaseOf(this.#context.world.old), copiedTables(this.#context.world, schema))
    return this.#portable.verify(run)
  }

  async undo(change: Change, run: StepRun): Promise<void> {
    if (change.kind !== 'dump') return this.#portable.undo?.(change, run)
    const target = databaseOf(this.#context.world.new)
    if (!(await this.#isBegun(run, target))) return
    const schema = await this.#schema(run)
    const there = await standingTables(target)
    for (const table of trackedTables(this.#context.world, schema))
      if (there.has(fullName(table.name))) await refuseMoreRows(run, target, table)
    await this.#clear(run, target, schema, change.before)
    await releaseBackup(this.#context.world.new, run)
    await removeMarks(target, run)
    for (const key of [RESTORED_KEY, ORPHANS_KEY, BEFORE_KEY]) await run.remember(key, null)
  }

  describe(change: Change): string {
    if (change.kind !== 'dump') return this.#portable.describe(change)
    const rows = change.rows === null ? '' : `, ${formatCount(change.rows)} rows`
    const size = change.bytes === 0 ? '' : `, ${formatBytes(change.bytes)}`
    return `restore the schema and ${change.tables} tables${rows}${size} with ${change.tool}${change.savedBy === '' ? '' : `, as saved by ${change.savedBy}`}`
  }

  /** True when a restore of this run began on the database. */
  async #isBegun(run: StepRun, target: Database): Promise<boolean> {
    if ((await target.marks(run.id)).has(BEGUN_MARK)) return true
    // Where the restore replaces the database, the mark goes with it: then the journal alone says that it began.
    return target.native?.replaces === true && run.recall(BEFORE_KEY) != null
  }

  #before(run: StepRun): readonly string[] {
    return z.array(z.string()).parse(run.recall(BEFORE_KEY) ?? [])
  }

  /** The snapshot's method: what was saved says, and before that the step that will save it. */
  async #method(run: StepRun): Promise<'portable' | 'native' | 'command'> {
    const manifest = await this.#store(run).manifest()
    if (manifest.dump !== null) return manifest.dump.method
    if (manifest.complete) return 'portable'
    return this.#saving()?.method ?? 'portable'
  }

  /** What a native snapshot is, or will be; `undefined` when it can't be taken. */
  async #saved({ dump }: Manifest): Promise<Pick<NativeWishes, 'format' | 'savedBy'> | undefined> {
    if (dump !== null) return { format: dump.format, savedBy: dump.tool }
    const saving = this.#saving()
    return saving === undefined ? {} : saving.expected()
  }

  #saving(): SnapshotByMethod<Json> | undefined {
    return this.#context.others().find((step): step is SnapshotByMethod<Json> => step instanceof SnapshotByMethod)
  }

  async #schema(run: StepRun): Promise<Schema> {
    return (await this.#store(run).schema()) ?? (await databaseOf(this.#context.world.old).schema())
  }

  #store(run: StepRun): SnapshotStore {
    return new SnapshotStore(run.directory, this.#context.world.effects)
  }
}
