import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, MigrateError } from '../../base/errors.ts'
import { canonicalJson } from '../../base/json.ts'
import type { Row } from '../port.ts'
import { fullName, type IdentityState, readableColumns, type Schema, schemaSchema, type Table } from '../schema.ts'
import { KeptParts, keptIn } from './kept.ts'
import { type Dump, type Manifest, type ManifestEntry, type Part, partsOf } from './manifest.ts'
import { ManifestWriter, manifestBytes, readManifest, readManifestDurably } from './manifest-file.ts'
import { diskError, type PartLimits, partLimits, readChunks } from './part.ts'
import { type Guard, PartFiles, renameDurably, type Saving } from './part-files.ts'
import { readRows } from './rows-format.ts'

/**
 * A database snapshot on disk:
 *
 *     schema.json                         the schema, canonical JSON
 *     tables/<ordinal>-<name>/part-NNNNN  rows
 *     tables/small-NNNNN                  rows of several small tables, one part after the other
 *     manifest.jsonl                      what is whole: checksums, counts, ranges of keys; one line each, appended with fsync
 *
 * Only what the manifest names counts. A file is written under another name, brought to disk and renamed before its line.
 */
export class SnapshotStore {
  readonly directory: string
  readonly #guard: Guard
  readonly #files: PartFiles
  #writer: Promise<ManifestWriter> | undefined

  /** `runDirectory`: the run's own folder; the snapshot lies in its `database` folder. */
  constructor(runDirectory: string, guard: Guard, limits: PartLimits = partLimits) {
    this.directory = join(runDirectory, 'database')
    this.#guard = guard
    this.#files = new PartFiles(this.directory, guard, limits, (ranges) => this.#append('range', ranges))
  }

  /** What is whole on disk. Read-only. */
  manifest(): Promise<Manifest> {
    return readManifest(this.#path('manifest.jsonl'))
  }

  /** The same while it is still being written, perhaps by another: on disk for good when it is returned. */
  growingManifest(): Promise<Manifest> {
    return readManifestDurably(this.#path('manifest.jsonl'))
  }

  /** Grows with every entry. */
  manifestBytes(): Promise<number> {
    return manifestBytes(this.#path('manifest.jsonl'))
  }

  /** The schema as it was saved; `undefined` before that. Throws `snapshot-damaged` when the file changed since. Read-only. */
  async schema(): Promise<Schema | undefined> {
    const manifest = await this.manifest()
    if (manifest.schemaSha256 === null) return undefined
    const text = await readFile(this.#path('schema.json'), 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return ''
      throw error
    })
    if (sha256(text) !== manifest.schemaSha256) {
      throw new MigrateError(
        'snapshot-damaged',
        `schema.json of the snapshot in ${this.directory} isn't what was written. Nothing was loaded.`,
        {
          hint: 'Put the file back from a copy and run again; or take the snapshot again with --fresh.',
        },
      )
    }
    return schemaSchema.parse(JSON.parse(text))
  }

  /** Saves the schema and where every identity stood. */
  async begin(schema: Schema, engine: string, identities: readonly IdentityState[]): Promise<void> {
    const text = canonicalJson(schema)
    await mkdir(this.directory, { recursive: true })
    await this.#replace('schema.json', text)
    const states = identities.map(({ identity, last, next }) => ({
      identity,
      last: last === null ? null : String(last),
      next: String(next),
    }))
    await this.#append('schema', [{ kind: 'schema', sha256: sha256(text), engine, identities: states }])
  }

  /** Tells that reading begins, or begins again, through readers of one instant or not. */
  async session(consistent: boolean, at: string): Promise<void> {
    await this.#files.begin(await this.manifest())
    await this.#append('session', [{ kind: 'session', consistent, at }])
  }

  /** See PartFiles. */
  save(saving: Saving, goesOn: boolean): Promise<void> {
    return this.#files.save(saving, goesOn)
  }

  /** See PartFiles. */
  saveTogether(savings: readonly Saving[]): Promise<void> {
    return this.#files.saveTogether(savings)
  }

  /** Tells that an attempt by other means than `save` begins; what an earlier attempt left is forgotten. */
  beginDump(dump: Omit<Dump, 'saved'>): Promise<void> {
    return this.#append('method', [{ kind: 'method', ...dump }])
  }

  /** Tells that the attempt begun last is whole. */
  saveDump(saved: NonNullable<Dump['saved']>): Promise<void> {
    return this.#append('dump', [{ kind: 'dump', ...saved }])
  }

  complete(at: string): Promise<void> {
    return this.#append('complete', [{ kind: 'complete', at }])
  }

  /** The rows of a part in the format `rows`; the checksum is proven before the first is handed out. */
  rows(table: Table, part: Part): AsyncGenerator<readonly Row[]> {
    return readRows(this.#chunks(part), part, readableColumns(table).length)
  }

  /** The blocks of a part in an engine's format, each as a reader gave it; the checksum is proven before the first is handed out. */
  async *blocks(part: Part): AsyncGenerator<Buffer> {
    yield* this.#chunks(part)
  }

  #chunks(part: Part): Iterable<Buffer> | AsyncIterable<Buffer> {
    return keptIn(this.directory)?.take(part) ?? readChunks(this.#path(part.file), part)
  }

  /** Keeps what is saved from now on in memory, as far as there is room, until it is loaded or `end` is called on what this returns. */
  follow(): KeptParts {
    return KeptParts.follow(this.directory)
  }

  /** True when a part is still in memory. */
  isKept(part: Part): boolean {
    return keptIn(this.directory)?.has(part) === true
  }

  async parts(table: Table): Promise<readonly Part[]> {
    return partsOf(await this.manifest(), fullName(table.name))
  }

  /** Removes the snapshot. The manifest goes first: without it, nothing of the rest counts. */
  async remove(): Promise<void> {
    this.#writer = undefined
    await this.#guard('remove snapshot manifest', () => rm(this.#path('manifest.jsonl'), { force: true }))
    await this.#guard('remove snapshot', () => rm(this.directory, { recursive: true, force: true }))
  }

  async #append(kind: ManifestEntry['kind'], entries: readonly ManifestEntry[]): Promise<void> {
    try {
      this.#writer ??= ManifestWriter.open(this.#path('manifest.jsonl'))
      const writer = await this.#writer
      await this.#guard(`append to snapshot manifest: ${kind}`, () => writer.append(entries))
    } catch (error) {
      // A line may have been cut off in its middle: the next append looks at the file anew.
      this.#writer = undefined
      throw diskError(error, this.#path('manifest.jsonl'))
    }
  }

  async #replace(name: string, text: string): Promise<void> {
    const temporary = this.#path(`${name}.writing`)
    try {
      const handle = await open(temporary, 'w')
      try {
        await handle.writeFile(text)
        await handle.sync()
      } finally {
        await handle.close()
      }
    } catch (error) {
      throw diskError(error, temporary)
    }
    await renameDurably(this.#guard, temporary, this.#path(name))
  }

  #path(name: string): string {
    return join(this.directory, name)
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
