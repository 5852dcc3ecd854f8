/** An opening tag as a browser would read it. */
export interface Tag {
  /** Lower case. */
  readonly name: string
  /** Lower-case names; entities decoded; of two with one name, the first. */
  readonly attributes: ReadonlyMap<string, string>
  /** Of `title`, `style` and `script`, whose content isn't markup: everything up to the closing tag. '' for others. */
  readonly content: string
}

const RAW = new Set(['title', 'style', 'script', 'textarea'])

/**
 * The opening tags of a page, in order. Only ever moves forward, so that no page, however broken, takes more than one pass
 * (regular expressions over whole documents can be made to take hours).
 */
export function* readTags(html: string): Generator<Tag> {
  // Beyond ASCII a lower-case letter may have another length, and positions must agree.
  const lower = html.replace(/[A-Z]+/g, (text) => text.toLowerCase())
  let at = html.indexOf('<')
  while (at !== -1) {
    if (html.startsWith('<!--', at)) {
      at = nextTag(html, after(html, '-->', at + 4))
      continue
    }
    const name = match(/[a-z][a-z0-9-]*/y, lower, at + 1)
    if (name === '') {
      at = nextTag(html, at + 1)
      continue
    }
    const { attributes, end } = readAttributes(html, at + 1 + name.length)
    const close = RAW.has(name) ? lower.indexOf(`</${name}`, end) : end
    const stop = close === -1 ? html.length : close
    yield { name, attributes, content: RAW.has(name) ? html.slice(end, stop) : '' }
    at = nextTag(html, stop)
  }
}

const nextTag = (html: string, from: number): number => (from >= html.length ? -1 : html.indexOf('<', from))

const after = (text: string, mark: string, from: number): number => {
  const found = text.indexOf(mark, from)
  return found === -1 ? text.length : found + mark.length
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}

function readAttributes(html: string, start: number): { readonly attributes: ReadonlyMap<string, string>; readonly end: number } {
  const attributes = new Map<string, string>()
  let at = start
  while (at < html.length) {
    at += match(/[\s/]*/y, html, at).length
    if (html[at] === '>') return { attributes, end: at + 1 }
    const name = match(/[^\s=>/]+/y, html, at)
    at += Math.max(1, name.length)
    const equals = match(/\s*=\s*/y, html, at)
    const value = equals === '' ? '' : readValue(html, at + equals.length)
    at += equals === '' ? 0 : equals.length + value.length
    if (name !== '' && !attributes.has(name.toLowerCase())) attributes.set(name.toLowerCase(), decodeEntities(unquoted(value)))
  }
  return { attributes, end: html.length }
}

function readValue(html: string, at: number): string {
  const quote = html[at]
  if (quote === '"' || quote === "'") return html.slice(at, after(html, quote, at + 1))
  return match(/[^\s>]*/y, html, at)
}

const unquoted = (value: string): string => (/^["']/.test(value) ? value.slice(1).replace(/["']$/, '') : value)

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }
const LARGEST_CODE_POINT = 0x10ffff

/** `&amp;`, `&#8211;`, `&#x2013;` → what they stand for; unknown names stay as they are. */
export function decodeEntities(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{1,8}));/gi,
    (whole, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole
      const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
      return code <= LARGEST_CODE_POINT ? String.fromCodePoint(code) : whole
    },
  )
}
