import { lookup as systemLookup } from 'node:dns'
import { isIP } from 'node:net'
import type { Agent, request as Request } from 'undici'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'

/** One answer, redirects not followed. */
export interface SiteResponse {
  readonly status: number
  readonly contentType: string
  /** Lower-case names, every value. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  /** Absolute; `null` when the answer is no redirect. */
  readonly location: string | null
  /** All bytes of the body, also those that were not kept. */
  readonly lengthBytes: number
  /** At most `keepBytes` of it. */
  readonly body: Buffer
}

export interface GetOptions {
  readonly keepBytes?: number
  /** Asks for a compressed answer, as browsers do; its body is kept as it comes. */
  readonly compressed?: boolean
  readonly signal?: AbortSignal
}

/** Asks one host for the customers' site, whatever DNS says. */
export interface SiteClient {
  /** "https://shop.example at 203.0.113.10". */
  readonly label: string
  /** The site as customers name it. */
  readonly site: URL
  /**
   * Throws MigrateError `site-unreachable`, `site-certificate-invalid`, `site-timed-out`, `site-failed`; what the site answers,
   * errors included, is returned.
   */
  get(url: URL, options?: GetOptions): Promise<SiteResponse>
  close(): Promise<void>
}

export interface SiteClientOptions {
  /** The name customers use: Host header, SNI and certificate are its. */
  readonly site: URL
  /** Where the host answers: `https://203.0.113.10`, `http://127.0.0.1:8080`. Its scheme and port are used. */
  readonly host: URL
  readonly connections?: number
  readonly timeoutMs?: number
  /** Further certificate authorities, PEM. */
  readonly ca?: string
}

const TIMEOUT_MS = 30_000
const CONNECTIONS = 6
const USER_AGENT = 'live-host-migration'

/** Opens nothing until the first request. */
export function siteClient({ site, host, connections = CONNECTIONS, timeoutMs = TIMEOUT_MS, ca }: SiteClientOptions): SiteClient {
  const address = unbracketed(host.hostname)
  const label = `${site.origin} at ${host.host}`
  const options = {
    connections,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: {
      timeout: timeoutMs,
      servername: isIP(site.hostname) === 0 ? site.hostname : '',
      lookup: toAddress(address),
      ...(ca === undefined ? {} : { ca }),
    },
  }
  // Loaded with the first request: 13 MiB that a move of files or rows alone does without.
  let opened: Promise<{ readonly agent: Agent; readonly request: typeof Request }> | undefined
  const open = (): NonNullable<typeof opened> => {
    opened ??= import('undici').then(({ Agent, request }) => ({ agent: new Agent(options), request }))
    return opened
  }
  return {
    label,
    site,
    get: async (url, { keepBytes = 0, compressed = false, signal } = {}) => {
      const target = onHost(url, host)
      try {
        const { request, agent } = await open()
        const response = await request(target, {
          dispatcher: agent,
          headers: {
            host: url.host,
            'user-agent': USER_AGENT,
            accept: '*/*',
            'accept-encoding': compressed ? 'gzip, deflate, br' : 'identity',
          },
          ...(signal === undefined ? {} : { signal }),
        })
        const { body, lengthBytes } = await read(response.body, keepBytes)
        return {
          status: response.statusCode,
          contentType: one(response.headers['content-type']) ?? '',
          headers: allOf(response.headers),
          location: redirectOf(response.statusCode, one(response.headers.location), url),
          lengthBytes,
          body,
        }
      } catch (error) {
        signal?.throwIfAborted()
        throw siteError(error, url, host)
      }
    },
    close: async () => (await opened)?.agent.close(),
  }
}

const unbracketed = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')

/** The customers' URL with the scheme and port at which the host answers. The address is chosen below, in `lookup`. */
function onHost(url: URL, host: URL): URL {
  const target = new URL(url.href)
  target.protocol = host.protocol
  target.port = host.port
  return target
}

type Lookup =
  NonNullable<NonNullable<ConstructorParameters<typeof Agent>[0]>['connect']> extends infer C
    ? C extends { lookup?: infer L }
      ? NonNullable<L>
      : never
    : never

/** Leads every connection to one address; a host that is given by name is resolved by this machine. */
const toAddress =
  (address: string): Lookup =>
  (_hostname, options, callback) => {
    const family = isIP(address)
    if (family === 0) return systemLookup(address, options, callback)
    if (options.all === true) callback(null, [{ address, family }])
    else callback(null, address, family)
  }

async function read(stream: AsyncIterable<Buffer>, keepBytes: number): Promise<{ body: Buffer; lengthBytes: number }> {
  const kept: Buffer[] = []
  let keptBytes = 0
  let lengthBytes = 0
  for await (const chunk of stream) {
    lengthBytes += chunk.length
    if (keptBytes >= keepBytes) continue
    const part = chunk.subarray(0, keepBytes - keptBytes)
    kept.push(part)
    keptBytes += part.length
  }
  return { body: Buffer.concat(kept), lengthBytes }
}

const allOf = (headers: Readonly<Record<string, string | string[] | undefined>>): ReadonlyMap<string, readonly string[]> =>
  new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value === undefined ? [] : [value].flat()]))

const one = (header: string | readonly string[] | undefined): string | undefined =>
  typeof header === 'string' ? header : header?.[0]

function redirectOf(status: number, location: string | undefined, base: URL): string | null {
  if (status < 300 || status > 399 || location === undefined) return null
  return URL.canParse(location, base.href) ? new URL(location, base).href : location
}

function siteError(error: unknown, url: URL, host: URL): MigrateError {
  const code = codeOf(error) ?? ''
  const what = `${url.href} on ${host.host}`
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code)) {
    return new MigrateError(
      'site-certificate-invalid',
      `${what}: the certificate doesn't hold for ${url.hostname} (${messageOf(error)}).`,
      {
        hint: `Install a certificate for ${url.hostname} on that host before customers are sent there.`,
        cause: error,
      },
    )
  }
  if (/TIMEOUT/.test(code) || /timed? ?out/i.test(messageOf(error))) {
    return new MigrateError('site-timed-out', `${what} gave no answer in time.`, {
      hint: 'Is the web server running, and not overloaded?',
      cause: error,
    })
  }
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN/.test(code)) {
    return new MigrateError('site-unreachable', `${what} can't be reached (${messageOf(error) || code}).`, {
      hint: 'Check the host’s `site:` in the playbook, its web server and its firewall.',
      cause: error,
    })
  }
  return new MigrateError('site-failed', `${what}: ${messageOf(error) || code}.`, {
    hint: 'Look at the web server’s error log on that host.',
    cause: error,
  })
}
