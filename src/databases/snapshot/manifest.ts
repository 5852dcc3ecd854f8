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

const dumpFileSchema = z.object({ path: z.string(), bytes: z.number(), sha256: z.string() }).readonly()

const methodSchema = z
  .object({
    kind: z.literal('method'),
    method: z.enum(['native', 'command']),
    /** "pg_dump 15.18"; of a command, nothing is known but its hash. */
    tool: z.string(),
    format: z.string(),
    reason: z.string(),
    /** Relative to the snapshot's folder; of this attempt alone. */
    folder: z.string(),
  })
  .readonly()

const dumpSchema = z
  .object({
    kind: z.literal('dump'),
    files: z.array(dumpFileSchema).readonly(),
    /** By the table's full name; `null` when nobody could count them. */
    rows: z.record(z.string(), z.number()).nullable(),
    /** True when all rows are of one instant. */
    consistent: z.boolean(),
    /** True when the backup lies where the servers reach it (a URL) and not in the folder. */
    elsewhere: z.boolean(),
  })
  .readonly()

/** A snapshot that the engine's own tools or the founder's command made. */
export interface Dump extends Omit<z.infer<typeof methodSchema>, 'kind'> {
  /** `null` while it isn't whole. */
  readonly saved: Omit<z.infer<typeof dumpSchema>, 'kind'> | null
}

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
  /** Taken by other means than rows through the driver; an attempt that follows takes the place of the one before. */
  methodSchema,
  dumpSchema,
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
  /** `null` for rows read through the driver. */
  readonly dump: Dump | null
  readonly complete: boolean
}

/** True when the tables may be of different instants: rows may lack their parents. */
export const isFuzzy = (manifest: Manifest): boolean =>
  manifest.dump === null && (manifest.sessions.length !== 1 || manifest.sessions.some((session) => !session.consistent))

export const partsOf = (manifest: Manifest, table: string): readonly Part[] => manifest.tables.get(table)?.parts ?? []

export const rowsOf = (manifest: Manifest, table: string): number =>
  manifest.dump?.saved?.rows?.[table] ?? partsOf(manifest, table).reduce((sum, part) => sum + part.rows, 0)

/** All entries taken together. Pure. */
export function fold(entries: readonly ManifestEntry[]): Manifest {
  const ranges = new Map<string, RangeEntry[]>()
  const sessions: { consistent: boolean; at: string }[] = []
  let schema: Extract<ManifestEntry, { kind: 'schema' }> | undefined
  let dump = null as Dump | null
  let complete = false
  for (const entry of entries) {
    if (entry.kind === 'schema') schema = entry
    else if (entry.kind === 'session') sessions.push({ consistent: entry.consistent, at: entry.at })
    else if (entry.kind === 'complete') complete = true
    else if (entry.kind === 'method') dump = { ...entry, saved: null }
    else if (entry.kind === 'dump') dump = dump === null ? null : { ...dump, saved: entry }
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
    dump,
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
