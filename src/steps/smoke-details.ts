import type { Finding } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import type { PageProbe, SiteProbe } from '../site/probe.ts'

/** What two probes can't tell: whose they are. */
export interface Whereabouts {
  /** The name that customers use. */
  readonly site: URL
  /** Where the hosts answer without DNS. */
  readonly old: URL
  readonly new: URL
}

/** A page this slow that takes this much longer than before is worth a word. */
const SLOW_MS = 1000
const SLOWER = 2

/** Smaller pages don't gain by compression. */
const WORTH_PACKING_BYTES = 2048

/** Headers that keep browsers safe, and customers with them: a web server's config forgets them silently. */
const PROTECTIVE = [
  'strict-transport-security',
  'content-security-policy',
  'x-frame-options',
  'x-content-type-options',
  'referrer-policy',
]

const error = (code: string, message: string, hint: string): Finding => ({ severity: 'error', code, message, hint })
const warning = (code: string, message: string, hint: string): Finding => ({ severity: 'warning', code, message, hint })

/**
 * What a page doesn't show and customers or search engines notice: a forgotten noindex, cookies that browsers drop, parts over http,
 * the other host's address in a page, lost compression and headers, slowness. Pure.
 */
export function compareDetails(old: SiteProbe, fresh: SiteProbe, where: Whereabouts): readonly Finding[] {
  const pages = fresh.pages.flatMap((page) => {
    const before = old.pages.find((each) => each.path === page.path)
    if (page.failure !== null || before === undefined) return []
    return pageFindings(before.failure === null ? before : undefined, page, where)
  })
  return [...robotsFindings(old, fresh), ...pages]
}

function pageFindings(old: PageProbe | undefined, fresh: PageProbe, where: Whereabouts): readonly Finding[] {
  return [
    ...indexFindings(old, fresh),
    ...insecureFindings(old, fresh),
    ...addressFindings(old, fresh, where),
    ...cookieFindings(old, fresh, where.site),
    ...(old === undefined ? [] : [...packingFindings(old, fresh), ...headerFindings(old, fresh), ...timeFindings(old, fresh)]),
  ]
}

const isHidden = (page: PageProbe): boolean =>
  /\b(noindex|none)\b/.test(page.robots) || /\b(noindex|none)\b/i.test((page.headers.get('x-robots-tag') ?? []).join(','))

function indexFindings(old: PageProbe | undefined, fresh: PageProbe): readonly Finding[] {
  if (!isHidden(fresh) || (old !== undefined && isHidden(old))) return []
  return [
    error(
      'page-noindex',
      `${fresh.url} on the new host tells search engines to forget it (noindex), as sites do that aren't live yet.`,
      'Switch the "discourage search engines" setting off, or remove the X-Robots-Tag header from the web server’s config.',
    ),
  ]
}

function robotsFindings(old: SiteProbe, fresh: SiteProbe): readonly Finding[] {
  if (!forbidsAll(fresh.robots) || forbidsAll(old.robots)) return []
  return [
    error(
      'robots-forbidden',
      'robots.txt on the new host forbids the whole site to search engines; on the old host it does not.',
      'Copy the old host’s robots.txt over.',
    ),
  ]
}

