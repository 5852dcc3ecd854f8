import { MigrateError } from '../base/errors.ts'
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

/** The candidate with the fewest letters changed, if that is less than half of the word. */
function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  return best !== undefined && best.distance <= Math.max(2, word.length / 2) ? best.candidate : undefined
}

/** Levenshtein: letters put in, taken out or exchanged. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const exchange = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(exchange, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
