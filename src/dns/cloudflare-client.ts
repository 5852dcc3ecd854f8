import type { BaseRecords } from 'cloudflare/resources/dns/records'
import type { BaseZones } from 'cloudflare/resources/zones/zones'
import type { PartialCloudflare } from 'cloudflare/tree-shakable'
import type { Secret } from '../base/secret.ts'
import { checkedFetch } from './cloudflare-errors.ts'

/** What of the official SDK is used. */
export type CloudflareClient = PartialCloudflare<{ zones: BaseZones; dns: { records: BaseRecords } }>

export interface ClientOptions {
  readonly token: Secret
  /** Ends in /client/v4; Cloudflare's own when absent. */
  readonly api?: URL | undefined
  /** For one request, milliseconds. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 30_000

/** Nothing is asked of Cloudflare yet. */
export async function openClient({ token, api, timeoutMs = TIMEOUT_MS }: ClientOptions): Promise<CloudflareClient> {
  // Half a second to load from the SDK's 1,100 files: only those who use Cloudflare pay for it, and the package holds no more than this of it.
  const [{ createClient }, { BaseRecords }, { BaseZones }] = await Promise.all([
    import('cloudflare/tree-shakable'),
    import('cloudflare/resources/dns/records'),
    import('cloudflare/resources/zones/zones'),
  ])
  return createClient({
    resources: [BaseZones, BaseRecords],
    apiToken: token.reveal(),
    // Without these the SDK would take another account's key from the environment and send it along.
    apiKey: null,
    apiEmail: null,
    userServiceKey: null,
    ...(api === undefined ? {} : { baseURL: api.href.replace(/\/$/, '') }),
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: 'off',
    fetch: checkedFetch,
  })
}
