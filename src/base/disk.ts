import { open, readdir, rename } from 'node:fs/promises'
import { codeOf } from './errors.ts'

/**
 * Replaces a file in one step: after a crash it is the former one or this one, whole. Nobody but its owner may read it. On disk when it
 * returns. `text`: in pieces where it is long.
 */
export async function keepWhole(path: string, text: string | Iterable<string>): Promise<void> {
  const file = await open(`${path}.part`, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.part`, path)
}

/** The names in a folder; [] when it isn't there. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}
