import { fullName } from '../databases/schema.ts'
import type { DifferentCopies, DifferentRow, TableComparison } from './difference.ts'
import type { TableTally } from './proof.ts'
import type { CarriedIndex } from './remap-index.ts'

/** What became of a row that isn't the same on both hosts. */
export type Outcome = 'kept' | 'skipped' | 'parked' | 'waiting' | 'same' | 'alike'

/** Counts the rows of one table by what became of them, on both hosts. */
export class TallyOf {
  readonly #comparison: TableComparison
  readonly #index: CarriedIndex
  readonly #source = { kept: 0, skipped: 0, parked: 0, waiting: 0, same: 0, alike: 0 }
  readonly #target = { changed: 0, born: 0, conflicts: 0 }

  constructor(comparison: TableComparison, index: CarriedIndex) {
    this.#comparison = comparison
    this.#index = index
  }

  count(row: DifferentRow, outcome: Outcome): void {
    if (row.source.now !== null) this.#source[outcome] += 1
    if (row.target.now === null) return
    if (outcome === 'skipped' || outcome === 'parked') this.#target.conflicts += 1
    else if (outcome !== 'kept') return
    else if (row.source.now === null && row.source.base === null && row.target.base === null) this.#target.born += 1
    else this.#target.changed += 1
  }

  countCopies({ source, target, base }: DifferentCopies, outcome: Outcome): void {
    this.#source[outcome] += source
    const common = Math.min(target, base)
    if (outcome === 'kept') {
      this.#target.changed += common
      this.#target.born += target - common
    } else if (outcome === 'parked') this.#target.conflicts += target
  }

  /** One of the rows counted as alike turned out to be the same thing, or to be carried. */
  settle(row: DifferentRow, outcome: Outcome): void {
    this.#source.alike -= 1
    this.count(row, outcome)
  }

  result(): TableTally {
    const { sourceRows, targetRows, inStep, table } = this.#comparison
    const same = this.#comparison.same + this.#source.same
    const { kept, skipped, parked, waiting } = this.#source
    const carried = inStep.inserted + inStep.updated + inStep.merged + inStep.remapped + inStep.skipped
    const explained = same + carried + kept + skipped + parked
    const { born, changed, conflicts } = this.#target
    const written = inStep.inserted + inStep.updated + inStep.remapped
    const rest = targetRows - same - written - born - changed - conflicts
    // Rows that became one with a row of the target, which may be counted by itself; and rows that never went over.
    const shared = Math.max(0, Math.min(rest, inStep.merged + inStep.skipped))
    const name = fullName(table.name)
    return {
      rows: sourceRows,
      same,
      ...inStep,
      skipped: inStep.skipped + skipped,
      kept,
      parked,
      unaccounted: Math.max(waiting, sourceRows - explained),
      deleted: this.#index.deletions(name),
      target: { rows: targetRows, same, carried: written + shared, changed, born, conflicts, unaccounted: rest - shared },
      sums: [],
    }
  }
}
