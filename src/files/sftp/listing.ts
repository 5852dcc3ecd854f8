import type { FileEntryWithStats, Stats } from 'ssh2'
import { filesFailed } from '../failures.ts'
import { comparePaths, joinPath } from '../paths.ts'
import type { FileEntry } from '../port.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'

/** Requests for names sent ahead on one folder: their answers may come in any order, the names are sorted anyway. */
const AHEAD = 4

/** Everything in one folder, sorted; the whole of it or an error. `full`: the folder's path on the host. */
export async function readFolder(
  channel: SftpChannel,
  label: string,
  folder: string,
  full: string,
): Promise<readonly FileEntry[]> {
  const found = await readAll(channel, full)
  const entries = await Promise.all(found.map((item) => entryOf(channel, label, folder, full, item)))
  return entries.sort((a, b) => comparePaths(a.path, b.path))
}

/** The names in a folder, nothing asked about them. */
export const namesIn = async (channel: SftpChannel, full: string): Promise<readonly string[]> =>
  (await readAll(channel, full)).map((item) => item.filename)

async function readAll(channel: SftpChannel, full: string): Promise<readonly FileEntryWithStats[]> {
  const handle = await channel.openFolder(full)
  const found: FileEntryWithStats[] = []
  try {
    let more = true
    while (more) {
      const answers = await Promise.all(Array.from({ length: AHEAD }, () => channel.readFolder(handle)))
      for (const names of answers) {
        if (names === null) more = false
        else for (const name of names) found.push(name)
      }
    }
  } finally {
    // Nothing hangs on it: a connection that breaks now is told by the next request.
    channel.close(handle).catch(() => undefined)
  }
  return found
}

async function entryOf(
  channel: SftpChannel,
  label: string,
  folder: string,
  full: string,
  item: FileEntryWithStats,
): Promise<FileEntry> {
  const name = item.filename
  if (name === '' || name.includes('/') || name.includes('\0')) {
    throw filesFailed(label, folder, 'list', new Error(`the server gave ${JSON.stringify(name)} as a name`))
  }
  const fullName = full === '/' ? `/${name}` : `${full}/${name}`
  const stats = typeof item.attrs.mode === 'number' ? item.attrs : await channel.lstat(fullName)
  return entryFrom(channel, joinPath(folder, name), fullName, stats)
}

/** An entry from its attributes; a link is asked where it points. */
async function entryFrom(channel: SftpChannel, path: string, full: string, stats: Stats): Promise<FileEntry> {
  const kind = stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : stats.isFile() ? 'file' : 'other'
  return {
    path,
    kind,
    size: kind === 'file' ? stats.size : 0,
    mode: stats.mode & 0o7777,
    mtimeSeconds: stats.mtime,
    target: kind === 'link' ? await channel.readLink(full) : null,
  }
}

/** What stands under a path, a link not followed; `undefined` when nothing does. */
export async function entryAt(channel: SftpChannel, path: string, full: string): Promise<FileEntry | undefined> {
  try {
    return await entryFrom(channel, path, full, await channel.lstat(full))
  } catch (error) {
    if (statusOf(error) === STATUS.missing) return undefined
    throw error
  }
}

/** Folders read ahead of where the listing is, and entries of them at most. */
const FOLDERS_AHEAD = 64
const ENTRIES_AHEAD = 20_000

interface Level {
  readonly entries: readonly FileEntry[]
  readonly folders: readonly FileEntry[]
  next: number
  nextFolder: number
  nextAhead: number
}

/**
 * Walks a tree in the order of `comparePaths`, reading some folders ahead. Holds the entries of the folders on the way down and of
 * those read ahead, whatever the size of the tree.
 */
export async function* walk(
  start: string,
  read: (folder: string) => Promise<readonly FileEntry[]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<FileEntry> {
  const ahead = new Map<string, Promise<readonly FileEntry[]>>()
  let held = 0
  const fetch = (folder: string): Promise<readonly FileEntry[]> => {
    const known = ahead.get(folder)
    if (!ahead.delete(folder) || known === undefined) return read(folder)
    known.then(
      (entries) => {
        held -= entries.length
      },
      () => undefined,
    )
    return known
  }
  const levels: Level[] = [level(await read(start))]
  for (let top = levels.at(-1); top !== undefined; top = levels.at(-1)) {
    signal?.throwIfAborted()
    const entry = top.entries[top.next]
    if (entry === undefined) {
      levels.pop()
      continue
    }
    top.next += 1
    yield entry
    if (entry.kind !== 'folder') continue
    top.nextFolder += 1
    const own = fetch(entry.path)
    for (
      top.nextAhead = Math.max(top.nextAhead, top.nextFolder);
      ahead.size < FOLDERS_AHEAD && held < ENTRIES_AHEAD;
      top.nextAhead += 1
    ) {
      const folder = top.folders[top.nextAhead]
      if (folder === undefined) break
      const answer = read(folder.path)
      answer.then(
        (entries) => {
          held += entries.length
        },
        () => undefined, // thrown when the walk gets there
      )
      ahead.set(folder.path, answer)
    }
    levels.push(level(await own))
  }
}

const level = (entries: readonly FileEntry[]): Level => ({
  entries,
  folders: entries.filter((entry) => entry.kind === 'folder'),
  next: 0,
  nextFolder: 0,
  nextAhead: 0,
})
