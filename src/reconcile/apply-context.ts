import type { Clock } from '../base/clock.ts'
import type { Database, LedgerEntry, Printing, Row, WholePrintedRow } from '../databases/port.ts'
import type { ForeignKey, Identity, Table } from '../databases/schema.ts'
import type { RowState } from './difference.ts'
import type { ParkedRow } from './parked.ts'
import type { CarryItem } from './plan-items.ts'
import type { SourceSide, TablePolicy } from './policy.ts'
import type { Printer } from './printing.ts'
import type { CarriedIndex } from './remap-index.ts'
import type { KeyReference } from './remap-references.ts'

/** One table on both hosts, with all that is needed to carry its rows. */
export interface CarriedTable {
  /** The target's full name: the plan's, the ledger's and the parked rows'. */
  readonly name: string
  readonly source: Table
  readonly target: Table
  readonly policy: TablePolicy
  /** Columns that it got since the baseline: rows take them along, and nobody compares them (they are among `policy.ignore`). */
  readonly added: readonly string[]
  readonly printer: Printer
  readonly sourcePrinting: Printing
  readonly targetPrinting: Printing
  /** The column that is the whole key and that the target can number; `undefined` where keys are given otherwise. */
  readonly numbered: Identity | undefined
  readonly references: readonly KeyReference[]
}

export interface ApplyContext {
  readonly run: string
  readonly source: Database
  readonly target: Database
  readonly sourceSide: SourceSide
  readonly tables: ReadonlyMap<string, CarriedTable>
  /** Declared ones of the target, and those that the playbook names. */
  readonly foreignKeys: readonly ForeignKey[]
  readonly index: CarriedIndex
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Rows as the snapshot had them, by `keyText`, as far as they can be found; absent where there is no way to look. */
  readonly baselineRows?: (table: Table, keys: readonly string[]) => Promise<ReadonlyMap<string, Row> | string>
}

/** A row with what stands on both hosts at the moment of writing. */
export interface Candidate {
  readonly item: CarryItem
  readonly table: CarriedTable
  /** True when the common ground has the row: `base` says how. */
  readonly paired: boolean
  /** True when both stay as they were decided, or became one: what the source does to its row afterwards isn't followed blindly. */
  readonly diverged: boolean
  readonly base: { readonly source: RowState | null; readonly target: RowState | null }
  readonly source: WholePrintedRow | undefined
  /** The source's row with its references rewritten; `undefined` when it is gone. */
  readonly row: Row | undefined
  readonly rewritten: boolean
  /** References to rows of the same circle that aren't on the target yet. */
  readonly open: readonly KeyReference[]
  /** A reference of a changed row to what isn't on the target: it is set aside if it is to refer to that there. */
  readonly missing?: { readonly reference: KeyReference; readonly reason: string }
  /** The key under which it is looked for on the target. */
  readonly targetKey: string
  readonly target: WholePrintedRow | undefined
}

export interface CarryResult {
  readonly entries: readonly LedgerEntry[]
  readonly parked: readonly ParkedRow[]
  /** Left for the next pass: they moved while they were carried. */
  readonly later: readonly CarryItem[]
  /** Found to be on the target already. */
  readonly same: readonly CarryItem[]
  /** Carried but for references that can't be written yet. */
  readonly half: readonly CarryItem[]
}

export const NOTHING_CARRIED: CarryResult = { entries: [], parked: [], later: [], same: [], half: [] }

export const together = (results: readonly CarryResult[]): CarryResult => ({
  entries: results.flatMap((each) => each.entries),
  parked: results.flatMap((each) => each.parked),
  later: results.flatMap((each) => each.later),
  same: results.flatMap((each) => each.same),
  half: results.flatMap((each) => each.half),
})
