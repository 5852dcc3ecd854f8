import type { PrintedRow } from '../databases/port.ts'
import { type BaseRow, isKeyText } from './baseline-leaf.ts'
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
  /** By `BaseRow.id`. */
  readonly #base = new Map<string, { readonly state: RowState; readonly leaf: number }>()
  /** By key. */
  readonly #rows = new Map<string, RowState>()
  /** Their keys by digest; `undefined` as long as nothing was expected that is found by that. */
  #digests: Map<string, string> | undefined
  /** Rows of the host that are as in the baseline. */
  matched = 0

  constructor(store: SideStore) {
    this.#store = store
  }

  /** Rows of the baseline's leaf `leaf`. */
  expect(rows: Iterable<BaseRow>, leaf: number): void {
    for (const { id, state } of rows) {
      const key = isKeyText(id) ? id : this.#digested().get(id)
      const row = key === undefined ? undefined : this.#rows.get(key)
      if (key === undefined || row === undefined) this.#base.set(id, { state, leaf })
      else {
        this.#rows.delete(key)
        if (this.#digests !== undefined) this.#digests.delete(digestOf(id))
        this.#pair(key, row, state)
      }
    }
    for (const [id, { state, leaf: from }] of surplus(this.#base)) this.#store.leaveBase(digestOf(id), state, from)
  }

  /** Rows of the host. */
  meet(rows: Iterable<PrintedRow>): void {
    for (const { key: cells, print, rest, apart } of rows) {
      const key = keyText(cells)
      const state = { print, rest, apart }
      const base = this.#take(key)
      if (base !== undefined) this.#pair(key, state, base.state)
      else {
        this.#rows.set(key, state)
        this.#digests?.set(keyDigest(key), key)
      }
    }
    for (const [key, state] of surplus(this.#rows)) this.#leave(key, state)
  }

  /** The row of the baseline with this key, which waits no more. */
  #take(key: string): { readonly state: RowState } | undefined {
    for (const id of this.#digests === undefined ? [key] : [key, keyDigest(key)]) {
      const base = this.#base.get(id)
      if (base !== undefined) {
        this.#base.delete(id)
        return base
      }
    }
    return undefined
  }

  #digested(): ReadonlyMap<string, string> {
    this.#digests ??= new Map([...this.#rows.keys()].map((key) => [keyDigest(key), key]))
    return this.#digests
  }

  #leave(key: string, state: RowState): void {
    const digest = keyDigest(key)
    this.#digests?.delete(digest)
    this.#store.leaveRow(digest, key, state)
  }

  #pair(key: string, row: RowState, base: RowState): void {
    if (row.print === base.print) this.matched += 1
    else this.#store.changed(keyDigest(key), key, row, base)
  }

  /** Nothing more comes: whatever is left was born or is gone. */
  end(): void {
    for (const [key, state] of this.#rows) this.#leave(key, state)
    for (const [id, { state, leaf }] of this.#base) this.#store.leaveBase(digestOf(id), state, leaf)
    this.#rows.clear()
    this.#base.clear()
    this.matched += this.#store.settle()
  }
}

const digestOf = (id: string): string => (isKeyText(id) ? keyDigest(id) : id)

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
