import type { Finding } from '../../base/errors.ts'
import { formatCount, formatDuration } from '../../base/units.ts'
import type { IdentityState } from '../schema.ts'
import { isBeyond } from './restore.ts'

/** A rate measured over less than this says too little to overrule a number that a person gave. */
const RELIABLE_MS = 60_000

export interface HeadroomOptions {
  /** How long both hosts may hand out values side by side, milliseconds. */
  readonly windowMs: number
  /** Factor on what was measured. */
  readonly safety: number
  /** Rows, at least, where the playbook gives no number for the table. */
  readonly minimum: number
}

/** Rows a minute that an identity numbered on the old host, and how long that was watched; `null` when it couldn't be. */
export interface MeasuredRate {
  readonly perMinute: number
  readonly overMs: number
}

/** An identity that the playbook gives a number for: what else the shop writes along with it grows in step. */
export interface NamedHeadroom {
  readonly name: string
  /** Rows, as the playbook says. */
  readonly given: number
  /** Values used so far on the old host. */
  readonly used: bigint
}

export interface SizedHeadroom {
  /** Where the old host stands. */
  readonly from: bigint
  /** The new host numbers beyond this. */
  readonly to: bigint
  /** Why so far, for people. */
  readonly reason: string
  /** An `error` when it can't be had, a `warning` when less or more than asked for is given. */
  readonly finding: Finding | undefined
}

/**
 * Where an identity stands: the value before the next one, or the furthest in the column if that lies further on. Not `last` alone:
 * a numbering that was started anew by hand, and not used since, is where its next value says.
 */
export function positionOf({ last, next, identity }: IdentityState): bigint {
  const before = next - BigInt(identity.increment)
  return last !== null && isBeyond(last, before, identity.increment) ? last : before
}

/**
 * The rate at which an identity was used between two looks at the old host; `before` is where it stood then, `undefined` when it
 * wasn't looked at. `null` when that or the time says nothing.
 */
export function measureRate(before: bigint | undefined, now: IdentityState, elapsedMs: number): MeasuredRate | null {
  if (before === undefined || elapsedMs <= 0) return null
  const values = (positionOf(now) - before) / BigInt(now.identity.increment)
  return { perMinute: values > 0n ? (Number(values) * 60_000) / elapsedMs : 0, overMs: elapsedMs }
}

/** Values handed out so far, as far as the numbering tells. */
export const valuesUsed = (state: IdentityState): bigint => {
  const used = (positionOf(state) - BigInt(state.identity.seed)) / BigInt(state.identity.increment) + 1n
  return used > 0n ? used : 0n
}

/** More rows for each row of the named table than this is no ratio, but a table of another kind. */
const LARGEST_RATIO = 100n

/** What the other tables' numbers mean for this one: two items for each order want twice the orders' headroom. */
function inStep(state: IdentityState, named: readonly NamedHeadroom[], safety: number): { rows: bigint; name: string } {
  let most = { rows: 0n, name: '' }
  for (const each of named) {
    const ratioLimit = each.used * LARGEST_RATIO
    const used = valuesUsed(state) < ratioLimit ? valuesUsed(state) : ratioLimit
    if (each.used === 0n) continue
    const rows = (BigInt(each.given) * used * BigInt(Math.ceil(safety)) + each.used - 1n) / each.used
    if (rows > most.rows) most = { rows, name: each.name }
  }
  return most
}

/**
 * How far an identity of the new host is raised past the old host's live value (design.md, "Data", Identities): rate × window ×
 * safety rows, at least `minimum`, and at least in step with the numbers that the playbook gives for other tables (`named`); a
 * number from the playbook counts instead, unless a reliable measurement says that it would run out.
 * Each row takes one increment. The new host must have at least one value left within the type's range.
 */
