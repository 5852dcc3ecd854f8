/** A record as a Cloudflare-shaped API keeps it. */
export interface StoredRecord {
  readonly id: string
  /** Lower case, no trailing dot. */
  readonly name: string
  readonly type: string
  readonly content: string
  /** Seconds; 1 = automatic. */
  readonly ttl: number
  readonly proxied: boolean
  readonly comment: string
  readonly tags: readonly string[]
}

/** Where a zone's records are kept and how they get to its name servers. */
export interface ZoneStore {
  readonly zone: string
  /** The smallest TTL that the API takes, seconds; Cloudflare's 60 when absent. */
  readonly minimumTtlSeconds?: number
  records(): readonly StoredRecord[]
  /** Replaces all records in one step; returns when the zone's name servers say so. */
  replace(records: readonly StoredRecord[]): Promise<void>
}

/** A new record with the defaults that an API fills in. */
export const storedRecord = (
  record: Pick<StoredRecord, 'id' | 'name' | 'type' | 'content'> & Partial<StoredRecord>,
): StoredRecord => ({
  ttl: 300,
  proxied: false,
  comment: '',
  tags: [],
  ...record,
})

/** A zone in memory. `publish` carries a change to a real name server before it is kept. */
export function memoryZone(
  zone: string,
  initial: readonly StoredRecord[],
  publish?: (before: readonly StoredRecord[], after: readonly StoredRecord[]) => Promise<void>,
): ZoneStore {
  let records = initial
  return {
    zone,
    records: () => records,
    replace: async (next) => {
      await publish?.(records, next)
      records = next
    },
  }
}
