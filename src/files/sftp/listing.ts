import type { FileEntryWithStats, Stats } from 'ssh2'
import { fileMissing, filesFailed } from '../failures.ts'
import { FolderEntries } from '../folder-entries.ts'
import { isPartPath, isUnpackedFolder, joinPath } from '../paths.ts'
import type { FileEntry } from '../port.ts'
import { foundAfterAll } from '../vanishing.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'

/** Requests for names sent ahead on one folder: their answers may come in any order, the names are sorted anyway. */
const AHEAD = 4
/** So often a link may go, or turn into something else, while it is asked about. */
const LOOKS = 3
/** From so many on, entries of which more is to be asked are asked about before the folder is read on. */
const ASKED_AT_ONCE = 1024

/**
 * Everything in one folder, sorted; the whole of it or an error. `full`: the folder's path on the host. `seeOwn` is told of what this program
 * itself has put there on the way; `soFar` how many have come, and may throw: the rest isn't asked for then.
 */
export async function readFolder(
  channel: SftpChannel,
  label: string,
  folder: string,
  full: string,
  seeOwn: (path: string) => void = () => undefined,
  soFar: (entries: number) => void = () => undefined,
): Promise<FolderEntries> {
  const entries = new FolderEntries(folder)
  let late: FileEntryWithStats[] = []
  const lost: string[] = []
  const look = lookerInto(channel, folder, full)
  const ask = async (): Promise<void> => {
    const asked = late
    late = []
    await Promise.all(asked.map(async (item) => keep(item.filename, await entryOf(channel, folder, full, item))))
  }
  const keep = (name: string, entry: FileEntry | undefined): void => {
    if (entry === undefined) lost.push(name)
    else entries.add(entry)
  }
  const take = (item: FileEntryWithStats): void => {
    const name = item.filename
    // What small files were unpacked into goes by itself, perhaps while we look.
    if (folder === '' && isUnpackedFolder(name)) {
      seeOwn(name)
      return
    }
    if (name === '' || name.includes('/') || name.includes('\0'))
      throw filesFailed(label, folder, 'list', new Error(`the server gave ${JSON.stringify(name)} as a name`))
    if (isPartPath(name)) seeOwn(joinPath(folder, name))
    if (typeof item.attrs.mode !== 'number' || item.attrs.isSymbolicLink()) late.push(item)
    else entries.add(plainEntry(joinPath(folder, name), item.attrs))
  }
  await readAll(channel, full, take, async () => {
    if (late.length >= ASKED_AT_ONCE) await ask()
    soFar(entries.length)
  })
  await ask()
  const names = (these: ReadonlySet<string>): Promise<readonly string[]> => namesIn(channel, full, (name) => these.has(name))
  const missing = (name: string): Error => fileMissing(label, joinPath(folder, name))
  for (const entry of await foundAfterAll(lost, { look, names, missing })) entries.add(entry)
  return entries.sort()
}

/** Shows the names in a folder; nothing is asked about them. */
export const seeNames = (channel: SftpChannel, full: string, see: (name: string) => void): Promise<void> =>
  readAll(channel, full, ({ filename }) => see(filename))

/** The names in a folder that are wanted. */
export async function namesIn(
  channel: SftpChannel,
  full: string,
  isWanted: (name: string) => boolean,
): Promise<readonly string[]> {
  const names: string[] = []
  await seeNames(channel, full, (name) => {
    if (isWanted(name)) names.push(name)
  })
  return names
}

/** `between`: is awaited before more is asked for. */
async function readAll(
  channel: SftpChannel,
  full: string,
  found: (item: FileEntryWithStats) => void,
  between?: () => Promise<void>,
): Promise<void> {
  const handle = await channel.openFolder(full)
  try {
    let more = true
    while (more) {
      const answers = await Promise.all(Array.from({ length: AHEAD }, () => channel.readFolder(handle)))
      for (const items of answers) {
        if (items === null) more = false
        else items.forEach(found)
      }
      await between?.()
    }
  } finally {
    // Nothing hangs on it: a connection that breaks now is told by the next request.
    channel.close(handle).catch(() => undefined)
  }
}

const fullOf = (full: string, name: string): string => (full === '/' ? `/${name}` : `${full}/${name}`)

const lookerInto =
  (channel: SftpChannel, folder: string, full: string) =>
  (name: string): Promise<FileEntry | undefined> =>
    entryAt(channel, joinPath(folder, name), fullOf(full, name)).catch(undefinedIfMissing)

/** A link is asked where it points, and the host of what it said nothing about; `undefined` of what is gone by then. */
async function entryOf(
  channel: SftpChannel,
  folder: string,
  full: string,
  { filename: name, attrs }: FileEntryWithStats,
): Promise<FileEntry | undefined> {
  if (typeof attrs.mode !== 'number') return lookerInto(channel, folder, full)(name)
  return entryFrom(channel, joinPath(folder, name), fullOf(full, name), attrs).catch(undefinedIfMissing)
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
