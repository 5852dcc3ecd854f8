import pLimit from 'p-limit'
import type { Clock } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { readPage, readStyleSheet } from './page.ts'
import type { SiteClient, SiteResponse } from './request.ts'

export interface PageProbe {
  /** As the playbook gives it. */
  readonly path: string
  readonly url: string
  /** 0 when no answer came. */
  readonly status: number
  readonly contentType: string
  readonly lengthBytes: number
  readonly title: string
  /** The page itself, as far as it is text and was kept. */
  readonly text: string
  /** Where a redirect leads that leaves the site; `null` when none does. */
  readonly leavesTo: string | null
  /** Lower-case names, every value. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  /** What the page asks of search engines (`<meta name="robots">`), lower case. */
  readonly robots: string
  /** Parts of a page on https that it names by http: browsers load them not, or with a warning. */
  readonly insecure: readonly string[]
  /** How it comes to a browser that can decompress: the coding, `null` for none, and the bytes that travel. */
  readonly encoding: string | null
  readonly travelBytes: number
  /** From the request to the last byte, milliseconds. */
  readonly milliseconds: number
  /** Why there was no answer; `null` when there was one. */
  readonly failure: MigrateError | null
}

export interface AssetProbe {
  readonly url: string
  /** The page (or style sheet) on which it was seen first. */
  readonly seenOn: string
  readonly status: number
  readonly contentType: string
  readonly lengthBytes: number
  readonly failure: MigrateError | null
}

export interface SiteProbe {
  readonly pages: readonly PageProbe[]
  readonly assets: readonly AssetProbe[]
  /** Assets of other sites, not asked for. */
  readonly external: number
  /** Assets beyond the bound, not asked for. */
  readonly unasked: number
  /** `/robots.txt`; `null` when the host has none. */
  readonly robots: string | null
}

export interface ProbeOptions {
  readonly paths: readonly string[]
  readonly assets: boolean
  readonly parallel: number
  /** Asks besides how pages travel to a browser, and for `/robots.txt`; without, `encoding` and `robots` are `null`. */
  readonly details?: boolean
  readonly clock: Clock
  readonly signal?: AbortSignal
  readonly progress?: (done: number, total: number) => void
}

const KEEP_BYTES = 8 * 1024 * 1024
const MOST_ASSETS = 2000
const MOST_REDIRECTS = 5

/** Asks a host for pages and, where wanted, for every asset that they need. Only reads; throws only for the signal. */
export async function probeSite(client: SiteClient, options: ProbeOptions): Promise<SiteProbe> {
  const limit = pLimit(Math.max(1, options.parallel))
  const seen = new Map<string, { readonly url: URL; readonly seenOn: string }>()
  let external = 0
  let done = 0
  const note = (urls: readonly URL[], seenOn: string): void => {
    for (const url of urls) {
      if (seen.has(url.href)) continue
      if (url.hostname !== client.site.hostname) external += 1
      seen.set(url.href, { url, seenOn })
    }
  }
  const tick = (): void => {
    done += 1
    options.progress?.(done, options.paths.length + (options.assets ? own().length : 0))
  }
  const own = (): readonly { readonly url: URL; readonly seenOn: string }[] =>
    [...seen.values()].filter(({ url }) => url.hostname === client.site.hostname).slice(0, MOST_ASSETS)

  const pages = await Promise.all(
    options.paths.map((path) =>
      limit(async () => {
        const { probe, assets } = await probePage(client, path, options)
        if (options.assets) note(assets, path)
        tick()
        return probe
      }),
    ),
  )
  const assets: AssetProbe[] = []
  // Style sheets bring further assets, so this goes on until no round finds new ones.
  for (let batch = own(); assets.length < batch.length; batch = own()) {
    const round = batch.slice(assets.length)
    const probes = await Promise.all(
      round.map((asset) =>
        limit(async () => {
          const { probe, assets: more } = await probeAsset(client, asset.url, asset.seenOn, options.signal)
          note(more, asset.url.pathname)
          tick()
          return probe
        }),
      ),
    )
    assets.push(...probes)
  }
  const total = [...seen.values()].filter(({ url }) => url.hostname === client.site.hostname).length
  return {
    pages,
    assets,
    external,
    unasked: total - assets.length,
    robots: options.details === true ? await robotsOf(client, options.signal) : null,
  }
}

const KEEP_ROBOTS_BYTES = 512 * 1024

