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

/** Ends a command that no runner ended: `finished` is the last line, whatever happened. Returns the exit code. */
export function conclude(display: Display, clock: Clock, started: number, error: MigrateError | undefined): number {
  const seconds = (clock.monotonic() - started) / 1000
  const stamp = { time: isoTime(clock.now()), run: null, step: null } as const
  if (error) {
    const { code, message, hint } = error
    const problems = 'problems' in error ? { problems: error.problems } : {}
    display.tell(
      { ...stamp, event: 'failed', seconds, code, message, hint, ...problems },
      hint === undefined ? message : `${message}\n→ ${hint}`,
    )
  }
  const exit = error === undefined ? 0 : EXITS[error.ending]
  const outcome = error === undefined ? 'ok' : OUTCOMES[error.ending]
  display.tell({ ...stamp, event: 'finished', outcome, exit, seconds }, '')
  return exit
}
