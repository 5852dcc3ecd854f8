import { type SftpChannel, STATUS, statusOf } from './channel.ts'
import { ignoring } from './failures.ts'
import { readFolder } from './listing.ts'

/** OpenSSH's PROTOCOL file, section 4.3. */
export const REPLACE = 'posix-rename@openssh.com'

/**
 * Renames over the target. Without the extension, and where a plain rename doesn't replace, the old file steps aside first: for
 * an instant there is none under the name, but never half a one.
 */
export async function putInPlace(channel: SftpChannel, part: string, full: string): Promise<void> {
  if (channel.has(REPLACE)) return channel.replace(part, full)
  try {
    await channel.rename(part, full)
  } catch (error) {
    const aside = `${part}-old`
    if (await isMissing(channel, full)) throw error
    await channel.remove(aside).catch((failed: unknown) => ignoring(STATUS.missing, failed))
    await channel.rename(full, aside)
    await channel.rename(part, full)
    await channel.remove(aside)
  }
}

export const isMissing = (channel: SftpChannel, full: string): Promise<boolean> =>
  channel.lstat(full).then(
    () => false,
    (error: unknown) => statusOf(error) === STATUS.missing,
  )

/** Bytes of the file under a path of the host; `undefined` where none is. */
export async function bytesAt(channel: SftpChannel, full: string): Promise<number | undefined> {
  const stats = await channel.lstat(full).catch((error: unknown) => ignoring(STATUS.missing, error))
  return stats?.isFile() ? stats.size : undefined
}

/** Removes a folder; no error when it isn't there or isn't empty. */
export async function removeIfEmpty(channel: SftpChannel, label: string, path: string, full: string): Promise<void> {
  try {
    await channel.removeFolder(full)
  } catch (error) {
    if (statusOf(error) === STATUS.missing) return
    // "Failure" is all that servers say of a folder that isn't empty.
    if (statusOf(error) !== STATUS.failure) throw error
    const held = await readFolder(channel, label, path, full)
    if (held.length === 0) throw error
  }
}
