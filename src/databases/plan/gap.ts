import type { Identity, IdentityState } from '../schema.ts'
import { positionOf } from './headroom.ts'
import { isBeyond } from './restore.ts'

/** One of the two hosts, as everywhere. */
export type Side = 'old' | 'new'

/**
 * An identity of one host moved past the other host's: from then on the other one is behind, and has the room from `from` to `to`
 * before it meets what the moved one hands out.
 */
export interface Leap {
  readonly moved: Side
  /** Where the other host stood, decimal text. */
  readonly from: string
  /** The moved host numbers beyond this value. */
  readonly to: string
}

/** Where one host is to be moved: it numbers beyond `to`, `from` being where the other one stands. */
export interface Move {
  readonly moved: Side
  readonly from: bigint
  readonly to: bigint
}

export const otherSide = (side: Side): Side => (side === 'old' ? 'new' : 'old')

/** The room that the host behind has left before its numbers are those that the other one gave. */
export interface Gap {
  readonly behind: Side
  readonly from: bigint
  readonly to: bigint
}

/** Where an identity stands on both hosts; a host that can't be asked is absent. */
export interface BothStates {
  readonly old?: IdentityState | undefined
  readonly new?: IdentityState | undefined
}

/** A leap counts once the server says that it happened: the journal alone is no proof (law 2). */
export const happened = (leap: Leap, identity: Identity, states: BothStates): boolean => {
  const state = states[leap.moved]
  return state === undefined || isBeyond(state.next, BigInt(leap.to), identity.increment)
}

/** The gap that counts now: that of the last leap which happened, or the one that the new host's raise left the old one. */
export function gapOf(
  record: {
    readonly identity: Identity
    readonly from: string
    readonly to: string
    readonly leaps?: readonly Leap[] | undefined
  },
  states: BothStates,
): Gap {
  const last = record.leaps?.findLast((leap) => happened(leap, record.identity, states))
  if (last === undefined) return { behind: 'old', from: BigInt(record.from), to: BigInt(record.to) }
  return { behind: otherSide(last.moved), from: BigInt(last.from), to: BigInt(last.to) }
}

/**
 * Where the host behind stands in its gap. On the old host the furthest row counts; on the new one only what it numbered itself, since
 * rows with the old host's numbers are carried there.
 */
export function placeIn(gap: Gap, state: IdentityState | undefined): bigint {
  if (state === undefined) return gap.from
  return gap.behind === 'old' ? (state.last ?? gap.from) : state.next - BigInt(state.identity.increment)
}

/** Values, counted in the direction of the increment. */
export interface GapUse {
  readonly size: bigint
  readonly used: bigint
  /** Negative when the host behind has gone past its end. */
  readonly left: bigint
}

export function useOf(gap: Gap, increment: string, state: IdentityState | undefined): GapUse {
  const sign = BigInt(increment) < 0n ? -1n : 1n
  const size = (gap.to - gap.from) * sign
  const gone = (placeIn(gap, state) - gap.from) * sign
  const used = gone < 0n ? 0n : gone
  return { size, used, left: size - used }
}

/**
 * How far the identity of one host is moved past the other's: beyond `ahead`'s position by `rows`, or by half of what its type has
 * left where that is less. `undefined` when nothing is left.
 */
export function leapTarget(ahead: IdentityState, rows: bigint): { readonly from: bigint; readonly to: bigint } | undefined {
  const step = BigInt(ahead.identity.increment)
  const from = positionOf(ahead)
  const limit = BigInt(step < 0n ? ahead.identity.minimum : ahead.identity.maximum)
  const half = ((limit - from) / step - 1n) / 2n
  const taken = rows < half ? rows : half
  return taken < 1n ? undefined : { from, to: from + taken * step }
}

/** Share of a gap, in percent, that is never left to chance. */
const RESERVE_PERCENT = 5n

/** How fast the host behind goes on, in rows a minute; `null` before that was seen. */
export interface Pace {
  /** The fastest between two of the newest looks. */
  readonly peak: number | null
  /** On average over at least a minute: what the next hour is foretold by. */
  readonly steady: number | null
}

export interface LeapRules {
  /** Numbers that may go at once; one when absent. */
  readonly batch?: bigint
  /** What would be used up within this time is left behind beforehand, milliseconds. */
  readonly aheadMs: number
  /** Until the next look can have had an effect, milliseconds. */
  readonly reactionMs: number
}

/** Milliseconds until the gap is used up; infinite for one that isn't being used. An increment takes several values a row. */
export function timeLeft({ left }: GapUse, increment: string, perMinute: number | null): number {
  if (perMinute === null || perMinute <= 0) return Number.POSITIVE_INFINITY
  const rows = left / magnitude(increment)
  return rows <= 0n ? 0 : (Number(rows) / perMinute) * 60_000
}

const magnitude = (increment: string): bigint => {
  const step = BigInt(increment)
  return step < 0n ? -step : step
}

/**
 * True when the host behind must be moved past the other one now: little is left, or at its fastest it would be at the end before
 * another look could help, or, as it goes on steadily, within `aheadMs`.
 */
export function isLeapDue(use: GapUse, increment: string, pace: Pace, rules: LeapRules): boolean {
  if (use.used === 0n && use.left > 0n) return false
  if (use.left <= magnitude(increment) * (rules.batch ?? 1n) || use.left * 100n <= use.size * RESERVE_PERCENT) return true
  return timeLeft(use, increment, pace.peak) <= rules.reactionMs || timeLeft(use, increment, pace.steady) <= rules.aheadMs
}
