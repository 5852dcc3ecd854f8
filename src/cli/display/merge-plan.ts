import { reconcileChangeSchema } from '../../reconcile/plan-items.ts'
import { PlanSummary } from '../../reconcile/plan-summary.ts'
import type { RunEvent } from '../../run/events.ts'
import { summaryWords } from '../../steps/reconcile-words.ts'

/** Rows of one kind that a merge's plan names, unless everything is wanted. */
const NAMED = 12

/** A merge's plan comes in batches, each for one transaction; it is told table by table. */
export class MergePlan {
  readonly #examples: number
  #step: string | null = null
  #plan: PlanSummary

  constructor(verbose: boolean) {
    this.#examples = verbose ? Number.POSITIVE_INFINITY : NAMED
    this.#plan = new PlanSummary(this.#examples)
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
    this.#plan.add(merge.data)
    return true
  }

  /** What was gathered, in lines; afterwards there is nothing. */
  take(): readonly string[] {
    const lines = summaryWords(this.#plan)
    this.#step = null
    this.#plan = new PlanSummary(this.#examples)
    return lines
  }
}
