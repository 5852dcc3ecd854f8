import type { CloudflareClient } from './cloudflare-client.ts'
import { allPages } from './cloudflare-pages.ts'
import { canonicalName } from './names.ts'
import type { TextPower } from './port.ts'

type Call = <T>(
  task: string,
  work: (cloudflare: CloudflareClient, zoneId: string) => Promise<T>,
  signal: AbortSignal | undefined,
) => Promise<T>

const TTL_SECONDS = 60

/** TXT records one by one, found by name and content. */
export const textPower = (call: Call): TextPower => ({
  add: (name, text, signal) =>
    call(
      'add a TXT record',
      async (cloudflare, zoneId) => {
        if ((await idsOf(cloudflare, zoneId, name, text)).length > 0) return
        const record = { type: 'TXT' as const, name: canonicalName(name), content: `"${text}"`, ttl: TTL_SECONDS }
        await cloudflare.dns.records.create({ zone_id: zoneId, ...record }, options(signal))
      },
      signal,
    ),
  remove: (name, text, signal) =>
    call(
      'remove a TXT record',
      async (cloudflare, zoneId) => {
        for (const id of await idsOf(cloudflare, zoneId, name, text))
          await cloudflare.dns.records.delete(id, { zone_id: zoneId }, options(signal))
      },
      signal,
    ),
})

const options = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { signal })

/** Cloudflare shows the content with or without its quotes ("Manage DNS records", TXT). */
const unquoted = (content: string): string => content.replace(/^"|"$/g, '')

async function idsOf(cloudflare: CloudflareClient, zoneId: string, name: string, text: string): Promise<readonly string[]> {
  const wanted = canonicalName(name)
  const records = await allPages(
    cloudflare.dns.records.list({ zone_id: zoneId, name: { exact: wanted }, type: 'TXT', per_page: 100 }),
  )
  return records
    .filter((record) => record.type === 'TXT' && record.name === wanted && unquoted(record.content ?? '') === text)
    .map((record) => record.id)
}
