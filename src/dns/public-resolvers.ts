/** A resolver that answers anyone, and where its users mostly are. */
export interface PublicResolver {
  readonly address: string
  readonly operator: string
  readonly region: string
  /** Where it answers over HTTPS, by address: used when somebody on the way answers in its place. */
  readonly https?: string
}

/**
 * Asked when the playbook says `resolvers: default`: large public resolvers on several continents, as their operators publish
 * them. One that doesn't answer from here is left out of the count while watching.
 */
export const publicResolvers: readonly PublicResolver[] = [
  { address: '8.8.8.8', operator: 'Google', region: 'worldwide', https: 'https://8.8.8.8/dns-query' },
  { address: '1.1.1.1', operator: 'Cloudflare', region: 'worldwide', https: 'https://1.1.1.1/dns-query' },
  { address: '9.9.9.9', operator: 'Quad9', region: 'worldwide', https: 'https://9.9.9.9/dns-query' },
  { address: '208.67.222.222', operator: 'OpenDNS', region: 'worldwide' },
  { address: '4.2.2.1', operator: 'Level 3', region: 'North America' },
  { address: '64.6.64.6', operator: 'Vercara UltraDNS', region: 'North America' },
  { address: '74.82.42.42', operator: 'Hurricane Electric', region: 'North America' },
  { address: '149.112.121.10', operator: 'CIRA Canadian Shield', region: 'Canada' },
  { address: '76.76.2.0', operator: 'Control D', region: 'worldwide' },
  { address: '94.140.14.14', operator: 'AdGuard', region: 'Europe', https: 'https://94.140.14.14/dns-query' },
  { address: '185.228.168.9', operator: 'CleanBrowsing', region: 'Europe' },
  { address: '86.54.11.100', operator: 'DNS4EU', region: 'European Union' },
  { address: '91.239.100.100', operator: 'UncensoredDNS', region: 'Denmark' },
  { address: '84.200.69.80', operator: 'DNS.Watch', region: 'Germany' },
  { address: '77.88.8.8', operator: 'Yandex', region: 'Russia' },
  { address: '223.5.5.5', operator: 'AliDNS', region: 'China', https: 'https://223.5.5.5/dns-query' },
  { address: '119.29.29.29', operator: 'DNSPod', region: 'China' },
  { address: '101.101.101.101', operator: 'Quad101', region: 'Taiwan' },
  { address: '168.126.63.1', operator: 'KT', region: 'South Korea' },
]

/** A network of a region, for whose users a resolver that honours client subnets can be asked: those of the regions' registries. */
export interface VantagePoint {
  readonly subnet: string
  readonly prefixLength: number
  readonly region: string
}

export const VANTAGE_RESOLVER = '8.8.8.8'
export const vantagePoints: readonly VantagePoint[] = [
  { subnet: '193.0.6.0', prefixLength: 24, region: 'Amsterdam' },
  { subnet: '199.43.0.0', prefixLength: 24, region: 'Virginia' },
  { subnet: '200.7.84.0', prefixLength: 24, region: 'Montevideo' },
  { subnet: '202.12.29.0', prefixLength: 24, region: 'Brisbane' },
  { subnet: '203.178.141.0', prefixLength: 24, region: 'Tokyo' },
  { subnet: '196.216.2.0', prefixLength: 24, region: 'Mauritius' },
]
