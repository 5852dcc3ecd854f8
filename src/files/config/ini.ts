import {
  type Config,
  type ConfigFormat,
  type ConfigValue,
  findByPath,
  type Refusal,
  type Slot,
  textOf,
  unspeakable,
} from './config.ts'

const SECTION = /^[ \t]*\[([^\]\r\n]*)\][ \t]*(?:[;#].*)?$/
const ASSIGNMENT = /^[ \t]*([^=;#[\s][^=\r\n]*?)[ \t]*=[ \t]*/
/** Means itself without quotes to PHP and to Windows. */
const BARE = /^[A-Za-z0-9_./:@%+,\\-]*$/
/** Words that PHP reads as a switch when they stand bare (PHP's manual, parse_ini_file). */
const SWITCH = /^(?:true|false|on|off|yes|no|none|null)$/i
/** PHP knows \\ \" and \' within double quotes, and puts variables in (Zend/zend_ini_scanner.l). */
const isSureInDouble = (text: string): boolean => !/["$\r\n]|\\["'\\]|\\$/.test(text)
const isSureInSingle = (text: string): boolean => !/['\r\n]|\\["'\\]|\\$/.test(text)

/**
 * INI files as PHP (php.ini, .user.ini, parse_ini_file) and Windows read them: sections, `key = value`, comments after `;`, also `#` at
 * the beginning of a line; values bare or in quotes of one line. A setting's path has its section, unless it stands before the first. A value
 * is written so that both read the same, or refused.
 */
export const iniFormat: ConfigFormat = (text): Config => {
  const slots: Slot[] = []
  let section: readonly string[] = []
  for (const { 0: line, index } of text.matchAll(/[^\r\n]+/g)) {
    const name = SECTION.exec(line)?.[1]
    if (name !== undefined) section = [name.trim()]
    const match = name === undefined ? ASSIGNMENT.exec(line) : null
    const key = match?.[1]
    if (match !== null && key !== undefined) slots.push(slotAt(line, [...section, key], index, match[0].length))
  }
  return { slots, find: (path) => findByPath(slots, path) }
}

function slotAt(line: string, path: readonly string[], start: number, begin: number): Slot {
  const written = line.slice(begin)
  const quote = written.charAt(0)
  return quote === '"' || quote === "'" ? quoted(written, path, start + begin, quote) : bare(written, path, start + begin)
}

function quoted(written: string, path: readonly string[], from: number, quote: '"' | "'"): Slot {
  const close = closingQuote(written, quote)
  const place = { path, from, spell: (value: ConfigValue) => spell(value, quote, false) }
  if (close === undefined || !/^[ \t]*(?:;.*)?$/.test(written.slice(close + 1))) {
    const refusal: Refusal = {
      code: 'config-not-a-value',
      message: close === undefined ? `has a ${quote} that isn’t closed in its line` : 'has more after its closing quote',
      hint: 'Mend this line, or change it with replace: instead.',
    }
    return { ...place, to: from + written.length, value: undefined, refusal }
  }
  const content = written.slice(1, close)
  const isSure = quote === '"' ? isSureInDouble(content) : isSureInSingle(content)
  return { ...place, to: from + close + 1, value: isSure ? textOf(content) : undefined }
}

function closingQuote(written: string, quote: string): number | undefined {
  for (let at = 1; at < written.length; at += 1) {
    if (written[at] === '\\' && quote === '"') at += 1
    else if (written[at] === quote) return at
  }
  return undefined
}

function bare(written: string, path: readonly string[], from: number): Slot {
  const comment = written.indexOf(';')
  const value = (comment < 0 ? written : written.slice(0, comment)).trimEnd()
  const isSwitch = SWITCH.test(value)
  return {
    path,
    from,
    to: from + value.length,
    value: BARE.test(value) ? textOf(value) : undefined,
    spell: (given) => spell(given, '', isSwitch),
  }
}

/** `isSwitch`: a bare word of that kind stands there, and may be written bare again. */
function spell({ text }: ConfigValue, quote: '' | '"' | "'", isSwitch: boolean): string {
  if (text.includes('\0')) throw unspeakable('it holds a zero byte')
  const isBare = BARE.test(text) && (isSwitch || !SWITCH.test(text)) && !text.endsWith('\\')
  const fits = { '': isBare, '"': isSureInDouble(text), "'": isSureInSingle(text) }
  const chosen = ([quote, '"', "'"] as const).find((each) => fits[each])
  if (chosen !== undefined) return chosen + text + chosen
  throw unspeakable('programs read it differently in an INI file: it has a line break, or quotes or a backslash together')
}
