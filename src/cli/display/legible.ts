import { shownPath } from '../../files/raw-names.ts'

/** What moves the cursor, rings or recolours; not the line break and the tab. */
const CONTROL = /[^\P{Cc}\n\t]/gu

/**
 * The same data with every text as a terminal can show it: bytes of a name that aren't UTF-8, and control characters that somebody put into
 * one, as `\x1B`. For what isn't coloured yet.
 */
export const legible = <T>(value: T): T => shown(value) as T

function shown(value: unknown): unknown {
  if (typeof value === 'string') return shownPath(value).replace(CONTROL, hexadecimal)
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shown(member)]))
}

const hexadecimal = (letter: string): string => `\\x${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}`
