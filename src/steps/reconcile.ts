import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { layoutOf } from '../databases/layout.ts'
import type { Side } from '../databases/plan/gap.ts'
import type { Database } from '../databases/port.ts'
import type { IdentityState, Layout } from '../databases/schema.ts'
import { parkedPath } from '../reconcile/parked.ts'
import { type ReconcileChange, reconcileChangeSchema } from '../reconcile/plan-items.ts'
import type { Proof } from '../reconcile/proof.ts'
import { Reconciler } from '../reconcile/reconciler.ts'
import { PROVEN_KEY } from '../report/proof.ts'
import type { Step, StepRun } from '../run/step.ts'
import { baselineRows } from './baseline-rows.ts'
import { gather, missingDatabase } from './database-parts.ts'
import { headroomUse, identityName, recallHeadroom } from './headroom.ts'
import { readBoth, withRoomForLeaps } from './leap-moves.ts'
import { policyFindings } from './policy-findings.ts'
import { askIfWrong, rememberNumbers } from './reconcile-caution.ts'
import { parkedFinding, remappedFinding, sumsApart, unaccounted, uncompared } from './reconcile-findings.ts'
import { movedRows, provenOf } from './reconcile-proven.ts'
import { planWords } from './reconcile-words.ts'
import { declaredReferences, rulesFor } from './rules.ts'
import { schemaForCheck } from './schema-seen.ts'
import type { StepContext, StepKind, World } from './world.ts'

/** How many passes there were, cheap ones too. */
export const PASS_KEY = 'reconcile-pass'
/** Rows that the line of one change names. */
const NAMED = 2

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
  readonly #schemas = new Map<Side, Layout>()
  #proven: Proof | undefined
  /** Where the source's numbered columns stood when this pass was planned. */
  #numbers: readonly IdentityState[] | undefined

  constructor(id: string, world: World, direction: Direction) {
    this.id = id
    this.#world = world
    this.#direction = direction
    this.title = direction === 'forward' ? "Carry the old host's late orders over" : "Carry the new host's orders back"
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const { old, new: fresh } = this.#world
    const without = [old, fresh].filter((host) => host.database === undefined)
    // Going back, the rules are those that the way forward was checked with.
    const rules = async (): Promise<readonly Finding[]> => {
      if (this.#direction === 'reverse' || old.database === undefined) return []
      const isMatched = [...this.#world.tables.values()].some(({ match }) => match.length > 0)
      const schema = await schemaForCheck(run, old.database)
      const there = isMatched && fresh.database !== undefined ? await schemaForCheck(run, fresh.database) : undefined
      return policyFindings(this.#world, schema, there)
    }
    return [...without.map((host) => missingDatabase(this.id, host)), ...(await gather(rules))]
  }

  async plan(run: StepRun): Promise<readonly ReconcileChange[]> {
    const reconciler = await this.#open(run)
    if (await reconciler.ready()) {
      const planned = await reconciler.plan({ signal: run.signal, onRows: progress(run) })
      const { changes, proof } = planned
      const { source } = this.#sides
      await askIfWrong(run, planned, { world: this.#world, source, schema: await this.#schemaOf(source) })
      this.#numbers = planned.numbers
      // Nothing to do is a result: everything was compared, and the proof is told without comparing it all again.
      this.#proven = changes.length === 0 && !run.dryRun ? proof : undefined
      if (this.#proven !== undefined) await this.#tell(run, this.#proven, passOf(run) + 1)
      if (changes.length === 0 && run.dryRun) run.emit({ event: 'note', message: nothingWords(proof, this.#sides.source) })
      return changes
    }
    if (run.dryRun) return []
    throw new MigrateError(
      'baseline-missing',
      "There is no baseline yet, so it can't be told which rows are new. Nothing was changed.",
      {
        hint: 'It is taken at the end of restore-database. Run  migrate run PLAYBOOK  first; it goes on where it stopped.',
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
    const { source } = this.#sides
    const moved = await movedRows(proof, present(this.#hosts.target.database), run.id)
    const parked = await reconciler.parked()
    const parkedFile = parkedPath(run.directory)
    await run.remember(PASS_KEY, pass)
    await run.remember(PROVEN_KEY, provenOf({ pass, source, parkedFile }, proof, moved, parked))
    if (this.#numbers !== undefined) await rememberNumbers(run, source, this.#numbers)
    if (this.#proven === undefined) await this.#tell(run, proof, pass)
    return [
      ...remappedFinding(moved, source),
      ...(parked.length === 0 ? [] : [parkedFinding(parked, source)]),
      ...unaccounted(proof, source),
      ...sumsApart(proof, source),
      ...uncompared(await reconciler.uncompared()),
    ]
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
    return planWords([change], NAMED).join('; ')
  }

  /** The hosts by what they are in this direction. */
  get #hosts(): { readonly source: World['old']; readonly target: World['new'] } {
    const { old, new: fresh } = this.#world
    return this.#direction === 'forward' ? { source: old, target: fresh } : { source: fresh, target: old }
  }

  get #sides(): { readonly source: Side; readonly target: Side } {
    return { source: this.#hosts.source.side, target: this.#hosts.target.side }
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
  async #schemaOf(side: Side): Promise<Layout> {
    const schema = this.#schemas.get(side) ?? (await layoutOf(present(this.#world[side].database)))
    this.#schemas.set(side, schema)
    return schema
  }

  async #open(run: StepRun): Promise<Reconciler> {
    if (this.#reconciler !== undefined) return this.#reconciler
    const world = this.#world
    const { source, target } = this.#hosts
    const rules = rulesFor(world, await this.#schemaOf('old'))
    this.#reconciler = new Reconciler({
      run: run.id,
      directory: run.directory,
      source: present(source.database),
      target: present(target.database),
      sourceSide: source.side,
      schemaOf: (database) => this.#schemaOf(database === world.old.database ? 'old' : 'new'),
      tracked: (table) => rules(table).mode === 'track',
      policyOf: rules,
      references: (tables) => declaredReferences(world, tables),
      clock: run.clock,
      signal: run.signal,
      baselineRows: baselineRows({
        directory: run.directory,
        database: present(world.new.database),
        clock: run.clock,
        signal: run.signal,
      }),
    })
    return this.#reconciler
  }
}

const nothingWords = ({ totals }: Proof, source: Side): string =>
  `Nothing to carry: every one of the ${source} host's ${formatCount(totals.rows)} rows is accounted for.`

const passOf = (run: StepRun): number => Number(run.recall(PASS_KEY) ?? 0)

const progress =
  (run: StepRun) =>
  (rows: number, table: string): void =>
    run.progress(rows, null, 'rows', table)

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
