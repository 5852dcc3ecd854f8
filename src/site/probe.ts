import pLimit from 'p-limit'
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
}

export interface ProbeOptions {
  readonly paths: readonly string[]
  readonly assets: boolean
  readonly parallel: number
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
        const { probe, assets } = await probePage(client, path, options.signal)
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
  return { pages, assets, external, unasked: total - assets.length }
}

async function probePage(
  client: SiteClient,
  path: string,
  signal?: AbortSignal,
): Promise<{ probe: PageProbe; assets: readonly URL[] }> {
  const first = new URL(path, client.site)
  try {
    const { response, url, leavesTo } = await follow(client, first, signal)
    const html = /html/i.test(response.contentType)
    const content = html ? readPage(response.body.toString('utf8'), url) : { title: '', assets: [] }
    return {
      probe: {
        ...facts(response),
        path,
        url: url.href,
        title: content.title,
        text: response.body.toString('utf8'),
        leavesTo,
        failure: null,
      },
      assets: response.status < 400 ? content.assets : [],
    }
  } catch (error) {
    const failure = asFailure(error)
    return { probe: { ...nothing, path, url: first.href, title: '', text: '', leavesTo: null, failure }, assets: [] }
  }
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
