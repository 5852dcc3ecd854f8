import { createHash } from 'node:crypto'
import { open, readFile, truncate } from 'node:fs/promises'
import { z } from 'zod'
import { codeOf, MigrateError } from '../../base/errors.ts'
import { canonicalJson, type Json } from '../../base/json.ts'
import type { IdentityState } from '../schema.ts'
import { identitySchema } from '../schema.ts'

const cellsSchema = z.array(z.string().nullable()).readonly()

const partSchema = z
  .object({
    kind: z.literal('part'),
    table: z.string(),
    part: z.number().int().positive(),
    /** Relative to the snapshot's folder. */
    file: z.string(),
    rows: z.number().int().nonnegative(),
    /** Before and after compression. */
    bytes: z.number().int().nonnegative(),
    storedBytes: z.number().int().nonnegative(),
    /** Of the file as it lies on disk. */
    sha256: z.string(),
    /** Where the next part begins; `null` for a table without a key. */
    lastKey: cellsSchema.nullable(),
  })
  .readonly()
/** A whole part of a table's rows, on disk for good. */
export type Part = z.infer<typeof partSchema>

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

const entrySchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('schema'),
    sha256: z.string(),
    engine: z.string(),
    identities: z.array(identityStateSchema).readonly(),
  }),
  /** Reading began (again): everything up to the next session was read through one set of readers. */
  z.object({ kind: z.literal('session'), consistent: z.boolean(), at: z.string() }),
  partSchema,
  /** A table without a key begins again: its parts so far don't count. */
  z.object({ kind: z.literal('restart'), table: z.string() }),
  z.object({ kind: z.literal('table'), table: z.string(), rows: z.number().int().nonnegative() }),
  /** Taken by other means than rows through the driver; an attempt that follows takes the place of the one before. */
  methodSchema,
  dumpSchema,
  z.object({ kind: z.literal('complete'), at: z.string() }),
])
export type ManifestEntry = z.infer<typeof entrySchema>

/** What the manifest says, all entries taken together. */
export interface Manifest {
  readonly schemaSha256: string | null
  readonly engine: string | null
  readonly identities: readonly IdentityState[]
  readonly sessions: readonly { readonly consistent: boolean; readonly at: string }[]
  /** By the table's full name. */
  readonly tables: ReadonlyMap<string, { readonly parts: readonly Part[]; readonly whole: boolean }>
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

const checksum = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

const lineOf = (entry: ManifestEntry): string => {
  const text = canonicalJson(entry as Json)
  return `${checksum(text)} ${text}\n`
}

/** The line's entry; `undefined` when it isn't whole. */
function entryOf(line: string): ManifestEntry | undefined {
  const text = line.slice(17)
  if (line.slice(0, 17) !== `${checksum(text)} `) return undefined
  return entrySchema.parse(JSON.parse(text))
}

/** Entries of a manifest file, and how many of its bytes hold them: a line that a kill cut off at the end is left out. */
async function entriesOf(file: string): Promise<{ readonly entries: readonly ManifestEntry[]; readonly bytes: number }> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  })
  const entries: ManifestEntry[] = []
  let bytes = 0
  const lines = text.split('\n')
  const tail = lines.pop()
  for (const [index, line] of lines.entries()) {
    const entry = entryOf(line)
    const last = index === lines.length - 1 && tail === ''
    if (entry === undefined && !last) {
      throw new MigrateError(
        'snapshot-damaged',
        `Line ${index + 1} of ${file} is damaged. Nothing was loaded from this snapshot.`,
        {
          hint: 'Take the snapshot again: run with --fresh, or remove the folder "database" from the run\'s folder.',
        },
      )
    }
    if (entry === undefined) break
    entries.push(entry)
    bytes += Buffer.byteLength(line) + 1
  }
  return { entries, bytes }
}

/** Reads a manifest; an absent file is an empty manifest. Throws `snapshot-damaged` when a line in the middle isn't whole. */
export async function readManifest(file: string): Promise<Manifest> {
  const { entries } = await entriesOf(file)
  return fold(entries)
}

function fold(entries: readonly ManifestEntry[]): Manifest {
  const tables = new Map<string, { parts: Part[]; whole: boolean }>()
  const tableOf = (name: string) => {
    const table = tables.get(name) ?? { parts: [], whole: false }
    tables.set(name, table)
    return table
  }
  const sessions: { consistent: boolean; at: string }[] = []
  let schema: Extract<ManifestEntry, { kind: 'schema' }> | undefined
  let dump = null as Dump | null
  let complete = false
  for (const entry of entries) {
    if (entry.kind === 'schema') schema = entry
    else if (entry.kind === 'session') sessions.push({ consistent: entry.consistent, at: entry.at })
    else if (entry.kind === 'part') tableOf(entry.table).parts.push(entry)
    else if (entry.kind === 'restart') tables.delete(entry.table)
    else if (entry.kind === 'table') tableOf(entry.table).whole = true
    else if (entry.kind === 'method') dump = { ...entry, saved: null }
    else if (entry.kind === 'dump') dump = dump === null ? null : { ...dump, saved: entry }
    else complete = true
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
    tables,
    dump,
    complete,
  }
}

/** Appends entries, each on disk (fsync) before `append` returns. Several callers may append at the same time. */
export class ManifestWriter {
  readonly #file: string
  #queue: Promise<void> = Promise.resolve()

  private constructor(file: string) {
    this.#file = file
  }

  /** Opens a manifest for appending; cuts off a last line that isn't whole. */
  static async open(file: string): Promise<ManifestWriter> {
    const { bytes } = await entriesOf(file)
    await truncate(file, bytes).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    return new ManifestWriter(file)
  }

  append(entry: ManifestEntry): Promise<void> {
    // After a failed write the last line may be cut off: nothing more is appended through this writer.
    const mine = this.#queue.then(() => this.#write(lineOf(entry)))
    mine.catch(() => undefined)
    this.#queue = mine
    return mine
  }

  async #write(line: string): Promise<void> {
    const handle = await open(this.#file, 'a')
    try {
      await handle.appendFile(line)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}
