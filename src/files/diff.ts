/** Unchanged lines shown around a change. */
const CONTEXT = 3

/** A value that looks like a secret is not shown, known to be one or not. */
const SECRET = /((?:password|passwd|pwd|secret|token|api[_-]?key)["']?\s*(?:=>|[=:,])\s*)(["']?)[^"';,\s<>]+\2/gi

interface Line {
  readonly sign: ' ' | '-' | '+'
  readonly text: string
}

/**
 * The difference of two texts as a unified diff without colours, for a person to read: a few lines around each change, values that
 * look like passwords hidden. '' when the texts are equal.
 */
export function unifiedDiff(name: string, before: string, after: string): string {
  if (before === after) return ''
  const lines = compare(splitLines(before), splitLines(after))
  const hunks = hunksOf(lines).map((hunk) => hunk.join('\n'))
  return [`--- ${name}`, `+++ ${name}`, ...hunks].join('\n')
}

const splitLines = (text: string): readonly string[] => text.split(/\r\n|\n|\r/)

/** Replacing text within lines keeps their number: then line by line; otherwise what lies between the equal ends is one change. */
function compare(before: readonly string[], after: readonly string[]): readonly Line[] {
  if (before.length === after.length) {
    return before.flatMap((text, index) => {
      const now = after[index] ?? ''
      return text === now ? [same(text)] : [removed(text), added(now)]
    })
  }
  const most = Math.min(before.length, after.length)
  let head = 0
  while (head < most && before[head] === after[head]) head += 1
  let tail = 0
  while (tail < most - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1
  return [
    ...before.slice(0, head).map(same),
    ...before.slice(head, before.length - tail).map(removed),
    ...after.slice(head, after.length - tail).map(added),
    ...before.slice(before.length - tail).map(same),
  ]
}

function hunksOf(lines: readonly Line[]): readonly (readonly string[])[] {
  const hunks: string[][] = []
  let hunk: string[] | undefined
  let [oldLine, newLine] = [1, 1]
  for (const [index, line] of lines.entries()) {
    const near = lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some((other) => other.sign !== ' ')
    if (near && hunk === undefined) {
      hunk = [`@@ -${oldLine} +${newLine} @@`]
      hunks.push(hunk)
    }
    if (near) hunk?.push(`${line.sign}${hideSecrets(line.text)}`)
    else hunk = undefined
    if (line.sign !== '+') oldLine += 1
    if (line.sign !== '-') newLine += 1
  }
  return hunks
}

const hideSecrets = (text: string): string => text.replace(SECRET, '$1$2***$2')

const same = (text: string): Line => ({ sign: ' ', text })
const removed = (text: string): Line => ({ sign: '-', text })
const added = (text: string): Line => ({ sign: '+', text })
