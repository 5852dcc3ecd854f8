import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { LongList } from '../base/long-list.ts'
import { formatCount } from '../base/units.ts'
import type { FileEntry, FileHost } from '../files/port.ts'

/** Removed by one change at most. */
export const MOST_DELETED = 500

const LIMIT = 'must be a number of files, or a percentage such as 10%'

/** Options of a step that may remove files. */
export const deletionShape = {
  delete: z.boolean().default(false).meta({ description: 'Remove from the new host what the old one does not have' }),
  'max-delete': z
    .union([z.int().nonnegative(), z.string().regex(/^\d+(\.\d+)?%$/, { error: LIMIT })], { error: LIMIT })
    .default('10%')
    .meta({
      description:
        'When more than so many would be removed (a number, or a share of all that was saved), none is and the step fails',
    }),
}

/**
 * Refuses to remove more than the playbook allows. `all`: entries of the snapshot, which a percentage is of (rounded up).
 * Throws MigrateError `too-many-deletions`; nothing has been removed then.
 */
export function refuseTooMany(count: number, all: number, limit: number | string, label: string): void {
  // 1.1 % of 1,000 are 11, though floating point makes a little more of it.
  const most = typeof limit === 'number' ? limit : Math.ceil(Number(((all * Number.parseFloat(limit)) / 100).toFixed(6)))
  if (count <= most) return
  throw new MigrateError(
    'too-many-deletions',
    `${formatCount(count)} or more files and folders of ${label} would be removed, and max-delete: ${limit} allows ${formatCount(most)}. None was removed.`,
    {
      hint: 'Is the old host’s folder as it should be? If they are meant to go, remove them by hand on the new host, or begin anew with --fresh and a higher max-delete.',
    },
  )
}

/**
 * Asks the old host about each path that its listing didn't have: only what it lacks in this second answer too may be removed.
 * Returns those paths. `allow` is told how many they are so far, and may throw: no more is asked then.
 */
export async function trulyGone<E extends FileEntry>(
  old: FileHost,
  entries: readonly E[],
  signal: AbortSignal,
  allow: (count: number) => void = () => undefined,
): Promise<readonly E[]> {
  const gone: E[] = []
  for (let at = 0; at < entries.length; at += ASKED_AT_ONCE) {
    signal.throwIfAborted()
    const some = entries.slice(at, at + ASKED_AT_ONCE)
    const present = await Promise.all(some.map((entry) => old.stat(entry.path)))
    gone.push(...some.filter((_, index) => present[index] === undefined))
    allow(gone.length)
  }
  return gone
}

/** The same of a list that may be long; each entry as it is in it. */
export async function allTrulyGone<E extends FileEntry>(
  old: FileHost,
  all: LongList<E>,
  signal: AbortSignal,
): Promise<LongList<E>> {
  const gone = new LongList<E>(MOST_DELETED)
  for (const page of all.pages()) for (const entry of await trulyGone(old, page, signal)) gone.add(entry)
  return gone
}

const ASKED_AT_ONCE = 32