/** Whether `Disallow: /` holds for everyone (RFC 9309, 2.2); an `Allow: /` beside it takes it back. */
export function forbidsAll(robots: string | null): boolean {
  let forEveryone = false
  let inRules = false
  const rules: string[] = []
  for (const line of (robots ?? '').split(/\r?\n/)) {
    const [, key = '', value = ''] = /^\s*([a-z-]+)\s*:\s*([^#]*?)\s*(?:#.*)?$/i.exec(line) ?? []
    const name = key.toLowerCase()
    if (name === 'user-agent') {
      // Several in a row share the rules that follow.
      forEveryone = (inRules ? false : forEveryone) || value === '*'
      inRules = false
    } else if (name === 'allow' || name === 'disallow') {
      inRules = true
      if (forEveryone) rules.push(`${name} ${value}`)
    }
  }
  return (rules.includes('disallow /') || rules.includes('disallow /*')) && !rules.includes('allow /')
}

function insecureFindings(old: PageProbe | undefined, fresh: PageProbe): readonly Finding[] {
  const before = new Set(old?.insecure)
  const added = fresh.insecure.filter((url) => !before.has(url))
  const shown = (urls: readonly string[]): string =>
    `${urls.slice(0, 5).join(', ')}${urls.length > 5 ? ` and ${urls.length - 5} more` : ''}`
  if (added.length > 0) {
    return [
      error(
        'page-mixed-content',
        `${fresh.url} on the new host names ${added.length} parts by http, which browsers don't load on a page with https: ${shown(added)}.`,
        'Set the site’s address to https:// in its configuration on the new host.',
      ),
    ]
  }
  if (fresh.insecure.length === 0) return []
  return [
    warning(
      'page-mixed-content-on-both',
      `${fresh.url} names ${fresh.insecure.length} parts by http on both hosts: ${shown(fresh.insecure)}.`,
      'They were broken before; no fault of the migration.',
    ),
  ]
}

/** Links, forms and scripts that lead to a host by its address: they stop working when that host goes, or bypass DNS for ever. */
function addressFindings(
  old: PageProbe | undefined,
  fresh: PageProbe,
  { site, old: oldAt, new: newAt }: Whereabouts,
): readonly Finding[] {
  const findings: Finding[] = []
  for (const [name, at] of [
    ['old', oldAt],
    ['new', newAt],
  ] as const) {
    if (at.hostname === site.hostname || !fresh.text.includes(`//${at.host}`)) continue
    const known = old?.text.includes(`//${at.host}`) === true
    findings.push(
      (known ? warning : error)(
        'page-names-address',
        `${fresh.url} on the new host holds links to //${at.host}, the ${name} host's address${known ? ', as on the old host' : ''}.`,
        `Set the site’s address to ${site.origin} in its configuration on the new host.`,
      ),
    )
  }
  return findings
}

interface Cookie {
  readonly name: string
  /** Lower case, without a dot in front; `undefined`: for this host alone. */
  readonly domain: string | undefined
  readonly flags: ReadonlySet<string>
}

function cookiesOf(page: PageProbe): readonly Cookie[] {
  return (page.headers.get('set-cookie') ?? []).map((line) => {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
    const known = new Map(
      attributes.map((text) => {
        const at = text.indexOf('=')
        return [(at < 0 ? text : text.slice(0, at)).toLowerCase(), at < 0 ? '' : text.slice(at + 1)] as const
      }),
    )
    const domain = known.get('domain')?.toLowerCase().replace(/^\./, '')
    const flags = new Set(['secure', 'httponly', 'samesite'].filter((flag) => known.has(flag)))
    return { name: pair.split('=')[0] ?? '', domain: domain === '' ? undefined : domain, flags }
  })
}

function cookieFindings(old: PageProbe | undefined, fresh: PageProbe, site: URL): readonly Finding[] {
  const before = new Map((old === undefined ? [] : cookiesOf(old)).map((cookie) => [cookie.name, cookie]))
  return cookiesOf(fresh).flatMap(({ name, domain, flags }) => {
    // RFC 6265, 5.3, step 6: a browser ignores a cookie for a domain that the page isn't in.
    if (domain !== undefined && site.hostname !== domain && !site.hostname.endsWith(`.${domain}`)) {
      return [
        error(
          'cookie-domain-wrong',
          `${fresh.url} on the new host sets the cookie ${name} for ${domain}: browsers on ${site.hostname} drop it, so carts and logins are lost.`,
          'Correct the cookie domain in the site’s configuration on the new host.',
        ),
      ]
    }
    const lost = [...(before.get(name)?.flags ?? [])].filter((flag) => !flags.has(flag))
    if (lost.length === 0) return []
    return [
      warning(
        'cookie-flags-lost',
        `${fresh.url} on the new host sets the cookie ${name} without ${lost.join(', ')}, which the old host gives it.`,
        'Compare the session settings of both hosts (web.config, php.ini). Behind a proxy, the site may not know that it is asked by https.',
      ),
    ]
  })
}

function packingFindings(old: PageProbe, fresh: PageProbe): readonly Finding[] {
  if (old.encoding === null || fresh.encoding !== null || fresh.lengthBytes < WORTH_PACKING_BYTES) return []
  return [
    warning(
      'page-uncompressed',
      `${fresh.url} travels uncompressed from the new host: ${formatBytes(fresh.travelBytes)} instead of ${formatBytes(old.travelBytes)} (${old.encoding}).`,
      'Switch compression on in the web server’s config: in a rush it is the first thing that is missed.',
    ),
  ]
}

function headerFindings(old: PageProbe, fresh: PageProbe): readonly Finding[] {
  const lost = PROTECTIVE.filter((name) => old.headers.has(name) && !fresh.headers.has(name))
  if (lost.length === 0) return []
  return [
    warning(
      'page-headers-lost',
      `${fresh.url} comes from the new host without ${lost.join(', ')}, which the old host sends.`,
      'They stand in the old web server’s config or .htaccess: carry them over.',
    ),
  ]
}

function timeFindings(old: PageProbe, fresh: PageProbe): readonly Finding[] {
  if (fresh.milliseconds < SLOW_MS || fresh.milliseconds < SLOWER * old.milliseconds) return []
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
  return [
    warning(
      'page-slower',
      `${fresh.url} took ${seconds(fresh.milliseconds)} on the new host, ${seconds(old.milliseconds)} on the old one.`,
      'A first request may have had to start the site. Try again; if it stays so, look at the new host’s database and caches, and try a load: smoke-test: { load: { rate: 20 } }.',
    ),
  ]
}
