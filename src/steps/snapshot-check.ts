import { stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf, type Finding } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'

/** Compressed rows take less room than the tables they come from; a quarter is what text and numbers usually need at most. */
export async function roomFinding(directory: string, bytes: number): Promise<readonly Finding[]> {
  const { bavail, bsize } = await statfs(await nearestFolder(directory))
  const free = bavail * bsize
  const message = `${formatBytes(free)} are free for the run's folder ${directory}; the old database's tables hold ${formatBytes(bytes)}`
  const hint = 'Make room there, or choose another folder with --state.'
  if (free < bytes / 4)
    return [{ severity: 'error', code: 'state-disk-small', message: `${message}: too little for a compressed snapshot.`, hint }]
  if (free < bytes)
    return [{ severity: 'warning', code: 'state-disk-small', message: `${message}: compressed it will probably fit.`, hint }]
  return []
}

async function nearestFolder(directory: string): Promise<string> {
  const found = await stat(directory).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  return found !== undefined || dirname(directory) === directory ? directory : nearestFolder(join(directory, '..'))
}
