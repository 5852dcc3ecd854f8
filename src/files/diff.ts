import { hideSecrets } from './hide-secrets.ts'

/** A line is shown from a little before its first difference, and so much of it. */
const BEFORE_DIFFERENCE = 100
const SHOWN = 300

interface Line {
  readonly sign: ' ' | '-' | '+'
  readonly text: string
}

/**
 * The difference of two texts as a unified diff without colours, for a person to read: the changed lines alone, since a config's
 * other lines hold passwords, too; values that look like passwords hidden. '' when the texts are equal.
 */
export function unifiedDiff(name: string, before: string, after: string): string {
  if (before === after) return ''
  const lines = compare(splitLines(before), splitLines(after))
  return [`--- ${name}`, `+++ ${name}`, ...hunksOf(lines).flat()].join('\n')
}

const splitLines = (text: string): readonly string[] => text.split(/\r\n|\n|\r/)

/** Replacing text within lines keeps their number: then line by line; otherwise what lies between the equal ends is one change. */
function compare(before: readonly string[], after: readonly string[]): readonly Line[] {
  if (before.length === after.length) {
    return before.flatMap((text, index) => {
      const now = after[index] ?? ''
      return text === now ? [same(text)] : changed(text, now)
    })
  }
  const most = Math.min(before.length, after.length)
  let head = 0
  while (head < most && before[head] === after[head]) head += 1
  let tail = 0
  while (tail < most - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1
  return [
    ...before.slice(0, head).map(same),
    ...before.slice(head, before.length - tail).map((text) => line('-', hideSecrets(text), 0)),
    ...after.slice(head, after.length - tail).map((text) => line('+', hideSecrets(text), 0)),
    ...before.slice(before.length - tail).map(same),
  ]
}

function changed(before: string, after: string): readonly Line[] {
  const [was, is] = [hideSecrets(before), hideSecrets(after)]
  let same = 0
  while (same < was.length && was[same] === is[same]) same += 1
  const from = was.length <= SHOWN && is.length <= SHOWN ? 0 : Math.max(0, same - BEFORE_DIFFERENCE)
  return [line('-', was, from), line('+', is, from)]
}

const line = (sign: Line['sign'], text: string, from: number): Line => {
  const part = text.slice(from, from + SHOWN)
  return { sign, text: `${from > 0 ? '…' : ''}${part}${from + SHOWN < text.length ? '…' : ''}` }
}

function hunksOf(lines: readonly Line[]): readonly (readonly string[])[] {
  const hunks: string[][] = []
  let hunk: string[] | undefined
  let [oldLine, newLine] = [1, 1]
  for (const { sign, text } of lines) {
    if (sign !== ' ' && hunk === undefined) {
      hunk = [`@@ -${oldLine} +${newLine} @@`]
      hunks.push(hunk)
    }
    if (sign === ' ') hunk = undefined
    else hunk?.push(`${sign}${text}`)
    if (sign !== '+') oldLine += 1
    if (sign !== '-') newLine += 1
  }
  return hunks
}

const same = (text: string): Line => ({ sign: ' ', text })
