import type { Outcome } from './events.ts'
import { type GoingBack, goingBackOf } from './going-back.ts'
import type { Failure, StepStatus } from './history.ts'
import { readHistory } from './state.ts'
import type { Phase } from './step.ts'

export interface StepSummary {
  readonly id: string
  readonly title: string
  readonly phase: Phase
  readonly undoable: boolean
  readonly status: StepStatus
  readonly begun: number
  readonly applied: number
  readonly undone: number
}

/** Where a run stands, from its journal alone. */
export type Status =
  | { readonly state: 'none' }
  | {
      readonly state: 'run'
      readonly run: string
      readonly playbook: string
      /** What the run is bound to, besides its playbook. */
      readonly endpoints: Readonly<Record<string, string>>
      /** ISO 8601. */
      readonly startedAt: string
      /** How the last process ended; `null` while one works, or when it died. */
      readonly outcome: Outcome | null
      readonly endedAt: string | null
      readonly rollback: 'none' | 'unfinished' | 'complete'
      readonly steps: readonly StepSummary[]
      readonly failure: Failure | null
      /** The first step that hasn't finished; `null` when all have. */
      readonly next: string | null
      /** Customers may be on the new host. */
      readonly cutOver: boolean
      /** What was decided when the new host failed after the cutover; `null` when nothing was. */
      readonly goingBack: GoingBack | null
      /** Changes that `migrate rollback` would take back, and those that it can't. */
      readonly wayBack: { readonly undoable: number; readonly remaining: readonly string[] }
      /** The journal's last line was cut off by a crash. */
      readonly torn: boolean
    }

/** Reads the journal of a state directory: no lock, no connection. Throws `journal-damaged`. */
export async function readStatus(directory: string): Promise<Status> {
  const { history, end } = await readHistory(directory)
  const run = history.run
  if (run === undefined) return { state: 'none' }
  const changes = history.changes
  const steps = run.steps.map((step): StepSummary => {
    const own = changes.filter((change) => change.step === step.id)
    const count = (state: 'begun' | 'applied' | 'undone'): number => own.filter((change) => change.state === state).length
    return {
      ...step,
      status: history.statusOf(step.id),
      begun: own.length,
      applied: count('applied'),
      undone: count('undone'),
    }
  })
  const standing = changes.filter((change) => change.state !== 'undone')
  return {
    state: 'run',
    run: run.id,
    playbook: run.playbook,
    endpoints: run.binding.endpoints,
    startedAt: run.startedAt,
    outcome: history.outcome ?? null,
    endedAt: history.endedAt ?? null,
    rollback: history.rolledBack ? 'complete' : history.rollingBack ? 'unfinished' : 'none',
    steps,
    failure: history.failure ?? null,
    next: steps.find((step) => step.status !== 'finished')?.id ?? null,
    cutOver: history.cutOver,
    goingBack: goingBackOf(history) ?? null,
    wayBack: {
      undoable: standing.filter((change) => change.undoable && !change.redacted).length,
      remaining: standing.filter((change) => !change.undoable || change.redacted).map((change) => change.summary),
    },
    torn: (end?.tornBytes ?? 0) > 0,
  }
}
