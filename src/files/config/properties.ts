import { type Config, type ConfigFormat, type ConfigValue, findByPath, type Slot, textOf } from './config.ts'

const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }
const SPELLED: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r', '\f': '\\f' }

/**
 * Java's .properties files (java.util.Properties, method load(Reader)): a key, `=`, `:` or a space, a value; lines that end in a backslash go
 * on in the next one; comments after `#` or `!`. What is written is ASCII with \uXXXX, which every reader takes alike, whatever it
 * thinks of the file's encoding.
 */
export const propertiesFormat: ConfigFormat = (text): Config => {
  const slots: Slot[] = []
  let at = 0
  while (at < text.length) {
    const end = logicalEnd(text, at)
    const slot = slotAt(text, at, end)
    if (slot !== undefined) slots.push(slot)
    at = end + (/^(?:\r\n|\n|\r)/.exec(text.slice(end, end + 2))?.[0].length ?? 1)
  }
  return { slots, find: (path) => findByPath(slots, path) }
}

/** Where a line with those that it goes on in ends; a comment or an empty one is never gone on with. */
function logicalEnd(text: string, from: number): number {
  let at = from
  for (;;) {
    const end = at + (/^[^\r\n]*/.exec(text.slice(at))?.[0].length ?? 0)
    const line = text.slice(at, end)
    const isNote = at === from && /^[ \t\f]*(?:[#!]|$)/.test(line)
    const slashes = /\\*$/.exec(line)?.[0].length ?? 0
    if (isNote || slashes % 2 === 0 || end >= text.length) return end
    at = end + (text.startsWith('\r\n', end) ? 2 : 1)
  }
}

function slotAt(text: string, from: number, end: number): Slot | undefined {
  const line = text.slice(from, end)
  const [match, indent = '', written = ''] = /^([ \t\f]*)((?:\\[\s\S]|[^\\=:\s])*)/.exec(line) ?? []
  if (match === undefined || /^[#!]/.test(written) || line.trim() === '') return undefined
  const gap = /^(?:[ \t\f]|\\(?:\r\n|\n|\r)[ \t\f]*)*(?:[=:](?:[ \t\f]|\\(?:\r\n|\n|\r)[ \t\f]*)*)?/.exec(
    line.slice(match.length),
  )
  const begin = from + indent.length + written.length + (gap?.[0].length ?? 0)
  const value = unescaped(text.slice(begin, end))
  // A key that ends its line has an empty value, and needs a sign before another one.
  const sign = gap?.[0] === '' ? '=' : ''
  return {
    path: [unescaped(written) ?? written],
    from: begin,
    to: end,
    value: value === undefined ? undefined : textOf(value),
    spell: (given) => sign + spell(given),
  }
}

/** `undefined` for a \u without four digits, which Java doesn't read at all. */
function unescaped(written: string): string | undefined {
  if (/(?<!\\)(?:\\\\)*\\u(?![0-9a-fA-F]{4})/.test(written)) return undefined
  return written.replace(/\\(?:u([0-9a-fA-F]{4})|(\r\n|\n|\r)[ \t\f]*|([\s\S]|$))/g, (_all, code, line, letter) => {
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16))
    return line === undefined ? (ESCAPES[letter] ?? letter) : ''
  })
}

const spell = ({ text }: ConfigValue): string =>
  text
    .replace(/[\\\t\n\r\f]/g, (letter) => SPELLED[letter] ?? letter)
    .replace(/^ +/, (spaces) => spaces.replaceAll(' ', '\\ '))
    .replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`)
