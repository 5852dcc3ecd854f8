import type { Finding } from '../base/errors.ts'
import { canonicalContent, canonicalName, wildcardsFor } from './names.ts'
import type { DnsRecord, RecordChange } from './port.ts'

/** A record as the playbook wants it. */
export interface WantedRecord {
  readonly name: string
  readonly type: DnsRecord['type']
  readonly to: string
}

export interface DnsDiff {
  readonly changes: readonly RecordChange[]
  readonly findings: readonly Finding[]
}

/**
 * TTL of a record that didn't exist before, seconds: short, as it may have to move again; the lowest of the playbook's records where
 * that is lower still, so that what was lowered is so throughout.
 */
const CREATED_TTL_SECONDS = 300
const AUTOMATIC = 1

/**
 * Every name that must be read before `diffRecords` can judge: the playbook's, the wildcards that answer beside them, and the
 * site's other name, with www or without.
 */
export function namesToRead(wanted: readonly WantedRecord[], zone: string): readonly string[] {
  const names = wanted.map((record) => canonicalName(record.name))
  return [
    ...new Set([...names, `*.${zone}`, ...names.flatMap((name) => [...wildcardsFor(name, zone), ...otherName(name, zone)])]),
  ]
}

/** `www.shop.example` for `shop.example`, and the other way round, within the zone. */
function otherName(name: string, zone: string): readonly string[] {
  if (name.startsWith('*.')) return []
  const other = name.startsWith('www.') ? name.slice('www.'.length) : `www.${name}`
  return other === zone || other.endsWith(`.${zone}`) ? [other] : []
}

/**
 * What must change so that the playbook's names say what the playbook wants. Only the playbook's names and types ever change;
 * a record keeps its TTL, its proxying and its id. What can't or won't be changed, and matters, is a finding.
 *
 * @param flattensApex the provider takes a CNAME at the zone's apex (port.ts)
 */
export function diffRecords(
  wanted: readonly WantedRecord[],
  current: readonly DnsRecord[],
  zone: string,
  flattensApex = false,
): DnsDiff {
  const groups = [...groupWanted(wanted).values()]
  const ours = current.filter((record) => groups.some(({ name, type }) => record.name === name && record.type === type))
  const ttls = ours.filter(({ proxied, ttlSeconds }) => !proxied && ttlSeconds !== AUTOMATIC).map(({ ttlSeconds }) => ttlSeconds)
  const createdTtl = Math.min(CREATED_TTL_SECONDS, ...ttls)
  const changes = groups.flatMap((group) => changesOf(group, current, createdTtl))
  return {
    changes,
    findings: [
      ...(flattensApex ? [] : groups.flatMap((group) => cnameAtApex(group, zone))),
      ...conflicts(groups, current),
      ...groups.flatMap((group) => otherFamily(group, groups, current)),
      ...bystanders(groups, changes, current, zone),
    ],
  }
}

interface Group {
  readonly name: string
  readonly type: DnsRecord['type']
  readonly contents: readonly string[]
}

function groupWanted(wanted: readonly WantedRecord[]): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>()
  for (const record of wanted) {
    const name = canonicalName(record.name)
    const content = canonicalContent(record.type, record.to)
    const key = `${name} ${record.type}`
    const contents = groups.get(key)?.contents ?? []
    groups.set(key, { name, type: record.type, contents: contents.includes(content) ? contents : [...contents, content] })
  }
  return groups
}

function changesOf(group: Group, current: readonly DnsRecord[], createdTtl: number): readonly RecordChange[] {
  const standing = current.filter((record) => record.name === group.name && record.type === group.type)
  const says = (record: DnsRecord): string => canonicalContent(record.type, record.content)
  const missing = group.contents.filter((content) => !standing.some((record) => says(record) === content))
  const surplus = standing.filter((record) => !group.contents.includes(says(record)))
  const model = standing[0]
  const changes: RecordChange[] = []
  for (let index = 0; index < Math.max(missing.length, surplus.length); index += 1) {
    const content = missing[index]
    const before = surplus[index] ?? null
    if (content === undefined) changes.push({ before, after: null })
    else if (before !== null) changes.push({ before, after: { ...before, content } })
    else changes.push({ before: null, after: created(group, content, model, createdTtl) })
  }
  return changes
}

const created = (group: Group, content: string, model: DnsRecord | undefined, ttl: number): DnsRecord => ({
  name: group.name,
  type: group.type,
  content,
  ttlSeconds: model?.ttlSeconds ?? ttl,
  proxied: model?.proxied ?? false,
  id: null,
})

function conflicts(groups: readonly Group[], current: readonly DnsRecord[]): readonly Finding[] {
  return groups.flatMap((group): readonly Finding[] => {
    const rivals = [
      ...current.filter((record) => record.name === group.name && clash(record.type, group.type)).map(say),
      ...groups
        .filter((other) => other.name === group.name && clash(other.type, group.type))
        .map((other) => `${other.type} in the playbook`),
    ]
    const twoNames = group.type === 'CNAME' && group.contents.length > 1
    if (rivals.length === 0 && !twoNames) return []
    return [
      {
        severity: 'error',
        code: 'dns-type-conflict',
        message: twoNames
          ? `The playbook gives ${group.name} more than one CNAME; a name can have only one.`
          : `The playbook wants a record of type ${group.type} at ${group.name}, but there is also: ${rivals.join('; ')}. A CNAME can't stand beside other records of its name.`,
        hint: `Write in dns.records the type that ${group.name} has today, or change its type at the DNS provider first. Nothing was changed.`,
      },
    ]
  })
}

