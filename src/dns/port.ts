import { z } from 'zod'
import type { Finding } from '../base/errors.ts'

export const recordSchema = z
  .object({
    /** Fully qualified, lower case, no trailing dot. */
    name: z.string(),
    type: z.enum(['A', 'AAAA', 'CNAME']),
    /** An address, or a name without trailing dot. */
    content: z.string(),
    /** Seconds; 1 means "automatic" where the provider has that. */
    ttlSeconds: z.number().int(),
    /** The provider answers with its own addresses and fetches from `content` (Cloudflare's orange cloud). */
    proxied: z.boolean(),
    /** The provider's own handle of the record; `null` where it has none. */
    id: z.string().nullable(),
    /** What the provider keeps beside the record and DNS doesn't show; given back when a deleted record is made again. */
    extras: z
      .object({ comment: z.string(), tags: z.array(z.string()).readonly() })
      .readonly()
      .optional(),
  })
  .readonly()
export type DnsRecord = z.infer<typeof recordSchema>

/** One record as it stands and as it shall be. `before: null` creates, `after: null` deletes. */
export const recordChangeSchema = z.object({ before: recordSchema.nullable(), after: recordSchema.nullable() }).readonly()
export type RecordChange = z.infer<typeof recordChangeSchema>

/**
 * Whoever publishes the zone. The contract is tested by test/contract/dns-provider.ts. The diff is not the provider's business
 * (dns/diff.ts). Errors are MigrateErrors: `dns-unreachable`, `dns-token-rejected`, `dns-zone-missing` (also: the token can't see
 * the zone), `dns-permission-denied`, `dns-rate-limited` (retrySafe), `dns-record-changed` (somebody else changed it meanwhile),
 * `dns-failed`, and those that a provider adds.
 */
export interface DnsProvider {
  readonly label: string
  /** Read-only: reachable, token valid, zone there, may write. */
  check(signal?: AbortSignal): Promise<readonly Finding[]>
  /** The zone's A, AAAA and CNAME records with these names. */
  records(names: readonly string[], signal?: AbortSignal): Promise<readonly DnsRecord[]>
  /**
   * Makes the changes, all or none where the provider has batches. Idempotent: a change that stands already is left alone; one
   * whose `before` no longer stands throws `dns-record-changed` and changes nothing. Reads back before it returns: a lost answer
   * is re-read, not repeated. `tell` is given what a person who waits would want to know.
   */
  apply(changes: readonly RecordChange[], signal?: AbortSignal, tell?: (message: string) => void): Promise<void>
  /** A person makes the changes (provider `manual`); `apply` is then only called to wait for them. */
  readonly manual: boolean
  /** Names of the servers that publish what is changed here, so that a delegation elsewhere is noticed; absent where unknown. */
  nameServers?(signal?: AbortSignal): Promise<readonly string[]>
  /** The smallest TTL that it takes, seconds; `undefined` or absent where that isn't known. */
  leastTtlSeconds?(signal?: AbortSignal): Promise<number | undefined>
  /** TXT records that prove whose the zone is; absent where a person makes the changes. */
  readonly texts?: TextPower
  /** It answers with addresses for a CNAME at the zone's apex, where DNS itself can't have one. */
  readonly flattensApex?: true
  close(): Promise<void>
}

/** One TXT record beside whatever else stands at its name. Both are idempotent; nothing else in the zone is touched. */
export interface TextPower {
  add(name: string, text: string, signal?: AbortSignal): Promise<void>
  remove(name: string, text: string, signal?: AbortSignal): Promise<void>
}

export interface DnsAnswer {
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`, …; `TIMEOUT` or `UNREACHABLE` when no answer came. */
  readonly status: string
  readonly authoritative: boolean
  readonly records: readonly {
    readonly name: string
    readonly type: string
    readonly content: string
    readonly ttlSeconds: number
  }[]
  /** What came along with it: the authority and additional sections, as in a referral; absent where they weren't looked at. */
  readonly beside?: DnsAnswer['records']
  /** From the SOA of a negative answer. */
  readonly negativeTtlSeconds: number | null
  /** For how much of the client subnet that was asked for the answer holds (RFC 7871, 7.1.2); 0: for everybody. */
  readonly subnetScope?: number
  readonly milliseconds: number
}

export type QueryType = 'PTR' | 'A' | 'AAAA' | 'CNAME' | 'NS' | 'SOA' | 'TXT' | 'MX' | 'CAA' | 'DNSKEY' | 'DS'

/** Asks one name server. Never throws for what the server answers or fails to answer; contract: test/contract/resolver.ts. */
export interface Resolver {
  /** "127.0.20.1:5301", or a resolver's name and region. */
  readonly label: string
  /** Asks on behalf of another part of the world; counts only where its answers are for that part. */
  readonly isVantage?: true
  /** The same resolver, asked in a way that nobody on the way can answer. */
  readonly overHttps?: Resolver
  query(name: string, type: QueryType, signal?: AbortSignal): Promise<DnsAnswer>
}
