import type { Dir, Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../base/errors.ts'
import { fileMissing } from './failures.ts'
import { FolderEntries } from './folder-entries.ts'
import { BYTES, onDisk } from './local-paths.ts'
import { joinPath } from './paths.ts'
import type { FileEntry } from './port.ts'
import { nameFrom } from './raw-names.ts'
import { foundAfterAll } from './vanishing.ts'

/** Entries of a folder that are looked at together. */
const LOOKED_AT_ONCE = 256
/** So often a link may turn into something else while it is looked at. */
const LOOKS = 3

/** What stands under a path, a link not followed; `undefined` when nothing does. Throws the system's errors. `full`: on this machine. */
export async function lookAt(path: string, full: string | Buffer, looks = LOOKS): Promise<FileEntry | undefined> {
  try {
    const stats = await fs.lstat(full)
    const target = stats.isSymbolicLink() ? nameFrom(await fs.readlink(full, BYTES)) : null
    return entryFrom(path, stats, target)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    // Of readlink: a link at first, and none by now.
    if (code === 'EINVAL' && looks > 1) return lookAt(path, full, looks - 1)
    throw error
  }
}

/** Latin 1 has a letter for each byte: buffers of their own would take several times the room. */
const opened = (full: string | Buffer): Promise<Dir> => fs.opendir(full, { encoding: 'latin1', bufferSize: LOOKED_AT_ONCE })

/** The names in a folder, as they come. Throws the system's errors. */
export async function* namesIn(full: string): AsyncGenerator<string> {
  for await (const { name } of await opened(full)) yield nameFrom(Buffer.from(name, 'latin1'))
}

interface Folder {
  readonly label: string
  /** Of the site, absolute. */
  readonly root: string
  /** Relative to it, and on this machine. */
  readonly path: string
  readonly full: string | Buffer
}

/** Everything in one folder that is within, sorted; the whole of it or an error. Throws the system's errors. */
export async function readFolder({ label, root, path, full }: Folder, signal: AbortSignal | undefined): Promise<FolderEntries> {
  const names = async (these: ReadonlySet<string>): Promise<readonly string[]> => {
    const found: string[] = []
    for await (const { name } of await opened(full)) if (these.has(name)) found.push(name)
    return found
  }
  const pathOf = (name: string): string => joinPath(path, nameFrom(Buffer.from(name, 'latin1')))
  const look = (name: string): Promise<FileEntry | undefined> => lookAt(pathOf(name), onDisk(join(root, pathOf(name))))
  const entries = new FolderEntries(path)
  const lost: string[] = []
  let some: string[] = []
  const lookAtThem = async (): Promise<void> => {
    signal?.throwIfAborted()
    for (const [index, entry] of (await Promise.all(some.map(look))).entries()) {
      if (entry === undefined) lost.push(some[index] ?? '')
      else entries.add(entry)
    }
    some = []
  }
  for await (const { name } of await opened(full)) {
    some.push(name)
    if (some.length >= LOOKED_AT_ONCE) await lookAtThem()
  }
  await lookAtThem()
  const missing = (name: string): Error => fileMissing(label, pathOf(name))
  for (const entry of await foundAfterAll(lost, { look, names, missing })) entries.add(entry)
  return entries.sort()
}

function entryFrom(path: string, stats: Stats, target: string | null): FileEntry {
  const kind = stats.isDirectory() ? 'folder' : target !== null ? 'link' : stats.isFile() ? 'file' : 'other'
  return {
    path,
    kind,
    size: kind === 'file' ? stats.size : 0,
    mode: stats.mode & 0o7777,
    mtimeSeconds: Math.floor(stats.mtimeMs / 1000),
    target,
  }
}
