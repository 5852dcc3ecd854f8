import { z } from 'zod'
import { isoTime } from '../base/clock.ts'
import { type Finding, MigrateError } from '../base/errors.ts'
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
import type { StepRun } from '../run/step.ts'
import { type HeadroomRecord, identityName } from './headroom.ts'
import { rulesFor } from './rules.ts'
import { SNAPSHOT_IDENTITIES_KEY } from './snapshot-database.ts'
import type { World } from './world.ts'

const rememberedSchema = z.object({ at: z.string(), positions: z.record(z.string(), z.string()) })

/** The old host's identities, and what their headroom depends on. */
export interface Sizing {
  readonly world: World
  readonly options: HeadroomOptions
  readonly schema: Schema
  /** All of them: those with a number in the playbook say how far the others go. */
  readonly states: readonly IdentityState[]
}

/** What is to be done about one identity of the old host. */
export interface Sized {
  readonly record: HeadroomRecord
  readonly finding: Finding | undefined
}

/**
 * Sizes the headroom of those identities that wait for it, in step with all; one that was sized by this run and isn't half used
 * keeps the record that it has.
 */
export function sizeWaiting(
  { world, options, schema, states }: Sizing,
  waiting: readonly IdentityState[],
  run: StepRun,
  records?: ReadonlyMap<string, HeadroomRecord>,
): readonly Sized[] {
  const remembered = rememberedSchema.safeParse(run.recall(SNAPSHOT_IDENTITIES_KEY)).data
  const now = run.clock.now()
  const elapsedMs = remembered === undefined ? 0 : now - Date.parse(remembered.at)
  const given = givenBy(world, schema)
  const named = states.flatMap((state): NamedHeadroom[] => {
    const rows = given(state)
    return rows === 'auto' ? [] : [{ name: identityName(state.identity), given: rows, used: valuesUsed(state) }]
  })
  return waiting
    .filter((state) => !isUsedUp(state))
    .map((state) => {
      const { identity } = state
      const name = identityName(identity)
      const record = records?.get(name)
      if (record !== undefined && !isHalfUsed(record, state)) return { record, finding: undefined }
      const before = remembered?.positions[name]
      const rate = measureRate(before === undefined ? undefined : BigInt(before), state, elapsedMs)
      const { from, to, reason, finding } = sizeHeadroom(name, state, given(state), rate, options, named)
      const ratePerMinute = rate?.perMinute ?? null
      return { record: { identity, from: String(from), to: String(to), ratePerMinute, reason, at: isoTime(now) }, finding }
    })
}

/** What the playbook says of the table that an identity numbers. */
function givenBy(world: World, schema: Schema): (state: IdentityState) => 'auto' | number {
  const rules = rulesFor(world, schema)
  const tables = new Map(schema.tables.map((table) => [fullName(table.name), table]))
  return (state) => {
    const table = tables.get(fullName(state.identity.table))
    return table === undefined ? 'auto' : rules(table).headroom
  }
}

const isHalfUsed = (record: HeadroomRecord, old: IdentityState): boolean => {
  const middle = (BigInt(record.from) + BigInt(record.to)) / 2n
  return old.last !== null && isBeyond(old.last, middle, record.identity.increment)
}

/** Throws `identity-overflow` when a headroom can't be had; names all that can't. */
export function refuseOverflow(sized: readonly Sized[]): void {
  const errors = sized.flatMap(({ finding }) => (finding?.severity === 'error' ? [finding] : []))
  if (errors.length === 0) return
  throw new MigrateError('identity-overflow', `${errors.map((finding) => finding.message).join(' ')} No identity was moved.`, {
    ...(errors[0]?.hint === undefined ? {} : { hint: errors[0].hint }),
  })
}
