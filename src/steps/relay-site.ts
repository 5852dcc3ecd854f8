import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import type { FileHost } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import { ask, type HttpAnswer } from './http-exchange.ts'
import { HTACCESS, htaccessWith, phpSection, proxySection, RELAY_PHP, redirectSection } from './relay-apache.ts'
import { type Judge, MARKER, saying, wrongAmong } from './relay-ask.ts'
import { WEB_CONFIG, webConfigRedirect } from './relay-iis.ts'
import { proxyPhp, redirectPhp } from './relay-php.ts'
import type { Relay, RelayFile } from './relay-work.ts'
import { missingPart, type StepContext, type World } from './world.ts'

export type WebServerKind = 'apache' | 'iis' | 'php'

interface Common {
  readonly server: WebServerKind | undefined
  readonly paths: readonly string[]
}

const INDEX = 'index.php'
const ANSWER_MS = 10_000

/** The old site sends customers to another name, which leads to the new host. */
export function redirectRelay({ to, server, paths }: Common & { readonly to: URL }, { world }: StepContext): Relay {
  const judge: Judge = (answer, path) => {
    const wanted = to.origin + path
    const { location = '' } = answer.headers
    if (answer.status === 307 && location === wanted) return undefined
    return `answers ${path} with status ${answer.status}${location === '' ? saying(answer) : ` to ${location}`} instead of 307 to ${wanted}`
  }
  return {
    title: 'Redirect the old site to the new host',
    what: `redirect all that still comes to the old site to ${to.origin}, for the time being (307)`,
    check: async (host, run) => [
      ...(await serverFindings(host, server)),
      ...circle(to, world),
      // The new site may come about in this very run: then it counts when the step's turn comes.
      ...(await targetFindings(to, world, run)).map((finding) => ({ ...finding, severity: 'warning' as const })),
    ],
    files: async (host) => redirectFiles(await serverOf(host, server), to),
    before: async (run) => refuse([...circle(to, world), ...(await targetFindings(to, world, run))]),
    wrong: (run) => wrongAmong(paths, world, judge, run),
    hint: 'Does the old web server mind such files (Apache: AllowOverride, mod_rewrite; IIS: URL Rewrite or HTTP Redirection installed)? A folder with rewriting of its own isn’t covered by its parent’s. Otherwise use relay: { with: connection }.',
  }
}

function redirectFiles(server: WebServerKind, to: URL): readonly RelayFile[] {
  switch (server) {
    case 'apache':
      return [{ file: HTACCESS, content: (standing) => htaccessWith(redirectSection(to), standing) }]
    case 'iis':
      return [{ file: WEB_CONFIG, content: (standing) => webConfigRedirect(to, standing) }]
    case 'php':
      return [{ file: INDEX, content: () => Buffer.from(redirectPhp(to)) }]
  }
}

/** The old site passes customers' requests on to the new host, under their own name. */
export function proxyRelay({ server, paths }: Common, { id, world }: StepContext): Relay {
  const judge: Judge = (answer, path) => {
    const passed = answer.headers[MARKER.toLowerCase()] === 'proxy'
    if (passed && answer.status < 500) return undefined
    return `answers ${path} ${passed ? '' : 'by itself '}with status ${answer.status}${saying(answer)}`
  }
  return {
    title: 'Have the old site pass requests on to the new host',
    what: `have the old site pass all that still comes to it on to the new host${world.new.site === undefined ? '' : ` at ${world.new.site.host}`}`,
    check: async (host) => {
      const parts = [
        ...(world.new.site === undefined ? [missingPart(id, 'the new host’s address', 'new.site: https://198.51.100.20')] : []),
        ...(world.site === undefined ? [missingPart(id, 'the name that customers use', 'site: https://shop.example')] : []),
      ]
      return [...parts, ...(await serverFindings(host, server, true)), ...(server === 'apache' ? apacheProxyFindings(world) : [])]
    },
    files: async (host) => proxyFiles(await serverOf(host, server, true), id, world),
    before: async () => refuse(server === 'apache' ? apacheProxyFindings(world) : []),
    wrong: (run) => wrongAmong(paths, world, judge, run),
    hint: 'The PHP file needs curl, and the new host’s port open to the old host; a certificate for the customers’ name must be there. Status 508: the request came back to the old host. Otherwise use relay: { with: connection }.',
  }
}

function proxyFiles(server: WebServerKind, id: string, world: World): readonly RelayFile[] {
  const [target, site] = [world.new.site, world.site]
  if (target === undefined || site === undefined)
    throw new MigrateError('playbook-part-missing', `${id} needs new.site and site, which the playbook doesn't give.`)
  if (server === 'php') {
    return [
      { file: RELAY_PHP, content: () => Buffer.from(proxyPhp(target, site)) },
      { file: HTACCESS, content: (standing) => htaccessWith(phpSection(), standing) },
    ]
  }
  if (server === 'iis') throw noProxyOnIis()
  const byName = new URL(target.origin)
  byName.hostname = site.hostname
  return [{ file: HTACCESS, content: (standing) => htaccessWith(proxySection(byName), standing) }]
}

