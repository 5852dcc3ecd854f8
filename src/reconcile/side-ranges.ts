import { systemClock } from '../base/clock.ts'
import type { KeyCells, RangeSum, Reader, ReadOptions } from '../databases/port.ts'
import { nextQueryRows } from '../databases/snapshot/query-size.ts'
import { addSums } from './baseline-leaf.ts'
import type { SideReader, SideReading } from './side.ts'
import type { TableBase } from './side-base.ts'

/** How long a sum should take: a shop that waits behind it must not notice. */
const QUERY_LIMITS = { targetMs: 500, leastRows: 1, mostRows: 50_000_000, mostBytes: Number.POSITIVE_INFINITY }

/** So many leaves are asked for one by one; of more, about the square root at once. */
const FEW_LEAVES = 4

/** When most of the parts that were asked for differ, sums are a waste: the rest is read straight away. */
const TELLING_PARTS = 4

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

  constructor(reading: SideReading, base: TableBase, reader: Reader, side: SideReader) {
    this.#reading = reading
    this.#base = base
    this.#reader = reader
    this.#side = side
  }

  async all(): Promise<void> {
    const end = this.#base.bounds.length + 1
    let askedRows = this.#reading.firstRows
    for (let from = 0; from < end; ) {
      const to = this.#reach(from, askedRows)
      const begun = systemClock.monotonic()
      const sum = await this.#sum({ from, to })
      const ms = systemClock.monotonic() - begun
      if (!this.#agrees({ from, to }, sum)) await this.#descend({ from, to })
      askedRows = nextQueryRows(askedRows, { rows: sum.rows, bytes: 0, ms }, QUERY_LIMITS)
      from = to
    }
  }

  /** How far so many rows reach; what lies beyond the last leaf goes with it. */
  #reach(from: number, rows: number): number {
    const { bounds } = this.#base
    let [to, held] = [from, 0]
    while (to < bounds.length && held < rows) {
      held += bounds[to]?.rows ?? 0
      to += 1
    }
    return to === bounds.length ? bounds.length + 1 : to
  }

  /** True, and counted, when these leaves are as in the baseline. */
  #agrees({ from, to }: Span, { rows, sum }: RangeSum): boolean {
    const leaves = this.#base.bounds.slice(from, to)
    const expected = leaves.reduce((total, leaf) => total + leaf.rows, 0)
    if (rows !== expected || sum !== leaves.reduce((total, leaf) => addSums(total, leaf.sum), 0n)) return false
    this.#side.agreed(rows)
    this.#reading.onRows?.(rows)
    return true
  }

  async #descend({ from, to }: Span): Promise<void> {
    const leaves = to - from
    const each = leaves <= FEW_LEAVES ? 1 : Math.ceil(leaves / Math.ceil(Math.sqrt(leaves)))
    let [asked, different] = [0, 0]
    for (let at = from; at < to; at += each) {
      if (different >= TELLING_PARTS && different * 2 > asked) return await this.#read({ from: at, to })
      const part = { from: at, to: Math.min(at + each, to) }
      asked += 1
      // What lies beyond the last leaf is most often nothing, or all new.
      if (leaves > 1 && part.from < this.#base.bounds.length && this.#agrees(part, await this.#sum(part))) continue
      different += 1
      if (each > 1) await this.#descend(part)
      else await this.#read(part)
    }
  }

  #sum(span: Span): Promise<RangeSum> {
    const { printer, table, printing, signal } = this.#reading
    signal?.throwIfAborted()
    return printer.sum(this.#reader, table, printing, this.#range(span))
  }

  async #read(span: Span): Promise<void> {
    const { printer, table, printing } = this.#reading
    const rows = printer.prints(this.#reader, table, printing, this.#range(span))
    await this.#side.read(rows, this.#base.bounds.slice(span.from, span.to))
  }

  #range({ from, to }: Span): Pick<ReadOptions, 'after' | 'upTo' | 'signal'> {
    const { signal } = this.#reading
    const key = (leaf: number): KeyCells | undefined => this.#base.bounds[leaf]?.last
    const [after, upTo] = [key(from - 1), to > this.#base.bounds.length ? undefined : key(to - 1)]
    return { ...(after ? { after } : {}), ...(upTo ? { upTo } : {}), ...(signal ? { signal } : {}) }
  }
}
