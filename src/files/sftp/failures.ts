import { MigrateError } from '../../base/errors.ts'
import { connectionLost, diskFull, fileMissing, filesFailed, permissionDenied } from '../failures.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'

/** OpenSSH's PROTOCOL file, section 4.4. */
export const SPACE = 'statvfs@openssh.com'

/** With less than this free a write that fails for no named reason failed for want of room, bytes. */
const NO_ROOM = 1024 * 1024
/** The same of further files: what failed beside it may have been taken away already when the host is asked. */
const FEW_FILES = 100

/** The error to throw for what an SFTP request failed with. `root`: whole path of the folder, to ask the free space of. */
export async function mapped(
  error: unknown,
  { label, path, doing, root }: { readonly label: string; readonly path: string; readonly doing: string; readonly root: string },
  channel: SftpChannel,
): Promise<unknown> {
  if (error instanceof MigrateError || (error instanceof Error && error.name === 'AbortError')) return error
  if (channel.isLost) return connectionLost(label, path, error)
  switch (statusOf(error)) {
    case STATUS.missing:
      return fileMissing(label, path, error)
    case STATUS.denied:
      return permissionDenied(label, path, doing, error)
    case STATUS.noConnection:
    case STATUS.connectionLost:
      return connectionLost(label, path, error)
    case STATUS.failure: {
      const writes = doing === 'write' || doing.startsWith('make')
      const free = writes ? await fullDisk(error, root, channel) : undefined
      return free === undefined ? filesFailed(label, path, doing, error) : diskFull(label, path, free, error)
    }
    default:
      return filesFailed(label, path, doing, error)
  }
}

/**
 * SFTP has no status for a full disk (OpenSSH says "Failure"): the words of the server tell, or the free space. The free bytes where it
 * is full, `null` where they aren't known; `undefined` where it isn't full.
 */
async function fullDisk(error: unknown, root: string, channel: SftpChannel): Promise<number | null | undefined> {
  if (error instanceof Error && /no space|disk (is )?full|quota/i.test(error.message)) return null
  if (!channel.has(SPACE)) return undefined
  const space = await channel.space(root).catch(() => undefined)
  if (space === undefined) return undefined
  return space.freeBytes < NO_ROOM || (space.freeFiles !== null && space.freeFiles < FEW_FILES) ? space.freeBytes : undefined
}

export function ignoring(status: number, error: unknown): void {
  if (statusOf(error) !== status) throw error
}
