import type { Finding } from '../../base/errors.ts'
import { formatCount, formatDuration } from '../../base/units.ts'
import type { Identity, IdentityState } from '../schema.ts'
import { isBeyond } from './restore.ts'

/** What was measured over less than this is a glance. Milliseconds. */
export const RELIABLE_MS = 60_000

export interface HeadroomOptions {
  /** How long both hosts may hand out values side by side, milliseconds. */
  readonly windowMs: number
  /** Factor on what was measured. */
  readonly safety: number
  /** Rows, at least, where the playbook gives no number for the table. */
  readonly minimum: number
  /** Restarts of the old host's server to reckon with: each may skip the identity's `jump`. One when absent. */
  readonly restarts?: number
}

/** Rows a minute that an identity numbered on the old host, at its peak, and how long it was watched. */
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

/** Rows a minute between two positions; 0 for a numbering that was set back meanwhile. */
export function perMinute(before: bigint, now: bigint, increment: string, elapsedMs: number): number {
  const values = (now - before) / BigInt(increment)
  return values > 0n ? (Number(values) * 60_000) / elapsedMs : 0
}

/** What was seen of an identity on the old host since the snapshot began. Times are milliseconds since 1970. */
export interface Course {
  readonly first: { readonly at: number; readonly position: bigint }
  /** The newest look before now. */
  readonly last: { readonly at: number; readonly position: bigint }
  /** The most rows a minute between two looks that lie at least a minute apart; 0 when there were none. */
  readonly peak: number
}

/**
 * The rate at which an identity was used at its peak: over the whole time, in the busiest stretch between two looks, and since the
 * last look. Stretches of less than a minute count only when there is nothing longer. `null` when it wasn't looked at before.
 */
export function measureRate(course: Course | undefined, now: IdentityState, nowMs: number): MeasuredRate | null {
  if (course === undefined || nowMs <= course.first.at) return null
  const { first, last, peak } = course
  const position = positionOf(now)
  const since = (look: Course['first']): number => perMinute(look.position, position, now.identity.increment, nowMs - look.at)
  const recent = nowMs - last.at >= RELIABLE_MS ? since(last) : 0
  return { perMinute: Math.max(since(first), peak, recent), overMs: nowMs - first.at }
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
  const jump = BigInt(old.identity.jump ?? '0') * BigInt(options.restarts ?? 1)
  const asked =
    given === 'auto'
      ? autoRows({ need, room, jump, batch: batchOf(old.identity) }, options, rate, inStep(old, named, options.safety))
      : givenRows(given, { need, jump }, options, rate)
  const sized = { from, to: from + asked.rows * step, reason: `headroom ${formatCount(asked.rows)}: ${asked.why}` }
  if (asked.rows <= room) {
    if (asked.short !== undefined) return { ...sized, finding: shortFinding(name, asked.short, asked.rows) }
    if (given === 'auto') return { ...sized, finding: undefined }
    const wants = { need: reliable(rate) ? need : 0n, jump }
    return { ...sized, finding: jumpFinding(name, given, wants) ?? batchFinding(name, given, batchOf(old.identity), options) }
  }
  return { ...sized, finding: overflow(name, old, from, asked.rows, limit, room) }
}

/** Numbers that go at once where one is asked for. */
export const batchOf = ({ batch }: Identity): bigint => BigInt(batch ?? '1')

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

interface Wants {
  /** Rows that the measured rate wants. */
  readonly need: bigint
  /** Rows that restarts may skip. */
  readonly jump: bigint
}

/** A rate measured over less than a minute says too little to overrule a number that a person gave. */
const reliable = (rate: MeasuredRate | null): boolean => rate !== null && rate.overMs >= RELIABLE_MS

function givenRows(given: number, wants: Wants, { windowMs, safety }: HeadroomOptions, rate: MeasuredRate | null): Asked {
  const rows = BigInt(given)
  if (!reliable(rate) || wants.need <= rows) {
    return { rows, why: `given in the playbook; ${formatRate(rate)}`, short: undefined }
  }
  const measured = `${formatRate(rate)} over ${formatDuration(windowMs)}, times ${safety}${plusJump(wants.jump)}`
  const why = `${measured}; the playbook's ${formatCount(rows)} would run out`
  return { rows: wants.need + wants.jump, why, short: why }
}

