import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, MigrateError } from '../../base/errors.ts'
import { canonicalJson } from '../../base/json.ts'
import type { Row } from '../port.ts'
import { fullName, type IdentityState, keyPositions, readableColumns, type Schema, schemaSchema, type Table } from '../schema.ts'
import { type Dump, type Manifest, ManifestWriter, type Part, partsOf, readManifest } from './manifest.ts'
import { diskError, type PartLimits, partExtension, partLimits, readPart, writePart } from './part.ts'

/** Wraps every effect on the disk, so that a simulation can cut the run off around it. */
export type Guard = <T>(name: string, effect: () => Promise<T>) => Promise<T>

/**
 * A database snapshot on disk:
 *
 *     schema.json                         the schema, canonical JSON
 *     tables/<ordinal>-<name>/part-NNNNN  rows
 *     manifest.jsonl                      what is whole: checksums, counts, cursors; one line each, appended with fsync
 *
 * Only what the manifest names counts. A file is written under another name, brought to disk and renamed before its line.
 */
export class SnapshotStore {
  readonly directory: string
  readonly #guard: Guard
  readonly #limits: PartLimits
  #writer: Promise<ManifestWriter> | undefined

  /** `runDirectory`: the run's own folder; the snapshot lies in its `database` folder. */
  constructor(runDirectory: string, guard: Guard, limits: PartLimits = partLimits) {
    this.directory = join(runDirectory, 'database')
    this.#guard = guard
    this.#limits = limits
  }

  /** What is whole on disk. Read-only. */
  manifest(): Promise<Manifest> {
    return readManifest(this.#path('manifest.jsonl'))
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
    await this.#append({
      kind: 'schema',
      sha256: sha256(text),
      engine,
      identities: identities.map(({ identity, last, next }) => ({
        identity,
        last: last === null ? null : String(last),
        next: String(next),
      })),
    })
  }

  /** Tells that reading begins, or begins again, through readers of one instant or not. */
  session(consistent: boolean, at: string): Promise<void> {
    return this.#append({ kind: 'session', consistent, at })
  }

  /**
   * Saves rows of a table part by part until they end. `ordinal` is the table's place in the schema; `from` are the parts that
   * are whole already and that `batches` goes on after.
   */
  async save(
    table: Table,
    ordinal: number,
    from: readonly Part[],
    batches: AsyncIterable<readonly Row[]>,
    onPart: (part: Part) => void,
  ): Promise<void> {
    const name = fullName(table.name)
    const folder = join('tables', `${String(ordinal).padStart(4, '0')}-${safeName(name)}`)
    await mkdir(this.#path(folder), { recursive: true })
    const iterator = batches[Symbol.asyncIterator]()
    let rows = from.reduce((sum, part) => sum + part.rows, 0)
    try {
      for (let number = from.length + 1, ended = false; !ended; number += 1) {
        const file = join(folder, `part-${String(number).padStart(5, '0')}${partExtension}`)
        const part = await this.#savePart(table, number, file, iterator)
        ended = part.ended
        if (part.entry === undefined) continue
        rows += part.entry.rows
        onPart(part.entry)
      }
    } finally {
      await iterator.return?.()
    }
    await this.#append({ kind: 'table', table: name, rows })
  }

  async #savePart(table: Table, number: number, file: string, iterator: AsyncIterator<readonly Row[]>) {
    const temporary = this.#path(`${file}.writing`)
    const written = await this.#guard('write snapshot part', () => writePart(temporary, iterator, this.#limits))
    if (written.rows === 0) {
      await rm(temporary, { force: true })
      return { ended: written.ended, entry: undefined }
    }
    await this.#rename(temporary, this.#path(file))
    const { rows, bytes, storedBytes, lastRow } = written
    const entry: Part = {
      kind: 'part',
      table: fullName(table.name),
      part: number,
      file,
      rows,
      bytes,
      storedBytes,
      sha256: written.sha256,
      lastKey: table.key.length === 0 || lastRow === undefined ? null : keyPositions(table).map((at) => lastRow[at] ?? null),
    }
    await this.#append(entry)
    return { ended: written.ended, entry }
  }

  /** Forgets a table's parts: it will be read again from its first row. */
  restart(table: Table): Promise<void> {
    return this.#append({ kind: 'restart', table: fullName(table.name) })
  }

  /** Tells that an attempt by other means than `save` begins; what an earlier attempt left is forgotten. */
  beginDump(dump: Omit<Dump, 'saved'>): Promise<void> {
    return this.#append({ kind: 'method', ...dump })
  }

  /** Tells that the attempt begun last is whole. */
  saveDump(saved: NonNullable<Dump['saved']>): Promise<void> {
    return this.#append({ kind: 'dump', ...saved })
  }

  complete(at: string): Promise<void> {
    return this.#append({ kind: 'complete', at })
  }

  /** The rows of a part; the checksum is proven before the first is handed out. */
  rows(table: Table, part: Part): AsyncGenerator<readonly Row[]> {
    return readPart(this.#path(part.file), part, readableColumns(table).length)
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

  async #append(entry: Parameters<ManifestWriter['append']>[0]): Promise<void> {
    try {
      this.#writer ??= ManifestWriter.open(this.#path('manifest.jsonl'))
      const writer = await this.#writer
      await this.#guard(`append to snapshot manifest: ${entry.kind}`, () => writer.append(entry))
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
    await this.#rename(temporary, this.#path(name))
  }

  async #rename(from: string, to: string): Promise<void> {
    await this.#guard('rename snapshot file', async () => {
      await rename(from, to)
      const folder = await open(join(to, '..'), 'r')
      try {
        await folder.sync()
      } finally {
        await folder.close()
      }
    })
  }

  #path(name: string): string {
    return join(this.directory, name)
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A table's name as a folder's: for people who look; the ordinal before it keeps two apart. */
const safeName = (name: string): string => name.replace(/[^\p{L}\p{N}._-]/gu, '_').slice(0, 80)
