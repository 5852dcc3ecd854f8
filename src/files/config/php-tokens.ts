import { unreadable } from './config.ts'

export interface PhpToken {
  /** `text`: a string without variables in it. `other`: a string with variables, a here-document, a command in backticks. */
  readonly type: 'open' | 'variable' | 'name' | 'number' | 'text' | 'other' | 'sign'
  readonly from: number
  readonly to: number
  /** As it stands. */
  readonly raw: string
}

const OPEN = /<\?(?:php(?=\s|$)|=)/gi
const PARTS: readonly (readonly [PhpToken['type'] | 'skip' | 'close' | 'heredoc' | 'double' | 'single' | 'backtick', RegExp])[] =
  [
    ['skip', /\s+/y],
    // A closing tag ends such a comment, too.
    ['skip', /(?:\/\/|#(?!\[))(?:(?!\?>)[^\r\n])*/y],
    ['skip', /\/\*[\s\S]*?\*\//y],
    ['close', /\?>(?:\r\n|\n)?/y],
    ['heredoc', /<<<[ \t]*(['"]?)([A-Za-z_\x80-\uffff][\w\x80-\uffff]*)\1(?:\r\n|\n|\r)/y],
    ['single', /[bB]?'(?:[^'\\]|\\[\s\S])*'/y],
    ['double', /[bB]?"(?:[^"\\]|\\[\s\S])*"/y],
    ['backtick', /`(?:[^`\\]|\\[\s\S])*`/y],
    ['variable', /\$[A-Za-z_\x80-\uffff][\w\x80-\uffff]*/y],
    ['number', /(?:0[xX][\da-fA-F_]+|0[bB][01_]+|(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d+)?\.?)(?![\w\x80-\uffff])/y],
    ['name', /\\?[A-Za-z_\x80-\uffff][\w\x80-\uffff]*(?:\\[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)*/y],
    ['sign', /===|!==|==|!=|=>|->|\?->|::|\?\?=|\.=|<=|>=|&&|\|\||\?\?|[\s\S]/y],
  ]

/** PHP code's tokens, without white space, comments and the HTML around it. Throws `config-unreadable`. */
export function phpTokens(text: string): readonly PhpToken[] {
  const tokens: PhpToken[] = []
  let at = 0
  for (;;) {
    OPEN.lastIndex = at
    const open = OPEN.exec(text)
    if (open === null) break
    const to = open.index + open[0].length
    tokens.push({ type: 'open', from: open.index, to, raw: open[0] })
    at = readCode(text, to, tokens)
    if (tokens.at(-1)?.raw.toLowerCase() === '__halt_compiler') break
  }
  if (tokens.length === 0) throw unreadable('PHP', text, 0, 'begins no <?php')
  return tokens
}

/** Reads up to the closing tag, and gives where to go on. */
function readCode(text: string, start: number, tokens: PhpToken[]): number {
  let at = start
  while (at < text.length) {
    const [kind, from, found] = partAt(text, at)
    at += found.length
    if (kind === 'skip') continue
    if (kind === 'close') {
      tokens.push({ type: 'sign', from, to: from + 2, raw: ';' })
      return at
    }
    if (kind === 'heredoc') at = endOfHeredoc(text, from, found)
    const raw = text.slice(from, at)
    if (kind === 'sign' && /["'`]/.test(raw)) throw unreadable('PHP', text, from, 'begins a quote that is never closed')
    if (kind === 'sign' && text.startsWith('/*', from))
      throw unreadable('PHP', text, from, 'begins a comment that is never closed')
    tokens.push({ type: typeOf(kind, raw), from, to: at, raw })
    if (raw.toLowerCase() === '__halt_compiler') return text.length
  }
  return at
}

type Kind = (typeof PARTS)[number][0]

function partAt(text: string, at: number): readonly [Kind, number, string] {
  for (const [kind, pattern] of PARTS) {
    pattern.lastIndex = at
    const [found] = pattern.exec(text) ?? []
    if (found !== undefined && found !== '') return [kind, at, found]
  }
  return ['sign', at, text[at] ?? '']
}

function typeOf(kind: Kind, raw: string): PhpToken['type'] {
  if (kind === 'single') return 'text'
  // A dollar sign before a letter or a brace, and {$, put a variable into the text.
  if (kind === 'double') return /(?<!\\)(?:\\\\)*(?:\$[A-Za-z_{\x80-\uffff]|\{\$)/.test(raw) ? 'other' : 'text'
  return kind === 'heredoc' || kind === 'backtick' || kind === 'skip' || kind === 'close' ? 'other' : kind
}

function endOfHeredoc(text: string, from: number, head: string): number {
  const name = /[A-Za-z_\x80-\uffff][\w\x80-\uffff]*/.exec(head)?.[0] ?? ''
  const end = new RegExp(`^[ \\t]*${name}(?![\\w\\x80-\\uffff])`, 'm').exec(text.slice(from + head.length))
  if (end === null) throw unreadable('PHP', text, from, 'begins a text (<<<) that never ends')
  return from + head.length + end.index + end[0].length
}
