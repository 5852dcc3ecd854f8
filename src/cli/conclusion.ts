import { type Clock, isoTime } from '../base/clock.ts'
import { type Ending, MigrateError, messageOf } from '../base/errors.ts'
import type { Outcome } from '../run/events.ts'
import type { Display } from './display/display.ts'

const EXITS: Readonly<Record<Ending, number>> = { failed: 1, usage: 2, waiting: 3, interrupted: 130 }
const OUTCOMES: Readonly<Record<Ending, Outcome>> = {
  failed: 'failed',
  usage: 'failed',
  waiting: 'waiting',
  interrupted: 'interrupted',
}

/** An error that isn't ours is a fault in this program, and says so. */
export const asOwn = (error: unknown): MigrateError =>
  error instanceof MigrateError
    ? error
    : new MigrateError('fault', `A fault in migrate: ${messageOf(error)}`, {
        cause: error,
        hint: 'Run again with --verbose for the details, and report it. What a run did so far is in its journal.',
      })

/** Ends a command that no runner ended, with an error or without. Returns the exit code. */
export function conclude(display: Display, clock: Clock, started: number, error: MigrateError): number {
  const { code, message, hint, ending } = error
  const problems = 'problems' in error ? { problems: error.problems } : {}
  const seconds = (clock.monotonic() - started) / 1000
  display.tell(
    { time: isoTime(clock.now()), run: null, step: null, event: 'failed', seconds, code, message, hint, ...problems },
    '',
  )
  display.notice(hint === undefined ? message : `${message}\n→ ${hint}`)
  return concluded(display, clock, started, EXITS[ending], OUTCOMES[ending])
}

/** The last line of a command that no runner ended. Returns the exit code. */
export function concluded(display: Display, clock: Clock, started: number, exit = 0, outcome: Outcome = 'ok'): number {
  const seconds = (clock.monotonic() - started) / 1000
  display.tell({ time: isoTime(clock.now()), run: null, step: null, event: 'finished', outcome, exit, seconds }, '')
  return exit
}
