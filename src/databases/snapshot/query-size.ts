/** What a query took, from being asked to its last row being taken. */
export interface Measured {
  readonly rows: number
  readonly bytes: number
  readonly ms: number
}

export interface QueryLimits {
  /** How long a query should take. */
  readonly targetMs: number
  readonly leastRows: number
  readonly mostRows: number
  /** Rows are counted by the bytes that they were measured to have. */
  readonly mostBytes: number
}

/** How much larger or smaller a query may be than the one before: one slow answer says little. */
const MOST_GROWTH = 4

/**
 * How many rows the next query should ask for, after one that asked for `asked`: as many as take `targetMs` at the rate that was
 * measured. Pure.
 */
export function nextQueryRows(asked: number, measured: Measured, limits: QueryLimits): number {
  const { rows, bytes, ms } = measured
  // A table's last rows are few, and tell more about the way there and back than about the rate.
  const tells = rows > 0 && rows * 2 >= asked
  const fitting = tells ? (rows / Math.max(ms, 1)) * limits.targetMs : asked
  const bounded = Math.min(Math.max(fitting, asked / MOST_GROWTH), asked * MOST_GROWTH)
  const perRow = rows > 0 ? bytes / rows : 0
  const byBytes = perRow > 0 ? limits.mostBytes / perRow : Number.POSITIVE_INFINITY
  return Math.round(Math.max(limits.leastRows, Math.min(bounded, byBytes, limits.mostRows)))
}
