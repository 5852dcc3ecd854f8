import { createHash } from 'node:crypto'
import { MigrateError } from '../base/errors.ts'
import { shownPath } from './raw-names.ts'

/** The longest name that common file systems take, bytes. */
export const NAME_MAX = 255
const PART = '.migrate-part'
const ASIDE = '.migrate-old-'
const HASHED_ASIDE = /^\.migrate-old--[0-9a-f]{32}(?:\.[A-Za-z0-9]{1,16})?$/

/**
 * The path as it is, when it stays below the root by its own text: relative, `/` between parts, no empty part, no `.` or `..`.
 * Throws MigrateError `path-escapes-root` otherwise. Whether a link on the way leads outside is the host's to find out.
 */
export function safePath(path: string, label: string): string {
  const parts = path.split('/')
  const bad = parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))
  if (bad) throw escapes(label, path, 'is not a plain path below its folder')
  return path
}

export const escapes = (label: string, path: string, why: string): MigrateError =>
  new MigrateError(
    'path-escapes-root',
    `${shownPath(JSON.stringify(path))} on ${label} ${why}. It was neither read nor written.`,
    {
      hint: 'migrate works only inside the folder that the playbook names. Mend or remove the link, or exclude the path.',
    },
  )

/**
 * Whether a link at `path` (relative to the root) with this target stays within the root. An absolute target stays within it only
 * when it begins with `root`, the root's own absolute path.
 */
export function targetStaysInside(path: string, target: string, root: string | null): boolean {
  if (target === '' || target.includes('\0')) return false
  if (target.startsWith('/')) return root !== null && root !== '/' && normalise(`${target}/`).startsWith(normalise(`${root}/`))
  let depth = path.split('/').length - 1
  for (const part of target.split('/')) {
    if (part === '..') depth -= 1
    else if (part !== '' && part !== '.') depth += 1
    if (depth < 0) return false
  }
  return true
}

function normalise(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}/`
}

/** '' for an entry of the root itself. */
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

export const joinPath = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`)

/** Every folder above a path, outermost first: `a/b/c` → `a`, `a/b`. */
export function foldersAbove(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** The name under which a file is written before it is renamed: in the same folder, hidden, the same at every try. */
export function partPath(path: string): string {
  const name = nameOf(path)
  const part = `.${name}${PART}`
  if (Buffer.byteLength(part) <= NAME_MAX) return joinPath(parentOf(path), part)
  return joinPath(parentOf(path), `.${hashOf(name)}${PART}`)
}

/** Whose part a path is; `undefined` of all others, and where the name doesn't tell. */
export function partOf(path: string): string | undefined {
  const name = nameOf(path)
  const isPart = name.startsWith('.') && name.endsWith(PART) && name.length > PART.length + 1
  return isPart ? joinPath(parentOf(path), name.slice(1, -PART.length)) : undefined
}

const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 32)

/**
 * The name of an old file while a new one takes its place on a host whose rename replaces nothing: in the same folder, hidden, the same at every
 * try, and with its own ending, by which web servers tell what they may show.
 */
export function asidePath(path: string): string {
  const name = nameOf(path)
  const aside = `${ASIDE}${name}`
  if (Buffer.byteLength(aside) <= NAME_MAX) return joinPath(parentOf(path), aside)
  const ending = /\.[A-Za-z0-9]{1,16}$/.exec(name)?.[0] ?? ''
  return joinPath(parentOf(path), `${ASIDE}-${hashOf(name)}${ending}`)
}

/** Whose place a file has left by its name (`asidePath`); `undefined` of all others, and where the name no longer tells. */
export function originalOf(path: string): string | undefined {
  const name = nameOf(path)
  if (!name.startsWith(ASIDE) || name === ASIDE || HASHED_ASIDE.test(name)) return undefined
  return joinPath(parentOf(path), name.slice(ASIDE.length))
}

/** Whether a path is that of a folder in the root that small files are unpacked into, or that a program which puts them goes through (`laneFolder`). */
export const isUnpackedFolder = (path: string): boolean => /^\.migrate-part-[0-9a-f]{12}$/.test(path)

/** The folder in the root, empty, that the program of a lane goes through for whatever it opens and renames. `lane`: 12 hexadecimal digits. */
export const laneFolder = (lane: string): string => `.migrate-part-${lane}`

/** The name, in a file's own folder, under which the file of a lane is written before it is renamed. */
export const lanePart = (lane: string): string => `.migrate-${lane}${PART}`

/** The lane that has given a folder of the root, or a part, its name; `undefined` of all others. */
export const laneOf = (path: string): string | undefined =>
  (isUnpackedFolder(path) ? /[0-9a-f]{12}$/ : /(?<=^\.migrate-)[0-9a-f]{12}(?=\.migrate-part$)/).exec(nameOf(path))?.[0]

/** Whether a path is that of a file on its way or of one that steps aside for it (or left behind by a try that was cut off): nothing of the site's. */
export const isPartPath = (path: string): boolean =>
  nameOf(path).startsWith(ASIDE) || (nameOf(path).startsWith('.') && path.endsWith(PART))

/**
 * The one order of paths: depth first, a folder right before what it holds, names of a folder by their UTF-8 bytes. Listings and
 * the store keep it, so that two of them can be compared while they stream. Negative, 0 or positive. `from`: up to there they are the same.
 */
export function comparePaths(a: string, b: string, from = 0): number {
  const length = Math.min(a.length, b.length)
  for (let index = from; index < length; index += 1) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return rank(left) - rank(right)
  }
  return a.length - b.length
}

/** UTF-16 code units in the order of the code points they stand for; `/` comes before every other character. */
function rank(unit: number): number {
  if (unit === 0x2f) return -1
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
