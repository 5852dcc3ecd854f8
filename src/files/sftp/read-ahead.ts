import type { FolderEntries } from '../folder-entries.ts'

/** Folders read ahead of where the listing is, and about so many entries of them. */
export const FOLDERS_AHEAD = 256
export const ENTRIES_AHEAD = 20_000
/** What a folder is taken to hold until the first ones are read, entries. */
const USUAL_ENTRIES = 150

/** `soFar` is told how many entries have come, and may throw: the folder isn't read on then. */
export type ReadFolder = (folder: string, soFar?: (entries: number) => void) => Promise<FolderEntries>

interface Reading {
  readonly answer: Promise<FolderEntries>
  /** Entries that have come, as far as it is known. */
  soFar: number
  /** The walk has got there. */
  isAwaited: boolean
}

/** Thrown into the reading of a folder for which there is no room yet. As that of a signal, it stays as it is on its way. */
class NotYet extends Error {
  override readonly name = 'AbortError'
}

/**
 * Folders that are read before the walk gets there. On a long way many have to be begun before it is known how much any of them holds: what
 * turns out to be too much is left off, and begun once more when there is room.
 */
export class ReadAhead {
  readonly #read: ReadFolder
  readonly #begun = new Map<string, Reading>()
  readonly #expected = new Map<string, Promise<FolderEntries | undefined>>()
  /** Left off, and whether they may be begun once more; of one that is too large by itself nothing is won. */
  readonly #leftOff = new Map<string, boolean>()
  #answered = 0
  /** Entries of those that are here and not taken yet, of those on their way, and of all that ever came. */
  #held = 0
  #coming = 0
  #seen = 0
  #folders = 0

  constructor(read: ReadFolder) {
    this.#read = read
  }

  get takesMore(): boolean {
    const usual = this.#folders === 0 ? USUAL_ENTRIES : this.#seen / this.#folders
    const expected = this.#held + (this.#begun.size - this.#answered) * usual
    return this.#begun.size < FOLDERS_AHEAD && expected < ENTRIES_AHEAD
  }

  /** One that was left off, to be begun before others. */
  postponed(): string | undefined {
    for (const [folder, mayBeBegun] of this.#leftOff) if (mayBeBegun) return folder
    return undefined
  }

  /** Whatever is wrong with one that only might be there: it is read again when it is known to be. */
  expect(folder: string, read: ReadFolder): void {
    if (this.#expected.size >= FOLDERS_AHEAD) return
    const entries = read(folder).catch(() => undefined)
    this.#expected.set(folder, entries)
  }

  begin(folder: string): void {
    if (this.#leftOff.has(folder)) this.#leftOff.set(folder, false)
    const soFar = (entries: number): void => this.#came(reading, entries)
    const answer = this.#expected.has(folder) ? this.#takeExpected(folder) : this.#read(folder, soFar)
    const reading: Reading = { answer, soFar: 0, isAwaited: false }
    this.#begun.set(folder, reading)
    answer.then(
      ({ length }) => {
        this.#count(reading, length)
        this.#answered += 1
        this.#held += length
      },
      (error: unknown) => {
        // Others are thrown when the walk gets there.
        if (!(error instanceof NotYet)) return
        this.#count(reading, reading.soFar)
        this.#begun.delete(folder)
        if (!this.#leftOff.has(folder)) this.#leftOff.set(folder, true)
      },
    )
  }

  async take(folder: string): Promise<FolderEntries> {
    const begun = this.#begun.get(folder)
    if (begun === undefined) {
      this.#leftOff.delete(folder)
      return this.#takeExpected(folder)
    }
    begun.isAwaited = true
    try {
      const entries = await begun.answer
      this.#begun.delete(folder)
      this.#answered -= 1
      this.#held -= entries.length
      return entries
    } catch (error) {
      // Left off right before.
      if (error instanceof NotYet) return await this.#read(folder)
      throw error
    } finally {
      this.#leftOff.delete(folder)
    }
  }

  #came(reading: Reading, entries: number): void {
    this.#coming += entries - reading.soFar
    reading.soFar = entries
    if (!reading.isAwaited && this.#held + this.#coming > ENTRIES_AHEAD) throw new NotYet('there is no room for it yet')
  }

  #count(reading: Reading, entries: number): void {
    this.#coming -= reading.soFar
    this.#seen += entries
    this.#folders += 1
  }

  async #takeExpected(folder: string): Promise<FolderEntries> {
    const expected = this.#expected.get(folder)
    this.#expected.delete(folder)
    return (await expected) ?? this.#read(folder)
  }
}
