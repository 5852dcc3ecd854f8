import { MigrateError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import type { Sequence, Step } from './step.ts'

export interface Selection {
  readonly from?: string | undefined
  readonly until?: string | undefined
  /** One step, or several. */
  readonly only?: string | readonly string[] | undefined
}

/** Ids of the steps that the person named. */
export const namedSteps = ({ from, only }: Selection): readonly string[] =>
  [from, only].flat().filter((id): id is string => id !== undefined)

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
  if (only !== undefined) return chosenOf(sequence, new Set([only].flat().map((id) => steps[positionOf(steps, id)])))
  const start = from === undefined ? 0 : positionOf(steps, from)
  const end = until === undefined ? steps.length - 1 : positionOf(steps, until)
  if (start > end) {
    throw usage('selection-empty', `The step ${until} comes before ${from}: nothing would run.`, 'Exchange --from and --until.')
  }
  return chosenOf(sequence, new Set(steps.slice(start, end + 1)))
}

const chosenOf = (sequence: Sequence, chosen: ReadonlySet<Step | undefined>): Sequence =>
  sequence.map((group) => group.filter((step) => chosen.has(step))).filter((group) => group.length > 0)

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
