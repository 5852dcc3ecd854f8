import { isoTime } from '../../base/clock.ts'
import { formatBytes } from '../../base/units.ts'
import type { HashedEntry } from '../../files/merge.ts'
import { shownPath } from '../../files/raw-names.ts'
import type { ParkedFile } from '../../steps/parked-files.ts'
import { type Paint, wrap } from './frame.ts'
import { visible } from './parked-view.ts'

export interface ParkedFileViewOptions {
  readonly columns: number
  readonly paint: Paint
  /** Which of how many. */
  readonly number: number
  readonly total: number
  /** Lines that differ; [] where they aren't small texts. */
  readonly difference: readonly string[]
}

/** Lines of the difference that are shown. */
const DIFFERENCE_LINES = 24
/** Of a SHA-256, hexadecimal digits: enough to tell versions apart. */
const HASH_DIGITS = 16

/** A parked file as both hosts have it and as both last had it, and where it is a small text what differs. */
export function parkedFileView(
  file: ParkedFile,
  { columns, paint, number, total, difference }: ParkedFileViewOptions,
): readonly string[] {
  const { from, source, target, base } = file
  const versions: Readonly<Record<'old' | 'new', HashedEntry | null>> =
    from === 'old' ? { old: source, new: target } : { old: target, new: source }
  const lines = [
    `   old host       ${versionWords(versions.old)}`,
    ...(base === null ? [] : [`   both last had  ${versionWords(base)}`]),
    `   new host       ${versionWords(versions.new)}`,
  ]
  const shown = difference.slice(0, DIFFERENCE_LINES).map((line) => ` ${[...visible(line)].slice(0, columns - 2).join('')}`)
  const more = difference.length - shown.length
  const to = from === 'old' ? 'new' : 'old'
  return [
    `${paint('bold', visible(shownPath(file.path)))}   ${paint('dim', `${number} of ${total}`)}`,
    ...wrap(visible(file.reason), columns).map((text) => paint('dim', text)),
    '',
    ...lines,
    ...(shown.length === 0 ? [] : ['', paint('dim', `   - ${to} host, + ${from} host`), ...shown]),
    ...(more > 0 ? [paint('dim', `   … and ${more} more lines`)] : []),
  ]
}

function versionWords(entry: HashedEntry | null): string {
  if (entry === null) return '(not there)'
  if (entry.kind === 'link') return `a link to ${visible(shownPath(entry.target ?? ''))}`
  if (entry.kind !== 'file') return entry.kind === 'folder' ? 'a folder' : 'a socket or device'
  const hash = entry.sha256 === null ? '' : `  sha256 ${entry.sha256.slice(0, HASH_DIGITS)}…`
  return `${formatBytes(entry.size)}, ${isoTime(entry.mtimeSeconds * 1000)
    .slice(0, 19)
    .replace('T', ' ')} UTC${hash}`
}