/** RFC 9309, 2.3: what isn't there allows everything, and so does what isn't text. */
async function robotsOf(client: SiteClient, signal?: AbortSignal): Promise<string | null> {
  try {
    const response = await client.get(new URL('/robots.txt', client.site), {
      keepBytes: KEEP_ROBOTS_BYTES,
      ...(signal === undefined ? {} : { signal }),
    })
    return response.status === 200 && !/html/i.test(response.contentType) ? response.body.toString('utf8') : null
  } catch (error) {
    asFailure(error)
    return null
  }
}

async function probePage(
  client: SiteClient,
  path: string,
  { clock, details, signal }: ProbeOptions,
): Promise<{ probe: PageProbe; assets: readonly URL[] }> {
  const first = new URL(path, client.site)
  try {
    const begun = clock.monotonic()
    const { response, url, leavesTo } = await follow(client, first, signal)
    const milliseconds = clock.monotonic() - begun
    const html = /html/i.test(response.contentType)
    const content = html ? readPage(response.body.toString('utf8'), url) : { title: '', assets: [], robots: '' }
    return {
      probe: {
        ...facts(response),
        path,
        url: url.href,
        title: content.title,
        text: response.body.toString('utf8'),
        leavesTo,
        headers: response.headers,
        robots: content.robots,
        insecure: client.site.protocol === 'https:' ? content.assets.filter(isInsecure).map((asset) => asset.href) : [],
        ...(details === true
          ? await travelling(client, url, response, signal)
          : { encoding: null, travelBytes: response.lengthBytes }),
        milliseconds,
        failure: null,
      },
      assets: response.status < 400 ? content.assets : [],
    }
  } catch (error) {
    const failure = asFailure(error)
    return { probe: { ...unanswered, path, url: first.href, failure }, assets: [] }
  }
}

const isInsecure = (asset: URL): boolean => asset.protocol === 'http:'

/** Asks for the page once more, as a browser does. */
async function travelling(
  client: SiteClient,
  url: URL,
  plain: SiteResponse,
  signal?: AbortSignal,
): Promise<Pick<PageProbe, 'encoding' | 'travelBytes'>> {
  if (plain.status !== 200) return { encoding: null, travelBytes: plain.lengthBytes }
  const packed = await client.get(url, { compressed: true, ...(signal === undefined ? {} : { signal }) })
  return { encoding: packed.headers.get('content-encoding')?.[0] ?? null, travelBytes: packed.lengthBytes }
}

async function probeAsset(
  client: SiteClient,
  url: URL,
  seenOn: string,
  signal?: AbortSignal,
): Promise<{ probe: AssetProbe; assets: readonly URL[] }> {
  try {
    const { response } = await follow(client, url, signal)
    const css = /css/i.test(response.contentType) && response.status < 400
    return {
      probe: { ...facts(response), url: url.href, seenOn, failure: null },
      assets: css ? readStyleSheet(response.body.toString('utf8'), url) : [],
    }
  } catch (error) {
    return { probe: { ...nothing, url: url.href, seenOn, failure: asFailure(error) }, assets: [] }
  }
}

const nothing = { status: 0, contentType: '', lengthBytes: 0 }
const unanswered = {
  ...nothing,
  title: '',
  text: '',
  leavesTo: null,
  headers: new Map(),
  robots: '',
  insecure: [],
  encoding: null,
  travelBytes: 0,
  milliseconds: 0,
}

const facts = ({
  status,
  contentType,
  lengthBytes,
}: SiteResponse): Pick<SiteResponse, 'status' | 'contentType' | 'lengthBytes'> => ({
  status,
  contentType,
  lengthBytes,
})

function asFailure(error: unknown): MigrateError {
  if (error instanceof MigrateError) return error
  throw error
}

/** Follows redirects as long as they stay on the site's name. One that comes back to where it was, or leaves, is where it ends. */
async function follow(
  client: SiteClient,
  start: URL,
  signal?: AbortSignal,
): Promise<{ response: SiteResponse; url: URL; leavesTo: string | null }> {
  let url = start
  const visited = new Set<string>()
  for (;;) {
    visited.add(url.href)
    const response = await client.get(url, { keepBytes: KEEP_BYTES, ...(signal === undefined ? {} : { signal }) })
    if (response.location === null || !URL.canParse(response.location)) return { response, url, leavesTo: null }
    const next = new URL(response.location)
    next.hash = ''
    const stays = next.hostname === client.site.hostname
    // A host asked over http that sends everyone to https would be asked the same again: there is no more to learn from it.
    const onlyScheme = next.protocol !== url.protocol && next.pathname + next.search === url.pathname + url.search
    if (!stays || onlyScheme || visited.has(next.href) || visited.size > MOST_REDIRECTS) {
      return { response, url, leavesTo: stays ? null : response.location }
    }
    url = next
  }
}
