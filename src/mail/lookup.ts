import type { Resolver } from '../dns/port.ts'

type QueryType = Parameters<Resolver['query']>[1]

export interface Found {
  /** `none`: the name or the type isn't there. `unknown`: no usable answer came. */
  readonly state: 'found' | 'none' | 'unknown'
  readonly values: readonly string[]
  /** `NXDOMAIN`, `TIMEOUT`, … */
  readonly status: string
}

/** One question to DNS: the values of that type alone, CNAMEs followed by the resolver. Throws only for the caller's signal. */
export type Lookup = (name: string, type: QueryType) => Promise<Found>

export const lookupWith =
  (resolver: Resolver, signal?: AbortSignal): Lookup =>
  async (name, type) => {
    const { status, records } = await resolver.query(name, type, signal)
    const values = records.filter((record) => record.type === type).map((record) => record.content)
    if (status !== 'NOERROR' && status !== 'NXDOMAIN') return { state: 'unknown', values: [], status }
    return { state: values.length > 0 ? 'found' : 'none', values, status }
  }
