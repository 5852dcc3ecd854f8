import { mkdir, stat } from 'node:fs/promises'
import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { codeOf, type Finding, MigrateError } from '../base/errors.ts'
import { canonicalJson } from '../base/json.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import type { TableSize } from '../databases/port.ts'
import { fullName, type Schema, type Table } from '../databases/schema.ts'
import { copyTables } from '../databases/snapshot/copy.ts'
import { isFuzzy, rowsOf } from '../databases/snapshot/manifest.ts'
import { SnapshotStore } from '../databases/snapshot/store.ts'
import type { Step, StepRun } from '../run/step.ts'
import { databaseOf, gather, missingDatabase } from './database-parts.ts'
import { copyTime } from './estimate.ts'
import { SnapshotByMethod } from './native-snapshot.ts'
import { atOldShopsPace, throttleShape } from './old-shop-pace.ts'
import { durationMs } from './options.ts'
import { unknownNames } from './playbook-names.ts'
import { rememberFirstLook, whileSampling } from './rate-samples.ts'
import { copiedTables, schemaFindings } from './rules.ts'
import { infoForCheck, schemaForCheck, sizesForCheck, tablesOf } from './schema-seen.ts'
import { roomFinding, withoutKey } from './snapshot-check.ts'
import { methodMistake, methodShape } from './snapshot-method.ts'
import { isOneInstant, longTransaction } from './snapshot-transaction.ts'
import { stamp } from './steady-time.ts'
import type { StepContext, StepKind, World } from './world.ts'

/** Rows remembered by the run: users and grants of the old database, for the report. */
export const PRINCIPALS_KEY = 'principals'

/** The tables that are being saved, with rows and bytes about: what a restore that begins meanwhile goes by. */
export const SNAPSHOT_SIZES_KEY = 'snapshot-sizes'
const sizedSchema = z.object({ table: z.string(), rows: z.number(), bytes: z.number() })
export const snapshotSizesSchema = z.array(sizedSchema)

const optionsSchema = z
  .strictObject({
    ...methodShape,
    connections: z.int().positive().max(64).optional().meta({ description: 'Readers side by side; old.connections when absent' }),
    ...throttleShape,
    timeout: durationMs
      .prefault('60s')
      .meta({ description: 'A query that gives no row for so long is cancelled, and asked again for fewer rows' }),
  })
  .superRefine((options, context) => {
    const message = methodMistake(options)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })
  .prefault({})
type Options = z.infer<typeof optionsSchema>

const changeSchema = z.object({
  tables: snapshotSizesSchema,
  /** Parts of it may lie in the run's folder already. */
  resumed: z.boolean(),
  connections: z.number(),
  /** All rows are read at one instant: a transaction stays open on the old host meanwhile. */
  oneInstant: z.boolean(),
})
type Change = z.infer<typeof changeSchema>

export const snapshotDatabaseKind: StepKind<Options> = {
  name: 'snapshot-database',
  summary: "Save the old host's schema and rows into the run's folder",
  options: optionsSchema,
  create: (options, context) => {
    const portable = new SnapshotDatabase(options, context)
    return new SnapshotByMethod(portable, portable.shared, options, context)
  },
}

class SnapshotDatabase implements Step<Change> {
  readonly id: string
  readonly title = 'Save the database from the old host'
  readonly phase = 'prepare'
  readonly change = changeSchema
  readonly #world: World
  readonly #options: Options
  /** As the plan found it a moment ago. */
  #planned: Schema | undefined
  /** What of it serves the other methods too. */
  readonly shared = {
    store: (run: StepRun): SnapshotStore => this.#store(run),
    look: (run: StepRun): Promise<Schema> => this.#look(run),
    begin: (store: SnapshotStore, run: StepRun): Promise<Schema> => this.#begin(store, run),
    connections: (): number => this.#connections(),
  }

