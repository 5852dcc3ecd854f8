import { type Finding, messageOf } from '../base/errors.ts'
import { judgeCaa } from '../dns/caa.ts'
import { canonicalContent, canonicalName } from '../dns/names.ts'
import type { DnsRecord, RecordChange, Resolver } from '../dns/port.ts'
import { observe } from '../dns/propagation.ts'
import { readSurroundings, type Surroundings } from '../dns/surroundings.ts'
import type { StepRun } from '../run/step.ts'
import type { Certificate } from '../site/certificate.ts'
import { delegationOf, parentFindings, transportFindings } from './dns-delegation.ts'
import { unproxied } from './dns-expectations.ts'
import type { DnsTarget } from './world.ts'

export interface ZoneQuestion {
  readonly dns: DnsTarget
  readonly current: readonly DnsRecord[]
  readonly changes: readonly RecordChange[]
  /** The address that customers use. */
  readonly site: URL | undefined
  /** The new host's certificate, when it has one. */
  readonly certificate: Certificate | undefined
}

/**
 * What in and around the zone would go wrong with the cutover although the records themselves are right: a delegation elsewhere, mail
 * that would move along, an authority that may not issue. Asked of the zone's name servers, not of caches: nothing is planted there.
 */
export async function zoneFindings(question: ZoneQuestion, run: StepRun): Promise<readonly Finding[]> {
  const { dns, changes, site, certificate } = question
  const moved = [...new Set(changes.map(({ before, after }) => (after ?? before)?.name ?? ''))]
  const servers = await authoritativeOr(dns, run)
  if (typeof servers === 'string') return [unasked(dns.zone, servers)]
  const around = await readSurroundings(servers, { zone: dns.zone, names: moved, site: site?.hostname }, run.signal)
  if (around === undefined) return [unasked(dns.zone, `${servers.map(({ label }) => label).join(', ')} gave no answer`)]
  const above = await delegationOf(dns, run)
  const records = dns.records.map(({ name, type }) => ({ name: canonicalName(name), type }))
  // Several addresses of one name are one question.
  const asked = [...new Map(records.map((each) => [`${each.name} ${each.type}`, each])).values()]
  return [
    // Resolvers begin with what the zone above says.
    ...(await delegationFindings(dns, above?.nameServers ?? around.nameServers, run)),
    ...(await parentFindings(dns, above, around, servers, run)),
    ...(await transportFindings(dns, asked, servers, run)),
    ...(await disagreement(question, servers, run)),
    ...mailFindings(around, moved, dns.zone),
    ...caaFindings(around.caa, site, certificate),
    ...signedFindings(dns.zone, around),
  ]
}

async function authoritativeOr(dns: DnsTarget, run: StepRun): Promise<readonly Resolver[] | string> {
  try {
    return await dns.authoritative()
  } catch (error) {
    run.signal.throwIfAborted()
    return messageOf(error)
  }
}

const unasked = (zone: string, why: string): Finding => ({
  severity: 'warning',
  code: 'dns-authoritative-unknown',
  message: `The name servers of ${zone} couldn't be asked (${why.replace(/\.$/, '')}), so it isn't known whether the domain is delegated to this provider, whether mail would move along, and who may issue certificates.`,
  hint: 'Open UDP and TCP port 53 from here, or give dns.nameservers in the playbook.',
})

/** A change at a provider whose servers nobody asks moves nobody. */
async function delegationFindings(dns: DnsTarget, nameServers: readonly string[], run: StepRun): Promise<readonly Finding[]> {
  const own = ((await dns.provider.nameServers?.(run.signal)) ?? []).map(plain)
  const asked = nameServers.map(plain)
  const foreign = asked.filter((name) => !own.includes(name))
  if (own.length === 0 || asked.length === 0 || foreign.length === 0) return []
  const elsewhere = foreign.length === asked.length
  const said = `The domain ${dns.zone} is delegated to ${asked.join(', ')}, and ${dns.provider.label} publishes on ${own.join(', ')}`
  return [
    elsewhere
      ? {
          severity: 'error',
          code: 'dns-delegated-elsewhere',
          message: `${said}: a change there would have no effect, and customers would stay on the old host.`,
          hint: 'Use as dns.provider the one whose name servers the domain has; moving the domain to other name servers is a migration of its own, days before.',
        }
      : {
          severity: 'warning',
          code: 'dns-delegated-partly',
          message: `${said}: those who ask ${foreign.join(', ')} follow only if that server gets the change too.`,
          hint: 'See that every name server of the domain is fed by this provider.',
        },
  ]
}

const plain = (name: string): string => name.replace(/\.$/, '').toLowerCase()

