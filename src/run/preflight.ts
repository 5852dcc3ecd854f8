import type { Finding } from '../base/errors.ts'
import { asMigrateError } from './failures.ts'
import { findingFields, type Session } from './session.ts'
import type { Step } from './step.ts'
import { within } from './stopping.ts'

export interface PreflightHooks {
  /** Looks who would be told of what. */
  readonly checkHooks?: (signal: AbortSignal) => Promise<readonly Finding[]>
  /** Hears which step is asked next: with far hosts that takes a while. */
  readonly checking?: (step: Step) => void
}

export interface PreflightStops {
  readonly signal: AbortSignal
  readonly abort: AbortSignal
}

/**
 * Asks every step for its preconditions and reports all that was found, in the order of the steps. A check that throws is one finding
 * among the others. Returns the findings of each step. Writes nothing but the findings themselves. Throws only when told to stop.
 */
export async function preflight(
  session: Session,
  steps: readonly Step[],
  stops: PreflightStops,
  { checkHooks = async () => [], checking = () => undefined }: PreflightHooks = {},
): Promise<ReadonlyMap<string, readonly Finding[]>> {
  const found = new Map<string, readonly Finding[]>()
  const told = new Set<string>()
  const checks = new Checks(session, stops)
  for (const finding of await checkHooks(stops.signal)) session.emit(null, { event: 'finding', ...findingFields(finding) })
  for (const [at, step] of steps.entries()) {
    checking(step)
    const findings = [...(await checks.of(step, steps[at + 1])), ...noWayBack(step)]
    for (const finding of findings) {
      // Several steps may need the same thing; it is told once.
      const text = `${finding.code} ${finding.message}`
      if (!told.has(text)) session.emit(step.id, { event: 'finding', ...findingFields(finding) })
      told.add(text)
    }
    found.set(step.id, findings)
  }
  return found
}

/** The checks of one round. A step that follows the one before it asks the other host, mostly: that is done meanwhile. */
class Checks {
  readonly #session: Session
  readonly #stops: PreflightStops
  readonly #round = {}
  readonly #begun = new Map<Step, Promise<readonly Finding[]>>()

  constructor(session: Session, stops: PreflightStops) {
    this.#session = session
    this.#stops = stops
  }

  /** What a step's check finds; that of the `next` one is begun beside it where it follows this one. */
  async of(step: Step, next: Step | undefined): Promise<readonly Finding[]> {
    const asked = this.#begin(step)
    const beside = next !== undefined && next.follows === step.id ? [this.#begin(next)] : []
    // Of the next one's nothing is told before its turn; but when it's told to stop, both have ended.
    await Promise.allSettled([asked, ...beside])
    return await asked
  }

  #begin(step: Step): Promise<readonly Finding[]> {
    const begun = this.#begun.get(step) ?? checkStep(this.#session, step, this.#stops, this.#round)
    this.#begun.set(step, begun)
    return begun
  }
}

async function checkStep(session: Session, step: Step, stops: PreflightStops, round: object): Promise<readonly Finding[]> {
  try {
    const findings = await within(session.clock, stops, { ms: undefined, what: `the check of "${step.title}"` }, (signal) =>
      step.check(session.lend(step, signal, 'read', round)),
    )
    // A check reports what it couldn't find out as a finding; when it was told to stop, that says nothing of the host.
    stops.signal.throwIfAborted()
    return findings
  } catch (thrown) {
    if (stops.signal.aborted) throw thrown
    const { code, message, hint } = asMigrateError(thrown)
    return [{ severity: 'error', code, message, hint }]
  }
}

/** A point of no return is said beforehand. */
const noWayBack = (step: Step): readonly Finding[] =>
  step.undo !== undefined
    ? []
    : [
        {
          severity: 'info',
          code: 'no-way-back',
          message: `"${step.title}" (${step.id}) can’t be taken back by migrate rollback.`,
        },
      ]
