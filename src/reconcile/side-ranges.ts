import { systemClock } from '../base/clock.ts'
import type { KeyRange, RangeSum, Reader } from '../databases/port.ts'
import { nextQueryRows } from '../databases/snapshot/query-size.ts'
import type { LeafBound } from './baseline-file.ts'
import { addSums } from './baseline-leaf.ts'
import { type SideReader, type SideReading, sideOptions } from './side.ts'
import type { TableBase } from './side-base.ts'

/** How long a sum should take: a shop that waits behind it must not notice. */
const QUERY_LIMITS = { targetMs: 500, leastRows: 1, mostRows: 50_000_000, mostBytes: Number.POSITIVE_INFINITY }

/** Of so few leaves the rows are read straight away. */
const FEW_LEAVES = 2

/** Where more than this share of the leaves differ, their sums are a waste: all rows are read, and those of the next spans too. */
const DENSE = 0.5
const SPANS_UNASKED = 4

/** Leaves `from` up to, not with, `to`; the place after the last leaf stands for all that lies beyond the baseline's last key. */
interface Span {
  readonly from: number
  readonly to: number
}

/**
 * Reads one host by sums over ranges of keys, and the fingerprints of only those leaves whose sums aren't the baseline's. The host must
 * sort keys as the baseline's did. First and last range are open: no key is too small or too large.
 */
export class RangeReader {
  readonly #reading: SideReading
  readonly #base: TableBase
  readonly #reader: Reader
  readonly #side: SideReader
  /** Rows that the next question spans. */
  #askedRows: number

  constructor(reading: SideReading, base: TableBase, reader: Reader, side: SideReader) {
    this.#reading = reading
    this.#base = base
    this.#reader = reader
    this.#side = side
    this.#askedRows = reading.firstRows
  }

  /**
   * A span is asked for one sum where the one before was as in the baseline, else for the sums of its leaves at once: they cost hardly
   * more, and differences strewn over a table don't have all of it looked at twice.
   */
  async all(): Promise<void> {
    const end = this.#base.bounds.length + 1
    let [isExpecting, unasked] = [false, 0]
    for (let from = 0; from < end; ) {
      const span = { from, to: this.#reach(from) }
      from = span.to
      if (unasked > 0) {
        unasked -= 1
        await this.#read([span])
        continue
      }
      const isFew = span.to - span.from <= FEW_LEAVES
      if ((isFew || !isExpecting) && this.#agrees([span], await this.#sums([span]))) {
        isExpecting = false
        continue
      }
      if (isFew) {
        await this.#read([span])
        continue
      }
      const found = await this.#leaves(span)
      isExpecting = found !== 'none'
      if (found === 'many') unasked = SPANS_UNASKED
    }
  }

  /** How far the next question reaches; what lies beyond the last leaf goes with it. */
  #reach(from: number): number {
    const { bounds } = this.#base
    let [to, held] = [from, 0]
    while (to < bounds.length && held < this.#askedRows) {
      held += bounds[to]?.rows ?? 0
      to += 1
    }
    return to === bounds.length ? bounds.length + 1 : to
  }

  /** Reads those leaves of a span that aren't as in the baseline. */
  async #leaves(span: Span): Promise<'none' | 'some' | 'many'> {
    const leaves = Array.from({ length: span.to - span.from }, (_, at) => ({ from: span.from + at, to: span.from + at + 1 }))
    const sums = await this.#sums(leaves)
    const isAsBefore = leaves.map((leaf, at) => this.#isAsBefore(leaf, sums[at]))
    const different = leaves.filter((_, at) => !isAsBefore[at])
    if (different.length > leaves.length * DENSE) {
      await this.#read([span])
      return 'many'
    }
    this.#agrees(
      leaves.filter((_, at) => isAsBefore[at]),
      sums.filter((_, at) => isAsBefore[at]),
    )
    await this.#read(joined(different))
    return different.length === 0 ? 'none' : 'some'
  }

  #isAsBefore({ from, to }: Span, sum: RangeSum | undefined): boolean {
    const leaves = this.#base.bounds.slice(from, to)
    const rows = leaves.reduce((total, leaf) => total + leaf.rows, 0)
    return sum?.rows === rows && sum.sum === leaves.reduce((total, leaf) => addSums(total, leaf.sum), 0n)
  }

  /** True, and counted, when all of these are as in the baseline. */
  #agrees(spans: readonly Span[], sums: readonly RangeSum[]): boolean {
    if (!spans.every((span, at) => this.#isAsBefore(span, sums[at]))) return false
    const rows = sums.reduce((total, sum) => total + sum.rows, 0)
    this.#side.agreed(rows)
    this.#reading.onRows?.(rows)
    return true
  }

  /** Asks for these, and goes by the answer's time in what is asked for next. */
  async #sums(spans: readonly Span[]): Promise<readonly RangeSum[]> {
    const { printer, table, printing, signal } = this.#reading
    signal?.throwIfAborted()
    const begun = systemClock.monotonic()
    const ranges = spans.map((span) => rangeOf(this.#base.bounds, span))
    const [only] = ranges
    const sums =
      only !== undefined && ranges.length === 1
        ? [await printer.sum(this.#reader, table, printing, { ...only, ...sideOptions(this.#reading) })]
        : await printer.sums(this.#reader, table, printing, ranges, signal)
    const rows = sums.reduce((total, sum) => total + sum.rows, 0)
    const ms = systemClock.monotonic() - begun
    this.#askedRows = nextQueryRows(this.#askedRows, { rows, bytes: 0, ms }, QUERY_LIMITS)
    return sums
  }

  /** Asks for the rows of all of these at once: by distance alone, a question for each would take longer than what it finds. */
  async #read(spans: readonly Span[]): Promise<void> {
    if (spans.length === 0) return
    const { printer, table, printing, signal } = this.#reading
    signal?.throwIfAborted()
    const ranges = spans.map((span) => rangeOf(this.#base.bounds, span))
    const rows = printer.printsWithin(this.#reader, table, printing, ranges, signal)
    await this.#side.read(
      rows,
      spans.flatMap((span) => this.#base.bounds.slice(span.from, span.to)),
    )
  }
}

/** The keys of these leaves; the first and the last leaf are open. */
export function rangeOf(bounds: readonly LeafBound[], { from, to }: Span): KeyRange {
  const [after, upTo] = [bounds[from - 1]?.last, bounds[to - 1]?.last]
  return { ...(after ? { after } : {}), ...(upTo ? { upTo } : {}) }
}

/** Spans that follow one another become one: one question instead of several. */
function joined(spans: readonly Span[]): readonly Span[] {
  const result: Span[] = []
  for (const span of spans) {
    const last = result.at(-1)
    if (last?.to === span.from) result[result.length - 1] = { from: last.from, to: span.to }
    else result.push(span)
  }
  return result
}
