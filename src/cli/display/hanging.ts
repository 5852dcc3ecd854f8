import { wrap } from './frame.ts'

/**
 * Breaks a line between words at the terminal's width, what follows as far indented as the text began (behind a mark such as `•`).
 * Without a width, as in a file or a pipe, the line stays whole.
 */
export function hanging(line: string, columns: number | undefined): readonly string[] {
  if (columns === undefined) return [line]
  const lead = /^\s*(?:[•·→✖!] (?:problem |warning |note {4})?\s*)?/.exec(line)?.[0] ?? ''
  const room = Math.max(20, columns - lead.length)
  return wrap(line.slice(lead.length), room).map((part, index) => (index === 0 ? lead : ' '.repeat(lead.length)) + part)
}
