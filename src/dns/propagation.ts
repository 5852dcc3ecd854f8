import { canonicalContent, canonicalName } from './names.ts'
import type { DnsAnswer, DnsRecord, Resolver } from './port.ts'

/** What a name shall answer once the change has reached everybody. */
export interface Expectation {
  readonly name: string
  readonly type: DnsRecord['type']
  /** All of them, in any order. */
  readonly contents: readonly string[]
}

/** What one server says of all expectations together. */
export interface Opinion {
  readonly server: string
  /**
   * `silent`: it gave no usable answer (time-out, refusal, failure), so nothing is known. `same`: a vantage point that isn't one,
   * because the resolver or the zone makes no difference between parts of the world.
   */
  readonly state: 'agrees' | 'lags' | 'silent' | 'same'
  /** Longest time for which the server will go on saying the old, as far as its answer tells; `null` when it doesn't. */
  readonly ttlLeftSeconds: number | null
  /** Some of its answers came with the authority of a server of the zone. */
  readonly authoritative: boolean
  /** For people: what it said instead. '' when it agrees. */
  readonly detail: string
}

export interface Agreement {
  readonly opinions: readonly Opinion[]
  readonly agreed: number
  /** Servers that gave an answer. */
  readonly answered: number
  readonly longestTtlLeftSeconds: number | null
}

/** The expectations that a set of wanted records amounts to: one for each name and type. */
export function expectationsOf(
  records: readonly { readonly name: string; readonly type: DnsRecord['type']; readonly to: string }[],
): readonly Expectation[] {
  const groups = new Map<string, Expectation>()
  for (const { name, type, to } of records) {
    const group = { name: canonicalName(name), type }
    const key = `${group.name} ${type}`
    groups.set(key, { ...group, contents: [...new Set([...(groups.get(key)?.contents ?? []), canonicalContent(type, to)])] })
  }
  return [...groups.values()]
}

/**
 * The same and, for every alias whose target is among them, the addresses that it must lead to: a resolver that knows the new alias
 * and the target's old address still sends customers to the old host.
 */
export function withChains(expectations: readonly Expectation[]): readonly Expectation[] {
  const ends = (name: string, type: 'A' | 'AAAA', hops: number): readonly string[] => {
    const own = expectations.find((each) => each.name === name && each.type === type)
    const target = expectations.find((each) => each.name === name && each.type === 'CNAME')?.contents[0]
    return own?.contents ?? (target === undefined || hops >= MOST_HOPS ? [] : ends(target, type, hops + 1))
  }
  const aliases = expectations.filter(({ type }) => type === 'CNAME')
  const led = aliases.flatMap(({ name }) =>
    (['A', 'AAAA'] as const).map((type): Expectation => ({ name, type, contents: ends(name, type, 0) })),
  )
  return [...expectations, ...led.filter(({ contents }) => contents.length > 0)]
}

/** Resolvers themselves give up on longer chains. */
const MOST_HOPS = 8

/** Asks every server about every expectation, all at once. Never throws but for the signal. */
export async function observe(
  expectations: readonly Expectation[],
  servers: readonly Resolver[],
  signal?: AbortSignal,
): Promise<Agreement> {
  const opinions = await Promise.all(servers.map((server) => opinionOf(server, expectations, signal)))
  const ttls = opinions.flatMap((opinion) => (opinion.ttlLeftSeconds === null ? [] : [opinion.ttlLeftSeconds]))
  return {
    opinions,
    agreed: opinions.filter((opinion) => opinion.state === 'agrees').length,
    answered: opinions.filter(({ state }) => state === 'agrees' || state === 'lags').length,
    longestTtlLeftSeconds: ttls.length === 0 ? null : Math.max(...ttls),
  }
}

async function opinionOf(server: Resolver, expectations: readonly Expectation[], signal?: AbortSignal): Promise<Opinion> {
  const answers = await Promise.all(expectations.map((each) => followed(server, each.name, each.type, signal)))
  // What it says to that part of the world is what it says to everybody: no vantage point of its own.
  if (
    server.isVantage &&
    answers.every(({ status, subnetScope = 0 }) => (status === 'NOERROR' || status === 'NXDOMAIN') && subnetScope === 0)
  )
    return { server: server.label, state: 'same', ttlLeftSeconds: null, authoritative: false, detail: '' }
  const views = expectations.map((each, index) => judge(each, answers[index] ?? NO_ANSWER))
  const worst = views.find((view) => view.state === 'silent') ?? views.find((view) => view.state === 'lags')
  const ttls = views.flatMap((view) => (view.ttlLeftSeconds === null ? [] : [view.ttlLeftSeconds]))
  return {
    server: server.label,
    state: worst?.state ?? 'agrees',
    ttlLeftSeconds: ttls.length === 0 ? null : Math.max(...ttls),
    authoritative: answers.some(({ authoritative }) => authoritative),
    detail: views
      .map((view) => view.detail)
      .filter((detail) => detail !== '')
      .join('; '),
  }
}

const NO_ANSWER: DnsAnswer = {
  status: 'TIMEOUT',
  authoritative: false,
  records: [],
  negativeTtlSeconds: null,
  milliseconds: 0,
}

/** The answer with the whole chain of aliases in it: some servers give the alias alone. */
async function followed(server: Resolver, name: string, type: DnsRecord['type'], signal?: AbortSignal): Promise<DnsAnswer> {
  let answer = await server.query(name, type, signal)
  if (type === 'CNAME') return answer
  const seen = new Set([name])
  for (;;) {
    const { records, status } = answer
    const targets = records.filter((record) => record.type === 'CNAME').map(({ content }) => canonicalContent('CNAME', content))
    const end = targets.find((target) => !records.some((record) => canonicalContent('CNAME', record.name) === target))
    if (status !== 'NOERROR' || end === undefined || seen.has(end) || seen.size > MOST_HOPS) return answer
    seen.add(end)
    const next = await server.query(end, type, signal)
    answer = { ...next, records: [...records, ...next.records] }
  }
}

/** One answer held against one expectation. */
export function judge(expectation: Expectation, answer: DnsAnswer): Pick<Opinion, 'state' | 'ttlLeftSeconds' | 'detail'> {
  const { name, type, contents } = expectation
  if (answer.status !== 'NOERROR' && answer.status !== 'NXDOMAIN') {
    return { state: 'silent', ttlLeftSeconds: null, detail: `${name} ${type}: ${answer.status}` }
  }
  const found = answer.records.filter((record) => record.type === type)
  const said = found.map((record) => canonicalContent(type, record.content))
  const agrees = said.length === contents.length && contents.every((content) => said.includes(content))
  if (agrees) return { state: 'agrees', ttlLeftSeconds: null, detail: '' }
  const ttlLeftSeconds = found.length > 0 ? Math.max(...found.map((record) => record.ttlSeconds)) : answer.negativeTtlSeconds
  return { state: 'lags', ttlLeftSeconds, detail: `${name} ${type}: ${said.join(', ') || 'no such record'}` }
}
