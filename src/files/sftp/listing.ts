import type { FileEntryWithStats, Stats } from 'ssh2'
import { fileMissing, filesFailed } from '../failures.ts'
import { FolderEntries } from '../folder-entries.ts'
import { isPartPath, isUnpackedFolder, joinPath } from '../paths.ts'
import type { FileEntry } from '../port.ts'
import { foundAfterAll, readUnlessGone } from '../vanishing.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'

/** Requests for names sent ahead on one folder: their answers may come in any order, the names are sorted anyway. */
const AHEAD = 4
/** So often a link may go, or turn into something else, while it is asked about. */
const LOOKS = 3

/**
 * Everything in one folder, sorted; the whole of it or an error. `full`: the folder's path on the host. `seeOwn` is told of what this program
 * itself has put there on the way.
 */
export async function readFolder(
  channel: SftpChannel,
  label: string,
  folder: string,
  full: string,
  seeOwn: (path: string) => void = () => undefined,
): Promise<FolderEntries> {
  const entries = new FolderEntries(folder)
  const late: FileEntryWithStats[] = []
  await readAll(channel, full, (item) => {
    const name = item.filename
    // What small files were unpacked into goes by itself, perhaps while we look.
    if (folder === '' && isUnpackedFolder(name)) return
    if (name === '' || name.includes('/') || name.includes('\0'))
      throw filesFailed(label, folder, 'list', new Error(`the server gave ${JSON.stringify(name)} as a name`))
    if (isPartPath(name)) seeOwn(joinPath(folder, name))
    if (typeof item.attrs.mode !== 'number' || item.attrs.isSymbolicLink()) late.push(item)
    else entries.add(plainEntry(joinPath(folder, name), item.attrs))
  })
  for (const entry of await askedEntries(channel, label, folder, full, late)) entries.add(entry)
  return entries.sort()
}

/** The names in a folder, nothing asked about them. */
export async function namesIn(channel: SftpChannel, full: string): Promise<readonly string[]> {
  const names: string[] = []
  await readAll(channel, full, (item) => names.push(item.filename))
  return names
}

async function readAll(channel: SftpChannel, full: string, found: (item: FileEntryWithStats) => void): Promise<void> {
  const handle = await channel.openFolder(full)
  try {
    let more = true
    while (more) {
      const answers = await Promise.all(Array.from({ length: AHEAD }, () => channel.readFolder(handle)))
      for (const items of answers) {
        if (items === null) more = false
        else items.forEach(found)
      }
    }
  } finally {
    // Nothing hangs on it: a connection that breaks now is told by the next request.
    channel.close(handle).catch(() => undefined)
  }
}

/** A link is asked where it points, and the host of what it said nothing about. What is gone by then is left out. */
async function askedEntries(
  channel: SftpChannel,
  label: string,
  folder: string,
  full: string,
  items: readonly FileEntryWithStats[],
): Promise<readonly FileEntry[]> {
  const fullOf = (name: string): string => (full === '/' ? `/${name}` : `${full}/${name}`)
  const look = (name: string): Promise<FileEntry | undefined> =>
    entryAt(channel, joinPath(folder, name), fullOf(name)).catch(undefinedIfMissing)
  const ask = async ({ filename: name, attrs }: FileEntryWithStats): Promise<FileEntry | undefined> =>
    typeof attrs.mode === 'number'
      ? entryFrom(channel, joinPath(folder, name), fullOf(name), attrs).catch(undefinedIfMissing)
      : look(name)
  const asked = await Promise.all(items.map(async (item) => [item.filename, await ask(item)] as const))
  const lost = asked.flatMap(([name, entry]) => (entry === undefined ? [name] : []))
  const found = await foundAfterAll(lost, {
    look,
    names: () => namesIn(channel, full),
    missing: (name) => fileMissing(label, joinPath(folder, name)),
  })
  return [...asked.flatMap(([, entry]) => entry ?? []), ...found]
}

/** An entry from its attributes; a link is asked where it points. */
async function entryFrom(channel: SftpChannel, path: string, full: string, stats: Stats): Promise<FileEntry> {
  const entry = plainEntry(path, stats)
  return entry.kind === 'link' ? { ...entry, target: await channel.readLink(full) } : entry
}

function plainEntry(path: string, stats: Stats): FileEntry {
  const kind = stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : stats.isFile() ? 'file' : 'other'
  const size = kind === 'file' ? stats.size : 0
  return { path, kind, size, mode: stats.mode & 0o7777, mtimeSeconds: stats.mtime, target: null }
}

