import { isIP, isIPv4, isIPv6 } from 'node:net'
import { kept, type Reading, readSite } from './hosts.ts'
import { checkedParts, isMapping } from './issues.ts'
import type { DnsRecordSettings, DnsSettings } from './model.ts'
import { dnsShape } from './schema.ts'
import type { Path, Source, Value } from './source.ts'

const NAME = /^(?=.{1,253}$)(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** `dns:`; what is wrong is complained of and left out. */
export function readDns(value: Value, path: Path, reading: Reading): DnsSettings | undefined {
  const { source } = reading
  if (isMapping(value) && value.provider === 'rfc2136') {
    return source.complain(
      [...path, 'provider'],
      'The DNS provider rfc2136 is not yet in this version of migrate.',
      'Use cloudflare, or manual: migrate then says what to change and waits until you did.',
    )
  }
  const dns = checkedParts(dnsShape, value, path, source)
  complainOfProvider(dns, path, source)
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
  if (zone === undefined) return undefined
  const settings = { zone, nameservers: dns.nameservers ?? [], records }
  if (dns.provider === 'manual') return { provider: 'manual', ...settings }
  return dns.provider === undefined || token === undefined ? undefined : { provider: dns.provider, token, api, ...settings }
}

function complainOfProvider(
  dns: { readonly provider: string | undefined; readonly token: string | undefined; readonly api: string | undefined },
  path: Path,
  source: Source,
): void {
  if (dns.provider === 'cloudflare' && dns.token === undefined && source.entry([...path, 'token']) === undefined) {
    source.complain(path, 'dns.token is missing.', `Add  token: \${CLOUDFLARE_API_TOKEN}  and set that variable.`, 'key')
  }
  if (dns.provider !== 'manual') return
  for (const key of ['token', 'api'] as const) {
    if (dns[key] !== undefined)
      source.complain(
        [...path, key],
        `The DNS provider manual has no ${key}.`,
        'Remove it, or use the provider cloudflare.',
        'key',
      )
  }
}

/** Lower case, without the dot at the end. */
const hostName = (name: string): string => name.toLowerCase().replace(/\.$/, '')

const isServer = (text: string): boolean => {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text)
  return isIP(text) > 0 || (match !== null && isIP(match[1] ?? match[2] ?? '') > 0 && Number(match[3] ?? 53) <= 65_535)
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
