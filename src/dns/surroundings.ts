import { canonicalName } from './names.ts'
import type { DnsAnswer, QueryType, Resolver } from './port.ts'

/** What stands in a zone beside the records that move, as its name servers say. */
export interface Surroundings {
  /** The zone's own list of its name servers. */
  readonly nameServers: readonly string[]
  /** DNSKEY records: a zone that is signed has some; `undefined` when they couldn't be had. */
  readonly keys: readonly string[] | undefined
  readonly mail: readonly MailRoute[]
  /** The CAA records that count for the site's name, and the name at which they stand; none: `[]`. */
  readonly caa: { readonly at: string; readonly records: readonly string[] }
}

/** Where mail for `domain` goes. */
export interface MailRoute {
  readonly domain: string
  /** The name in the MX record; `null` where there is none and mail goes to the domain's own address (RFC 5321, 5.1). */
  readonly exchange: string | null
  /** Every name that leads to the exchange's address: itself, and those that it is a CNAME for. */
  readonly through: readonly string[]
}

export interface SurroundingsQuestion {
  readonly zone: string
  /** Names that move: mail for them is looked at. */
  readonly names: readonly string[]
  /** The name that the site's certificate is for. */
  readonly site: string | undefined
}

/** Asks the first of the servers that answers; `undefined` when none does. Never throws but for the signal. */
export async function readSurroundings(
  servers: readonly Resolver[],
  { zone, names, site }: SurroundingsQuestion,
  signal?: AbortSignal,
): Promise<Surroundings | undefined> {
  const server = await firstAnswering(servers, zone, signal)
  if (server === undefined) return undefined
  const ask = async (name: string, type: QueryType): Promise<DnsAnswer['records']> =>
    (await server.query(name, type, signal)).records
  const contents = async (name: string, type: QueryType): Promise<readonly string[]> =>
    (await ask(name, type)).filter((record) => record.type === type).map(({ content }) => content)
  const domains = [...new Set([zone, ...names.filter((name) => !name.startsWith('*.'))])]
  const [nameServers, keys, mail, caa] = await Promise.all([
    contents(zone, 'NS'),
    keysOf(server, zone, signal),
    Promise.all(domains.map((domain) => mailRoutes(domain, zone, { ask, contents }))),
    relevantCaa(site, zone, contents),
  ])
  return { nameServers, keys, mail: mail.flat(), caa }
}

async function keysOf(server: Resolver, zone: string, signal: AbortSignal | undefined): Promise<readonly string[] | undefined> {
  const { status, records } = await server.query(zone, 'DNSKEY', signal)
  return status === 'NOERROR' ? records.filter(({ type }) => type === 'DNSKEY').map(({ content }) => content) : undefined
}

async function firstAnswering(
  servers: readonly Resolver[],
  zone: string,
  signal: AbortSignal | undefined,
): Promise<Resolver | undefined> {
  const answers = await Promise.all(
    servers.map(async (server) => ({ server, status: (await server.query(zone, 'SOA', signal)).status })),
  )
  return answers.find(({ status }) => status === 'NOERROR')?.server
}

interface Asking {
  readonly ask: (name: string, type: QueryType) => Promise<DnsAnswer['records']>
  readonly contents: (name: string, type: QueryType) => Promise<readonly string[]>
}

async function mailRoutes(domain: string, zone: string, { ask, contents }: Asking): Promise<readonly MailRoute[]> {
  const mx = await contents(domain, 'MX')
  if (mx.length === 0) return [{ domain, exchange: null, through: [domain] }]
  // "10 mail.shop.example"; a name of nothing says that there is no mail at all (RFC 7505).
  const exchanges = mx.map((content) => content.split(' ')[1] ?? '')
  const within = exchanges.filter((name) => name === zone || name.endsWith(`.${zone}`)).map(canonicalName)
  return await Promise.all(
    within.map(async (exchange) => {
      const chain = (await Promise.all([ask(exchange, 'A'), ask(exchange, 'AAAA')])).flat()
      const through = [exchange, ...chain.filter(({ type }) => type === 'CNAME').map(({ content }) => content)]
      return { domain, exchange, through: [...new Set(through)] }
    }),
  )
}

/** The first set on the way up from the name, and no further than the zone (RFC 8659, 3). */
async function relevantCaa(site: string | undefined, zone: string, contents: Asking['contents']): Promise<Surroundings['caa']> {
  if (site === undefined || !(site === zone || site.endsWith(`.${zone}`))) return { at: zone, records: [] }
  for (let name = site; ; name = name.slice(name.indexOf('.') + 1)) {
    const records = await contents(name, 'CAA')
    if (records.length > 0 || name === zone) return { at: name, records }
  }
}