/** What .htaccess can't set: TLS to the new host. It also can't keep the Host unless the old host finds the new one by that name. */
const apacheProxyFindings = ({ new: target }: World): readonly Finding[] =>
  target.site?.protocol === 'https:'
    ? [
        {
          severity: 'error',
          code: 'relay-apache-tls',
          message:
            'An .htaccess can’t have Apache speak TLS to the new host: SSLProxyEngine belongs to the server’s own configuration.',
          hint: 'Use server: php, or give new.site by http:// if the new host takes orders that way from the old one.',
        },
      ]
    : []

/** The kind that is given, or the one whose file stands there. Throws `relay-server-unknown`. */
async function serverOf(host: FileHost, given: WebServerKind | undefined, proxies = false): Promise<WebServerKind> {
  if (given !== undefined) return given
  const standing = await Promise.all([HTACCESS, WEB_CONFIG, INDEX].map(async (file) => (await host.stat(file)) !== undefined))
  const [hasHtaccess, hasWebConfig, hasIndex] = standing
  const files = `${hasHtaccess ? HTACCESS : 'no .htaccess'} and ${hasWebConfig ? WEB_CONFIG : 'no web.config'}`
  if (hasHtaccess !== hasWebConfig) return hasWebConfig ? 'iis' : proxies ? 'php' : 'apache'
  if (!hasHtaccess && hasIndex) return 'php'
  throw new MigrateError(
    'relay-server-unknown',
    `Which web server the old site has can't be told: there is ${files} on ${host.label}. Nothing was changed.`,
    { hint: 'Say it: server: apache, iis or php.' },
  )
}

async function serverFindings(host: FileHost, given: WebServerKind | undefined, proxies = false): Promise<readonly Finding[]> {
  try {
    if ((await serverOf(host, given, proxies)) === 'iis' && proxies) throw noProxyOnIis()
    return []
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    return [{ severity: 'error', code: error.code, message: error.message, hint: error.hint }]
  }
}

function refuse([finding]: readonly Finding[]): void {
  if (finding === undefined) return
  throw new MigrateError(
    finding.code,
    `${finding.message} Nothing was changed.`,
    finding.hint === undefined ? {} : { hint: finding.hint },
  )
}

const plain = (name: string): string => name.toLowerCase().replace(/\.$/, '')

/** To a name that customers use: whoever still comes to the old host gets there by that very name. */
function circle(to: URL, { site, old, dns }: World): readonly Finding[] {
  const names = [site?.hostname, old.site?.hostname, ...(dns?.records ?? []).map(({ name }) => name)]
  if (!names.some((name) => name !== undefined && plain(name) === plain(to.hostname))) return []
  return [
    {
      severity: 'error',
      code: 'relay-circle',
      message: `A redirect to ${to.hostname} would lead in a circle: whoever still comes to the old host does so because that name leads them there.`,
      hint: 'Give the new host another name, such as https://new.shop.example, or use relay: { with: proxy }.',
      ending: 'usage',
    },
  ]
}

/** The other name must lead to a shop that doesn't send customers back to the first. */
async function targetFindings(to: URL, { site }: World, run: StepRun): Promise<readonly Finding[]> {
  const question = { url: to, method: 'GET', headers: {}, body: undefined, timeoutMs: ANSWER_MS }
  let answer: HttpAnswer
  try {
    answer = await ask(question, run.signal)
  } catch (error) {
    run.signal.throwIfAborted()
    return [
      {
        severity: 'error',
        code: 'relay-target-unreachable',
        message: `Customers are to be redirected to ${to.origin}, which gives no answer: ${messageOf(error)}`,
        hint: 'Add the name to the zone, and a certificate for it to the new host, before the run.',
      },
    ]
  }
  const { location } = answer.headers
  if (location === undefined || site === undefined || !URL.canParse(location, to.href)) return []
  if (plain(new URL(location, to.href).hostname) !== plain(site.hostname)) return []
  return [
    {
      severity: 'error',
      code: 'relay-circle',
      message: `${to.origin} itself redirects to ${site.hostname}: whose DNS still leads to the old host would be sent in a circle.`,
      hint: 'Have the new shop answer under that name too, or use relay: { with: proxy }.',
    },
  ]
}

/** Microsoft Learn, "Reverse Proxy with URL Rewrite v2 and Application Request Routing": its proxy section is applicationHost.config's. */
const noProxyOnIis = (): MigrateError =>
  new MigrateError(
    'relay-iis-proxy',
    'A web.config can’t pass requests on under the customers’ name: preserveHostHeader of Application Request Routing belongs to the whole server. Nothing was changed.',
    { hint: 'Use relay: { with: redirect } or { with: connection }.' },
  )
