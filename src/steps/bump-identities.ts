import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { layoutOf } from '../databases/layout.ts'
import { type Course, type HeadroomOptions, isUsedUp, positionOf } from '../databases/plan/headroom.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import type { Database } from '../databases/port.ts'
import type { IdentityState, Layout } from '../databases/schema.ts'
import type { Step, StepRun } from '../run/step.ts'
import { bumpFindings } from './bump-findings.ts'
import { refuseEarlyRows, refuseUsed } from './bump-guard.ts'
import { refuseOverflow, type Sizing, sizeWaiting } from './bump-size.ts'
import { databaseOf, gather, missingDatabase } from './database-parts.ts'
import { HEADROOM_KEY, headroomRecordSchema, identityName, recallHeadroom } from './headroom.ts'
import { durationMs } from './options.ts'
import { courseOf } from './rate-samples.ts'
import { identitiesBy, schemaForCheck } from './schema-seen.ts'
import { asOfNow, stamp } from './steady-time.ts'
import type { StepContext, StepKind, World } from './world.ts'

const optionsSchema = z
  .strictObject({
    window: durationMs.prefault('24h').describe('How long both hosts may take orders side by side'),
    safety: z.number().min(1).max(1000).default(3).describe('Factor on the measured rate'),
    minimum: z.int().min(1).default(1000).describe('Rows, at least, for a table without a number of its own'),
    restarts: z
      .int()
      .min(0)
      .max(100)
      .default(1)
      .describe("Restarts of the old host's server to reckon with: each may skip numbers"),
    measure: durationMs.prefault('5s').describe('How long the old host is watched here when nothing was seen of it before'),
  })
  .prefault({})
type Options = z.infer<typeof optionsSchema>

const changeSchema = z.object({
  record: headroomRecordSchema,
  /** Where the new host's identity stood; `null` in a rehearsal without it. */
  before: z.object({ last: z.string().nullable(), next: z.string() }).nullable(),
})
type Change = z.infer<typeof changeSchema>

export const bumpIdentitiesKind: StepKind<Options> = {
  name: 'bump-identities',
  summary: 'Raise every identity and sequence of the new host past what the old host may still hand out',
  options: optionsSchema,
  create: (options, context) => new BumpIdentities(options, context),
}

class BumpIdentities implements Step<Change> {
  readonly id: string
  readonly title = "Raise the new host's identities past the old host's"
  readonly phase = 'prepare'
  readonly change = changeSchema
  readonly #world: World
  readonly #options: HeadroomOptions
  readonly #measureMs: number

