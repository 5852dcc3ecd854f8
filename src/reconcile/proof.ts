/** Per table: rows of the source by what became of them, and rows of the target by where they are from. Each side adds up to its `rows`. */
export type TableTally = {
  /** Rows that the source has. */
  readonly rows: number
  /** Both hosts have it as in the baseline, or both changed it to the same. */
  readonly same: number
  /** Carried by this or an earlier pass, and in step since. */
  readonly inserted: number
  readonly updated: number
  readonly merged: number
  readonly remapped: number
  /** A person or the playbook decided that both stay as they are. */
  readonly skipped: number
  /** Changed or deleted on the target alone: its state stays. */
  readonly kept: number
  readonly parked: number
  /** Neither carried nor set aside. */
  readonly unaccounted: number
  /** Rows that the source no longer has and whose deletion was carried. */
  readonly deleted: number
  readonly target: TargetTally
  readonly sums: readonly ColumnSum[]
}

export type TargetTally = {
  readonly rows: number
  readonly same: number
  /** Written by us, or one with a row of the source. */
  readonly carried: number
  /** Changed there alone. */
  readonly changed: number
  /** Born there. */
  readonly born: number
  /** The other half of a conflict: parked, or decided for the target. */
  readonly conflicts: number
  readonly unaccounted: number
}

/** A column's sum on both hosts as exact decimals, and what their difference is made of. */
export type ColumnSum = {
  readonly column: string
  readonly source: string
  readonly target: string
  /** target − source, by cause: rows born there, changed there alone, carried otherwise than as they were, set aside. */
  readonly because: { readonly born: string; readonly changed: string; readonly carried: string; readonly setAside: string }
  /** What none of these explains; '0' when all is well. */
  readonly unexplained: string
}

/** Every row of both hosts accounted for. */
export interface Proof {
  /** Rows of tracked tables on the source: all of them, those that are accounted for, and the rest. */
  readonly totals: { readonly rows: number; readonly accounted: number; readonly unaccounted: number }
  readonly tables: ReadonlyMap<string, TableTally>
}

/** Adds the tables up. */
export function proofOf(tables: ReadonlyMap<string, TableTally>): Proof {
  const tallies = [...tables.values()]
  const rows = tallies.reduce((sum, tally) => sum + tally.rows, 0)
  const unaccounted = tallies.reduce((sum, tally) => sum + tally.unaccounted, 0)
  return { totals: { rows, accounted: rows - unaccounted, unaccounted }, tables }
}
