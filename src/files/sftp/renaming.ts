import type { Renaming } from '../asides.ts'
import { type SftpChannel, STATUS } from './channel.ts'
import { ignoring } from './failures.ts'
import type { SftpRoot } from './inside.ts'
import { entryAt } from './listing.ts'

/** What `Asides` needs of a session. */
export const renamingBy = (
  channel: SftpChannel,
  { label, boundary }: { readonly label: string; readonly boundary: SftpRoot },
): Renaming => ({
  label,
  isLost: () => channel.isLost,
  rename: (from, to) => channel.rename(boundary.full(from), boundary.full(to)),
  remove: (path) => channel.remove(boundary.full(path)).catch((error: unknown) => ignoring(STATUS.missing, error)),
  kindAt: async (path) => (await entryAt(channel, path, boundary.full(path)))?.kind,
})
