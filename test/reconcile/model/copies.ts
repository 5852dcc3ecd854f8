import type { Names, View } from './entities.ts'

type Counts = ReadonlyMap<string, number>

/**
 * Rows without a key are only so many copies of a content: what the receiving host should have is what it has and what the other
 * one has more, or fewer, than both last had in common.
 */
export class Copies {
  #common = new Map<string, Map<string, number>>()

  constructor(restored: View) {
    for (const [table, counts] of restored.copies) this.#common.set(table, new Map(counts))
  }

  rename(names: Names): void {
    for (const [table, counts] of this.#common) {
      const renamed = new Map<string, number>()
      for (const [text, count] of counts) {
        const name = names.canonical(text)
        renamed.set(name, (renamed.get(name) ?? 0) + count)
      }
      this.#common.set(table, renamed)
    }
  }

  wanted(table: string, text: string, source: View, target: View): number {
    const [common, from, to] = [this.#common.get(table), source.copies.get(table), target.copies.get(table)].map(
      (counts) => counts?.get(text) ?? 0,
    )
    return Math.max(0, (to ?? 0) + (from ?? 0) - (common ?? 0))
  }

  /** Judges what one transaction did; `carried` names the tables that its ledger entries are about. */
  judge(sources: readonly View[], before: View, after: View, carried: ReadonlySet<string>): readonly string[] {
    const complaints: string[] = []
    for (const [table, now] of after.copies) {
      const was = before.copies.get(table) ?? new Map<string, number>()
      const common = this.#common.get(table) ?? new Map<string, number>()
      const reached = sources.toReversed()
      for (const text of textsOf([now, was, ...sources.map((view) => view.copies.get(table))])) {
        const changed = now.get(text) !== was.get(text)
        if (!changed && !carried.has(table)) continue
        const source = reached.find((view) => this.wanted(table, text, view, before) === (now.get(text) ?? 0))
        if (source !== undefined) common.set(text, source.copies.get(table)?.get(text) ?? 0)
        else if (changed)
          complaints.push(
            `${table}: ${was.get(text) ?? 0} copies of ${text} became ${now.get(text) ?? 0}; the source has ${reached[0]?.copies.get(table)?.get(text) ?? 0}, both had ${common.get(text) ?? 0}`,
          )
      }
      this.#common.set(table, common)
    }
    return complaints
  }

  /** Contents of which the receiving host hasn't as many copies as it should. */
  *unsettled(source: View, target: View): Generator<{ readonly table: string; readonly text: string; readonly story: string }> {
    for (const [table, now] of target.copies) {
      for (const text of textsOf([now, source.copies.get(table), this.#common.get(table)])) {
        const wanted = this.wanted(table, text, source, target)
        const has = now.get(text) ?? 0
        if (wanted !== has) yield { table, text, story: `${table}: ${has} copies instead of ${wanted} of ${text}` }
      }
    }
  }
}

const textsOf = (counts: readonly (Counts | undefined)[]): ReadonlySet<string> =>
  new Set(counts.flatMap((each) => [...(each?.keys() ?? [])]))
