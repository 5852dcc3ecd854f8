import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import { positionOf } from '../databases/plan/headroom.ts'
import {
  identitiesToRaise,
  planRestore,
  type RestoreChange,
  restoreChangeSchema,
  statementMark,
} from '../databases/plan/restore.ts'
import type { PlannedStatement } from '../databases/plan/statements.ts'
import type { Database, OrphanRule, TableSize } from '../databases/port.ts'
import { fullName, type Identity, type Schema, type Table } from '../databases/schema.ts'
import { isFuzzy, partsOf, rowsOf } from '../databases/snapshot/manifest.ts'
import { SnapshotStore } from '../databases/snapshot/store.ts'
import { takeBaseline } from '../reconcile/baseline.ts'
import { baselinePath, baselineTables } from '../reconcile/baseline-file.ts'
import { printingFor } from '../reconcile/printing.ts'
import type { Step, StepRun } from '../run/step.ts'
import { databaseOf, gather, missingDatabase } from './database-parts.ts'
import { copyTime } from './estimate.ts'
import { identityName } from './headroom.ts'
import { RestoreByMethod } from './native-restore.ts'
import { whileSampling } from './rate-samples.ts'
import { checkTarget } from './restore-check.ts'
import { refuseBornRows, refuseMoreRows } from './restore-guard.ts'
import { restoreMethodShape } from './restore-method.ts'
import { perhapsOfSeveralMoments, runStatements, takeBackStatement } from './restore-statements.ts'
import {
  analyse,
  loadParts,
  RESTORED_IDENTITIES_KEY,
  RESTORED_KEY,
  recallCounts,
  rememberRestored,
  removeOrphans,
  restoredFindings,
  writtenFindings,
} from './restore-work.ts'
import { copiedTables, rulesFor, trackedTables } from './rules.ts'
import { SNAPSHOT_SIZES_KEY, snapshotDatabaseKind, snapshotSizesSchema } from './snapshot-database.ts'
import type { StepContext, StepKind, World } from './world.ts'

const optionsSchema = z.strictObject(restoreMethodShape).prefault({})
type Options = z.infer<typeof optionsSchema>

export const restoreDatabaseKind: StepKind<Options> = {
  name: 'restore-database',
  summary: 'Create the schema on the new host, load the saved rows, and fingerprint them as the baseline',
  options: optionsSchema,
  create: (options, context) => new RestoreByMethod(new RestoreDatabase(context), options, context),
}

class RestoreDatabase implements Step<RestoreChange> {
  readonly id: string
  readonly title = 'Restore the database on the new host'
  readonly phase = 'prepare'
  readonly follows = snapshotDatabaseKind.name
  readonly change = restoreChangeSchema
  readonly #world: World

