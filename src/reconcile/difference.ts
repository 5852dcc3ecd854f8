import { z } from 'zod'
import type { Fingerprint, Row } from '../databases/port.ts'
import type { Table } from '../databases/schema.ts'
import type { Difference } from './classify.ts'

/** How a row stands on one host, without the row (`PrintedRow` of the port). */
export interface RowState {
  readonly print: Fingerprint
  readonly rest: Fingerprint
  readonly apart: Row
  /**
   * Of a row that was carried: it isn't the source's row but made of both; `apart` in columns apart alone, `rest` in others too. What the
   * source changes later doesn't replace it, and on the way back the other host doesn't have it yet.
   */
  readonly mixed?: 'apart' | 'rest'
}

/** The fingerprint of a row that the other host doesn't have yet as it stands (`mixed`): no row has it. */
export const MIXED = 'mixed'

const stateSchema = z.tuple([z.string(), z.string(), z.array(z.string().nullable()), z.enum(['apart', 'rest']).optional()])

/** A state as the ledger keeps it; '' where there is no row. */
export const stateText = (state: RowState | null): string =>
  state === null
    ? ''
    : JSON.stringify([state.print, state.rest, state.apart, ...(state.mixed === undefined ? [] : [state.mixed])])

/** The opposite of `stateText`. */
export function stateOf(text: string): RowState | null {
  if (text === '') return null
  const [print, rest, apart, mixed] = stateSchema.parse(JSON.parse(text))
  return { print, rest, apart, ...(mixed === undefined ? {} : { mixed }) }
}

/** A row's standing on one host now, and there when both last had it in common (the baseline, or the ledger since). */
export interface Standing {
  /** `keyText` of its key there; `null` where it never was. After a remapping the two hosts' differ. */
  readonly key: string | null
  readonly base: RowState | null
  readonly now: RowState | null
}

/** One row, the same thing on both hosts, that isn't as both last had it. */
export interface DifferentRow {
  /** What names it in the plan, the parked and the proof: its key on the source; where it never was there, on the target. */
  readonly key: string
  readonly difference: Difference
  readonly source: Standing
  readonly target: Standing
  /** False when the common ground has no such row: it was born since. */
  readonly hasBase: boolean
}

/** Copies of one row of a table without a key that aren't as many as both last had. */
export interface DifferentCopies {
  readonly print: Fingerprint
  readonly base: number
  readonly source: number
  readonly target: number
}

/** Rows of the source that the ledger brought over and that stand as it left them on the source, by what was done. */
export type InStep = Readonly<Record<'inserted' | 'updated' | 'merged' | 'remapped' | 'skipped', number>>

/** What a comparison took from a host row by row; what its server added up for itself isn't in it. */
export interface ReadTotals {
  readonly rows: number
  /** About: keys and fingerprints, or whole rows where the server can't fingerprint. */
  readonly bytes: number
}

/** What was found of one table. Every row of the source is in exactly one of `same`, `inStep` and `differences` (where `source.now` isn't null). */
export interface TableComparison {
  readonly table: Table
  readonly sourceTable: Table
  readonly sourceRows: number
  readonly targetRows: number
  /** Rows that both have as in the baseline, or both changed to the same without us. */
  readonly same: number
  readonly inStep: InStep
  readonly read: { readonly source: ReadTotals; readonly target: ReadTotals }
  /** All others. To be read before the next table is compared. */
  differences(): IterableIterator<DifferentRow>
  /** Only for a table without a key, where `differences` is empty. */
  copies(): IterableIterator<DifferentCopies>
}
