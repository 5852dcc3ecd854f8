import type { Finding } from '../base/errors.ts'
import { comparePaths } from '../files/paths.ts'
import type { CarryPlan } from './carry-files-plan.ts'
import type { ParkedList } from './parked-files.ts'

/** The list keeps those that are in conflict still, and those that turned out to be while they were carried. Returns what a person is told. */
export async function stillParked(parked: ParkedList, { conflicts, changes }: CarryPlan): Promise<readonly Finding[]> {
  const [waiting, carried] = [new InOrder(ofPages(conflicts.pages())), new InOrder(carriedBy(changes))]
  await parked.keepOnly((path) => waiting.has(path) || carried.has(path))
  return parked.told()
}

function* ofPages(pages: Iterable<readonly string[]>): Generator<string> {
  for (const page of pages) yield* page
}

function* carriedBy(changes: CarryPlan['changes']): Generator<string> {
  for (const change of changes) if (change.do === 'carry') for (const { entry } of change.items) yield entry.path
}

/** Paths in their order, of which it is asked in the same order. */
class InOrder {
  readonly #paths: Iterator<string>
  #next: IteratorResult<string>

  constructor(paths: Iterator<string>) {
    this.#paths = paths
    this.#next = paths.next()
  }

  has(path: string): boolean {
    while (this.#next.done !== true && comparePaths(this.#next.value, path) < 0) this.#next = this.#paths.next()
    return this.#next.done !== true && this.#next.value === path
  }
}
