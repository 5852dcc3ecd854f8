import { shownPath } from '../../files/raw-names.ts'

/** What moves the cursor, rings or recolours; not the line break and the tab. */
const CONTROL = /[^\P{Cc}\n\t]/gu

/**
 * A text as people can read it, in a terminal or in a message: bytes of a name that aren't UTF-8, and control characters that somebody put
 * into one, as `\x1B`. For what isn't coloured yet.
 */
export const legible = (text: string): string => shownPath(text).replace(CONTROL, hexadecimal)

const hexadecimal = (letter: string): string => `\\x${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}`