  constructor(options: Options, context: StepContext) {
    this.id = context.id
    this.#world = context.world
    const { window, safety, minimum, restarts, measure } = options
    this.#options = { windowMs: window, safety, minimum, restarts }
    this.#measureMs = measure
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const [old, target] = [this.#world.old.database, this.#world.new.database]
    if (old === undefined) return [missingDatabase(this.id, this.#world.old)]
    if (target === undefined) return [missingDatabase(this.id, this.#world.new)]
    return gather(
      () => target.missingRights('write'),
      async () => {
        const { schema, states } = await identitiesBy(old, await schemaForCheck(run, old))
        const raised = new Set(recallHeadroom(run).map((record) => identityName(record.identity)))
        const waiting = states.filter((state) => !raised.has(identityName(state.identity)))
        const course = courseOf(run) ?? nothingSeen
        const sized = sizeWaiting({ world: this.#world, options: this.#options, schema, states, course }, waiting, run)
        return [...sized.flatMap(({ finding }) => finding ?? []), ...bumpFindings(states, sized)]
      },
    )
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const old = databaseOf(this.#world.old)
    const schema = await layoutOf(old)
    const { states, course } = await this.#look(run, old, schema)
    const targets = await this.#targetStates()
    const missing = states.filter((state) => !targets.has(identityName(state.identity)) && !isUsedUp(state))
    if (missing.length > 0 && !run.dryRun) throw missingIdentities(missing)
    const records = new Map(recallHeadroom(run).map((record) => [identityName(record.identity), record]))
    const waiting = states.filter((state) => {
      const record = records.get(identityName(state.identity))
      const next = targets.get(identityName(state.identity))?.next
      return record === undefined || next === undefined || !isBeyond(next, BigInt(record.to), record.identity.increment)
    })
    const sized = sizeWaiting({ world: this.#world, options: this.#options, schema, states, course }, waiting, run, records)
    refuseOverflow(sized)
    for (const { finding } of sized) if (finding !== undefined) run.emit({ event: 'finding', ...finding })
    const due = sized.map(({ record }) => record)
    await refuseEarlyRows(run, databaseOf(this.#world.new), schema, due, targets)
    return due.map((record) => {
      const state = targets.get(identityName(record.identity))
      const before =
        state === undefined ? null : { last: state.last === null ? null : String(state.last), next: String(state.next) }
      return { record: { ...record, identity: state?.identity ?? record.identity }, before }
    })
  }

  async apply({ record }: Change, run: StepRun): Promise<void> {
    const name = identityName(record.identity)
    const others = recallHeadroom(run).filter((each) => identityName(each.identity) !== name)
    await run.remember(HEADROOM_KEY, [...others, record])
    await databaseOf(this.#world.new).raiseIdentity(record.identity, BigInt(record.to))
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const records = recallHeadroom(run)
    const targets = await this.#targetStates()
    const behind = records.filter((record) => {
      const next = targets.get(identityName(record.identity))?.next
      return next === undefined || !isBeyond(next, BigInt(record.to), record.identity.increment)
    })
    if (behind.length === 0) {
      return [
        {
          severity: 'info',
          code: 'identities-raised',
          message: `${records.length} identities and sequences raised on the new host, and read back.`,
        },
      ]
    }
    return behind.map((record) => ({
      severity: 'error',
      code: 'identity-not-raised',
      message: `${identityName(record.identity)} on the new host would next hand out ${targets.get(identityName(record.identity))?.next ?? 'nothing'}, not beyond ${formatCount(BigInt(record.to))}.`,
      hint: 'Run again. If it stays so, something on the new host sets it back: find that before the cutover.',
    }))
  }

  async undo({ record, before }: Change, run: StepRun): Promise<void> {
    const target = databaseOf(this.#world.new)
    const name = identityName(record.identity)
    const state = (await this.#targetStates()).get(name)
    // Gone with its table: nothing is left to set back.
    if (state !== undefined && before !== null) {
      await refuseUsed(run, target, state, record)
      const image = {
        identity: record.identity,
        last: before.last === null ? null : BigInt(before.last),
        next: BigInt(before.next),
      }
      await target.resetIdentity(record.identity, image)
      const now = (await this.#targetStates()).get(name)
      if (now?.next !== image.next) {
        throw new MigrateError(
          'undo-failed',
          `${name} on ${target.label} would next hand out ${now?.next ?? 'nothing'}; before the raise it was ${image.next}.`,
        )
      }
    }
    await run.remember(
      HEADROOM_KEY,
      recallHeadroom(run).filter((each) => identityName(each.identity) !== name),
    )
  }

  describe({ record }: Change): string {
    const places = `old is at ${formatCount(BigInt(record.from))}; new starts beyond ${formatCount(BigInt(record.to))}`
    return `${identityName(record.identity)}: ${places} (${record.reason})`
  }

  /**
   * The old host's live identities, and what was seen of them since the snapshot. Where this run took none, they are watched for a
   * moment: a glance, which overrules no number that a person gave.
   */
  async #look(run: StepRun, old: Database, schema: Layout): Promise<Pick<Sizing, 'states' | 'course'>> {
    const states = await old.identities(schema)
    const seen = courseOf(run)
    if (seen !== undefined || run.dryRun || recallHeadroom(run).length > 0) return { states, course: seen ?? nothingSeen }
    const begun = stamp(run.clock)
    await run.clock.sleep(this.#measureMs, run.signal)
    const { at } = asOfNow(run.clock, begun)
    const before = new Map(states.map((state) => [identityName(state.identity), { at, position: positionOf(state) }]))
    const course = (name: string): Course | undefined => {
      const first = before.get(name)
      return first === undefined ? undefined : { first, last: first, peak: 0 }
    }
    return { states: await old.identities(schema), course }
  }

  /** Identities of the new host by name. */
  async #targetStates(): Promise<ReadonlyMap<string, IdentityState>> {
    const target = databaseOf(this.#world.new)
    const states = await target.identities(await layoutOf(target))
    return new Map(states.map((state) => [identityName(state.identity), state]))
  }
}

const nothingSeen = (): undefined => undefined

const missingIdentities = (missing: readonly IdentityState[]): MigrateError =>
  new MigrateError(
    'identity-missing',
    `The new host lacks ${missing.map((state) => identityName(state.identity)).join(', ')}, which the old host has. No identity was moved.`,
    {
      hint: 'The old database got new tables since the snapshot. Take it anew: first  migrate rollback PLAYBOOK, then  migrate run PLAYBOOK.',
    },
  )
