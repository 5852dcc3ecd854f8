import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { KeyCells } from '../port.ts'
import { fullName, type Table } from '../schema.ts'
import { keptIn } from './kept.ts'
import type { Manifest, Part, RangeEntry } from './manifest.ts'
import { type Chunk, diskError, type PartLimits } from './part.ts'
import { type WrittenPart, writePart } from './part-writer.ts'
import type { KeyRange } from './ranges.ts'

/** Wraps every effect on the disk, so that a simulation can cut the run off around it. */
export type Guard = <T>(name: string, effect: () => Promise<T>) => Promise<T>

/** Rows of one range of a table on their way to the disk. */
export interface Saving {
  readonly table: Table
  /** The table's place in the schema. */
  readonly ordinal: number
  readonly range: KeyRange
  /** `rows`, or the engine's `blockFormat`. */
  readonly format: string
  readonly chunks: AsyncIterable<Chunk>
  /** Called when a range is on disk for good, with its parts. */
  readonly onRange: (parts: readonly Part[]) => void
}

interface PartPlace {
  readonly saving: Saving
  readonly chunks: AsyncIterator<Chunk>
  readonly number: number
  /** From the snapshot's folder. */
  readonly file: string
  readonly offset: number
}

type SavedPart = Pick<WrittenPart, 'ended' | 'lastKey' | 'storedBytes'> & { readonly part: Part | undefined }

/** Numbers that small tables' files of one session may have. */
const SMALL_FILES = 100_000

/** The files of a snapshot's rows. Each is written under another name, brought to disk and renamed before `record` is called. */
export class PartFiles {
  readonly #directory: string
  readonly #guard: Guard
  readonly #limits: PartLimits
  readonly #record: (ranges: readonly RangeEntry[]) => Promise<void>
  /** By table: the number of its last part. */
  readonly #numbers = new Map<string, number>()
  #smallFiles = 0

  constructor(directory: string, guard: Guard, limits: PartLimits, record: (ranges: readonly RangeEntry[]) => Promise<void>) {
    this.#directory = directory
    this.#guard = guard
    this.#limits = limits
    this.#record = record
  }

