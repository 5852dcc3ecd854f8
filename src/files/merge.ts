import type { FileEntry } from './port.ts'

/** An entry with the SHA-256 of its content, hexadecimal, where it is known. */
export interface HashedEntry extends FileEntry {
  readonly sha256: string | null
}

/** What both hosts have under one path, and what both last had there; `undefined` = nothing. */
export interface Sides {
  readonly base: HashedEntry | undefined
  /** Where files are carried from. */
  readonly source: HashedEntry | undefined
  /** Where they are carried to. */
  readonly target: HashedEntry | undefined
}

/**
 * `carry`: only the source has it. `update`: changed on the source alone. `gone`: the source removed it, and the target has it as both
 * last had it. `conflict`: changed on both. `nothing`: all else; what only the target changed, made or removed stays as it is there.
 */
export type Verdict = 'carry' | 'update' | 'gone' | 'conflict' | 'nothing'

/** The three-way merge of one path, the same rule as for rows. */
export function mergeFile({ base, source, target }: Sides): Verdict {
  if (source === undefined) return base !== undefined && target !== undefined && isAlike(base, target) ? 'gone' : 'nothing'
  if (target === undefined) {
    if (base === undefined) return 'carry'
    return isAlike(base, source) ? 'nothing' : 'conflict'
  }
  if (isAlike(source, target)) return 'nothing'
  if (base !== undefined && isAlike(base, source)) return 'nothing'
  return base !== undefined && isAlike(base, target) ? 'update' : 'conflict'
}

/**
 * Whether two entries are the same thing: by their contents where both are known, else as far as listings tell: kind, length, whole
 * seconds, target. Rights are no content.
 */
export function isAlike(a: HashedEntry, b: HashedEntry): boolean {
  if (a.kind !== b.kind) return false
  if (a.kind === 'link') return a.target === b.target
  if (a.kind !== 'file') return true
  if (a.sha256 !== null && b.sha256 !== null) return a.sha256 === b.sha256
  return looksAlike(a, b)
}

/** The same for two files of which nothing but a listing is known. */
export const looksAlike = (a: FileEntry, b: FileEntry): boolean =>
  a.kind === b.kind &&
  a.target === b.target &&
  (a.kind !== 'file' || (a.size === b.size && Math.floor(a.mtimeSeconds) === Math.floor(b.mtimeSeconds)))

/** A file that the merge can't decide about by itself: the playbook's rule. */
export type FilePolicy = 'park' | 'old' | 'new' | 'newest'

/** What a rule makes of a conflict: whose file it is to be. A tie of `newest` is for a person. */
export function decideConflict(
  { source, target }: Sides,
  policy: FilePolicy,
  sourceSide: 'old' | 'new',
): 'source' | 'target' | 'park' {
  if (policy === 'park') return 'park'
  if (policy !== 'newest') return policy === sourceSide ? 'source' : 'target'
  if (source === undefined || target === undefined || source.mtimeSeconds === target.mtimeSeconds) return 'park'
  return source.mtimeSeconds > target.mtimeSeconds ? 'source' : 'target'
}
