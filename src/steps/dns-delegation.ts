import type { Finding } from '../base/errors.ts'
import { type Delegation, judgeDs, readDelegation } from '../dns/delegation.ts'
import { canonicalContent } from '../dns/names.ts'
import type { DnsAnswer, QueryType, Resolver } from '../dns/port.ts'
import type { Surroundings } from '../dns/surroundings.ts'
import type { StepRun } from '../run/step.ts'
import type { DnsTarget } from './world.ts'

/** What the zone above says of this one; `undefined` where it can't be asked. */
export async function delegationOf({ parents, zone }: DnsTarget, run: StepRun): Promise<Delegation | undefined> {
  return parents === undefined ? undefined : await readDelegation(await parents(), zone, run.signal)
}

/** Where the zone above leads resolvers elsewhere than the zone itself does, or vouches for keys that aren't there. */
export async function parentFindings(
  { zone }: DnsTarget,
  above: Delegation | undefined,
  { nameServers, keys }: Surroundings,
  servers: readonly Resolver[],
  run: StepRun,
): Promise<readonly Finding[]> {
  if (above === undefined) return []
  return [
    ...setFindings(zone, above.nameServers, [...nameServers].sort()),
    ...(await glueFindings(zone, above, servers, run)),
    ...keyFindings(zone, above, keys),
  ]
}

function setFindings(zone: string, above: readonly string[], own: readonly string[]): readonly Finding[] {
  if (own.length === 0 || above.join() === own.join()) return []
  return [
    {
      severity: 'warning',
      code: 'dns-delegation-differs',
      message: `The registry leads resolvers for ${zone} to ${above.join(', ')}, and the zone itself names ${own.join(', ')}: some of them may not be fed by this provider, and customers behind those would stay on the old host.`,
      hint: 'Make both lists the same, at the registrar or in the zone, and look again.',
    },
  ]
}

/** The addresses by which a server below the zone is found at all: they are kept by the registry, and easily forgotten. */
async function glueFindings(
  zone: string,
  { glue }: Delegation,
  servers: readonly Resolver[],
  run: StepRun,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const [name, addresses] of glue) {
    const own = name === zone || name.endsWith(`.${zone}`) ? await addressesOf(name, servers, run) : []
    if (own.length === 0 || addresses.some((address) => own.includes(address))) continue
    findings.push({
      severity: 'warning',
      code: 'dns-glue-differs',
      message: `The registry has ${addresses.join(', ')} as the address of the name server ${name}, and the zone says ${own.join(', ')}: resolvers may go on asking a server that nobody feeds any more.`,
      hint: 'Correct the address of that name server (its "host record" or "glue") at the registrar.',
    })
  }
  return findings
}

async function addressesOf(name: string, servers: readonly Resolver[], run: StepRun): Promise<readonly string[]> {
  for (const server of servers) {
    const answers = await Promise.all((['A', 'AAAA'] as const).map((type) => server.query(name, type, run.signal)))
    const found = answers.flatMap(({ records }) => records.filter(({ type }) => type === 'A' || type === 'AAAA'))
    if (found.length > 0) return found.map(({ content }) => content)
  }
  return []
}

function keyFindings(zone: string, { ds }: Delegation, keys: readonly string[] | undefined): readonly Finding[] {
  if (keys === undefined || judgeDs(zone, ds, keys) !== 'fails') return []
  const tags = ds.map((each) => each.split(' ')[0] ?? '').join(', ')
  return [
    {
      severity: 'error',
      code: 'dns-ds-without-key',
      message: `The registry vouches for a key of ${zone} (DS ${tags}) that the zone hasn’t${keys.length === 0 ? ': it isn’t signed at all' : ''}. Every resolver that checks signatures takes the whole domain for forged, and its customers reach neither host.`,
      hint: 'The domain was moved to another DNS provider with its DS left behind, or the key was changed. Remove the DS record at the registrar, or put the present one there, and wait until its TTL has passed.',
    },
  ]
}

/** The same servers asked in both ways: resolvers use TCP where an answer is large, or where UDP is blocked (RFC 7766). */
export async function transportFindings(
  { overTcp }: DnsTarget,
  names: readonly { readonly name: string; readonly type: QueryType }[],
  servers: readonly Resolver[],
  run: StepRun,
): Promise<readonly Finding[]> {
  const others = (await overTcp?.()) ?? []
  const pairs = servers.flatMap((udp) => {
    const tcp = others.find(({ label }) => label === udp.label)
    return tcp === undefined ? [] : [{ udp, tcp }]
  })
  const found = await Promise.all(pairs.map((pair) => compareWays(pair, names, run)))
  return found.flat()
}

async function compareWays(
  { udp, tcp }: { readonly udp: Resolver; readonly tcp: Resolver },
  names: readonly { readonly name: string; readonly type: QueryType }[],
  run: StepRun,
): Promise<readonly Finding[]> {
  for (const { name, type } of names) {
    const [a, b] = await Promise.all([udp.query(name, type, run.signal), tcp.query(name, type, run.signal)])
    if (!hasAnswered(a)) continue
    if (!hasAnswered(b)) return [withoutTcp(udp.label, b.status)]
    const [over, under] = [saidIn(a, type), saidIn(b, type)]
    if (over !== under) return [differs(udp.label, `${name} ${type}`, over, under)]
  }
  return []
}

const hasAnswered = ({ status }: DnsAnswer): boolean => status === 'NOERROR' || status === 'NXDOMAIN'

const saidIn = ({ records }: DnsAnswer, type: QueryType): string =>
  records
    .filter((record) => record.type === type)
    .map(({ content }) => (type === 'A' || type === 'AAAA' || type === 'CNAME' ? canonicalContent(type, content) : content))
    .sort()
    .join(', ') || 'no such record'

const differs = (server: string, what: string, udp: string, tcp: string): Finding => ({
  severity: 'warning',
  code: 'dns-tcp-differs',
  message: `The name server ${server} says two things of ${what}: ${udp} over UDP, and ${tcp} over TCP. Two servers share its address, or somebody on the way answers one of the two.`,
  hint: 'Ask it yourself, with dig and with dig +tcp, also from another network; resolvers use both.',
})

const withoutTcp = (server: string, status: string): Finding => ({
  severity: 'warning',
  code: 'dns-tcp-unanswered',
  message: `The name server ${server} answers over UDP and not over TCP (${status}), as seen from here: resolvers that need TCP for it get no answer.`,
  hint: 'Open TCP port 53 to it; if only this machine’s network is closed, nothing is wrong.',
})
