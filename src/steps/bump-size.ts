import { isoTime } from '../base/clock.ts'
import { type Finding, MigrateError } from '../base/errors.ts'
import {
  type Course,
  type HeadroomOptions,
  isUsedUp,
  measureRate,
  type NamedHeadroom,
  sizeHeadroom,
  valuesUsed,
} from '../databases/plan/headroom.ts'
import { isBeyond } from '../databases/plan/restore.ts'
import { fullName, type IdentityState, type Layout } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { type HeadroomRecord, identityName, numberingKey } from './headroom.ts'
import { rulesFor } from './rules.ts'
import type { World } from './world.ts'

/** The old host's identities, and what their headroom depends on. */
export interface Sizing {
  readonly world: World
  readonly options: HeadroomOptions
  readonly schema: Layout
  /** All of them: those with a number in the playbook say how far the others go. */
  readonly states: readonly IdentityState[]
  /** What was seen of each on the old host so far, by name. */
  readonly course: (name: string) => Course | undefined
}

/** What is to be done about one identity of the old host. */
export interface Sized {
  readonly record: HeadroomRecord
  readonly finding: Finding | undefined
}

/**
 * Sizes the headroom of those identities that wait for it, in step with all; one that was sized by this run and isn't half used
 * keeps the record that it has. Columns that share a sequence get one headroom together.
 */
export function sizeWaiting(
  { world, options, schema, states, course }: Sizing,
  waiting: readonly IdentityState[],
  run: StepRun,
  records?: ReadonlyMap<string, HeadroomRecord>,
): readonly Sized[] {
  const now = run.clock.now()
  const given = givenBy(world, schema)
  const named = states.flatMap((state): NamedHeadroom[] => {
    const rows = given(state)
    return rows === 'auto' ? [] : [{ name: identityName(state.identity), given: rows, used: valuesUsed(state) }]
  })
  const sharing = Map.groupBy(states, ({ identity }) => numberingKey(identity))
  return waiting
    .filter((state) => !isUsedUp(state))
    .map((state) => {
      const { identity } = state
      const record = records?.get(identityName(identity))
      if (record !== undefined && !isHalfUsed(record, state)) return { record, finding: undefined }
      const together = sharing.get(numberingKey(identity)) ?? [state]
      const name = together.map((each) => identityName(each.identity)).join(' and ')
      const rate = measureRate(course(identityName(identity)), state, now)
      const wanted = givenTogether(together.map(given), options.minimum)
      const { from, to, reason, finding } = sizeHeadroom(name, state, wanted, rate, options, named)
      const shared = together.length > 1 ? `; one sequence numbers ${name}` : ''
      const ratePerMinute = rate?.perMinute ?? null
      return {
        record: { identity, from: String(from), to: String(to), ratePerMinute, reason: `${reason}${shared}`, at: isoTime(now) },
        // Told once for all that share it.
        finding: together[0] === state ? finding : undefined,
      }
    })
}

/** The number for one sequence that numbers several tables: what each of them is to have, together. */
function givenTogether(given: readonly ('auto' | number)[], minimum: number): 'auto' | number {
  if (given.every((each) => each === 'auto')) return 'auto'
  return given.reduce<number>((sum, each) => sum + (each === 'auto' ? minimum : each), 0)
}

/** What the playbook says of the table that an identity numbers. */
function givenBy(world: World, schema: Layout): (state: IdentityState) => 'auto' | number {
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
