import { isIP } from 'node:net'
import { canonicalName } from '../../dns/names.ts'
import type { QueryType, Resolver } from '../../dns/port.ts'
import type { DraftDns } from '../../playbook/draft.ts'

interface Zone {
  readonly name: string
  readonly servers: readonly string[]
}

/** What DNS says of the shop's name now. */
export interface Names {
  /** The name in the site's address, and the same with or without www where it is known to DNS. */
  readonly known: readonly { readonly name: string; readonly addresses: readonly string[]; readonly alias?: string }[]
  /** The zone and its name servers; absent when nobody answered. `sure`: it really holds the shop's name, which DNS knows. */
  readonly zone?: Zone & { readonly sure: boolean }
}

/** Asks for the shop's name, its www twin and the zone that holds them. Read-only; what isn't answered is absent. */
export async function lookUpNames(site: URL, resolver: Resolver, signal: AbortSignal): Promise<Names> {
  const host = canonicalName(site.hostname)
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) return { known: [] }
  const ask = async (name: string, type: QueryType): Promise<readonly string[]> => {
    const { status, records } = await resolver.query(name, type, signal)
    return status === 'NOERROR' ? records.filter((record) => record.type === type).map(({ content }) => content) : []
  }
  const twin = host.startsWith('www.') ? host.slice('www.'.length) : `www.${host}`
  const known = await Promise.all(
    [host, twin].map(async (name) => {
      const [a, aaaa, cname] = await Promise.all([ask(name, 'A'), ask(name, 'AAAA'), ask(name, 'CNAME')])
      const alias = cname[0]
      return { name, addresses: [...a, ...aaaa], ...(alias === undefined ? {} : { alias: canonicalName(alias) }) }
    }),
  )
  const zone = await zoneOf(host, resolver, signal)
  const inUse = known.filter(({ addresses, alias }) => addresses.length > 0 || alias !== undefined)
  // Of a name that isn't there yet, the answer may come from far above it: from co.uk.
  return { known: inUse, ...(zone === undefined ? {} : { zone: { ...zone, sure: inUse.length > 0 } }) }
}

/**
 * The zone that holds a name: whose SOA answers for it, or comes along when there is none of the name's own (RFC 2308, 2). One that comes
 * from elsewhere is that of what the name is an alias of.
 */
async function zoneOf(host: string, resolver: Resolver, signal: AbortSignal): Promise<Zone | undefined> {
  for (let name = host; name.includes('.'); name = name.slice(name.indexOf('.') + 1)) {
    const { records, beside = [] } = await resolver.query(name, 'SOA', signal)
    const zone = [...records, ...beside].find((record) => record.type === 'SOA' && isWithin(host, record.name))?.name
    if (zone === undefined) continue
    if (!zone.includes('.')) return undefined
    const servers = (await resolver.query(zone, 'NS', signal)).records
    return { name: zone, servers: servers.filter(({ type }) => type === 'NS').map(({ content }) => content) }
  }
  return undefined
}

const isWithin = (name: string, zone: string): boolean => name === zone || name.endsWith(`.${zone}`)

/** Who is likely to publish the zone, by its name servers. */
export const likelyProvider = ({ zone }: Names): DraftDns['provider'] =>
  zone?.servers.some((server) => /\.ns\.cloudflare\.com\.?$/i.test(server)) ? 'cloudflare' : 'manual'

/**
 * The records that must move for customers to come to `addresses`: every address of the names in use, one of each kind. A name that
 * is only another word for one of them follows by itself.
 */
export function recordsFor(site: URL, { known }: Names, addresses: readonly string[]): DraftDns['records'] {
  const names = known.length === 0 ? [{ name: canonicalName(site.hostname), addresses: [], alias: undefined }] : known
  const moving = names.filter(({ alias }) => alias === undefined || !names.some(({ name }) => name === alias))
  return moving.flatMap(({ name }) =>
    addresses.map((to) => ({ name, type: isIP(to) === 6 ? ('AAAA' as const) : ('A' as const), to })),
  )
}