const clash = (a: DnsRecord['type'], b: DnsRecord['type']): boolean => a !== b && (a === 'CNAME' || b === 'CNAME')

const say = (record: DnsRecord): string => `${record.type} ${record.content}`

function cnameAtApex({ name, type, contents }: Group, zone: string): readonly Finding[] {
  if (type !== 'CNAME' || name !== zone) return []
  return [
    {
      severity: 'error',
      code: 'dns-cname-at-apex',
      message: `The playbook wants ${name} to be a CNAME for ${contents.join(', ')}, but the top of a zone can't be one: its SOA and NS records stand there (RFC 1034, 3.6.2).`,
      hint: `Write { name: ${name}, type: A, to: … } with the new host's address (and AAAA, if it has IPv6). Nothing was changed.`,
    },
  ]
}

/** Addresses of the other family that would go on leading customers to the old host. */
function otherFamily(group: Group, groups: readonly Group[], current: readonly DnsRecord[]): readonly Finding[] {
  if (group.type === 'CNAME') return []
  const other = group.type === 'A' ? 'AAAA' : 'A'
  const named = groups.some((each) => each.name === group.name && each.type === other)
  const stays = current.filter((record) => record.name === group.name && record.type === other)
  return named || stays.length === 0 ? [] : [staysBehind(group, other, stays)]
}

/** Names beside the playbook's that have the very address that the playbook's names leave, or that answer for them by a wildcard. */
function bystanders(
  groups: readonly Group[],
  changes: readonly RecordChange[],
  current: readonly DnsRecord[],
  zone: string,
): readonly Finding[] {
  const left = new Map(
    changes.flatMap(({ before }) => (before === null ? [] : [[`${before.type} ${before.content}`, before.name]])),
  )
  const others = current.filter((record) => !groups.some((group) => group.name === record.name))
  const stay = others.flatMap((record): readonly Finding[] => {
    const moved = left.get(say(record))
    return moved === undefined ? [] : [nameStays(record, moved)]
  })
  const told = new Set(others.filter((record) => left.has(say(record))).map(({ name }) => name))
  const wildcards = groups.flatMap((group) => {
    const above = wildcardsFor(group.name, zone).filter((name) => !told.has(name))
    const found = others.filter((record) => above.includes(record.name))
    return found.length === 0 ? [] : [wildcardStays(group, current, found)]
  })
  return [...stay, ...wildcards]
}

function nameStays(record: DnsRecord, moved: string): Finding {
  const isWildcard = record.name.startsWith('*.')
  return {
    severity: 'warning',
    code: isWildcard ? 'dns-wildcard-left-behind' : 'dns-www-left-behind',
    message: isWildcard
      ? `The wildcard ${record.name} has ${say(record)}, which ${moved} leaves, and the playbook doesn't name it: customers who use any other name below it would stay on the old host.`
      : `${record.name} has ${say(record)}, which ${moved} leaves, and the playbook doesn't name it: customers who use that name would stay on the old host.`,
    hint: `Add { name: "${record.name}", type: ${record.type}, to: … } to dns.records, unless it belongs to something that stays.`,
  }
}

const staysBehind = (group: Group, other: DnsRecord['type'], stays: readonly DnsRecord[]): Finding => ({
  severity: 'warning',
  code: other === 'AAAA' ? 'dns-aaaa-left-behind' : 'dns-a-left-behind',
  message: `${group.name} also has ${stays.map(say).join(', ')}, which the playbook doesn't name: customers who connect over ${other === 'AAAA' ? 'IPv6' : 'IPv4'} would stay where that points.`,
  hint: `Add { name: ${group.name}, type: ${other}, to: … } to dns.records, or delete that record at the DNS provider before the cutover.`,
})

function wildcardStays(group: Group, current: readonly DnsRecord[], wildcard: readonly DnsRecord[]): Finding {
  const own = current.some((record) => record.name === group.name)
  const what = [...new Set(wildcard.map((record) => `${record.name} ${say(record)}`))].join(', ')
  return {
    severity: 'info',
    code: 'dns-wildcard',
    message: own
      ? `The wildcard ${what} stays as it is: names that the playbook doesn't list go on following it.`
      : `${group.name} has no record of its own today and is answered by the wildcard ${what}; it gets its own record.`,
    hint: 'If the shop uses further names below the zone, list them in dns.records.',
  }
}

/** A record in one short line, without its TTL. */
const line = (record: DnsRecord): string =>
  `${record.content} ttl=${record.ttlSeconds === 1 ? 'auto' : record.ttlSeconds}${record.proxied ? ' proxied' : ''}`

/** One change as people read it: `± MODIFY A shop.example 203.0.113.10 ttl=300 → 198.51.100.20 ttl=60`. */
export function describeChange({ before, after }: RecordChange): string {
  if (before !== null && after !== null) return `± MODIFY ${after.type} ${after.name} ${line(before)} → ${line(after)}`
  if (after !== null) return `+ CREATE ${after.type} ${after.name} ${line(after)}`
  if (before !== null) return `- DELETE ${before.type} ${before.name} ${line(before)}`
  return 'nothing'
}
