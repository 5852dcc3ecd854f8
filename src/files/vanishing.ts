import { codeOf } from '../base/errors.ts'
import { parentOf } from './paths.ts'
import type { FileEntry } from './port.ts'

/**
 * A site is at work while its files are listed: a cache is emptied, a session ends. What is gone by the time it is asked for is left out of
 * the listing, and nothing else is: what is named still when it is looked for once more has to be found, or the listing fails.
 */

/** So often something may be gone and there again. */
const TRIES = 3

interface Names<N> {
  /** What stands under a name; `undefined` when nothing does. */
  look(name: N): Promise<FileEntry | undefined>
  /** The folder's names, asked for anew; others than these may be left out. */
  names(these: ReadonlySet<N>): Promise<Iterable<N>>
  missing(name: N): Error
}

/** Of names that a folder was said to hold, and under which nothing was found then: what stands under those that it holds still. */
export async function foundAfterAll<N>(lost: readonly N[], { look, names, missing }: Names<N>): Promise<readonly FileEntry[]> {
  const found: FileEntry[] = []
  let left = lost
  for (let tries = TRIES; left.length > 0; tries -= 1) {
    const [first] = left
    if (tries === 0 && first !== undefined) throw missing(first)
    const named = new Set(await names(new Set(left)))
    const again = await Promise.all(left.filter((name) => named.has(name)).map(async (name) => [name, await look(name)] as const))
    found.push(...again.flatMap(([, entry]) => entry ?? []))
    left = again.flatMap(([name, entry]) => (entry === undefined ? [name] : []))
  }
  return found
}

interface Below<T> {
  /** Throws `file-missing` when the folder isn't there. */
  read(folder: string): Promise<T>
  stat(path: string): Promise<FileEntry | undefined>
}

/**
 * What a folder holds that its own folder's listing named; `undefined` when it is gone since. A whole tree that is gone, root and all, is
 * no folder that went: a disk did, or somebody's mind.
 */
export async function readUnlessGone<T>(folder: string, { read, stat }: Below<T>): Promise<T | undefined> {
  for (let tries = TRIES; ; tries -= 1) {
    try {
      return await read(folder)
    } catch (error) {
      if (codeOf(error) !== 'file-missing' || tries === 0) throw error
      if ((await stat(folder))?.kind === 'folder') continue
      await nextAbove(folder, { read, stat })
      return undefined
    }
  }
}

/** Finds the innermost folder above that stands; the root, which is none that could be asked about by itself, by what it holds. */
async function nextAbove<T>(folder: string, { read, stat }: Below<T>): Promise<void> {
  for (let above = parentOf(folder); above !== ''; above = parentOf(above)) if ((await stat(above)) !== undefined) return
  await read('')
}
