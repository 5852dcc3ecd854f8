import { z } from 'zod'
import type { IdentityState } from '../schema.ts'
import { identitySchema } from '../schema.ts'
import { gapsIn, type KeyRange } from './ranges.ts'

const cellsSchema = z.array(z.string().nullable()).readonly()

const storedPartSchema = z
  .object({
    /** Unique among the table's parts. */
    part: z.number().int().positive(),
    /** Relative to the snapshot's folder. Small tables share a file. */
    file: z.string(),
    /** Where in the file it begins, and how many bytes of it there are. */
    offset: z.number().int().nonnegative(),
    storedBytes: z.number().int().nonnegative(),
    /** `rows`, or the engine's `blockFormat`. */
    format: z.string(),
    rows: z.number().int().nonnegative(),
    /** Before compression. */
    bytes: z.number().int().nonnegative(),
    /** Of the bytes as they lie on disk. */
    sha256: z.string(),
  })
  .readonly()

/** Some of a table's rows, on disk for good. */
export type Part = z.infer<typeof storedPartSchema> & { readonly table: string }

const rangeSchema = z.object({
  kind: z.literal('range'),
  table: z.string(),
  /** Its place among the table's ranges: they are in the order of their keys, and read in any. */
  at: z.number().int().nonnegative(),
  /** `null`: from the table's first row. */
  after: cellsSchema.nullable(),
  /** `null`: to its last. A table without a key is one range. */
  upTo: cellsSchema.nullable(),
  parts: z.array(storedPartSchema).readonly(),
})

const identityStateSchema = z.object({ identity: identitySchema, last: z.string().nullable(), next: z.string() }).readonly()

export const entrySchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('schema'),
    sha256: z.string(),
    engine: z.string(),
    identities: z.array(identityStateSchema).readonly(),
  }),
  /** Reading began (again): everything up to the next session was read through one set of readers. */
  z.object({ kind: z.literal('session'), consistent: z.boolean(), at: z.string() }),
  /** All rows of a range were saved. A table is whole when its ranges leave no gap. */
  rangeSchema,
  z.object({ kind: z.literal('complete'), at: z.string() }),
])
export type ManifestEntry = z.infer<typeof entrySchema>
export type RangeEntry = z.infer<typeof rangeSchema>

/** What is saved of a table. */
export interface SavedTable {
  readonly parts: readonly Part[]
  /** In the order of their keys. */
  readonly ranges: readonly KeyRange[]
  readonly whole: boolean
}

/** What the manifest says, all entries taken together. */
export interface Manifest {
  readonly schemaSha256: string | null
  readonly engine: string | null
  readonly identities: readonly IdentityState[]
  readonly sessions: readonly { readonly consistent: boolean; readonly at: string }[]
  /** By the table's full name. */
  readonly tables: ReadonlyMap<string, SavedTable>
  readonly complete: boolean
}

/** True when the tables may be of different instants: rows may lack their parents. */
export const isFuzzy = (manifest: Manifest): boolean =>
  manifest.sessions.length !== 1 || manifest.sessions.some((session) => !session.consistent)

export const partsOf = (manifest: Manifest, table: string): readonly Part[] => manifest.tables.get(table)?.parts ?? []

export const rowsOf = (manifest: Manifest, table: string): number =>
  partsOf(manifest, table).reduce((sum, part) => sum + part.rows, 0)

/** All entries taken together. Pure. */
export function fold(entries: readonly ManifestEntry[]): Manifest {
  const ranges = new Map<string, RangeEntry[]>()
  const sessions: { consistent: boolean; at: string }[] = []
  let schema: Extract<ManifestEntry, { kind: 'schema' }> | undefined
  let complete = false
  for (const entry of entries) {
    if (entry.kind === 'schema') schema = entry
    else if (entry.kind === 'session') sessions.push({ consistent: entry.consistent, at: entry.at })
    else if (entry.kind === 'complete') complete = true
    else {
      const known = ranges.get(entry.table)
      if (known === undefined) ranges.set(entry.table, [entry])
      else known.push(entry)
    }
  }
  return {
    schemaSha256: schema?.sha256 ?? null,
    engine: schema?.engine ?? null,
    identities: (schema?.identities ?? []).map((state) => ({
      identity: state.identity,
      last: state.last === null ? null : BigInt(state.last),
      next: BigInt(state.next),
    })),
    sessions,
    tables: new Map([...ranges].map(([table, each]) => [table, savedTable(table, each)])),
    complete,
  }
}

function savedTable(table: string, entries: readonly RangeEntry[]): SavedTable {
  const ranges = entries.map(({ at, after, upTo }) => ({ at, after, upTo })).toSorted((a, b) => a.at - b.at)
  return {
    parts: entries.flatMap((entry) => entry.parts.map((part) => ({ ...part, table }))),
    ranges,
    whole: gapsIn(ranges).length === 0,
  }
}
