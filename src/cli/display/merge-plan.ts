import { type ReconcileChange, reconcileChangeSchema } from '../../reconcile/plan-items.ts'
import type { RunEvent } from '../../run/events.ts'
import { planWords } from '../../steps/reconcile-words.ts'

/** Rows of one kind that a merge's plan names, unless everything is wanted. */
const NAMED = 12

/** A merge's plan comes in batches, each for one transaction; it is told table by table. */
export class MergePlan {
  readonly #verbose: boolean
  #step: string | null = null
  #changes: ReconcileChange[] = []

  constructor(verbose: boolean) {
    this.#verbose = verbose
  }

  /** The step whose plan is being gathered. */
  get step(): string | null {
    return this.#step
  }

  /** True when the change belongs to a merge and was taken in. */
  add(event: Extract<RunEvent, { readonly event: 'change' }>): boolean {
    const merge = event.phase === 'planned' ? reconcileChangeSchema.safeParse(event.change) : undefined
    if (merge?.success !== true) return false
    this.#step = event.step
    this.#changes.push(merge.data)
    return true
  }

  /** What was gathered, in lines; afterwards there is nothing. */
  take(): readonly string[] {
    const lines = planWords(this.#changes, this.#verbose ? Number.POSITIVE_INFINITY : NAMED)
    this.#step = null
    this.#changes = []
    return lines
  }
}
