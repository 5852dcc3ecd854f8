import type { PrintedRow } from '../databases/port.ts'
import type { BaseRow } from './baseline-leaf.ts'
import type { RowState } from './difference.ts'
import { keyDigest, keyText } from './fingerprint.ts'
import type { SideStore } from './side-store.ts'

/** Rows held in memory on either side while they wait for their counterpart. */
const MOST_WAITING = 16_384

/**
 * Matches the rows of one host with those of the baseline, in whatever order both come. As long as the orders are much alike, all is
 * matched in memory; what waits too long goes to disk.
 */
export class SideMatcher {
  readonly #store: SideStore
  readonly #base = new Map<string, { readonly state: RowState; readonly leaf: number }>()
  readonly #rows = new Map<string, { readonly key: string; readonly state: RowState }>()
  /** Rows of the host that are as in the baseline. */
  matched = 0

  constructor(store: SideStore) {
    this.#store = store
  }

  /** Rows of the baseline's leaf `leaf`. */
  expect(rows: Iterable<BaseRow>, leaf: number): void {
    for (const { digest, state } of rows) {
      const row = this.#rows.get(digest)
      if (row === undefined) this.#base.set(digest, { state, leaf })
      else {
        this.#rows.delete(digest)
        this.#pair(digest, row, state)
      }
    }
    for (const [digest, { state, leaf: from }] of surplus(this.#base)) this.#store.leaveBase(digest, state, from)
  }

  /** Rows of the host. */
  meet(rows: Iterable<PrintedRow>): void {
    for (const { key: cells, print, rest, apart } of rows) {
      const key = keyText(cells)
      const digest = keyDigest(key)
      const row = { key, state: { print, rest, apart } }
      const base = this.#base.get(digest)
      if (base === undefined) this.#rows.set(digest, row)
      else {
        this.#base.delete(digest)
        this.#pair(digest, row, base.state)
      }
    }
    for (const [digest, { key, state }] of surplus(this.#rows)) this.#store.leaveRow(digest, key, state)
  }

  #pair(digest: string, row: { readonly key: string; readonly state: RowState }, base: RowState): void {
    if (row.state.print === base.print) this.matched += 1
    else this.#store.changed(digest, row.key, row.state, base)
  }

  /** Nothing more comes: whatever is left was born or is gone. */
  end(): void {
    for (const [digest, { key, state }] of this.#rows) this.#store.leaveRow(digest, key, state)
    for (const [digest, { state, leaf }] of this.#base) this.#store.leaveBase(digest, state, leaf)
    this.#rows.clear()
    this.#base.clear()
    this.matched += this.#store.settle()
  }
}

/** Takes out what waits the longest where too many wait. */
function* surplus<V>(waiting: Map<string, V>): Generator<readonly [string, V]> {
  if (waiting.size <= MOST_WAITING) return
  let left = waiting.size - MOST_WAITING / 2
  for (const [digest, value] of waiting) {
    if (left === 0) return
    left -= 1
    waiting.delete(digest)
    yield [digest, value]
  }
}
