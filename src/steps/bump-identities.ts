import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import {
  type HeadroomOptions,
  isUsedUp,
  measureRate,
  type NamedHeadroom,
  sizeHeadroom,
  valuesUsed,
} from '../databases/plan/headroom.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import { fullName, type IdentityState, type Schema } from '../databases/schema.ts'
import type { Step, StepRun } from '../run/step.ts'
import { databaseOf, gather, rulesFor } from './database-parts.ts'
import { HEADROOM_KEY, type HeadroomRecord, headroomRecordSchema, identityName, recallHeadroom } from './headroom.ts'
import { durationMs } from './options.ts'
import { bornRows } from './restore-guard.ts'
import { RESTORED_IDENTITIES_KEY } from './restore-work.ts'
import { SNAPSHOT_IDENTITIES_KEY } from './snapshot-database.ts'
import { missingPart, type StepContext, type StepKind, type World } from './world.ts'

const optionsSchema = z
  .strictObject({
    window: durationMs.prefault('24h').describe('How long both hosts may take orders side by side'),
    safety: z.number().min(1).max(1000).default(3).describe('Factor on the measured rate'),
    minimum: z.int().min(1).default(1000).describe('Rows, at least, for a table without a number of its own'),
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

const rememberedSchema = z.object({ at: z.string(), positions: z.record(z.string(), z.string()) })

const restoredSchema = z.record(z.string(), z.string().nullable())

/** What is to be done about one identity of the old host. */
interface Sized {
  readonly record: HeadroomRecord
  readonly finding: Finding | undefined
}

class BumpIdentities implements Step<Change> {
  readonly id: string
  readonly title = "Raise the new host's identities past the old host's"
  readonly phase = 'prepare'
  readonly change = changeSchema
  readonly #world: World
  readonly #options: HeadroomOptions

  constructor(options: Options, context: StepContext) {
    this.id = context.id
    this.#world = context.world
    this.#options = { windowMs: options.window, safety: options.safety, minimum: options.minimum }
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const old = this.#world.old.database
    if (old === undefined)
      return [missingPart(this.id, 'old.database', 'old: { database: "postgres://shop@old.example.com/shop" }')]
    const target = this.#world.new.database
    if (target === undefined)
      return [missingPart(this.id, 'new.database', 'new: { database: "postgres://shop@new.example.com/shop" }')]
    return gather(
      () => target.missingRights('write'),
      async () => {
        const schema = await old.schema()
        const states = await old.identities(schema)
        const raised = new Set(recallHeadroom(run).map((record) => identityName(record.identity)))
        const sized = this.#size(
          run,
          schema,
          states,
          states.filter((state) => !raised.has(identityName(state.identity))),
        )
        return [...sized.flatMap(({ finding }) => finding ?? []), ...states.filter(isUsedUp).map(usedUpFinding)]
      },
    )
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const old = databaseOf(this.#world.old)
    const schema = await old.schema()
    const states = await old.identities(schema)
    const targets = await this.#targetStates()
    const missing = states.filter((state) => !targets.has(identityName(state.identity)) && !isUsedUp(state))
    if (missing.length > 0 && !run.dryRun) throw missingIdentities(missing)
    const records = new Map(recallHeadroom(run).map((record) => [identityName(record.identity), record]))
    const waiting = states.filter((state) => {
      const record = records.get(identityName(state.identity))
      const next = targets.get(identityName(state.identity))?.next
      return record === undefined || next === undefined || !isBeyond(next, BigInt(record.to), record.identity.increment)
    })
    const sized = this.#size(run, schema, states, waiting, records)
    refuseOverflow(sized)
    for (const { finding } of sized) if (finding !== undefined) run.emit({ event: 'finding', ...finding })
    await this.#refuseBorn(run, schema, sized, targets)
    return sized.map(({ record }) => {
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
      await this.#refuseUsed(run, state, record)
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

  /** Identities of the new host by name. */
  async #targetStates(): Promise<ReadonlyMap<string, IdentityState>> {
    const target = databaseOf(this.#world.new)
    const states = await target.identities(await target.schema())
    return new Map(states.map((state) => [identityName(state.identity), state]))
  }

  /** Sizes the headroom of those identities that wait for it, in step with all; one that was sized by this run and isn't half used keeps the record that it has. */
  #size(
    run: StepRun,
    schema: Schema,
    states: readonly IdentityState[],
    waiting: readonly IdentityState[],
    records?: ReadonlyMap<string, HeadroomRecord>,
  ): readonly Sized[] {
    const remembered = rememberedSchema.safeParse(run.recall(SNAPSHOT_IDENTITIES_KEY)).data
    const now = run.clock.now()
    const given = this.#given(schema)
    const named = states.flatMap((state): NamedHeadroom[] => {
      const rows = given(state)
      return rows === 'auto' ? [] : [{ name: identityName(state.identity), given: rows, used: valuesUsed(state) }]
    })
    return waiting
      .filter((state) => !isUsedUp(state))
      .map((state) => {
        const name = identityName(state.identity)
        const record = records?.get(name)
        if (record !== undefined && !isHalfUsed(record, state)) return { record, finding: undefined }
        const before = remembered?.positions[name]
        const rate = measureRate(
          before === undefined ? undefined : BigInt(before),
          state,
          remembered === undefined ? 0 : now - Date.parse(remembered.at),
        )
        const { from, to, reason, finding } = sizeHeadroom(name, state, given(state), rate, this.#options, named)
        const at = isoTime(now)
        return {
          record: {
            identity: state.identity,
            from: String(from),
            to: String(to),
            ratePerMinute: rate?.perMinute ?? null,
            reason,
            at,
          },
          finding,
        }
      })
  }

  /** What the playbook says of the table that an identity numbers. */
  #given(schema: Schema): (state: IdentityState) => 'auto' | number {
    const rules = rulesFor(this.#world, schema)
    const tables = new Map(schema.tables.map((table) => [fullName(table.name), table]))
    return (state) => {
      const table = tables.get(fullName(state.identity.table))
      return table === undefined ? 'auto' : rules(table).headroom
    }
  }

  /** A row that was born on the new host before its identity was raised has a number that the old host will hand out too. */
  async #refuseBorn(
    run: StepRun,
    schema: Schema,
    sized: readonly Sized[],
    targets: ReadonlyMap<string, IdentityState>,
  ): Promise<void> {
    const restored = restoredSchema.parse(run.recall(RESTORED_IDENTITIES_KEY) ?? {})
    const moved = sized.filter(({ record }) => {
      const state = targets.get(identityName(record.identity))
      const last = state === undefined || state.last === null ? null : String(state.last)
      return record.identity.column !== '' && last !== restored[identityName(record.identity)]
    })
    const numbered = new Set(moved.map(({ record }) => fullName(record.identity.table)))
    const target = databaseOf(this.#world.new)
    for (const table of schema.tables.filter((each) => numbered.has(fullName(each.name)))) {
      const rows = await bornRows(run, target, table)
      if (rows === 0) continue
      throw new MigrateError(
        'new-host-written-early',
        `${target.label} has ${formatCount(rows)} rows in ${fullName(table.name)} that were born there before its identity was raised: the old host may hand out the same numbers. No identity was moved.`,
        {
          hint: 'If they are test rows, delete them on the new host and run again. If customers wrote them, roll back and begin again.',
        },
      )
    }
  }

  async #refuseUsed(run: StepRun, state: IdentityState, record: HeadroomRecord): Promise<void> {
    if (state.last === null || !isBeyond(state.last, BigInt(record.to), record.identity.increment)) return
    const target = databaseOf(this.#world.new)
    const table = (await target.schema()).tables.find((each) => fullName(each.name) === fullName(record.identity.table))
    const rows = table === undefined || record.identity.column === '' ? 0 : await bornRows(run, target, table)
    if (rows === 0) return
    throw new MigrateError(
      'new-host-has-orders',
      `${target.label} has ${formatCount(rows)} rows in ${fullName(record.identity.table)} that were born there. Its identity was left where it is.`,
      {
        hint: 'Carry these rows to the old host first; if they are only test orders, delete them on the new host. Then roll back again.',
      },
    )
  }
}

const isHalfUsed = (record: HeadroomRecord, old: IdentityState): boolean => {
  const middle = (BigInt(record.from) + BigInt(record.to)) / 2n
  return old.last !== null && isBeyond(old.last, middle, record.identity.increment)
}

function refuseOverflow(sized: readonly Sized[]): void {
  const errors = sized.flatMap(({ finding }) => (finding?.severity === 'error' ? [finding] : []))
  if (errors.length === 0) return
  throw new MigrateError('identity-overflow', `${errors.map((finding) => finding.message).join(' ')} No identity was moved.`, {
    ...(errors[0]?.hint === undefined ? {} : { hint: errors[0].hint }),
  })
}

const usedUpFinding = (state: IdentityState): Finding => ({
  severity: 'warning',
  code: 'identity-used-up',
  message: `${identityName(state.identity)} has handed out its last value on the old host (${formatCount(state.last ?? 0n)}): neither host can add rows to it.`,
  hint: 'Nothing to do for the migration; the table needs a wider type to grow.',
})

const missingIdentities = (missing: readonly IdentityState[]): MigrateError =>
  new MigrateError(
    'identity-missing',
    `The new host lacks ${missing.map((state) => identityName(state.identity)).join(', ')}, which the old host has. No identity was moved.`,
    { hint: 'The old database got new tables since the snapshot: roll back and run again, or begin again with --fresh.' },
  )
