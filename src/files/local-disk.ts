import { open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import pLimit from 'p-limit'
import { codeOf } from '../base/errors.ts'
import { runProgram } from '../base/program.ts'
import { onDisk } from './local-paths.ts'
import { isRaw } from './raw-names.ts'

/** From so many files on, the system's program for a whole file system is quicker than one after the other. */
const MANY = 256
/** Remembered at most; they go to the disk meanwhile. */
const MOST = 16_384
const AT_ONCE = 16
/** A program that was begun for a few seconds' work. */
const NEVER = new AbortController().signal

/** Brings written files to the disk, many together, so that none of them waits for it alone. */
export class LocalDisk {
  #behind = new Set<string>()

  /** `path`: absolute, as raw-names.ts has it. */
  async wrote(path: string): Promise<void> {
    this.#behind.add(path)
    if (this.#behind.size >= MOST) await this.sync()
  }

  /** What was written before is on the disk when this returns: contents and names. */
  async sync(): Promise<void> {
    const files = [...this.#behind]
    this.#behind = new Set()
    const folders = [...new Set(files.map((path) => dirname(path)))]
    if (files.length >= MANY && (await wholeFileSystems(folders))) return
    const few = pLimit(AT_ONCE)
    await Promise.all(files.map((path) => few(() => flush(path))))
    // Windows has no way to open a folder for that; NTFS keeps its own journal of names.
    if (process.platform === 'win32') return
    await Promise.all(folders.map((path) => few(() => flush(path))))
  }
}

/** By `sync -f` of GNU and BusyBox, each file system once: a folder of the site may be a disk of its own. False where it isn't to be had. */
async function wholeFileSystems(folders: readonly string[]): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const few = pLimit(AT_ONCE)
  const disks = await Promise.all(folders.map((path) => few(() => diskOf(path))))
  // One that is gone by now took its files with it.
  const onEach = new Map(disks.flatMap((disk, index) => (disk === undefined ? [] : [[disk, folders[index] ?? ''] as const])))
  const names = [...onEach.values()]
  // Such a name can't be told to a program.
  if (names.some(isRaw)) return false
  const { exit } = await runProgram({ program: 'sync', args: ['-f', ...names], signal: NEVER })
  return exit === 0
}

const diskOf = (folder: string): Promise<number | undefined> =>
  stat(onDisk(folder)).then(
    ({ dev }) => dev,
    () => undefined,
  )

/** Removed, replaced or shut by now: then there is nothing of it that could be lost, or nobody who may ask for it. */
const PASSED_OVER = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP']

async function flush(path: string): Promise<void> {
  try {
    const handle = await open(onDisk(path), process.platform === 'win32' ? 'r+' : 'r')
    await handle.sync().finally(() => handle.close())
  } catch (error) {
    if (!PASSED_OVER.includes(codeOf(error) ?? '')) throw error
  }
}
