import { Resolver as SystemResolver } from 'node:dns/promises'
import type { Clock } from '../base/clock.ts'
import { MigrateError, messageOf } from '../base/errors.ts'
import { canonicalName, formatServerAddress, parseServerAddress, type ServerAddress } from './names.ts'
import type { Resolver } from './port.ts'
import { digMissing, digResolver } from './resolver-dig.ts'
import { measureResolver } from './resolver-measure.ts'

export interface AuthoritativeOptions {
  readonly zone: string
  /** As the playbook's `nameservers:` gives them, `ip` or `ip:port`; found by asking when absent. */
  readonly nameservers?: readonly string[] | undefined
  readonly clock: Clock
  /** Used instead of this machine's resolvers, `ip` or `ip:port`. */
  readonly systemServers?: readonly string[]
}

const MOST_SERVERS = 8
const DNS_PORT = 53

export interface AuthoritativeServers {
  /** The zone's name servers. Found once; throws MigrateError `dns-nameservers-unknown`. */
  authoritative(): Promise<readonly Resolver[]>
  /** The same servers asked through `dig`, sharing no code with the first; [] where dig isn't installed. */
  secondOpinion(): Promise<readonly Resolver[]>
  /** The same servers, with the same labels, asked over TCP alone. */
  overTcp(): Promise<readonly Resolver[]>
  /** The name servers of the zone above; [] where they can't be found, or the playbook names the zone's own: then there may be none. */
  parents(): Promise<readonly Resolver[]>
}

/** The name servers that answer for the zone: as given, or by asking this machine's resolvers for its NS and their addresses. */
export function authoritativeServers(options: AuthoritativeOptions): AuthoritativeServers {
  const { clock } = options
  let found: Promise<readonly NamedServer[]> | undefined
  const servers = (): Promise<readonly NamedServer[]> => {
    found ??= find(options).catch((error: unknown) => {
      found = undefined
      throw error
    })
    return found
  }
  return {
    authoritative: async () => (await servers()).map((server) => measureResolver(server, { clock, label: server.label })),
    overTcp: async () => (await servers()).map((server) => measureResolver(server, { clock, label: server.label, tcp: true })),
    parents: async () =>
      options.nameservers === undefined
        ? (await findParents(options)).map((server) => measureResolver(server, { clock, label: server.label }))
        : [],
    secondOpinion: async () => {
      if ((await digMissing()) !== null) return []
      return (await servers()).map((server) => digResolver(server, { clock, label: `${server.label} (dig)` }))
    },
  }
}

interface NamedServer extends ServerAddress {
  readonly label: string
}

/** A few are enough: they all say the same. */
const MOST_PARENTS = 3

/** The next name above the zone that has name servers of its own: `shop.co.uk` is below `co.uk`. */
async function findParents({ zone, systemServers }: AuthoritativeOptions): Promise<readonly NamedServer[]> {
  const system = systemOf(systemServers)
  const labels = canonicalName(zone).split('.')
  for (let depth = 1; depth < labels.length; depth += 1) {
    // A name without servers isn't a zone; one that can't be asked about isn't known to be one.
    const hosts = await system.resolveNs(labels.slice(depth).join('.')).catch(() => [])
    const known = await serversOf(system, hosts.sort().slice(0, MOST_PARENTS))
    if (known.length > 0) return known
  }
  return []
}

async function find({ zone, nameservers, systemServers }: AuthoritativeOptions): Promise<readonly NamedServer[]> {
  if (nameservers !== undefined) {
    return nameservers.map(parseServerAddress).map((server) => ({ ...server, label: formatServerAddress(server) }))
  }
  const system = systemOf(systemServers)
  const name = canonicalName(zone)
  try {
    const hosts = (await system.resolveNs(name)).sort().slice(0, MOST_SERVERS)
    const known = await serversOf(system, hosts)
    if (known.length > 0) return known
    throw unknown(name, `no address was found for ${hosts.join(', ')}`)
  } catch (error) {
    throw error instanceof MigrateError ? error : unknown(name, messageOf(error), error)
  }
}

function systemOf(servers: AuthoritativeOptions['systemServers']): SystemResolver {
  const system = new SystemResolver({ timeout: 3000, tries: 2 })
  if (servers !== undefined) system.setServers([...servers])
  return system
}

/** Those of the hosts whose address is found. */
async function serversOf(system: SystemResolver, hosts: readonly string[]): Promise<readonly NamedServer[]> {
  const found = await Promise.all(hosts.map((host) => addressOf(system, host)))
  return found
    .filter((each) => each !== undefined)
    .map(({ host, address }) => ({ address, port: DNS_PORT, label: `${host} (${address})` }))
}

async function addressOf(system: SystemResolver, host: string): Promise<{ host: string; address: string } | undefined> {
  const [first, second] = await Promise.allSettled([system.resolve4(host), system.resolve6(host)])
  const address = [first, second].flatMap((result) => (result.status === 'fulfilled' ? result.value : []))[0]
  return address === undefined ? undefined : { host: host.toLowerCase(), address }
}

const unknown = (zone: string, why: string, cause?: unknown): MigrateError =>
  new MigrateError('dns-nameservers-unknown', `The name servers of ${zone} could not be found: ${why}. Nothing was changed.`, {
    hint: `Check the zone's name in the playbook and this machine's DNS, or give the servers: dns: { nameservers: ["192.0.2.53"] }.`,
    cause,
  })
