import { isoTime } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'

/** One entry of a folder as a server lists it. */
export interface ListedEntry {
  readonly name: string
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  readonly size: number
  /** Permission bits; `null` where the listing doesn't say. */
  readonly mode: number | null
  /** Seconds since 1970; `null` where the listing says it only roughly (to the minute, in a time zone that nobody names). */
  readonly mtimeSeconds: number | null
  /** As the listing says it, taken as UTC: for where nothing better can be had. */
  readonly roughlySeconds: number
  /** Where a link points, where the listing says so. */
  readonly target: string | null
}

/** Any line that isn't understood is an error: left out in silence, it would be a file that nobody copies. */
export class ListingError extends MigrateError {
  constructor(line: string) {
    super('files-failed', `The host lists an entry in a way that migrate doesn't know: ${JSON.stringify(line.slice(0, 200))}.`, {
      hint: 'A name with a line break looks so, too: rename it on that host. Else tell us the line; nothing was changed.',
    })
  }
}

/** One line of MLSD or MLST (RFC 3659, section 7): facts, a space, the name. `itself`: the folder that is listed, or the one above it. */
export function parseFacts(line: string): ListedEntry | 'itself' {
  const space = line.indexOf(' ')
  const name = line.slice(space + 1)
  const facts = new Map(
    line
      .slice(0, Math.max(space, 0))
      .split(';')
      .filter((fact) => fact !== '')
      .map((fact): [string, string] => {
        const equals = fact.indexOf('=')
        return [fact.slice(0, equals).toLowerCase(), fact.slice(equals + 1)]
      }),
  )
  const type = facts.get('type')
  if (space < 1 || type === undefined || name === '') throw new ListingError(line)
  if (/^[cp]dir$/i.test(type) || name === '.' || name === '..') return 'itself'
  const kind = kindOf(type)
  const modify = facts.get('modify')
  const mtimeSeconds = modify === undefined ? null : parseTime(modify)
  const mode = facts.get('unix.mode')
  const target = /^os\.unix=slink:(.+)$/i.exec(type)?.[1] ?? null
  return {
    name,
    kind,
    size: kind === 'file' ? wholeNumber(facts.get('size'), line) : 0,
    mode: mode !== undefined && /^[0-7]+$/.test(mode) ? Number.parseInt(mode, 8) & 0o7777 : null,
    mtimeSeconds,
    roughlySeconds: mtimeSeconds ?? 0,
    target,
  }
}

function kindOf(type: string): ListedEntry['kind'] {
  if (/^file$/i.test(type)) return 'file'
  if (/^dir$/i.test(type)) return 'folder'
  return /^os\.unix=s(?:ym)?link\b/i.test(type) ? 'link' : 'other'
}

function wholeNumber(text: string | undefined, line: string): number {
  if (text === undefined || !/^\d+$/.test(text)) throw new ListingError(line)
  return Number(text)
}

/** `YYYYMMDDHHMMSS[.sss]` in UTC (RFC 3659, section 2.3), in whole seconds since 1970; `null` for anything else. */
export function parseTime(text: string): number | null {
  const match = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(?:\.\d+)?$/.exec(text.trim())
  if (match === null) return null
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number)
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000
}

/** The opposite of `parseTime`. */
export const timeText = (seconds: number): string => isoTime(Math.floor(seconds) * 1000).replaceAll(/[-:T]|\.\d+Z$/g, '')

/**
 * One line of LIST, which no standard describes: as `ls -l` of Unix writes it, or as IIS does in its MS-DOS style. `itself`: the folder that
 * is listed, the one above it, or how much room they take.
 */
export function parseListLine(line: string, nowSeconds: number): ListedEntry | 'itself' {
  if (/^total \d+$/i.test(line)) return 'itself'
  const entry = parseUnixLine(line, nowSeconds) ?? parseDosLine(line)
  if (entry === undefined) throw new ListingError(line)
  return entry.name === '.' || entry.name === '..' ? 'itself' : entry
}

const UNIX =
  /^([bcdlpsD-])([r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-])[+.@]?\s+\d+\s+(?:\S+\s+){1,2}?(\d+)(?:,\s*\d+)?\s+([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d{4}|\d{1,2}:\d{2})\s(.*)$/
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const KINDS: Readonly<Record<string, ListedEntry['kind']>> = { '-': 'file', d: 'folder', l: 'link' }

function parseUnixLine(line: string, nowSeconds: number): ListedEntry | undefined {
  const [, type = '', permissions = '', size = '', month = '', day = '', when = '', rest = ''] = UNIX.exec(line) ?? []
  const monthIndex = MONTHS.indexOf(month)
  if (monthIndex === -1) return undefined
  const kind = KINDS[type] ?? 'other'
  const arrow = kind === 'link' ? rest.indexOf(' -> ') : -1
  return {
    name: arrow === -1 ? rest : rest.slice(0, arrow),
    kind,
    size: kind === 'file' ? Number(size) : 0,
    mode: modeOf(permissions),
    mtimeSeconds: null,
    roughlySeconds: unixTime(monthIndex, Number(day), when, nowSeconds),
    target: arrow === -1 ? null : rest.slice(arrow + 4),
  }
}

/** Within half a year the time of day stands in the year's place: the year is then the last one that isn't in the future. */
function unixTime(month: number, day: number, when: string, nowSeconds: number): number {
  if (!when.includes(':')) return Date.UTC(Number(when), month, day) / 1000
  const [hour = 0, minute = 0] = when.split(':').map(Number)
  const year = Number(isoTime(nowSeconds * 1000).slice(0, 4))
  const at = (which: number): number => Date.UTC(which, month, day, hour, minute) / 1000
  // A day's grace: the listing is in the server's own time.
  return at(year) > nowSeconds + 86_400 ? at(year - 1) : at(year)
}

/** `rwxr-sr-t` as bits. */
function modeOf(permissions: string): number {
  let mode = 0
  for (const [index, letter] of [...permissions].entries()) {
    if (letter !== '-' && letter !== 'S' && letter !== 'T') mode |= 1 << (8 - index)
    if (/[sStT]/.test(letter)) mode |= 0o1000 << (2 - Math.floor(index / 3))
  }
  return mode
}

const DOS = /^(\d{2})-(\d{2})-(\d{2}|\d{4})\s+(\d{1,2}):(\d{2})([AP]M)?\s+(?:(<[A-Z]+>)(?: {10}|\s+)|(\d+) )(.*)$/i

/** IIS: `11-20-26  07:19AM       <DIR>          images`, `11-20-2026  07:19PM              1205 web.config`. */
function parseDosLine(line: string): ListedEntry | undefined {
  const match = DOS.exec(line)
  if (match === null) return undefined
  const [, month, day, shortYear = '', hours, minutes, half, folder, size, name = ''] = match
  const year = shortYear.length === 4 ? Number(shortYear) : Number(shortYear) + (Number(shortYear) < 70 ? 2000 : 1900)
  const hour = half === undefined ? Number(hours) : (Number(hours) % 12) + (/PM/i.test(half) ? 12 : 0)
  const kind = folder === undefined ? 'file' : /^<DIR>$/i.test(folder) ? 'folder' : 'other'
  return {
    name,
    kind,
    size: kind === 'file' ? Number(size) : 0,
    mode: null,
    mtimeSeconds: null,
    roughlySeconds: Date.UTC(year, Number(month) - 1, Number(day), hour, Number(minutes)) / 1000,
    target: null,
  }
}
