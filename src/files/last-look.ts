import { MigrateError } from '../base/errors.ts'
import { looksAlike } from './merge.ts'
import type { FileEntry, WriteOptions } from './port.ts'
import { shownPath } from './raw-names.ts'

/**
 * For adapters, right before they rename over a file. Throws MigrateError `file-changed-meanwhile` when what stands there isn't what the
 * caller said that it would replace: somebody's upload, perhaps, that came while the new content was on its way.
 */
export async function lastLook(
  { replaces }: WriteOptions,
  { label, path }: { readonly label: string; readonly path: string },
  look: () => Promise<FileEntry | undefined>,
): Promise<void> {
  if (replaces === undefined) return
  const there = await look()
  if (there === undefined ? replaces === null : replaces !== null && looksAlike(replaces, there)) return
  throw changedMeanwhile(label, path, there === undefined ? 'removed' : replaces === null ? 'made' : 'changed')
}

export const changedMeanwhile = (label: string, path: string, how: 'removed' | 'made' | 'changed'): MigrateError =>
  new MigrateError(
    'file-changed-meanwhile',
    `${shownPath(JSON.stringify(path))} on ${label} was ${how} by somebody else while it was to be written. It was left as it is.`,
    { hint: 'Run again: what stands there now is looked at anew.' },
  )
