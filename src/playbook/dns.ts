import { isIP, isIPv4, isIPv6 } from 'node:net'
import { readSite } from './hosts.ts'
import { checkedParts, isMapping } from './issues.ts'
import type { DnsRecordSettings, DnsSettings, Rfc2136Settings } from './model.ts'
import { kept, type Reading } from './reading.ts'
import { dnsKeyShape, dnsShape } from './schema.ts'
import type { Path, Source, Value } from './source.ts'

const NAME = /^(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** `dns:`; what is wrong is complained of and left out. */
export function readDns(value: Value, path: Path, reading: Reading): DnsSettings | undefined {
  const { source } = reading
  const dns = checkedParts(dnsShape, value, path, source)
  complainOfProvider(dns.provider, path, source)
  const zone = dns.zone === undefined ? undefined : hostName(dns.zone)
  if (zone !== undefined && !NAME.test(zone))
    source.complain([...path, 'zone'], 'dns.zone is no domain name.', 'Write it like shop.example.')
  const api = dns.api === undefined ? undefined : readSite(dns.api, [...path, 'api'], source)
  for (const [index, server] of (dns.nameservers ?? []).entries()) {
    if (!isServer(server))
      source.complain(
        [...path, 'nameservers', index],
        'This is no address of a name server.',
        'Write it like 192.0.2.53 or 127.0.20.1:5301.',
      )
  }
  const token = dns.token === undefined ? undefined : kept(dns.token, reading.redactor)
  const records = (dns.records ?? []).map((record, index) => readRecord(record, zone, [...path, 'records', index], source))
  complainOfTwins(records, [...path, 'records'], source)
  const server = dns.server === undefined ? undefined : readServer(dns.server, [...path, 'server'], source)
  const key = dns.provider === 'rfc2136' && isMapping(value) ? readKey(value.key, [...path, 'key'], reading) : undefined
  if (zone === undefined) return undefined
  const settings = { zone, nameservers: dns.nameservers ?? [], records }
  switch (dns.provider) {
    case 'manual':
      return { provider: 'manual', ...settings }
    case 'rfc2136':
      return server === undefined || key === undefined ? undefined : { provider: 'rfc2136', server, key, ...settings }
    case 'cloudflare':
      return token === undefined ? undefined : { provider: 'cloudflare', token, api, ...settings }
    default:
      return undefined
  }
}

/** Keys of one provider alone, and how to write those that must be there. */
const OWN_KEYS = {
  token: { provider: 'cloudflare', missing: `Add  token: \${CLOUDFLARE_API_TOKEN}  and set that variable.` },
  api: { provider: 'cloudflare', missing: null },
  server: { provider: 'rfc2136', missing: 'Add the zone’s primary name server:  server: 192.0.2.53' },
  key: {
    provider: 'rfc2136',
    missing: `Add  key: { name: migrate, algorithm: hmac-sha256, secret: \${DNS_KEY} }  and set that variable.`,
  },
} as const

function complainOfProvider(provider: string | undefined, path: Path, source: Source): void {
  if (provider === undefined) return
  for (const [key, own] of Object.entries(OWN_KEYS)) {
    const isGiven = source.entry([...path, key]) !== undefined
    if (own.provider === provider && own.missing !== null && !isGiven)
      source.complain(path, `dns.${key} is missing.`, own.missing, 'key')
    if (own.provider !== provider && isGiven)
      source.complain(
        [...path, key],
        `The DNS provider ${provider} has no ${key}.`,
        `Remove it, or use the provider ${own.provider}.`,
        'key',
      )
  }
}

const SERVER = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/
const DNS_PORT = 53
const LARGEST_PORT = 65_535

/** `ns1.shop.example`, `192.0.2.53:5301`, `2001:db8::53`, `[2001:db8::53]:5301`. */
function readServer(text: string, path: Path, source: Source): Rfc2136Settings['server'] | undefined {
  if (isIPv6(text)) return { host: text, port: DNS_PORT }
  const [, bracketed, plain, port] = SERVER.exec(text) ?? []
  const host = bracketed ?? (plain === undefined || isIPv4(plain) ? plain : hostName(plain))
  const known = bracketed === undefined ? isIPv4(host ?? '') || NAME.test(host ?? '') || host === 'localhost' : isIPv6(bracketed)
  const number = Number(port ?? DNS_PORT)
  if (host !== undefined && known && number > 0 && number <= LARGEST_PORT) return { host, port: number }
  return source.complain(
    path,
    'This is no name or address of a name server.',
    'Write it like ns1.shop.example or 192.0.2.53:5301.',
  )
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function readKey(value: Value | undefined, path: Path, reading: Reading): Rfc2136Settings['key'] | undefined {
  if (value === undefined) return undefined
  const { source } = reading
  const { name, algorithm, secret } = checkedParts(dnsKeyShape, value, path, source)
  const keyName = name === undefined ? undefined : hostName(name)
  // A key's name is a domain name, of one part or more (RFC 8945, 4.2).
  if (keyName !== undefined && !NAME.test(`${keyName}.key`))
    return source.complain(
      [...path, 'name'],
      'This is no name of a key.',
      'Write it as the server’s configuration has it, like migrate.',
    )
  if (secret !== undefined && !BASE64.test(secret))
    return source.complain(
      [...path, 'secret'],
      `${source.name([...path, 'secret'])} is no Base64.`,
      'Give the secret as tsig-keygen or keymgr wrote it.',
    )
  if (keyName === undefined || algorithm === undefined || secret === undefined) return undefined
  return { name: keyName, algorithm, secret: kept(secret, reading.redactor) }
}

/** Lower case, without the dot at the end. */
const hostName = (name: string): string => name.toLowerCase().replace(/\.$/, '')

const isServer = (text: string): boolean => {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text)
  return (
    isIP(text) > 0 || (match !== null && isIP(match[1] ?? match[2] ?? '') > 0 && Number(match[3] ?? DNS_PORT) <= LARGEST_PORT)
  )
}

function readRecord(record: DnsRecordSettings, zone: string | undefined, path: Path, source: Source): DnsRecordSettings {
  const name = record.name === '@' && zone !== undefined ? zone : hostName(record.name)
  if (zone !== undefined && (!NAME.test(name) || (name !== zone && !name.endsWith(`.${zone}`)))) {
    source.complain(
      [...path, 'name'],
      `This record’s name isn’t in the zone.`,
      `Write the full name: ${zone} itself, or like www.${zone}.`,
    )
  }
  const to = record.type === 'CNAME' ? hostName(record.to) : record.to
  const at = [...path, 'to']
  if (record.type === 'A' && !isIPv4(to))
    source.complain(at, 'An A record needs an IPv4 address.', 'Write it like 198.51.100.20; for a name use type: CNAME.')
  if (record.type === 'AAAA' && !isIPv6(to))
    source.complain(at, 'An AAAA record needs an IPv6 address.', 'Write it like 2001:db8::20.')
  if (record.type === 'CNAME' && (!NAME.test(to) || isIP(to) > 0))
    source.complain(at, 'A CNAME record needs a name.', 'For an address use type: A.')
  if (record.type === 'CNAME' && to === name)
    source.complain(at, 'This record points to itself.', 'Give the name that it shall stand for.')
  return { name, type: record.type, to }
}

/** One record a name and type; nothing beside a CNAME (RFC 1034, section 3.6.2). */
function complainOfTwins(records: readonly DnsRecordSettings[], path: Path, source: Source): void {
  for (const [index, record] of records.entries()) {
    const earlier = records.slice(0, index).filter((each) => each.name === record.name)
    if (earlier.some((each) => each.type === record.type)) {
      source.complain([...path, index], `${record.name} has a second ${record.type} record here.`, 'Keep one of the two.')
    } else if (earlier.some((each) => each.type === 'CNAME' || record.type === 'CNAME')) {
      source.complain(
        [...path, index],
        `${record.name} has a CNAME, and beside a CNAME there can’t be another record.`,
        'Keep one of the two.',
      )
    }
  }
}
