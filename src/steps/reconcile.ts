import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { Side } from '../databases/plan/gap.ts'
import type { Database } from '../databases/port.ts'
import type { Schema } from '../databases/schema.ts'
import { keyLabel } from '../reconcile/fingerprint.ts'
import { parkedPath } from '../reconcile/parked.ts'
import { type Decision, type ReconcileChange, reconcileChangeSchema } from '../reconcile/plan.ts'
import { type Proof, parkedFinding, Reconciler } from '../reconcile/reconciler.ts'
import type { Step, StepRun } from '../run/step.ts'
import { missingDatabase } from './database-parts.ts'
import { headroomUse, identityName, recallHeadroom } from './headroom.ts'
import { readBoth, withRoomForLeaps } from './leap-moves.ts'
import { declaredReferences, rulesFor } from './rules.ts'
import type { StepContext, StepKind, World } from './world.ts'

/** Where the last proof is kept in the run's memory, for the report. */
export const PROOF_KEY = 'proof'
/** How many passes there were, cheap ones too. */
export const PASS_KEY = 'reconcile-pass'

/** Which way rows are carried: `forward` is old to new; a rollback after the cutover goes the other way. */
type Direction = 'forward' | 'reverse'

class ReconcileStep implements Step<ReconcileChange> {
  readonly phase = 'settle'
  readonly change = reconcileChangeSchema
  readonly id: string
  readonly title: string
  readonly #world: World
  readonly #direction: Direction
  #reconciler: Reconciler | undefined
  readonly #schemas = new Map<Side, Schema>()
  #proven: Proof | undefined

  constructor(id: string, world: World, direction: Direction) {
    this.id = id
    this.#world = world
    this.#direction = direction
    this.title = direction === 'forward' ? "Carry the old host's late orders over" : "Carry the new host's orders back"
  }