  /** Goes on after what is saved: no name is given twice. Removes what an earlier session left behind unfinished. */
  async begin({ tables, sessions }: Manifest): Promise<void> {
    for (const [name, { parts }] of tables)
      this.#numbers.set(
        name,
        parts.reduce((last, { part }) => Math.max(last, part), 0),
      )
    this.#smallFiles = sessions.length * SMALL_FILES
    await mkdir(this.#path('tables'), { recursive: true })
    if (sessions.length === 0) return
    const known = new Set([...tables.values()].flatMap(({ parts }) => parts.map((part) => part.file)))
    for (const entry of await readdir(this.#path('tables'), { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name)
      if (entry.isFile() && !known.has(relative(this.#directory, file))) await rm(file, { force: true })
    }
  }

  /**
   * Saves one range of a table in files of its own. `goesOn`: the chunks come in key order up to the table's end, so that each part
   * counts as a range of its own as soon as it is whole; otherwise the range counts when all of it is saved.
   */
  async save(saving: Saving, goesOn: boolean): Promise<void> {
    const { table, ordinal, range, onRange } = saving
    const folder = join('tables', `${String(ordinal).padStart(4, '0')}-${safeName(fullName(table.name))}`)
    await mkdir(this.#path(folder), { recursive: true })
    let { at, after } = range
    let parts: Part[] = []
    const record = async (upTo: KeyCells | null): Promise<void> => {
      await this.#record([rangeEntry(table, { at, after, upTo }, parts)])
      onRange(parts)
    }
    await each(saving.chunks, async (chunks) => {
      const number = this.#number(table)
      const file = join(folder, `part-${String(number).padStart(5, '0')}.zst`)
      const { part, ended, lastKey } = await this.#fill(file, async (handle, path) => {
        const saved = await this.#part(handle, path, { saving, chunks, number, file, offset: 0 })
        return { ...saved, isEmpty: saved.part === undefined }
      })
      if (part !== undefined) parts.push(part)
      if (ended || !goesOn || lastKey === null) return ended
      await record(lastKey)
      at += 1
      after = lastKey
      parts = []
      return false
    })
    await record(range.upTo)
  }

  /** Saves whole tables into one file: for small ones, of which each would cost the disk as much as a large one. */
  async saveTogether(savings: readonly Saving[]): Promise<void> {
    this.#smallFiles += 1
    const file = join('tables', `small-${String(this.#smallFiles).padStart(5, '0')}.zst`)
    const saved = await this.#fill(file, async (handle, path) => {
      const ranges: { readonly saving: Saving; readonly parts: Part[] }[] = []
      let offset = 0
      for (const saving of savings) {
        const parts: Part[] = []
        await each(saving.chunks, async (chunks) => {
          const number = this.#number(saving.table)
          const { part, ended, storedBytes } = await this.#part(handle, path, { saving, chunks, number, file, offset })
          offset += storedBytes
          if (part !== undefined) parts.push(part)
          return ended
        })
        ranges.push({ saving, parts })
      }
      return { ranges, isEmpty: ranges.every(({ parts }) => parts.length === 0) }
    })
    await this.#record(saved.ranges.map(({ saving, parts }) => rangeEntry(saving.table, saving.range, parts)))
    for (const { saving, parts } of saved.ranges) saving.onRange(parts)
  }

  /** Writes one part at the end of a file; `part` is undefined when there were no rows left. */
  async #part(handle: FileHandle, path: string, { saving, chunks, number, file, offset }: PartPlace): Promise<SavedPart> {
    const keeping = keptIn(this.#directory)?.begin()
    try {
      const written = await this.#guard('write snapshot part', () =>
        writePart(handle, path, chunks, this.#limits, keeping === undefined ? undefined : (bytes) => keeping.add(bytes)),
      )
      const { ended, lastKey, storedBytes, ...facts } = written
      const table = fullName(saving.table.name)
      const part = { table, part: number, file, offset, storedBytes, format: saving.format, ...facts }
      if (facts.rows > 0) keeping?.done(part)
      return { part: facts.rows === 0 ? undefined : part, ended, lastKey, storedBytes }
    } finally {
      keeping?.drop()
    }
  }

  async #fill<T extends { readonly isEmpty: boolean }>(
    file: string,
    fill: (handle: FileHandle, path: string) => Promise<T>,
  ): Promise<T> {
    const path = this.#path(`${file}.writing`)
    const handle = await open(path, 'w')
    let filled: T
    try {
      filled = await fill(handle, path)
      if (!filled.isEmpty) await handle.sync()
    } catch (error) {
      await handle.close()
      // On a full disk the journal needs the room to say so; what isn't whole counts for nothing.
      await rm(path, { force: true })
      throw diskError(error, path)
    }
    await handle.close()
    if (filled.isEmpty) await rm(path, { force: true })
    else await renameDurably(this.#guard, path, this.#path(file))
    return filled
  }

  #number(table: Table): number {
    const name = fullName(table.name)
    const number = (this.#numbers.get(name) ?? 0) + 1
    this.#numbers.set(name, number)
    return number
  }

  #path(name: string): string {
    return join(this.#directory, name)
  }
}

/** Takes from an iterable until `take` says that it ended, and closes it. */
async function each<T>(items: AsyncIterable<T>, take: (items: AsyncIterator<T>) => Promise<boolean>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (let ended = false; !ended; ) ended = await take(iterator)
  } finally {
    await iterator.return?.()
  }
}

/** Renames a file and brings the name to disk. */
export async function renameDurably(guard: Guard, from: string, to: string): Promise<void> {
  await guard('rename snapshot file', async () => {
    await rename(from, to)
    const folder = await open(dirname(to), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  })
}

const rangeEntry = (table: Table, range: KeyRange, parts: readonly Part[]): RangeEntry => ({
  kind: 'range',
  table: fullName(table.name),
  ...range,
  parts: parts.map(({ table: _table, ...part }) => part),
})

/** A table's name as a folder's: for people who look; the ordinal before it keeps two apart. */
const safeName = (name: string): string => name.replace(/[^\p{L}\p{N}._-]/gu, '_').slice(0, 80)
