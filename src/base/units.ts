const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `30s`, `5m`, `2h`, `250ms`, `1d` → milliseconds; `undefined` when the text is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text.trim())
  const unitMs = match?.[2] === undefined ? undefined : UNIT_MS[match[2]]
  if (match?.[1] === undefined || unitMs === undefined) return undefined
  return Math.round(Number(match[1]) * unitMs)
}

/** Milliseconds as a person says them: `450 ms`, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatDuration(ms: number): string {
  if (Math.round(ms) < 1000) return `${Math.round(ms)} ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** Bytes in binary units with three significant digits: `512 B`, `8.00 KiB`, `1.21 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  if (bytes < 1024) return `${Math.round(bytes)} B`
  let value = bytes / 1024
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${value.toPrecision(value >= 1000 ? 4 : 3)} ${units[unit]}`
}

/** 1234567 → `1,234,567`. */
export const formatCount = (count: number | bigint): string => count.toLocaleString('en-US')

/** The first of several names, and how many there are beyond: `a, b and 1,234 more`. */
export const firstOf = (names: readonly string[], most = 5): string => andMore(names.slice(0, most), names.length)

/** The same where only the first ones are at hand, of `count` in all. */
export function andMore(first: readonly string[], count: number): string {
  const more = count - first.length
  return `${first.join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}`
}

/** `1 change`, `2,300 changes`. */
export const counted = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