  async check(): Promise<readonly Finding[]> {
    const without = [this.#world.old, this.#world.new].filter((host) => host.database === undefined)
    return [...without.map((host) => missingDatabase(this.id, host)), ...laterPolicies(this.#world)]
  }

  async plan(run: StepRun): Promise<readonly ReconcileChange[]> {
    const reconciler = await this.#open(run)
    if (await reconciler.ready()) {
      const { changes, proof } = await reconciler.plan({ signal: run.signal, onRows: progress(run) })
      // Nothing to do is a result: everything was compared, and the proof is told without comparing it all again.
      this.#proven = changes.length === 0 && !run.dryRun ? proof : undefined
      if (this.#proven !== undefined) await this.#tell(run, this.#proven, passOf(run) + 1)
      return changes
    }
    if (run.dryRun) return []
    throw new MigrateError(
      'baseline-missing',
      "There is no baseline yet, so it can't be told which rows are new. Nothing was changed.",
      {
        hint: 'It is taken at the end of restore-database. Run "migrate run" first; it goes on where it stopped.',
      },
    )
  }

  async apply(change: ReconcileChange, run: StepRun): Promise<void> {
    await (await this.#open(run)).apply(change)
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const reconciler = await this.#open(run)
    const proof = this.#proven ?? (await reconciler.prove({ signal: run.signal, onRows: progress(run) }))
    const pass = passOf(run) + 1
    await run.remember(PASS_KEY, pass)
    await run.remember(PROOF_KEY, { pass, ...proof.totals, tables: Object.fromEntries(proof.tables) })
    if (this.#proven === undefined) await this.#tell(run, proof, pass)
    const parked = await reconciler.parked()
    return [...(parked.length === 0 ? [] : [parkedFinding(parked, parkedPath(run.directory))]), ...unaccounted(proof)]
  }

  async #tell(run: StepRun, proof: Proof, pass: number): Promise<void> {
    run.emit({
      event: 'reconciled',
      pass,
      ...(this.#direction === 'forward' ? {} : { from: 'new' as const }),
      tables: Object.fromEntries(this.#reconciler?.counts ?? []),
      headroom: await this.#headroom(run),
      proof: proof.totals,
    })
  }

  describe(change: ReconcileChange): string {
    if (change.kind === 'park') {
      return change.items.length === 0
        ? 'clear the list of parked rows'
        : `park ${formatCount(change.items.length)} rows for you to decide`
    }
    return [...Map.groupBy(change.items, (item) => `${item.action} ${item.table}`)]
      .map(([what, items]) => {
        const [first, last] = [items[0], items.at(-1)].map((item) => (item === undefined ? '' : keyLabel(item.key)))
        return `${what}: ${formatCount(items.length)} ${items.length === 1 ? 'row' : 'rows'} (${first === last ? first : `${first} … ${last}`})`
      })
      .join('; ')
  }

  async #headroom(run: StepRun) {
    const records = recallHeadroom(run)
    const old = this.#world.old.database
    // On the way back the old host's identities are raised anew: what it used of the headroom says nothing any more.
    if (this.#direction === 'reverse' || records.length === 0 || old === undefined) return []
    const names = new Set(records.map((record) => identityName(record.identity)))
    const schemas = new Map([['old', await this.#schemaOf('old')] as const, ['new', await this.#schemaOf('new')] as const])
    const states = await readBoth(this.#world, names, schemas)
    return records.map((record) => headroomUse(record, states.get(identityName(record.identity)) ?? {}))
  }

  /** Asked of each host once a pass: rules, tables and headroom go by one reading. */
  async #schemaOf(side: Side): Promise<Schema> {
    const schema = this.#schemas.get(side) ?? (await present(this.#world[side].database).schema())
    this.#schemas.set(side, schema)
    return schema
  }

  async #open(run: StepRun): Promise<Reconciler> {
    if (this.#reconciler !== undefined) return this.#reconciler
    const world = this.#world
    const [from, to] = this.#direction === 'forward' ? [world.old, world.new] : [world.new, world.old]
    const rules = rulesFor(world, await this.#schemaOf('old'))
    this.#reconciler = new Reconciler({
      run: run.id,
      directory: run.directory,
      source: present(from.database),
      target: present(to.database),
      schemaOf: (database) => this.#schemaOf(database === world.old.database ? 'old' : 'new'),
      tracked: (table) => rules(table).mode === 'track',
      decide: (table) => decision(rules(table).conflict, from.side),
      ignore: (table) => rules(table).ignore,
      references: (tables) => declaredReferences(world, tables),
    })
    return this.#reconciler
  }
}

/** What the playbook may ask for and this version answers with a parked row: safe, but work for a person. */
function laterPolicies(world: World): readonly Finding[] {
  return [...world.tables].flatMap(([name, rules]) => {
    const newest = typeof rules.conflict === 'object' ? ['conflict: newest'] : []
    const words = [...newest, ...(rules.add.length > 0 ? ['add'] : []), ...(rules.match.length > 0 ? ['match'] : [])]
    if (words.length === 0) return []
    return [
      {
        severity: 'warning' as const,
        code: 'policy-parks',
        message: `${name}: ${words.join(' and ')} can't be merged by this version yet; rows of it that both hosts change are parked.`,
        hint: 'Nothing is lost: both versions are kept for you to decide. "conflict: old" or "conflict: new" decides without asking.',
      },
    ]
  })
}

const passOf = (run: StepRun): number => Number(run.recall(PASS_KEY) ?? 0)

const progress =
  (run: StepRun) =>
  (rows: number, table: string): void =>
    run.progress(rows, null, 'rows', table)

/** A policy names a host; which end that is depends on the direction. */
function decision(policy: 'park' | 'old' | 'new' | { readonly newest: string }, source: 'old' | 'new'): Decision {
  if (policy === 'old' || policy === 'new') return policy === source ? 'source' : 'target'
  return 'park'
}

function unaccounted(proof: Proof): readonly Finding[] {
  if (proof.totals.unaccounted === 0) return []
  const tables = [...proof.tables]
    .filter(([, tally]) => tally.carry > 0)
    .map(([name, tally]) => `${name}: ${formatCount(tally.carry)}`)
  return [
    {
      severity: 'error',
      code: 'rows-unaccounted',
      message: `${formatCount(proof.totals.unaccounted)} rows arrived while rows were being carried over and aren't on the other host yet (${tables.join(', ')}).`,
      hint: 'Run "migrate reconcile" again: it carries them. What was carried so far stays.',
    },
  ]
}

function present(database: Database | undefined): Database {
  if (database === undefined)
    throw new MigrateError('playbook-part-missing', 'reconcile needs both databases.', { ending: 'usage' })
  return database
}

export const reconcileKind: StepKind<Record<string, never>> = {
  name: 'reconcile',
  summary: "Carries the old host's late rows to the new one by a three-way merge, and proves that none is missing.",
  options: z.strictObject({}).prefault({}),
  create: (_options, context: StepContext) =>
    withRoomForLeaps(new ReconcileStep(context.id, context.world, 'forward'), context.world),
}

/** The same merge the other way round, for a rollback after the cutover. */
export const reverseReconcile = (id: string, world: World): Step<ReconcileChange> => new ReconcileStep(id, world, 'reverse')
