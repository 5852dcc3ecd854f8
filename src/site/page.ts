/** What a page needs from elsewhere to look right. */
export interface PageContent {
  readonly title: string
  /** Absolute URLs without fragments, each once, in order of appearance. */
  readonly assets: readonly URL[]
}

/**
 * Finds the title and every asset of an HTML page: images (`src`, `srcset`, `poster`, `background`), style sheets, icons and
 * preloads, scripts, media, objects, and `url(…)` in styles. Links to other pages aren't assets.
 */
export function readPage(html: string, pageUrl: URL): PageContent {
  const text = html.replace(/<!--[\s\S]*?-->/g, '')
  const base = baseOf(text, pageUrl)
  const found: string[] = []
  for (const tag of text.matchAll(/<([a-z][a-z0-9]*)((?:\s+|\/)(?:"[^"]*"|'[^']*'|[^"'>])*)?>/gi)) {
    found.push(...assetsOfTag((tag[1] ?? '').toLowerCase(), attributesOf(tag[2] ?? '')))
  }
  for (const style of text.matchAll(/<style\b[^>]*>([\s\S]*?)<\/style>/gi)) found.push(...urlsInStyle(style[1] ?? ''))
  const title = /<title\b[^>]*>([\s\S]*?)<\/title>/i.exec(text)?.[1] ?? ''
  return { title: decodeEntities(title).replace(/\s+/g, ' ').trim(), assets: absolute(found, base) }
}

/** The assets that a style sheet refers to: `url(…)` and `@import`. */
export const readStyleSheet = (css: string, sheetUrl: URL): readonly URL[] => absolute(urlsInStyle(css), sheetUrl)

function baseOf(html: string, pageUrl: URL): URL {
  const tag = /<base\b([^>]*)>/i.exec(html)?.[1]
  const href = tag === undefined ? undefined : attributesOf(tag).get('href')
  return href !== undefined && URL.canParse(href, pageUrl.href) ? new URL(href, pageUrl) : pageUrl
}

function attributesOf(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  for (const match of text.matchAll(/([^\s"'=<>/]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/g)) {
    const name = (match[1] ?? '').toLowerCase()
    if (!attributes.has(name)) attributes.set(name, decodeEntities(match[2] ?? match[3] ?? match[4] ?? ''))
  }
  return attributes
}

/** Relations by which a browser loads the target for this page. */
const LOADED = /(?:^|\s)(?:stylesheet|icon|apple-touch-icon|mask-icon|preload|modulepreload|manifest)(?:\s|$)/i
const SOURCES: Readonly<Record<string, readonly string[]>> = {
  img: ['src'],
  script: ['src'],
  source: ['src'],
  audio: ['src'],
  video: ['src', 'poster'],
  track: ['src'],
  embed: ['src'],
  object: ['data'],
  body: ['background'],
  table: ['background'],
  td: ['background'],
  image: ['href', 'xlink:href'],
}

function assetsOfTag(tag: string, attributes: ReadonlyMap<string, string>): readonly string[] {
  const found: string[] = []
  const take = (name: string): void => {
    const value = attributes.get(name)
    if (value !== undefined) found.push(value)
  }
  for (const name of SOURCES[tag] ?? []) take(name)
  if (tag === 'input' && attributes.get('type')?.toLowerCase() === 'image') take('src')
  if (tag === 'link' && LOADED.test(attributes.get('rel') ?? '')) take('href')
  if (tag === 'img' || tag === 'source') found.push(...sourceSet(attributes.get('srcset') ?? ''))
  if (tag === 'link') found.push(...sourceSet(attributes.get('imagesrcset') ?? ''))
  found.push(...urlsInStyle(attributes.get('style') ?? ''))
  return found
}

/** `a.png 1x, b.png 2x` → the URLs (HTML, "srcset attributes"): a comma separates only before white space or after a descriptor. */
function sourceSet(text: string): readonly string[] {
  return [...text.matchAll(/(?:^|,\s*|\s)\s*([^\s,][^\s]*[^\s,]|[^\s,])(?:\s+\d+(?:\.\d+)?[wxh])?\s*(?=,|$)/g)].flatMap(
    (match) => (match[1] === undefined ? [] : [match[1]]),
  )
}

function urlsInStyle(css: string): readonly string[] {
  const text = css.replace(/\/\*[\s\S]*?\*\//g, '')
  const urls = [...text.matchAll(/url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]+))\s*\)/gi)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  )
  const imports = [...text.matchAll(/@import\s+(?:"([^"]*)"|'([^']*)')/gi)].map((match) => match[1] ?? match[2] ?? '')
  return [...urls, ...imports]
}

function absolute(found: readonly string[], base: URL): readonly URL[] {
  const urls = new Map<string, URL>()
  for (const text of found) {
    const trimmed = text.trim()
    if (trimmed === '' || trimmed.startsWith('#') || !URL.canParse(trimmed, base.href)) continue
    const url = new URL(trimmed, base)
    url.hash = ''
    if (url.protocol === 'http:' || url.protocol === 'https:') urls.set(url.href, url)
  }
  return [...urls.values()]
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }
const LARGEST_CODE_POINT = 0x10ffff

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole
    const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    return code <= LARGEST_CODE_POINT ? String.fromCodePoint(code) : whole
  })
}
