import { decodeEntities, readTags, type Tag } from './html.ts'

/** What a page needs from elsewhere to look right. */
export interface PageContent {
  readonly title: string
  /** Absolute URLs without fragments, each once, in order of appearance. */
  readonly assets: readonly URL[]
  /** What its `<meta name="robots">` asks of search engines, lower case; '' when there is none. */
  readonly robots: string
}

/**
 * Finds the title and every asset of an HTML page: images (`src`, `srcset`, `poster`, `background`), style sheets, icons and
 * preloads, scripts, media, objects, and `url(…)` in styles. Links to other pages aren't assets.
 */
export function readPage(html: string, pageUrl: URL): PageContent {
  let title: string | undefined
  let base: URL | undefined
  const found: string[] = []
  let robots = ''
  for (const tag of readTags(html)) {
    const href = tag.attributes.get('href') ?? ''
    if (tag.name === 'title') title ??= tag.content
    else if (tag.name === 'base' && URL.canParse(href, pageUrl.href)) base ??= new URL(href, pageUrl)
    else if (tag.name === 'meta' && tag.attributes.get('name')?.toLowerCase() === 'robots')
      robots = `${robots} ${tag.attributes.get('content')?.toLowerCase() ?? ''}`.trim()
    else found.push(...assetsOfTag(tag))
  }
  return {
    robots,
    title: decodeEntities(title ?? '')
      .replace(/\s+/g, ' ')
      .trim(),
    assets: absolute(found, base ?? pageUrl),
  }
}

/** The assets that a style sheet refers to: `url(…)` and `@import`. */
export const readStyleSheet = (css: string, sheetUrl: URL): readonly URL[] => absolute(urlsInStyle(css), sheetUrl)

/** Relations by which a browser loads the target for this page. */
const LOADED = new Set(['stylesheet', 'icon', 'apple-touch-icon', 'mask-icon', 'preload', 'modulepreload', 'manifest'])
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

function assetsOfTag({ name, attributes, content }: Tag): readonly string[] {
  const wanted = [...(SOURCES[name] ?? [])]
  if (name === 'input' && attributes.get('type')?.toLowerCase() === 'image') wanted.push('src')
  const relations = (attributes.get('rel') ?? '').toLowerCase().split(/\s+/)
  if (name === 'link' && relations.some((relation) => LOADED.has(relation))) wanted.push('href')
  const sets =
    name === 'link' ? attributes.get('imagesrcset') : name === 'img' || name === 'source' ? attributes.get('srcset') : undefined
  return [
    ...wanted.flatMap((each) => attributes.get(each) ?? []),
    ...sourceSet(sets ?? ''),
    ...urlsInStyle(attributes.get('style') ?? ''),
    ...(name === 'style' ? urlsInStyle(content) : []),
  ]
}

/** `a.png 1x, b.png 2x` → the URLs. A URL ends at white space; its own commas at the end separate (HTML, "srcset attributes"). */
function sourceSet(text: string): readonly string[] {
  const urls: string[] = []
  const part = /[\s,]*(\S+)/y
  for (let found = part.exec(text); found !== null; found = part.exec(text)) {
    const url = found[1] ?? ''
    urls.push(url.replace(/,+$/, ''))
    if (url.endsWith(',')) continue
    const comma = text.indexOf(',', part.lastIndex)
    part.lastIndex = comma === -1 ? text.length : comma + 1
  }
  return urls
}

function urlsInStyle(css: string): readonly string[] {
  const text = withoutComments(css)
  const urls = [...text.matchAll(/url\(\s*(?:"([^"]*)"|'([^']*)'|([^()"'\s]+))\s*\)/gi)].map(
    (found) => found[1] ?? found[2] ?? found[3] ?? '',
  )
  const imports = [...text.matchAll(/@import\s+(?:"([^"]*)"|'([^']*)')/gi)].map((found) => found[1] ?? found[2] ?? '')
  return [...urls, ...imports]
}

function withoutComments(css: string): string {
  const parts: string[] = []
  let at = 0
  for (let open = css.indexOf('/*'); open !== -1; open = css.indexOf('/*', at)) {
    parts.push(css.slice(at, open))
    const close = css.indexOf('*/', open + 2)
    at = close === -1 ? css.length : close + 2
  }
  return [...parts, css.slice(at)].join(' ')
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
