import { FolderEntries } from '../folder-entries.ts'
import type { FileEntry } from '../port.ts'
import { readUnlessGone } from '../vanishing.ts'
import { ENTRIES_AHEAD, FOLDERS_AHEAD, ReadAhead, type ReadFolder } from './read-ahead.ts'

export type { ReadFolder } from './read-ahead.ts'

interface Level {
  readonly of: FolderEntries
  readonly entries: Iterator<FileEntry>
  /** Its folders once more, which come sooner than the walk gets there. */
  readonly folders: Iterator<string>
  nextFolder: number
  nextAhead: number
}

interface Tree {
  isEntered(folder: string): boolean
  readonly read: ReadFolder
  stat(path: string): Promise<FileEntry | undefined>
  /** Is told of each folder before it is given out: the one above it was seen to have it. */
  saw(folder: string): void
  /** Folders that are likely to be there, in the order of the walk: read at once, instead of when the one above tells of them. */
  readonly expected?: readonly string[]
}

/**
 * Walks a tree in the order of `comparePaths`, reading some folders ahead. Holds the entries of the folders on the way down and of
 * those read ahead, whatever the size of the tree.
 */
export async function* walk(start: string, tree: Tree, signal: AbortSignal | undefined): AsyncGenerator<FileEntry> {
  const { read } = tree
  const ahead = new ReadAhead(async (folder, soFar) => {
    const below = { read: (each: string) => read(each, soFar), stat: tree.stat }
    return (await readUnlessGone(folder, below)) ?? new FolderEntries(folder)
  })
  const level = (of: FolderEntries): Level => {
    return { of, entries: of[Symbol.iterator](), folders: of.folders(), nextFolder: 0, nextAhead: 0 }
  }
  const begun = read(start)
  begun.catch(() => undefined) // awaited below
  for (const folder of tree.expected ?? []) if (tree.isEntered(folder)) ahead.expect(folder, read)
  const levels: Level[] = [level(await begun)]
  for (let top = levels.at(-1); top !== undefined; top = levels.at(-1)) {
    signal?.throwIfAborted()
    const next = top.entries.next()
    if (next.done === true) {
      levels.pop()
      top.of.close()
      continue
    }
    const entry = next.value
    if (entry.kind === 'folder') tree.saw(entry.path)
    yield entry
    if (entry.kind !== 'folder') continue
    top.nextFolder += 1
    if (!tree.isEntered(entry.path)) continue
    const own = ahead.take(entry.path)
    while (ahead.takesMore) {
      const folder = ahead.postponed() ?? nextAhead(top)
      if (folder === undefined) break
      if (tree.isEntered(folder)) ahead.begin(folder)
    }
    levels.push(level(await own))
  }
}

/** The next of a level's folders that the walk hasn't got to. */
function nextAhead(level: Level): string | undefined {
  for (let next = level.folders.next(); next.done !== true; next = level.folders.next()) {
    level.nextAhead += 1
    if (level.nextAhead > level.nextFolder) return next.value
  }
  return undefined
}

/** Remembers which folders a whole listing had, if it was a short one: the next one is likely to have them too. */
export class LastListing {
  #start = ''
  #folders: readonly string[] = []

  foldersOf(start: string): readonly string[] {
    return start === this.#start ? this.#folders : []
  }

  async *remembered(start: string, entries: AsyncIterable<FileEntry>): AsyncGenerator<FileEntry> {
    const folders: string[] = []
    let count = 0
    for await (const entry of entries) {
      count += 1
      if (entry.kind === 'folder' && folders.length <= FOLDERS_AHEAD) folders.push(entry.path)
      yield entry
    }
    this.#start = start
    this.#folders = count <= ENTRIES_AHEAD && folders.length <= FOLDERS_AHEAD ? folders : []
  }
}
