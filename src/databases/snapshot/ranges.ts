import type { KeyCells } from '../port.ts'

/** The rows of a table after one key and up to another. Ranges are told apart and put in order by `at` alone. */
export interface KeyRange {
  readonly at: number
  /** `null`: from the first row. */
  readonly after: KeyCells | null
  /** `null`: to the last row. */
  readonly upTo: KeyCells | null
}

/**
 * What is missing between ranges that are sorted by `at`, each gap as one range that fits in; the whole table where there are none.
 * Keys are only ever compared for equality: their order is the server's business. Pure.
 */
export function gapsIn(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const gaps: KeyRange[] = []
  let end: KeyCells | null = null
  let at = 0
  for (const range of ranges) {
    if (!sameKey(end, range.after)) gaps.push({ at, after: end, upTo: range.after })
    end = range.upTo
    at = range.at + 1
  }
  if (ranges.length === 0 || end !== null) gaps.push({ at, after: end, upTo: null })
  return gaps
}

const sameKey = (a: KeyCells | null, b: KeyCells | null): boolean => JSON.stringify(a) === JSON.stringify(b)
