import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { codeOf, MigrateError } from '../../base/errors.ts'

/** A file of a native snapshot. */
export interface DumpFile {
  /** Below the snapshot's folder, `/` between parts. */
  readonly path: string
  readonly bytes: number
  /** SHA-256, hexadecimal. */
  readonly sha256: string
}

/** Every file below a folder, by path. `[]` when the folder isn't there. */
export async function listDumpFiles(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort()
}

/** Every file below a folder with its size and checksum; `onBytes` as they are read. */
export async function describeFiles(
  directory: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<readonly DumpFile[]> {
  const files: DumpFile[] = []
  for (const path of await listDumpFiles(directory)) {
    const { bytes, sha256 } = await digest(join(directory, path), signal, onBytes)
    files.push({ path, bytes, sha256 })
  }
  return files
}

async function digest(
  file: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  await pipeline(
    createReadStream(file, { highWaterMark: 2 ** 20 }),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk)
        bytes += chunk.length
        onBytes(chunk.length)
      }
    },
    { signal },
  )
  return { bytes, sha256: hash.digest('hex') }
}

/**
 * Proves that a folder holds exactly these files, whole. Throws `snapshot-damaged` with the name of the first that is missing, changed
 * or strange.
 */
export async function proveFiles(directory: string, files: readonly DumpFile[], signal: AbortSignal): Promise<void> {
  const there = new Set(await listDumpFiles(directory))
  const known = new Set(files.map((file) => file.path))
  const strange = [...there].find((path) => !known.has(path))
  if (strange !== undefined) throw damaged(directory, strange, "isn't of this snapshot")
  for (const { path, bytes, sha256 } of files) {
    if (!there.has(path)) throw damaged(directory, path, 'is missing')
    if ((await stat(join(directory, path))).size !== bytes) throw damaged(directory, path, "isn't as long as it was written")
    if ((await digest(join(directory, path), signal, () => undefined)).sha256 !== sha256)
      throw damaged(directory, path, "isn't what was written: its checksum differs")
  }
}

const damaged = (directory: string, path: string, what: string): MigrateError =>
  new MigrateError('snapshot-damaged', `${join(directory, path)} ${what}. Nothing was restored from this snapshot.`, {
    hint: 'Put the file back from a copy and run again; or take the snapshot again with --fresh.',
  })
