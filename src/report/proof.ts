import { z } from 'zod'

const sumSchema = z.object({
  column: z.string(),
  source: z.string(),
  target: z.string(),
  because: z.object({ born: z.string(), changed: z.string(), carried: z.string(), setAside: z.string() }).readonly(),
  unexplained: z.string(),
})

const tallySchema = z.object({
  rows: z.number(),
  same: z.number(),
  inserted: z.number(),
  updated: z.number(),
  merged: z.number(),
  remapped: z.number(),
  skipped: z.number(),
  kept: z.number(),
  parked: z.number(),
  unaccounted: z.number(),
  deleted: z.number(),
  target: z.object({
    rows: z.number(),
    same: z.number(),
    carried: z.number(),
    changed: z.number(),
    born: z.number(),
    conflicts: z.number(),
    unaccounted: z.number(),
  }),
  sums: z.array(sumSchema).readonly(),
})

const pairSchema = z.object({ table: z.string(), from: z.string(), to: z.string() })

/** The last pass's proof as the run remembers it, for the report. Keys are as people write them: `10499`, `10, 1`. */
export const provenSchema = z.object({
  pass: z.number(),
  /** The host whose rows were carried. */
  source: z.enum(['old', 'new']),
  rows: z.number(),
  accounted: z.number(),
  unaccounted: z.number(),
  tables: z.record(z.string(), tallySchema),
  /** Rows that have another number on the host they were carried to; `LISTED` at most, and how many there are. */
  remapped: z.array(pairSchema).readonly(),
  remappedRows: z.number(),
  /** Rows that turned out to be one thing with another there. */
  merged: z.array(pairSchema).readonly(),
  mergedRows: z.number(),
  parked: z.array(z.object({ table: z.string(), key: z.string(), reason: z.string() })).readonly(),
  parkedRows: z.number(),
  /** Where all parked rows are kept. */
  parkedFile: z.string(),
})
export type Proven = z.infer<typeof provenSchema>

/** The run's memory under which the last proof is kept. */
export const PROVEN_KEY = 'proof'

/** So many of a kind are kept for the report; the rest are counted. */
export const LISTED = 500