  constructor(options: Options, context: StepContext) {
    this.id = context.id
    this.#world = context.world
    this.#options = options
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const old = this.#world.old.database
    if (old === undefined) return [missingDatabase(this.id, this.#world.old)]
    return gather(
      () => old.missingRights('read'),
      async () => {
        const schema = await schemaForCheck(run, old)
        return [...schemaFindings(this.#world, schema), ...unknownNames(this.#world, schema), ...withoutKey(this.#world, schema)]
      },
      () => this.#sameEngine(run),
      async () => roomFinding(run.directory, sum(await sizesForCheck(run, old), 'bytes')),
      async () => longTransaction(old, this.#connections(), sum(await sizesForCheck(run, old), 'bytes')),
    )
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const manifest = await this.#store(run).manifest()
    if (manifest.complete) return []
    const old = databaseOf(this.#world.old)
    const schema = await this.#look(run)
    const sizes = new Map((await old.sizes()).map((size) => [fullName(size.table), size]))
    const tables = copiedTables(this.#world, schema).map((table) => {
      const name = fullName(table.name)
      return { table: name, rows: sizes.get(name)?.rows ?? 0, bytes: sizes.get(name)?.bytes ?? 0 }
    })
    const resumed = manifest.schemaSha256 !== null
    return [{ tables, resumed, connections: this.#connections(), oneInstant: await isOneInstant(old, this.#connections()) }]
  }

  async apply(change: Change, run: StepRun): Promise<void> {
    const old = databaseOf(this.#world.old)
    const store = this.#store(run)
    const schema = await this.#begin(store, run)
    await run.remember(SNAPSHOT_SIZES_KEY, change.tables)
    run.handOver()
    const sizes = new Map(change.tables.map((size) => [size.table, size]))
    const size = (table: Table) => sizes.get(fullName(table.name)) ?? { rows: 0, bytes: 0 }
    const tables = [...copiedTables(this.#world, schema)].sort((a, b) => size(b).bytes - size(a).bytes)
    const estimate = change.tables.reduce((rows, table) => rows + table.rows, 0)
    const connections = this.#connections()
    const bytes = change.tables.reduce((total, table) => total + table.bytes, 0)
    const pace = { run, world: this.#world, mode: this.#options.throttle, readers: connections, bytes }
    await whileSampling(run, { old, schema }, (look) =>
      atOldShopsPace(pace, (throttle) =>
        copyTables({
          database: old,
          store,
          schema,
          tables,
          size,
          connections,
          blockFormat: this.#blockFormat(),
          throttle,
          quietMs: this.#options.timeout,
          signal: run.signal,
          clock: run.clock,
          onRows: (rows, table) => {
            run.progress(rows, Math.max(estimate, rows), 'rows', fullName(table.name))
            look()
          },
        }),
      ),
    )
    // Rows may lack a column that was added, and a table that was rewritten looks empty to a reader of an earlier instant (PostgreSQL
    // documentation, "Concurrency Control", "Caveats"): such a snapshot never becomes whole. Shops make and drop tables all day long;
    // one that is new and is to be carried is named by reconcile.
    refuseChanged(changedTables(tables, await tablesOf(old)).filter(({ went }) => !went))
    await store.complete(isoTime(run.clock.now()))
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const store = this.#store(run)
    const manifest = await store.manifest()
    const schema = await store.schema()
    if (!manifest.complete || schema === undefined) {
      return [
        {
          severity: 'error',
          code: 'snapshot-incomplete',
          message: `The snapshot in ${store.directory} isn't complete.`,
          hint: 'Run again to resume.',
        },
      ]
    }
    const tables = copiedTables(this.#world, schema)
    const rows = tables.reduce((total, table) => total + rowsOf(manifest, fullName(table.name)), 0)
    const when = isFuzzy(manifest)
      ? 'tables are of different moments; rows without a parent are left to reconcile'
      : 'all of one moment'
    return [
      {
        severity: 'info',
        code: 'snapshot-taken',
        message: `${formatCount(rows)} rows of ${tables.length} tables saved, ${when}.`,
      },
    ]
  }

  async undo(_change: Change, run: StepRun): Promise<void> {
    const store = this.#store(run)
    await store.remove()
    const left = await stat(store.directory).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
    if (left !== undefined)
      throw new MigrateError('undo-failed', `The snapshot in ${store.directory} couldn't be removed.`, {
        hint: 'Remove the folder by hand.',
      })
  }

  describe(change: Change): string {
    const rows = change.tables.reduce((total, table) => total + table.rows, 0)
    const bytes = change.tables.reduce((total, table) => total + table.bytes, 0)
    const size = `${formatCount(change.tables.length)} tables, about ${formatCount(rows)} rows, ${formatBytes(bytes)}`
    return `${change.resumed ? 'go on saving' : 'save'} ${size} over ${change.connections} connections (${copyTime(bytes)})${change.oneInstant ? ', in one transaction on the old host' : ''}`
  }

  /** For a plan: what is begun right after it goes by the same reading. */
  async #look(run: StepRun): Promise<Schema> {
    const schema = await databaseOf(this.#world.old).schema()
    this.#planned = run.dryRun ? undefined : schema
    return schema
  }

  /** The schema of this snapshot: as saved when it began, or saved now. */
  async #begin(store: SnapshotStore, run: StepRun): Promise<Schema> {
    const old = databaseOf(this.#world.old)
    const live = this.#planned ?? (await old.schema())
    this.#planned = undefined
    const saved = await store.schema()
    if (saved !== undefined) {
      const { tables } = await store.manifest()
      const changed = changedTables(copiedTables(this.#world, saved), live.tables)
      refuseChanged(changed.filter(({ name, went }) => !went || tables.get(name)?.whole !== true))
      return saved
    }
    await mkdir(run.directory, { recursive: true })
    const at = stamp(run.clock)
    const identities = await old.identities(live)
    await run.remember(PRINCIPALS_KEY, live.principals)
    await rememberFirstLook(run, at, identities)
    await store.begin(live, (await old.info()).engine, identities)
    return live
  }

  async #sameEngine(run: StepRun): Promise<readonly Finding[]> {
    const [old, target] = [this.#world.old.database, this.#world.new.database]
    if (old === undefined || target === undefined) return []
    const [from, to] = await Promise.all([infoForCheck(run, old), infoForCheck(run, target)])
    if (from.engine === to.engine) return []
    return [
      {
        severity: 'error',
        code: 'engines-differ',
        message: `The old database is ${from.product}, the new one ${to.product}: a shop moves between two databases of one kind.`,
        hint: 'Give a new.database of the same kind.',
      },
    ]
  }

  /** Bulk text that the new host takes as the old one gives it. */
  #blockFormat(): string | undefined {
    const { database } = this.#world.new
    return database === undefined ? this.#world.old.database?.blockFormat : database.blockFormat
  }

  #connections(): number {
    return Math.min(this.#options.connections ?? this.#world.old.connections, this.#world.old.connections)
  }

  #store(run: StepRun): SnapshotStore {
    return new SnapshotStore(run.directory, this.#world.effects)
  }
}

const sum = (sizes: readonly TableSize[], field: 'rows' | 'bytes'): number =>
  sizes.reduce((total, size) => total + size[field], 0)

/** Of tables whose rows are saved, those that have other columns or another key now, and those that went. */
function changedTables(
  saved: readonly Table[],
  live: readonly Table[],
): readonly { readonly name: string; readonly went: boolean }[] {
  const [before, now] = [shapesOf(saved), shapesOf(live)]
  return [...before].flatMap(([name, shape]) => (now.get(name) === shape ? [] : [{ name, went: !now.has(name) }]))
}

const shapesOf = (tables: readonly Table[]): ReadonlyMap<string, string> =>
  new Map(tables.map(({ name, columns, key }) => [fullName(name), canonicalJson({ columns, key })]))

/** Rows of a table that changed its shape meanwhile wouldn't fit those saved before. */
function refuseChanged(changed: ReturnType<typeof changedTables>): void {
  if (changed.length === 0) return
  throw new MigrateError(
    'schema-changed',
    `The old database changed since this snapshot began: ${changed.map(({ name }) => name).join(', ')}. Neither host was changed.`,
    {
      hint: 'Take back what was begun with  migrate rollback PLAYBOOK, then run again, and change no tables on the old host until the migration is over. One that the shop itself makes anew all the time, and needs no rows of, can be left empty (tables: { NAME: skip }).',
    },
  )
}
