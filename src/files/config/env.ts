import { type Config, type ConfigFormat, type ConfigValue, findByPath, type Slot, textOf, unspeakable } from './config.ts'

/** `KEY=`, also with `export` before it. */
const ASSIGNMENT = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/
/** Means itself without quotes to every reader, a shell among them. */
const BARE = /^[A-Za-z0-9_./:@%+,=-]*$/
type Quote = '' | "'" | '"' | '`'
/** Some readers know \\ and \' in single quotes, and some end a value at the line's end. */
const isSureInSingle = (text: string): boolean => !/['\r\n]|\\\\|\\$/.test(text)
/** Some readers take these for the beginning of something else, and some turn CR LF into LF. */
const isSureInDouble = (text: string): boolean => !/["\\$`\r]/.test(text)

/**
 * `.env` files: KEY=value lines, values bare or in quotes that may span lines, comments. Readers differ in what a backslash or a
 * dollar sign means within double quotes, and in whether single quotes may span lines (Node's --env-file, dotenv, phpdotenv, Symfony, python-dotenv, a
 * shell's `source`): a value is written so that all of them read the same, or refused.
 */
export const envFormat: ConfigFormat = (text): Config => {
  const slots: Slot[] = []
  let at = 0
  while (at < text.length) {
    const found = assignmentAt(text, at)
    if (found !== undefined) slots.push(found.slot)
    at = found?.end ?? nextLine(text, at)
  }
  return { slots, find: (path) => findByPath(slots, path) }
}

function nextLine(text: string, at: number): number {
  const length = /^[^\r\n]*(?:\r\n|\n|\r|$)/.exec(text.slice(at))?.[0].length ?? 0
  return at + Math.max(1, length)
}

function lineAt(text: string, at: number): string {
  return /^[^\r\n]*/.exec(text.slice(at))?.[0] ?? ''
}

function assignmentAt(text: string, at: number): { readonly slot: Slot; readonly end: number } | undefined {
  const match = ASSIGNMENT.exec(lineAt(text, at))
  const key = match?.[1]
  if (match === null || key === undefined) return undefined
  const from = at + match[0].length
  const quote = text[from]
  if (quote !== '"' && quote !== "'" && quote !== '`') return bare(text, key, from)
  const close = closingQuote(text, from, quote)
  const tail = close === undefined ? undefined : lineAt(text, close + 1)
  const place = { path: [key], from, spell: (value: ConfigValue) => spell(value, quote) }
  if (close === undefined || tail === undefined || !/^[ \t]*(?:#.*)?$/.test(tail)) {
    const refusal = {
      code: 'config-not-a-value',
      message: close === undefined ? `has a ${quote} that is never closed` : 'has more after its closing quote',
      hint: 'Mend this line, or change it with replace: instead.',
    } as const
    return { slot: { ...place, to: from + lineAt(text, from).length, value: undefined, refusal }, end: nextLine(text, from) }
  }
  const content = text.slice(from + 1, close)
  const isSure = quote === "'" ? isSureInSingle(content) : quote === '"' && isSureInDouble(content)
  return { slot: { ...place, to: close + 1, value: isSure ? textOf(content) : undefined }, end: nextLine(text, close + 1) }
}

function closingQuote(text: string, from: number, quote: string): number | undefined {
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === '\\' && quote === '"') at += 1
    else if (text[at] === quote) return at
  }
  return undefined
}

function bare(text: string, key: string, from: number): { readonly slot: Slot; readonly end: number } {
  const line = lineAt(text, from)
  const comment = line.startsWith('#') ? 0 : line.search(/[ \t]#/)
  const value = (comment < 0 ? line : line.slice(0, comment)).trimEnd()
  const known = BARE.test(value) ? textOf(value) : undefined
  // A comment right where the value would begin needs a space before it.
  const gap = value === '' && line.startsWith('#') ? ' ' : ''
  const slot = { path: [key], from, to: from + value.length, value: known, spell: (given: ConfigValue) => spell(given, '') + gap }
  return { slot, end: nextLine(text, from) }
}

function spell({ text }: ConfigValue, quote: Quote): string {
  if (text.includes('\0')) throw unspeakable('it holds a zero byte')
  const fits = { '': BARE.test(text), "'": isSureInSingle(text), '"': isSureInDouble(text), '`': false }
  const chosen = ([quote, "'", '"'] as const).find((each) => fits[each])
  if (chosen !== undefined) return chosen + text + chosen
  throw unspeakable(
    'programs read it differently in a .env file: it has a single quote or a line break, and one of " \\ $ ` besides',
  )
}