  constructor(context: StepContext) {
    this.id = context.id
    this.#world = context.world
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const [old, target] = [this.#world.old.database, this.#world.new.database]
    if (target === undefined) return [missingDatabase(this.id, this.#world.new)]
    if (old === undefined) return [missingDatabase(this.id, this.#world.old)]
    return gather(
      () => target.missingRights('write'),
      async () => checkTarget(this.#world, run, target, this.#store(run).schema(), old),
    )
  }

  async plan(run: StepRun): Promise<readonly RestoreChange[]> {
    const target = databaseOf(this.#world.new)
    const store = this.#store(run)
    const found = await store.manifest()
    const following = !found.complete && run.isFollowing()
    if (!found.complete && !following && !run.dryRun) throw noSnapshot(store)
    const manifest = found.complete ? found : undefined
    const schema = await this.#schema(run)
    const statements = target.ddl(schema)
    const marks = await target.marks(run.id)
    const changes = planRestore({
      schema,
      statements,
      marks,
      copied: copiedTables(this.#world, schema),
      manifest,
      following,
      sizes: manifest === undefined ? await this.#expected(run, schema, following) : [],
      connections: this.#world.new.connections,
    })
    const created = statements.every((statement) => marks.has(statementMark(statement.name)))
    return [
      ...changes,
      ...(await this.#identityChange(run, target, schema, created)),
      ...(await this.#baselineChange(run, schema)),
    ]
  }

  async apply(change: RestoreChange, run: StepRun): Promise<void> {
    const target = databaseOf(this.#world.new)
    switch (change.kind) {
      case 'statement':
        return this.#create([change], run, target)
      case 'statements':
        return this.#create(change.statements, run, target)
      case 'load':
        return this.#load(change, run, target)
      case 'orphans':
        return this.#removeOrphans(change.rules, run, target)
      case 'identities':
        return this.#raiseIdentities(run, target)
      case 'baseline':
        return this.#takeBaseline(run, target)
    }
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const schema = await this.#schema(run)
    const manifest = await this.#store(run).manifest()
    const baseline = await baselineTables(run.directory)
    return [...writtenFindings(baseline), ...restoredFindings(run, schema, manifest, copiedTables(this.#world, schema), baseline)]
  }

  async undo(change: RestoreChange, run: StepRun): Promise<void> {
    const target = databaseOf(this.#world.new)
    const refuse = (table: string): Promise<void> => this.#refuseLoss(table, run, target)
    if (change.kind === 'statement') return takeBackStatement(run, target, change, refuse)
    if (change.kind === 'statements') {
      for (const statement of change.statements.toReversed()) await takeBackStatement(run, target, statement, refuse)
    }
    if (change.kind !== 'baseline') return
    // Loaded rows and raised identities go with their tables; before the first of those goes, nothing born there may be lost.
    await refuseBornRows(run, target, trackedTables(this.#world, await this.#schema(run)))
    await this.#world.effects('remove baseline', async () => {
      for (const suffix of ['-journal', '']) await rm(`${baselinePath(run.directory)}${suffix}`, { force: true })
    })
  }

  describe(change: RestoreChange): string {
    switch (change.kind) {
      case 'statement':
        return `create ${change.name}`
      case 'statements':
        return `create ${nameList(change.statements.map(({ name }) => name))}`
      case 'load': {
        const rows = change.tables.reduce((total, table) => total + table.rows, 0)
        const bytes = change.tables.reduce((total, table) => total + table.bytes, 0)
        const about = change.estimated ? 'about ' : ''
        return `load ${about}${formatCount(rows)} rows, ${formatBytes(bytes)}, into ${change.tables.length} tables over ${change.connections} connections${change.estimated ? ` (${copyTime(bytes)})` : ''}`
      }
      case 'orphans':
        return `remove rows whose parent was deleted while the snapshot was taken (${change.rules.length} foreign keys); reconcile carries them when they still exist`
      case 'identities':
        return `set ${change.count} identities and sequences past the loaded rows`
      case 'baseline':
        return `fingerprint the rows of ${change.tables.length} tables as the baseline`
    }
  }

  /** Beside the snapshot, what that one goes by: asking the old host again could fail, and would stop the snapshot with it. */
  async #expected(run: StepRun, schema: Schema, following: boolean): Promise<readonly TableSize[]> {
    const known = following ? snapshotSizesSchema.safeParse(run.recall(SNAPSHOT_SIZES_KEY)).data : undefined
    if (known === undefined) return await databaseOf(this.#world.old).sizes()
    const sizes = new Map(known.map((size) => [size.table, size]))
    return schema.tables.flatMap((table) => {
      const size = sizes.get(fullName(table.name))
      return size === undefined ? [] : [{ table: table.name, rows: size.rows, bytes: size.bytes }]
    })
  }

  async #schema(run: StepRun): Promise<Schema> {
    return (await this.#store(run).schema()) ?? (await databaseOf(this.#world.old).schema())
  }

  #store(run: StepRun): SnapshotStore {
    return new SnapshotStore(run.directory, this.#world.effects)
  }

  async #identityChange(run: StepRun, target: Database, schema: Schema, created: boolean): Promise<readonly RestoreChange[]> {
    const count = created ? (await this.#toRaise(run, target, schema)).length : schema.identities.length
    return count === 0 ? [] : [{ kind: 'identities', count }]
  }

  async #toRaise(
    run: StepRun,
    target: Database,
    schema: Schema,
  ): Promise<readonly { readonly identity: Identity; readonly value: bigint }[]> {
    const manifest = await this.#store(run).manifest()
    const saved = new Map(manifest.identities.map((state) => [identityName(state.identity), positionOf(state)]))
    const states = await target.identities(schema)
    const raises = identitiesToRaise(states, (state) => saved.get(identityName(state.identity)) ?? null)
    return raises.map(({ state, value }) => ({ identity: state.identity, value }))
  }

  async #raiseIdentities(run: StepRun, target: Database): Promise<void> {
    const raises = await this.#toRaise(run, target, await this.#schema(run))
    for (const { identity, value } of raises) {
      run.signal.throwIfAborted()
      await target.raiseIdentity(identity, value)
    }
  }

  async #baselineChange(run: StepRun, schema: Schema): Promise<readonly RestoreChange[]> {
    const held = await baselineTables(run.directory)
    const tables = trackedTables(this.#world, schema)
      .map((table) => fullName(table.name))
      .filter((name) => !held.has(name))
    const counted = recallCounts(run, RESTORED_KEY) !== undefined
    return tables.length === 0 && counted ? [] : [{ kind: 'baseline', tables }]
  }

  async #takeBaseline(run: StepRun, target: Database): Promise<void> {
    const schema = await this.#schema(run)
    const manifest = await this.#store(run).manifest()
    const rules = rulesFor(this.#world, schema)
    await analyse(run, target, copiedTables(this.#world, schema))
    const tables = trackedTables(this.#world, schema)
    const saved = ({ name }: Table): number => rowsOf(manifest, fullName(name))
    const total = tables.reduce((rows, table) => rows + saved(table), 0)
    await this.#world.effects('take baseline', () =>
      takeBaseline({
        directory: run.directory,
        database: target,
        tables,
        connections: this.#world.new.connections,
        ...(this.#world.old.database === undefined ? {} : { peer: this.#world.old.database }),
        about: saved,
        printingOf: (table: Table) => printingFor(table, rules(table)),
        signal: run.signal,
        onRows: (rows) => run.progress(rows, Math.max(total, rows), 'rows', 'baseline'),
      }),
    )
    const states = await target.identities(schema)
    const last = Object.fromEntries(
      states.map((state) => [identityName(state.identity), state.last === null ? null : String(state.last)]),
    )
    await run.remember(RESTORED_IDENTITIES_KEY, last)
    await rememberRestored(run, target, copiedTables(this.#world, schema), await baselineTables(run.directory))
  }

  /** Planned while the snapshot was being taken, this may turn out to be needless: all of it may be of one moment. */
  async #removeOrphans(rules: readonly OrphanRule[], run: StepRun, target: Database): Promise<void> {
    if (isFuzzy(await this.#store(run).manifest())) await removeOrphans(run, target, rules)
  }

  async #create(statements: readonly PlannedStatement[], run: StepRun, target: Database): Promise<void> {
    const manifest = await this.#store(run).manifest()
    const bytesOf = (table: string): number => partsOf(manifest, table).reduce((sum, part) => sum + part.bytes, 0)
    try {
      await runStatements({ run, database: target, statements, connections: this.#world.new.connections, bytesOf })
    } catch (error) {
      throw manifest.complete && isFuzzy(manifest) ? perhapsOfSeveralMoments(error) : error
    }
  }

  async #load(change: Extract<RestoreChange, { kind: 'load' }>, run: StepRun, target: Database): Promise<void> {
    const schema = await this.#schema(run)
    const estimatedRows = change.tables.reduce((rows, table) => rows + table.rows, 0)
    const [tables, { connections }] = [copiedTables(this.#world, schema), this.#world.new]
    await whileSampling(run, { old: databaseOf(this.#world.old), schema }, () =>
      loadParts({ run, database: target, store: this.#store(run), tables, connections, estimatedRows }),
    )
  }

  /** Of a table that is reconciled, no row may be lost that was born there. */
  async #refuseLoss(created: string, run: StepRun, target: Database): Promise<void> {
    const schema = await this.#schema(run)
    const table = schema.tables.find((each) => fullName(each.name) === created)
    if (table !== undefined && rulesFor(this.#world, schema)(table).mode === 'track') await refuseMoreRows(run, target, table)
  }
}

const SHOWN_NAMES = 4

const nameList = (names: readonly string[]): string =>
  names.length <= SHOWN_NAMES + 1
    ? names.join(', ')
    : `${names.slice(0, SHOWN_NAMES).join(', ')} and ${formatCount(names.length - SHOWN_NAMES)} more`

const noSnapshot = (store: SnapshotStore): MigrateError =>
  new MigrateError(
    'snapshot-missing',
    `There is no complete database snapshot in ${store.directory}. The new host was left untouched.`,
    {
      hint: 'Put the step snapshot-database before restore-database in the playbook, or run without --from and --only.',
    },
  )
