import { MigrateError } from '../base/errors.ts'

/** One thing wrong with a playbook, and where. Lines and columns count from 1. */
export interface Problem {
  readonly line: number
  readonly column: number
  readonly message: string
  readonly hint: string
}

/** So many are written out in the message; all are in `problems`. */
const LISTED = 100

/** Everything wrong with a playbook at once; nothing was touched. `message` has all of it, one problem after the other. */
export class PlaybookError extends MigrateError {
  readonly file: string
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[]) {
    const lines = problems
      .slice(0, LISTED)
      .map((each) => `${file}:${each.line}:${each.column}: ${each.message}\n    ${each.hint}`)
    if (problems.length > LISTED) lines.push(`… and ${problems.length - LISTED} more.`)
    const count = problems.length === 1 ? 'The playbook has a mistake' : `The playbook has ${problems.length} mistakes`
    super('playbook-invalid', `${count}; nothing was touched.\n${lines.join('\n')}`, { ending: 'usage' })
    this.file = file
    this.problems = problems
  }
}

/**
 * The word of `words` that was probably meant by `given`: at most a third of its letters (and at least two) differ, upper and
 * lower case aside. `undefined` when none is near.
 */
export function nearest(given: string, words: readonly string[]): string | undefined {
  let best: { readonly word: string; readonly distance: number } | undefined
  for (const word of words) {
    const distance = editDistance(given.slice(0, 64).toLowerCase(), word.toLowerCase())
    if (distance <= Math.max(2, Math.floor(word.length / 3)) && distance < word.length && (!best || distance < best.distance)) {
      best = { word, distance }
    }
  }
  return best?.word
}

/** Levenshtein's distance: insertions, deletions and substitutions, each 1. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1]
    for (const [column, other] of [...b].entries()) {
      const substituted = (previous[column] ?? 0) + (letter === other ? 0 : 1)
      current.push(Math.min(substituted, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1))
    }
    previous = current
  }
  return previous.at(-1) ?? 0
}

/** `a`, `a or b`, `a, b or c`. */
export const oneOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
