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
  /** `silent`: it gave no usable answer (time-out, refusal, failure), so nothing is known. */
  readonly state: 'agrees' | 'lags' | 'silent'
  /** Longest time for which the server will go on saying the old, as far as its answer tells; `null` when it doesn't. */
  readonly ttlLeftSeconds: number | null
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
    answered: opinions.filter((opinion) => opinion.state !== 'silent').length,
    longestTtlLeftSeconds: ttls.length === 0 ? null : Math.max(...ttls),
  }
}

async function opinionOf(server: Resolver, expectations: readonly Expectation[], signal?: AbortSignal): Promise<Opinion> {
  const views = await Promise.all(expectations.map(async (each) => judge(each, await server.query(each.name, each.type, signal))))
  const worst = views.find((view) => view.state === 'silent') ?? views.find((view) => view.state === 'lags')
  const ttls = views.flatMap((view) => (view.ttlLeftSeconds === null ? [] : [view.ttlLeftSeconds]))
  return {
    server: server.label,
    state: worst?.state ?? 'agrees',
    ttlLeftSeconds: ttls.length === 0 ? null : Math.max(...ttls),
    detail: views
      .map((view) => view.detail)
      .filter((detail) => detail !== '')
      .join('; '),
  }
}

/** One answer held against one expectation. */
export function judge(expectation: Expectation, answer: DnsAnswer): Omit<Opinion, 'server'> {
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
