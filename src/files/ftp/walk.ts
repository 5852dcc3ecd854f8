import type { FolderEntries } from '../folder-entries.ts'
import type { FileEntry } from '../port.ts'
import { readUnlessGone } from '../vanishing.ts'

interface Tree {
  /** So many folders are asked for at a time: one by each connection. */
  readonly connections: number
  readonly signal: AbortSignal | undefined
  isEntered(folder: string): boolean
  read(folder: string): Promise<FolderEntries>
  stat(path: string): Promise<FileEntry | undefined>
}

/**
 * What a folder holds and all below it, in the order of `comparePaths`. What folders hold that come soon is asked for beforehand. Memory:
 * the entries of the folders on the way down, and for each of them those of as many more as there are connections.
 */
export async function* walk(entries: FolderEntries, tree: Tree): AsyncGenerator<FileEntry> {
  const folders = entered(entries.folders(), tree)
  /** Folders that come next, the first of them now. */
  const soon: string[] = []
  const asked = new Map<string, Promise<FolderEntries | undefined>>()
  const ask = (folder: string): void => {
    if (asked.has(folder)) return
    const answer = readUnlessGone(folder, tree)
    // It is awaited when its turn comes, and told then; one that never comes must not end the process.
    answer.catch(() => undefined)
    asked.set(folder, answer)
  }
  for (const entry of entries) {
    tree.signal?.throwIfAborted()
    yield entry
    if (entry.kind !== 'folder' || !tree.isEntered(entry.path)) continue
    for (let next = folders.next(); next.done !== true; next = folders.next()) {
      soon.push(next.value)
      if (soon.length >= tree.connections) break
    }
    for (const folder of soon) ask(folder)
    soon.shift()
    const below = await asked.get(entry.path)
    asked.delete(entry.path)
    if (below !== undefined) yield* walk(below, tree)
  }
  entries.close()
}

function* entered(folders: Iterable<string>, tree: Tree): Generator<string> {
  for (const folder of folders) if (tree.isEntered(folder)) yield folder
}
