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

/** Everything wrong with a playbook (or a file of decisions) at once; nothing was touched. `message` has all of it, one problem after the other. */
export class PlaybookError extends MigrateError {
  readonly file: string
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[], what: 'playbook' | 'decisions' = 'playbook') {
    const lines = problems
      .slice(0, LISTED)
      .map((each) => `${file}:${each.line}:${each.column}: ${each.message}\n    → ${each.hint}`)
    if (problems.length > LISTED) lines.push(`… and ${problems.length - LISTED} more.`)
    const noun = what === 'playbook' ? 'The playbook has' : 'The file of decisions has'
    const count = problems.length === 1 ? `${noun} a mistake` : `${noun} ${problems.length} mistakes`
    super(`${what}-invalid`, `${count}; nothing was touched.\n${lines.join('\n')}`, { ending: 'usage' })
    this.file = file
    this.problems = problems
  }
}

/** `a`, `a or b`, `a, b or c`. */
export const oneOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
