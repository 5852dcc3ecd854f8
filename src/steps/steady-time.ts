import type { Clock } from '../base/clock.ts'
import { formatDuration } from '../base/units.ts'

/** Set by so little, a wall clock was only kept right. */
const JUMP_MS = 5000

/** Milliseconds since 1970 as the wall clock had it at the beginning, and from there on by the monotonic one: nobody can set it. */
export class SteadyTime {
  readonly #clock: Clock
  #ahead: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#ahead = clock.now() - clock.monotonic()
  }

  now(): number {
    return this.#clock.monotonic() + this.#ahead
  }

  /** By how much the wall clock was set since this was last asked; 0 when it wasn't. From here on, times are as it has them now. */
  takeJump(): number {
    const jump = this.#clock.now() - this.now()
    this.#ahead += jump
    return Math.abs(jump) < JUMP_MS ? 0 : jump
  }
}

/** When what was stamped was, by the monotonic clock of this process. */
const stamps = new WeakMap<Clock, Map<number, number>>()

/** The wall clock's time, for the run's memory. In this process `asOfNow` knows what it meant, even if somebody sets the clock. */
export function stamp(clock: Clock): number {
  const at = clock.now()
  const known = stamps.get(clock) ?? new Map<number, number>()
  stamps.set(clock, known.set(at, clock.monotonic()))
  return at
}

/**
 * A time that was stamped, as the wall clock would name it now: so that what is measured since goes by a clock that nobody can set. Of
 * another process's time there is only the wall clock's word.
 */
export function asOfNow(clock: Clock, at: number): { readonly at: number; readonly jumpMs: number } {
  const then = stamps.get(clock)?.get(at)
  if (then === undefined) return { at, jumpMs: 0 }
  const renamed = clock.now() - (clock.monotonic() - then)
  const jump = renamed - at
  return Math.abs(jump) < JUMP_MS ? { at, jumpMs: 0 } : { at: renamed, jumpMs: jump }
}

/** `during`: "during the watch"; `measured`: what goes on as before. */
export const clockJumped = (jumpMs: number, during: string, measured: string) =>
  ({
    severity: 'warning',
    code: 'clock-jumped',
    message: `This machine's clock was set ${jumpMs > 0 ? 'forward' : 'back'} by ${formatDuration(Math.abs(jumpMs))} ${during}, or it slept. ${measured} is measured by a clock that can't be set: it goes on as before.`,
    hint: 'Times in the log before and after this moment differ by that much. Let the machine keep its time by NTP.',
  }) as const
