import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../base/errors.ts'
import { foldersAbove } from './paths.ts'
import { isRaw, nameBytes, nameFrom } from './raw-names.ts'

export const BYTES = { encoding: 'buffer' } as const

/** As the file system is asked for it. */
export const onDisk = (path: string): string | Buffer => (isRaw(path) ? nameBytes(path) : path)

export const realPath = async (path: string): Promise<string> => nameFrom(await fs.realpath(onDisk(path), BYTES))

export const isLink = (path: string): Promise<boolean> =>
  fs.lstat(onDisk(path)).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  )

/** Makes a folder below `root`, and those above it. Throws the system's errors. */
export async function makeFolders(root: string, path: string): Promise<void> {
  try {
    await fs.mkdir(onDisk(join(root, path)), { recursive: true })
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    // So Node calls also a disk that may only be read: one after the other, each says why.
    for (const each of [...foldersAbove(path), path])
      await fs.mkdir(onDisk(join(root, each))).catch((reason: unknown) => {
        if (codeOf(reason) !== 'EEXIST') throw reason
      })
  }
}
