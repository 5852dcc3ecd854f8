import type { Printing } from '../databases/port.ts'
import type { BaselineFile, BaselineTable, LeafBound } from './baseline-file.ts'
import type { BaseRow } from './baseline-leaf.ts'

/** A table's rows in the baseline, seen with the columns that the playbook now sets apart. */
export class TableBase {
  readonly table: BaselineTable
  /** Its leaves in order; a leaf's number is its place. */
  readonly bounds: readonly LeafBound[]
  readonly #file: BaselineFile
  readonly #sameApart: boolean
  readonly #noneApart: boolean

  constructor(file: BaselineFile, table: BaselineTable, printing: Printing) {
    this.#file = file
    this.table = table
    this.bounds = file.bounds(table)
    this.#sameApart = table.printing.apart.join('\n').toLowerCase() === printing.apart.join('\n').toLowerCase()
    this.#noneApart = printing.apart.length === 0
  }

  /** Rows of one leaf. Where other columns were apart when it was taken, `rest` is '' and no cell is known. */
  leaf(leaf: number): readonly BaseRow[] {
    const rows = this.#file.leaf(this.table, leaf)
    if (this.#sameApart) return rows
    return rows.map(({ id, state: { print } }) => ({
      id,
      state: { print, rest: this.#noneApart ? print : '', apart: [] },
    }))
  }
}
