declare module 'node-dig-dns' {
  interface DigRecord {
    readonly domain?: string
    readonly type?: string
    /** Seconds, as text. */
    readonly ttl?: string
    readonly class?: string
    readonly value?: unknown
  }

  interface DigResult {
    /** One entry a line, split at tabs. */
    readonly header?: readonly (readonly string[])[]
    readonly answer?: readonly DigRecord[]
    /** One entry a line, split at white space. */
    readonly authority?: readonly (readonly string[])[]
    readonly time?: number
  }

  /** Starts `dig` with these arguments. A time-out, a refusal and every rcode resolve; only an unreadable output rejects. */
  export default function dig(
    args: readonly string[],
    options?: { readonly raw?: boolean; readonly dig?: string },
  ): Promise<DigResult>
}
