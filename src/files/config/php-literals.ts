import { type ConfigValue, textOf, unspeakable } from './config.ts'
import type { PhpToken } from './php-tokens.ts'

const NAMED: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  v: '\v',
  e: '\x1b',
  f: '\f',
  '\\': '\\',
  $: '$',
  '"': '"',
}
const ESCAPE = /\\(?:([ntrvef\\$"])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u\{([0-9A-Fa-f]+)\})/g

/** What a literal means (PHP manual, "Strings"); `undefined` for a text of bytes that are no text, and a number that isn't plain. */
export function phpValue(tokens: readonly PhpToken[]): ConfigValue | undefined {
  const [token, second] = tokens
  if (token === undefined) return undefined
  if (second !== undefined) {
    const isNegative = token.raw === '-' && second.type === 'number' && tokens.length === 2
    return isNegative ? { kind: 'number', text: `-${second.raw}` } : undefined
  }
  const word = token.raw.toLowerCase().replace(/^\\/, '')
  if (token.type === 'number') return { kind: 'number', text: token.raw }
  if (token.type === 'name') {
    if (word === 'true' || word === 'false') return { kind: 'boolean', text: word }
    return word === 'null' ? { kind: 'null', text: word } : undefined
  }
  return token.type === 'text' ? textValue(token.raw.replace(/^b/i, '')) : undefined
}

function textValue(raw: string): ConfigValue | undefined {
  const inside = raw.slice(1, -1)
  if (raw.startsWith("'")) return textOf(inside.replace(/\\([\\'])/g, '$1'))
  let isText = true
  const text = inside.replace(ESCAPE, (_all, named?: string, octal?: string, hex?: string, point?: string) => {
    if (named !== undefined) return NAMED[named] ?? ''
    const code = octal !== undefined ? Number.parseInt(octal, 8) & 0xff : Number.parseInt(hex ?? point ?? '0', 16)
    // A byte above ASCII is a part of a character in an encoding that isn't known here.
    isText &&= code <= (point === undefined ? 0x7f : 0x10ffff)
    return isText ? String.fromCodePoint(code) : ''
  })
  return isText ? textOf(text) : undefined
}

/** A literal in the quotes that stand there; in single ones where none do. */
export function phpLiteral({ kind, text }: ConfigValue, standing: string): string {
  if (kind !== 'text') return text
  if (text.includes('\0')) throw unspeakable('it holds a zero byte')
  if (/^b?"/i.test(standing)) return `"${text.replace(/[\\"$]/g, '\\$&')}"`
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
