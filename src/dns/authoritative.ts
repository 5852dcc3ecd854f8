import { Resolver as SystemResolver } from 'node:dns/promises'
import type { Clock } from '../base/clock.ts'
import { MigrateError, messageOf } from '../base/errors.ts'
import { canonicalName, parseServerAddress } from './names.ts'
import type { Resolver } from './port.ts'
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

/**
 * The name servers that answer for the zone. Found once, by asking this machine's resolvers for the zone's NS and their
 * addresses. Throws MigrateError `dns-nameservers-unknown`.
 */
export function authoritativeServers(options: AuthoritativeOptions): () => Promise<readonly Resolver[]> {
  let found: Promise<readonly Resolver[]> | undefined
  return () => {
    found ??= find(options).catch((error: unknown) => {
      found = undefined
      throw error
    })
    return found
  }
}

async function find({ zone, nameservers, clock, systemServers }: AuthoritativeOptions): Promise<readonly Resolver[]> {
  if (nameservers !== undefined) return nameservers.map((text) => measureResolver(parseServerAddress(text), { clock }))
  const system = new SystemResolver({ timeout: 3000, tries: 2 })
  if (systemServers !== undefined) system.setServers([...systemServers])
  const name = canonicalName(zone)
  try {
    const hosts = (await system.resolveNs(name)).sort().slice(0, MOST_SERVERS)
    const addresses = await Promise.all(hosts.map((host) => addressOf(system, host)))
    const known = addresses.filter((each) => each !== undefined)
    if (known.length > 0) {
      return known.map(({ host, address }) => measureResolver({ address, port: 53 }, { clock, label: `${host} (${address})` }))
    }
    throw unknown(name, `no address was found for ${hosts.join(', ')}`)
  } catch (error) {
    throw error instanceof MigrateError ? error : unknown(name, messageOf(error), error)
  }
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
