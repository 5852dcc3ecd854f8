import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { folded } from '../files/case-folding.ts'
import { nameOf } from '../files/paths.ts'
import { refusedByWindows } from '../files/windows-names.ts'

/** Where the copies of parked files are, from the run's folder on. */
export const KEPT = 'parked-files'
/** Bytes of a name that file systems take, and of a way from the run's folder on that leaves room for that folder's own. */
const [NAME_BYTES, WAY_BYTES] = [255, 1024]
/** Bytes kept of a name that doesn't do. */
const SHORT_BYTES = 120

/** Under its own path. */
export const plainName = (from: 'old' | 'new', path: string): string => join(KEPT, from, ...path.split('/'))

/** Equal for names that a file system may take for one. */
export const sameName = (kept: string): string => folded(kept.normalize('NFC'))

/** Whether every file system takes it. */
export const fits = (kept: string): boolean =>
  Buffer.byteLength(kept) <= WAY_BYTES &&
  kept.split('/').every((part) => Buffer.byteLength(part) <= NAME_BYTES && (process.platform !== 'win32' || isForWindows(part)))

const isForWindows = (name: string): boolean => refusedByWindows(name) === undefined

/** A name that does wherever a copy's own path doesn't: its last part, as far as that goes, and digits of its path. */
export function otherName(from: 'old' | 'new', path: string): string {
  const digits = createHash('sha256').update(`${from}/${path}`).digest('hex').slice(0, 16)
  const [, stem = '', ending = ''] = /^(.*?)(\.[A-Za-z0-9]{1,16})?$/s.exec(nameOf(path)) ?? []
  let short = ''
  for (const letter of stem.replaceAll(/[^\p{L}\p{M}\p{N} _.-]/gu, '_')) {
    if (Buffer.byteLength(short + letter) > SHORT_BYTES) break
    short += letter
  }
  return join(KEPT, 'renamed', `${short.trim()}~${digits}${ending}`)
}