/** The servers that the world asks must say what the provider says; otherwise they are fed from somewhere else, or not at all. */
async function disagreement(
  { dns, current }: ZoneQuestion,
  servers: readonly Resolver[],
  run: StepRun,
): Promise<readonly Finding[]> {
  const groups = new Map<string, DnsRecord[]>()
  for (const { name, type } of unproxied(dns.records, current)) {
    const found = current.filter((record) => record.name === canonicalName(name) && record.type === type)
    // A flattened CNAME is answered with addresses.
    if (found.length > 0 && !(type === 'CNAME' && dns.provider.flattensApex)) groups.set(`${name} ${type}`, found)
  }
  const expectations = [...groups.values()].flatMap((records) => {
    const [first] = records
    if (first === undefined) return []
    const contents = records.map(({ type, content }) => canonicalContent(type, content))
    return [{ name: first.name, type: first.type, contents }]
  })
  const { opinions } = await observe(expectations, servers, run.signal)
  return opinions
    .filter((opinion) => opinion.state === 'lags')
    .map(({ server, detail }) => ({
      severity: 'warning',
      code: 'dns-server-differs',
      message: `The name server ${server} already says something else than ${dns.provider.label}: ${detail}. It may be fed from elsewhere, and then it won't follow the cutover.`,
      hint: 'Ask it yourself with dig. A change made minutes ago may only be on its way; then check again.',
    }))
}

function mailFindings({ mail }: Surroundings, moved: readonly string[], zone: string): readonly Finding[] {
  return mail.flatMap(({ domain, exchange, through }): readonly Finding[] => {
    const name = through.find((each) => moved.includes(each))
    if (name === undefined) return []
    if (exchange === null) {
      // Few get mail at a name below the domain, and then they have an MX record for it.
      if (domain !== zone) return []
      return [
        {
          severity: 'info',
          code: 'dns-mail-without-mx',
          message: `${domain} has no MX record: mail to it, if there is any, goes to its own address and moves along with it (RFC 5321, 5.1).`,
          hint: 'If the domain gets mail, add an MX record for the host that takes it before the cutover.',
        },
      ]
    }
    return [
      {
        severity: 'warning',
        code: 'dns-mail-moves-along',
        message: `Mail for ${domain} goes to ${exchange}${exchange === name ? '' : ` (which is ${name})`}, whose address moves to the new host: mail would be sent there too.`,
        hint: `Give the mail server a name of its own with the address that it keeps, such as mail.${domain}, and name that one in the MX record, well before the cutover; or set up mail on the new host.`,
      },
    ]
  })
}

function caaFindings(
  { at, records }: Surroundings['caa'],
  site: URL | undefined,
  certificate: Certificate | undefined,
): readonly Finding[] {
  if (site === undefined) return []
  const isWildcard = certificate !== undefined && !certificate.names.includes(site.hostname)
  const verdict = judgeCaa(records, certificate?.issuer, isWildcard)
  if (verdict.kind === 'open' || verdict.kind === 'allowed') return []
  const who = verdict.who.length === 0 ? 'nobody' : verdict.who.join(', ')
  if (verdict.kind === 'forbidden') {
    const issuer = certificate === undefined ? 'No authority' : `${certificate.issuer}, which issued the new host's certificate,`
    return [
      {
        severity: 'warning',
        code: 'dns-caa-forbids',
        message: `${issuer} may not issue for ${site.hostname}: the CAA record at ${at} allows ${who}. A certificate that is there already goes on working; its renewal will fail.`,
        hint: `Add a CAA record for the new host's authority at ${at}, or get the certificate from ${who}.`,
      },
    ]
  }
  return [
    {
      severity: 'info',
      code: 'dns-caa-unclear',
      message: `The CAA record at ${at} allows only ${who} to issue certificates for ${site.hostname}${certificate === undefined ? '' : `; the new host's is by ${certificate.issuer}`}.`,
      hint: 'See that the authority that the new host uses is among them, or its renewal will fail.',
    },
  ]
}

const signedFindings = (zone: string, { keys = [] }: Surroundings): readonly Finding[] =>
  keys.length > 0
    ? [
        {
          severity: 'info',
          code: 'dns-zone-signed',
          message: `The zone ${zone} is signed (DNSSEC). Whoever publishes it signs the changed records too; nothing else is needed as long as the domain stays with its DNS provider.`,
          hint: 'Don’t move the domain to another DNS provider along with this: the DS record at the registrar would have to go first, and days before.',
        },
      ]
    : []

/** Names behind a proxy; said once for all of them, and whether any wait is left. */
export function proxiedFindings(dns: DnsTarget, current: readonly DnsRecord[]): readonly Finding[] {
  const open = unproxied(dns.records, current)
  return current
    .filter((record) => record.proxied && dns.records.some(({ name }) => canonicalName(name) === record.name))
    .map((record) => ({
      severity: 'info',
      code: 'dns-proxied',
      message: `${record.type} ${record.name} is proxied: only the origin behind the proxy changes, at once for everybody, with no wait for resolvers.${
        open.length === 0 ? ' No name is left that resolvers could be late with: nothing is waited for.' : ''
      }`,
    }))
}