/** What stands under a path, a link not followed; `undefined` when nothing does. */
export async function entryAt(channel: SftpChannel, path: string, full: string): Promise<FileEntry | undefined> {
  for (let looks = LOOKS; ; looks -= 1) {
    const stats = await channel.lstat(full).catch(undefinedIfMissing)
    if (stats === undefined) return undefined
    try {
      return await entryFrom(channel, path, full, stats)
    } catch (error) {
      // A link that went between the two questions; or one that stands, and whose end the host can't tell.
      if (looks === 1 || statusOf(error) !== STATUS.missing) throw error
    }
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (statusOf(error) !== STATUS.missing) throw error
}

/** Folders read ahead of where the listing is, and about so many entries of them. */
const FOLDERS_AHEAD = 256
const ENTRIES_AHEAD = 20_000
/** What a folder is taken to hold until the first ones are read, entries. */
const USUAL_ENTRIES = 150

interface Level {
  readonly entries: FolderEntries
  /** Those of its folders that are looked into. */
  readonly folders: readonly string[]
  next: number
  nextFolder: number
  nextAhead: number
}

interface Tree {
  isEntered(folder: string): boolean
  read(folder: string): Promise<FolderEntries>
  stat(path: string): Promise<FileEntry | undefined>
  /** Folders that are likely to be there, in the order of the walk: read at once, instead of when the one above tells of them. */
  readonly expected?: readonly string[]
}

/**
 * Walks a tree in the order of `comparePaths`, reading some folders ahead. Holds the entries of the folders on the way down and of
 * those read ahead, whatever the size of the tree.
 */
export async function* walk(start: string, tree: Tree, signal: AbortSignal | undefined): AsyncGenerator<FileEntry> {
  const { read } = tree
  const ahead = new ReadAhead(async (folder) => (await readUnlessGone(folder, tree)) ?? new FolderEntries(folder))
  const level = (entries: FolderEntries): Level => {
    return { entries, folders: entries.folders.filter((folder) => tree.isEntered(folder)), next: 0, nextFolder: 0, nextAhead: 0 }
  }
  const begun = read(start)
  begun.catch(() => undefined) // awaited below
  for (const folder of tree.expected ?? []) if (tree.isEntered(folder)) ahead.expect(folder, read)
  const levels: Level[] = [level(await begun)]
  for (let top = levels.at(-1); top !== undefined; top = levels.at(-1)) {
    signal?.throwIfAborted()
    const entry = top.entries.at(top.next)
    if (entry === undefined) {
      levels.pop()
      continue
    }
    top.next += 1
    yield entry
    if (entry.kind !== 'folder' || !tree.isEntered(entry.path)) continue
    top.nextFolder += 1
    const own = ahead.take(entry.path)
    for (top.nextAhead = Math.max(top.nextAhead, top.nextFolder); ahead.takesMore; top.nextAhead += 1) {
      const folder = top.folders[top.nextAhead]
      if (folder === undefined) break
      ahead.begin(folder)
    }
    levels.push(level(await own))
  }
}

/** Folders that are read before the walk gets there. */
class ReadAhead {
  readonly #read: (folder: string) => Promise<FolderEntries>
  readonly #begun = new Map<string, Promise<FolderEntries>>()
  readonly #expected = new Map<string, Promise<FolderEntries | undefined>>()
  #answered = 0
  /** Entries of those that are here and not taken yet, and of all that ever came. */
  #held = 0
  #seen = 0
  #folders = 0

  constructor(read: (folder: string) => Promise<FolderEntries>) {
    this.#read = read
  }

  get takesMore(): boolean {
    const usual = this.#folders === 0 ? USUAL_ENTRIES : this.#seen / this.#folders
    const expected = this.#held + (this.#begun.size - this.#answered) * usual
    return this.#begun.size < FOLDERS_AHEAD && expected < ENTRIES_AHEAD
  }

  /** Whatever is wrong with one that only might be there: it is read again when it is known to be. */
  expect(folder: string, read: (folder: string) => Promise<FolderEntries>): void {
    if (this.#expected.size >= FOLDERS_AHEAD) return
    const entries = read(folder).catch(() => undefined)
    this.#expected.set(folder, entries)
  }

  begin(folder: string): void {
    const answer = this.#expected.has(folder) ? this.#takeExpected(folder) : this.#read(folder)
    this.#begun.set(folder, answer)
    answer.then(
      (entries) => {
        this.#seen += entries.length
        this.#folders += 1
        this.#answered += 1
        this.#held += entries.length
      },
      () => undefined, // thrown when the walk gets there
    )
  }

  async take(folder: string): Promise<FolderEntries> {
    const begun = this.#begun.get(folder)
    if (begun === undefined) return this.#takeExpected(folder)
    const entries = await begun
    this.#begun.delete(folder)
    this.#answered -= 1
    this.#held -= entries.length
    return entries
  }

  async #takeExpected(folder: string): Promise<FolderEntries> {
    const expected = this.#expected.get(folder)
    this.#expected.delete(folder)
    return (await expected) ?? this.#read(folder)
  }
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
