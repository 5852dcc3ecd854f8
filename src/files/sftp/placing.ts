import { type SftpChannel, STATUS, statusOf } from './channel.ts'
import { ignoring } from './failures.ts'

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
