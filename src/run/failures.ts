import { type Ending, type Finding, MigrateError, messageOf } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { Outcome } from './events.ts'

/** Anything thrown, as an error with a code and, if nobody gave one, a hint. */
export function asMigrateError(error: unknown): MigrateError {
  if (error instanceof MigrateError) return error
  return new MigrateError('unexpected', `Something unforeseen happened: ${messageOf(error)}`, {
    cause: error,
    hint: 'Everything done so far is in the journal. Run again to resume; with --verbose for the details.',
  })
}

/** A step's word that the run ends here, for those beside it too: they are told to stop, whatever its `ending`. */
export class RunEnding extends MigrateError {}

/** A failure that all tries are used up for: it stands for itself, whatever else was going on. */
export function asFinal(thrown: unknown): MigrateError {
  const { code, message, hint, ending, retrySafe } = asMigrateError(thrown)
  if (!retrySafe) return asMigrateError(thrown)
  return new MigrateError(code, message, { ending, cause: thrown, ...(hint === undefined ? {} : { hint }) })
}

/**
 * What a list of findings amounts to: its first error, with word of the others; `undefined` when none is an error. It ends as
 * wrong usage only when nothing else is wrong.
 */
export function errorAmong(findings: readonly Finding[]): MigrateError | undefined {
  const errors = findings.filter((finding) => finding.severity === 'error')
  const first = errors[0]
  if (first === undefined) return undefined
  // Several steps may have found the same; it is told once.
  const others = new Set(errors.map((error) => `${error.code} ${error.message}`)).size - 1
  const more = others === 0 ? '' : ` (and ${formatCount(others)} more, see above)`
  const ending = errors.every((error) => error.ending === first.ending) ? (first.ending ?? 'failed') : 'failed'
  return new MigrateError(first.code, `${first.message}${more}`, {
    ending,
    ...(first.hint === undefined ? {} : { hint: first.hint }),
  })
}

const OUTCOME_OF: Readonly<Record<Ending, Outcome>> = {
  failed: 'failed',
  usage: 'failed',
  waiting: 'waiting',
  interrupted: 'interrupted',
}
const EXIT_OF: Readonly<Record<Ending, number>> = { failed: 1, usage: 2, waiting: 3, interrupted: 130 }

/** How a run ends, and with which exit code (playbook.md, "exit code"). */
export interface Verdict {
  readonly outcome: Outcome
  readonly exit: number
}

export const OK: Verdict = { outcome: 'ok', exit: 0 }
export const PARKED: Verdict = { outcome: 'parked', exit: 3 }
export const FAILED: Verdict = { outcome: 'failed', exit: 1 }
export const INTERRUPTED: Verdict = { outcome: 'interrupted', exit: 130 }

export const verdictOf = (error: MigrateError): Verdict => ({ outcome: OUTCOME_OF[error.ending], exit: EXIT_OF[error.ending] })

export const interruptedError = (): MigrateError =>
  new MigrateError('interrupted', 'Stopped at a safe point, as asked.', { ending: 'interrupted', hint: 'Run again to resume.' })
