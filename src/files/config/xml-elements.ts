import { unreadable } from './config.ts'

export interface XmlAttribute {
  readonly name: string
  readonly quote: '"' | "'"
  /** Between the quotes. */
  readonly from: number
  readonly to: number
  /** `undefined` where it refers to an entity that only its own document type knows. */
  readonly value: string | undefined
}

export interface XmlElement {
  readonly name: string
  /** Of the `<`. */
  readonly at: number
  readonly attributes: readonly XmlAttribute[]
  readonly parent: XmlElement | undefined
  readonly children: XmlElement[]
  /** Between the start tag and the end tag; `undefined` for `<a/>`. */
  content: { readonly from: number; readonly to: number } | undefined
  /** The content is text and nothing else. */
  isText: boolean
}

const NAME = /[^\s<>/=?!"'&]+/y
const SPACE = /\s*/y
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** Every element of a document, in its order (XML 1.0, sections 2 and 3). Throws `config-unreadable`. */
export function xmlElements(text: string): readonly XmlElement[] {
  return new Reader(text).read()
}

class Reader {
  readonly #text: string
  readonly #elements: XmlElement[] = []
  #open: XmlElement | undefined
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): readonly XmlElement[] {
    while (this.#at < this.#text.length) this.#next()
    if (this.#open !== undefined) throw this.#fault(this.#open.at, `begins <${this.#open.name}>, which is never closed`)
    if (this.#elements.length === 0) throw this.#fault(0, 'begins no element')
    if (this.#elements.filter(({ parent }) => parent === undefined).length > 1)
      throw this.#fault(0, 'begins more than one document')
    return this.#elements
  }

  #next(): void {
    const start = this.#text.indexOf('<', this.#at)
    const end = start < 0 ? this.#text.length : start
    if (this.#open === undefined && this.#text.slice(this.#at, end).trim() !== '')
      throw this.#fault(this.#at, 'has text outside of every element')
    if (start < 0) {
      this.#at = end
      return
    }
    const is = (mark: string): boolean => this.#text.startsWith(mark, start)
    if (is('<!--')) this.#skip(start, '-->', true)
    else if (is('<![CDATA[')) this.#skip(start, ']]>', true)
    else if (is('<?')) this.#skip(start, '?>', true)
    else if (is('<!')) this.#documentType(start)
    else if (is('</')) this.#endTag(start)
    else this.#startTag(start)
  }

  #skip(start: number, mark: string, isContent: boolean): void {
    const end = this.#text.indexOf(mark, start + 2)
    if (end < 0) throw this.#fault(start, `begins a part that ${mark} never ends`)
    if (isContent && this.#open !== undefined) this.#open.isText = false
    this.#at = end + mark.length
  }

  /** With what it declares between brackets: quoted texts and comments may hold brackets themselves. */
  #documentType(start: number): void {
    const part = /"[^"]*"|'[^']*'|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|[[\]<>]/y
    let depth = 0
    for (let at = start; at < this.#text.length; ) {
      part.lastIndex = at
      const [found] = part.exec(this.#text) ?? []
      if (found === '<' || found === '[') depth += 1
      if (found === '>' || found === ']') depth -= 1
      at += found?.length ?? 1
      if (depth > 0 || found !== '>') continue
      this.#at = at
      return
    }
    throw this.#fault(start, 'begins a document type that never ends')
  }

  #startTag(start: number): void {
    this.#at = start + 1
    const name = this.#take(NAME)
    if (name === '') throw this.#fault(start, 'has a < that begins no tag')
    const attributes: XmlAttribute[] = []
    for (;;) {
      const space = this.#take(SPACE)
      const isEmpty = this.#text.startsWith('/>', this.#at)
      if (isEmpty || this.#text[this.#at] === '>') {
        this.#opened(name, start, attributes, isEmpty)
        return
      }
      if (space === '') throw this.#fault(this.#at, `has a tag <${name}> that can't be read`)
      const attribute = this.#attribute(name)
      if (attributes.some((each) => each.name === attribute.name))
        throw this.#fault(start, `has the attribute ${attribute.name} twice in one tag`)
      attributes.push(attribute)
    }
  }

  #attribute(tag: string): XmlAttribute {
    const name = this.#take(NAME)
    this.#take(SPACE)
    const hasEquals = this.#text[this.#at] === '='
    this.#at += 1
    this.#take(SPACE)
    const quote = this.#text[this.#at]
    const from = this.#at + 1
    const to = this.#text.indexOf(quote ?? '', from)
    if (name === '' || !hasEquals || (quote !== '"' && quote !== "'") || to < 0)
      throw this.#fault(from - 1, `has a tag <${tag}> that can't be read`)
    this.#at = to + 1
    const written = this.#text.slice(from, to)
    if (written.includes('<')) throw this.#fault(from, `has a < within an attribute of <${tag}>`)
    return { name, quote, from, to, value: unescaped(written.replace(/\r\n|[\r\n\t]/g, ' ')) }
  }

  #opened(name: string, at: number, attributes: readonly XmlAttribute[], isEmpty: boolean): void {
    this.#at += isEmpty ? 2 : 1
    const parent = this.#open
    const content = isEmpty ? undefined : { from: this.#at, to: this.#at }
    const element: XmlElement = { name, at, attributes, parent, children: [], content, isText: !isEmpty }
    this.#elements.push(element)
    if (parent !== undefined) {
      parent.children.push(element)
      parent.isText = false
    }
    if (!isEmpty) this.#open = element
  }

  #endTag(start: number): void {
    this.#at = start + 2
    const name = this.#take(NAME)
    this.#take(SPACE)
    const element = this.#open
    if (element?.content === undefined || element.name !== name || this.#text[this.#at] !== '>')
      throw this.#fault(start, `has an end tag </${name}> that closes nothing`)
    this.#at += 1
    element.content = { from: element.content.from, to: start }
    this.#open = element.parent
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [found = ''] = pattern.exec(this.#text) ?? []
    this.#at += found.length
    return found
  }

  #fault(offset: number, problem: string): Error {
    return unreadable('XML', this.#text, offset, problem)
  }
}

/** The characters that a text stands for (sections 4.1 and 4.6); `undefined` with an entity that only its own document type knows. */
export function unescaped(text: string): string | undefined {
  let isKnown = true
  const result = text.replace(
    /&(?:#x([0-9a-fA-F]+)|#(\d+)|([^;&\s]*));?/g,
    (_all, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) {
        isKnown &&= Object.hasOwn(ENTITIES, name)
        return ENTITIES[name] ?? ''
      }
      const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
      isKnown &&= point <= 0x10ffff
      return point <= 0x10ffff ? String.fromCodePoint(point) : ''
    },
  )
  return isKnown ? result : undefined
}
