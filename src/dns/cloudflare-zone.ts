import { type Finding, MigrateError } from '../base/errors.ts'
import type { CloudflareClient } from './cloudflare-client.ts'
import { allPages } from './cloudflare-pages.ts'
import type { DnsRecord } from './port.ts'

export interface CloudflareZone {
  readonly id: string
  readonly status: string | undefined
  readonly permissions: readonly string[] | undefined
  /** `free`, `pro`, `business`, `enterprise`; `undefined` where the API doesn't say. */
  readonly plan: string | undefined
  readonly nameServers: readonly string[]
}

/** The token's zone of that name; throws MigrateError `dns-zone-missing`. */
export async function lookUpZone(cloudflare: CloudflareClient, name: string): Promise<CloudflareZone> {
  const found = await allPages(cloudflare.zones.list({ name, per_page: 50 }))
  const zones = found.filter((zone) => zone.name === name).map(toZone)
  const zone = zones.find((each) => each.status === 'active') ?? zones[0]
  if (zone !== undefined) return zone
  throw new MigrateError('dns-zone-missing', `The Cloudflare token is valid, but it sees no zone ${name}. Nothing was changed.`, {
    hint: `In Cloudflare's dashboard under My Profile → API Tokens, give the token Zone → DNS → Edit and Zone → Zone → Read for ${name}; or correct dns.zone in the playbook.`,
  })
}

type ApiZone = Awaited<ReturnType<CloudflareClient['zones']['get']>>

/** The SDK's types promise more than every answer holds. */
const toZone = (zone: Pick<ApiZone, 'id' | 'name'> & Partial<ApiZone>): CloudflareZone => ({
  id: zone.id,
  status: zone.status,
  permissions: zone.permissions,
  plan: zone.plan?.legacy_id,
  nameServers: [...(zone.name_servers ?? []), ...(zone.vanity_name_servers ?? [])].map((name) => name.toLowerCase()),
})

/** "Batch record changes" in Cloudflare's documentation, records at a time; the least of them where the plan isn't known. */
export const batchLimit = ({ plan }: CloudflareZone): number => (plan === undefined || plan === 'free' ? 200 : 3500)

/** "Time to Live (TTL)" there, seconds; `undefined` where the plan isn't known. */
export const leastTtl = ({ plan }: CloudflareZone): number | undefined =>
  plan === undefined ? undefined : plan === 'enterprise' ? 30 : 60

/** What `check` says of a zone that could be read. */
export function zoneFindings(
  { status, permissions }: CloudflareZone,
  zone: string,
  apex: readonly DnsRecord[],
): readonly Finding[] {
  const findings: Finding[] = []
  if (permissions !== undefined && permissions.length > 0 && !permissions.includes('#dns_records:edit')) {
    findings.push({
      severity: 'error',
      code: 'dns-permission-denied',
      message: `The Cloudflare token can read the records of ${zone} but may not change them.`,
      hint: "In Cloudflare's dashboard under My Profile → API Tokens, give the token Zone → DNS → Edit for this zone.",
    })
  }
  if (status !== undefined && status !== 'active') {
    findings.push({
      severity: 'error',
      code: 'dns-zone-inactive',
      message: `The zone ${zone} is "${status}" at Cloudflare: the internet doesn't ask Cloudflare for its names, so a change there would move nobody.`,
      hint: "Use the provider that the domain's name servers belong to, or finish moving the domain to Cloudflare days before the migration.",
    })
  }
  if (findings.length === 0) {
    const proxied = apex.some((record) => record.proxied) ? ', proxied' : ''
    findings.push({
      severity: 'info',
      code: 'dns-ready',
      message: `Cloudflare answers for ${zone}${proxied}, and the token may change its records.`,
    })
  }
  return findings
}