export function sizeHeadroom(
  name: string,
  old: IdentityState,
  given: 'auto' | number,
  rate: MeasuredRate | null,
  options: HeadroomOptions,
  named: readonly NamedHeadroom[] = [],
): SizedHeadroom {
  const step = BigInt(old.identity.increment)
  const from = positionOf(old)
  const limit = BigInt(step < 0n ? old.identity.minimum : old.identity.maximum)
  const room = (limit - from) / step - 1n
  const need = rate === null ? 0n : BigInt(Math.ceil((rate.perMinute * options.windowMs * options.safety) / 60_000))
  const asked =
    given === 'auto'
      ? autoRows(need, room, options, rate, inStep(old, named, options.safety))
      : givenRows(given, need, options, rate)
  const sized = { from, to: from + asked.rows * step, reason: `headroom ${formatCount(asked.rows)}: ${asked.why}` }
  if (asked.rows <= room) return { ...sized, finding: asked.short ? shortFinding(name, asked.short, asked.rows) : undefined }
  return { ...sized, finding: overflow(name, old, from, asked.rows, limit, room) }
}

interface Asked {
  readonly rows: bigint
  readonly why: string
  /** What is to be told beyond the reason. */
  readonly short: string | undefined
}

const formatRate = (rate: MeasuredRate | null): string => {
  if (rate === null) return 'no rate measured yet'
  const { perMinute } = rate
  const shown = perMinute >= 10 ? formatCount(Math.round(perMinute)) : perMinute.toFixed(perMinute > 0 && perMinute < 0.1 ? 3 : 1)
  return `measured ${shown} rows a minute`
}

function givenRows(given: number, need: bigint, { windowMs, safety }: HeadroomOptions, rate: MeasuredRate | null): Asked {
  const rows = BigInt(given)
  if (rate === null || rate.overMs < RELIABLE_MS || need <= rows) {
    return { rows, why: `given in the playbook; ${formatRate(rate)}`, short: undefined }
  }
  const why = `${formatRate(rate)} over ${formatDuration(windowMs)}, times ${safety}; the playbook's ${formatCount(rows)} would run out`
  return { rows: need, why, short: why }
}

function autoRows(
  need: bigint,
  room: bigint,
  { windowMs, safety, minimum }: HeadroomOptions,
  rate: MeasuredRate | null,
  companion: { readonly rows: bigint; readonly name: string },
): Asked {
  const least = BigInt(minimum)
  const measured = `${formatRate(rate)} over ${formatDuration(windowMs)}, times ${safety}`
  const candidates = [
    { rows: least, why: `the least that is given; ${formatRate(rate)}`, short: undefined },
    { rows: need, why: measured, short: undefined },
    { rows: companion.rows, why: `in step with the number given for ${companion.name}, times ${safety}`, short: undefined },
  ]
  const most = candidates.reduce((one, other) => (other.rows > one.rows ? other : one))
  if (most.rows <= room) return most
  // A small type with a small table (a list of states): half of what is left is plenty while the measured need is less.
  const half = room / 2n
  if (half < 1n || half < need) return most
  const why = `half of what its type has left; ${formatRate(rate)}`
  return { rows: half, why, short: why }
}

const shortFinding = (name: string, why: string, rows: bigint): Finding => ({
  severity: 'warning',
  code: 'identity-headroom-changed',
  message: `${name} gets a headroom of ${formatCount(rows)}: ${why}.`,
  hint: 'Nothing to do if that suits you; a number in the playbook (tables: … headroom) or the options window and safety change it.',
})

const overflow = (name: string, old: IdentityState, from: bigint, rows: bigint, limit: bigint, room: bigint): Finding => {
  const span = BigInt(old.identity.increment) === 1n ? '' : `, in steps of ${old.identity.increment}`
  return {
    severity: 'error',
    code: 'identity-overflow',
    message: `${name} stands at ${formatCount(from)} on the old host; a headroom of ${formatCount(rows)} rows${span} would pass ${formatCount(limit)}, where its type ends. ${formatCount(room > 0n ? room : 0n)} would fit.`,
    hint: `Give the table a smaller number in the playbook (headroom: …), or a wider type before the migration.`,
  }
}

/** True when the old host can't hand out another value either: then there is nothing to keep apart. */
export const isUsedUp = (old: IdentityState): boolean => {
  const step = BigInt(old.identity.increment)
  const limit = BigInt(step < 0n ? old.identity.minimum : old.identity.maximum)
  return isBeyond(positionOf(old) + step, limit, old.identity.increment)
}
