import { MigrateError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Sequence, Step } from './step.ts'

export interface Selection {
  readonly from?: string | undefined
  readonly until?: string | undefined
  readonly only?: string | undefined
}

/** The steps that a selection leaves, groups kept. Throws a usage error for an unknown step, naming the nearest. */
export function selectSteps(sequence: Sequence, selection: Selection): Sequence {
  const { from, until, only } = selection
  if (only !== undefined && (from !== undefined || until !== undefined)) {
    throw usage(
      'selection-contradicts',
      '--only stands alone: it can’t be combined with --from or --until.',
      'Leave one of them out.',
    )
  }
  const steps = sequence.flat()
  const first = only ?? from
  const last = only ?? until
  const start = first === undefined ? 0 : positionOf(steps, first)
  const end = last === undefined ? steps.length - 1 : positionOf(steps, last)
  if (start > end) {
    throw usage('selection-empty', `The step ${last} comes before ${first}: nothing would run.`, 'Exchange --from and --until.')
  }
  const chosen = new Set(steps.slice(start, end + 1))
  return sequence.map((group) => group.filter((step) => chosen.has(step))).filter((group) => group.length > 0)
}

function positionOf(steps: readonly Step[], id: string): number {
  const position = steps.findIndex((step) => step.id === id)
  if (position !== -1) return position
  const ids = steps.map((step) => step.id)
  const near = nearest(id, ids)
  throw usage(
    'step-unknown',
    `The playbook has no step "${id}".`,
    near === undefined ? `Its steps are: ${ids.join(', ')}.` : `Did you mean "${near}"? Its steps are: ${ids.join(', ')}.`,
  )
}

const usage = (code: string, message: string, hint: string): MigrateError =>
  new MigrateError(code, message, { hint, ending: 'usage' })