const inBatches = (batch: bigint): string =>
  batch === 1n ? '' : ` (each connection takes ${formatCount(batch)} numbers at once, CACHE)`

const plusJump = (jump: bigint): string => (jump === 0n ? '' : `, plus ${formatCount(jump)} that a restart may skip`)

function autoRows(
  { need, room, jump, batch }: Wants & { readonly room: bigint; readonly batch: bigint },
  { windowMs, safety, minimum }: HeadroomOptions,
  rate: MeasuredRate | null,
  companion: { readonly rows: bigint; readonly name: string },
): Asked {
  const candidates = [
    { rows: BigInt(minimum) * batch, why: `the least that is given${inBatches(batch)}${plusJump(jump)}; ${formatRate(rate)}` },
    { rows: need, why: `${formatRate(rate)} over ${formatDuration(windowMs)}, times ${safety}${plusJump(jump)}` },
    { rows: companion.rows, why: `in step with the number given for ${companion.name}, times ${safety}${plusJump(jump)}` },
  ]
  const most = candidates.reduce((one, other) => (other.rows > one.rows ? other : one))
  const asked = { rows: most.rows + jump, why: most.why, short: undefined }
  if (asked.rows <= room) return asked
  // A small type with a small table (a list of states): half of what is left is plenty while the measured need is less.
  const half = room / 2n
  const rows = half >= need ? half : need
  if (rows < 1n || rows > room) return asked
  const why = `${rows === half ? 'half of what its type has left' : `all that the rate wants, and nothing for the ${formatCount(jump)} that a restart may skip`}; ${formatRate(rate)}`
  return { rows, why, short: why }
}

/** A number that a person gave stays; that one restart may skip more than it is for the person to know. */
function jumpFinding(name: string, given: number, { need, jump }: Wants): Finding | undefined {
  if (jump === 0n || need + jump <= BigInt(given)) return undefined
  return {
    severity: 'warning',
    code: 'headroom-less-than-jump',
    message: `${name} gets the ${formatCount(given)} that the playbook gives; a restart of the old host's server may skip ${formatCount(jump)} numbers at once${need === 0n ? '' : `, and ${formatCount(need)} are wanted besides`}: after one, both hosts would hand out the same numbers.`,
    hint: `Give it headroom: ${need + jump + BigInt(given)} or more, or see to it that nobody restarts the old database server meanwhile.`,
  }
}

/** So few connections use up what a person gave where each takes many numbers at once. */
function batchFinding(name: string, given: number, batch: bigint, { minimum }: HeadroomOptions): Finding | undefined {
  const connections = BigInt(given) / batch
  if (batch === 1n || connections >= BigInt(minimum)) return undefined
  return {
    severity: 'warning',
    code: 'headroom-less-than-cache',
    message: `${name} gets the ${formatCount(given)} that the playbook gives; each connection of the shop takes ${formatCount(batch)} numbers at once (CACHE), however few rows it writes: ${formatCount(connections)} ${connections === 1n ? 'connection uses' : 'connections use'} it up.`,
    hint: `Give it headroom: ${BigInt(minimum) * batch} or more.`,
  }
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

/** An identity that has used more of its type than this share is near its end. */
const NEAR_ITS_END = [4n, 5n] as const

/**
 * Tells of an identity that has used most of its type, long before it stops: what the headroom takes is lost to it. `to` is what the
 * new host numbers beyond.
 */
export function nearItsEnd(name: string, old: IdentityState, to: bigint): Finding | undefined {
  const step = BigInt(old.identity.increment)
  const limit = BigInt(step < 0n ? old.identity.minimum : old.identity.maximum)
  const all = (limit - BigInt(old.identity.seed)) / step + 1n
  const left = (limit - to) / step
  if (valuesUsed(old) * NEAR_ITS_END[1] < all * NEAR_ITS_END[0] || left < 0n) return undefined
  return {
    severity: 'warning',
    code: 'identity-near-its-end',
    message: `${name} stands at ${formatCount(positionOf(old))}; its type or sequence ends at ${formatCount(limit)}. Beyond the headroom the new host has ${formatCount(left)} numbers left.`,
    hint: 'Give it a wider type (bigint) soon; that is easier before the migration than after it.',
  }
}
