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
function editDistance(a: string, b: string): number {
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
