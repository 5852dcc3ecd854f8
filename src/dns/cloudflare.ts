import type Cloudflare from 'cloudflare'
import type { Finding } from '../base/errors.ts'
import { MigrateError } from '../base/errors.ts'
import type { Secret } from '../base/secret.ts'
import { answerLost, checkedFetch, cloudflareError } from './cloudflare-errors.ts'
import { batchBody, type CloudflareRecord, toDnsRecord } from './cloudflare-records.ts'
import { canonicalName } from './names.ts'
import type { DnsProvider, DnsRecord, RecordChange } from './port.ts'
import { outstanding } from './standing.ts'

export interface CloudflareOptions {
  readonly zone: string
  readonly token: Secret
  /** Ends in /client/v4; Cloudflare's own when absent. */
  readonly api?: URL | undefined
  /** For one request, milliseconds. */
  readonly timeoutMs?: number
}

/** "Batch DNS records" in Cloudflare's documentation: 200 on the free plan. */
const BATCH_LIMIT = 200
const TIMEOUT_MS = 30_000

interface Zone {
  readonly id: string
  readonly status: string | undefined
  readonly permissions: readonly string[] | undefined
}

/**
 * A zone on Cloudflare, through the official SDK. Requests are never repeated by the SDK: its retries would send a batch twice.
 * A write whose answer was lost is re-read instead.
 */
export function cloudflareProvider(options: CloudflareOptions): DnsProvider {
  const zoneName = canonicalName(options.zone)
  const label = `Cloudflare zone ${zoneName}`
  let client: Promise<Cloudflare> | undefined
  let zone: Promise<Zone> | undefined

  const connected = (): Promise<Cloudflare> => {
    client ??= connect(options)
    return client
  }
  const findZone = (): Promise<Zone> => {
    zone ??= connected()
      .then((cloudflare) => lookUpZone(cloudflare, zoneName))
      .catch((error: unknown) => {
        zone = undefined
        throw error
      })
    return zone
  }
  const read = async (names: readonly string[]): Promise<readonly DnsRecord[]> => {
    const [cloudflare, { id }] = [await connected(), await findZone()]
    const found: DnsRecord[] = []
    for (const name of new Set(names.map(canonicalName))) found.push(...(await readName(cloudflare, zoneName, id, name)))
    return found
  }

  return {
    label,
    manual: false,
    check: async () => {
      try {
        return zoneFindings(await findZone(), zoneName, await read([zoneName]))
      } catch (error) {
        if (error instanceof MigrateError) return [toFinding(error)]
        throw error
      }
    },
    records: read,
    apply: async (changes, signal) => {
      const names = changes.flatMap(({ before, after }) =>
        [before, after].flatMap((record) => (record === null ? [] : [record.name])),
      )
      const current = await read(names)
      const todo = outstanding(changes, current)
      if (todo.length === 0) return
      refuseTooMany(todo, zoneName)
      const lost = await sendBatch(await connected(), zoneName, (await findZone()).id, batchBody(todo, current), signal)
      await readBack(changes, await read(names), zoneName, lost)
    },
    close: () => Promise.resolve(),
  }
}

async function connect({ token, api, timeoutMs = TIMEOUT_MS }: CloudflareOptions): Promise<Cloudflare> {
  // Half a second to load: only those who use Cloudflare pay for it.
  const { default: Cloudflare } = await import('cloudflare')
  return new Cloudflare({
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

async function lookUpZone(cloudflare: Cloudflare, name: string): Promise<Zone> {
  const zones: Zone[] = []
  try {
    for await (const zone of cloudflare.zones.list({ name, per_page: 50 })) {
      if (zone.name === name) zones.push({ id: zone.id, status: zone.status, permissions: zone.permissions })
    }
  } catch (error) {
    throw cloudflareError(error, name, `look up the zone ${name}`)
  }
  const zone = zones.find((each) => each.status === 'active') ?? zones[0]
  if (zone !== undefined) return zone
  throw new MigrateError('dns-zone-missing', `The Cloudflare token is valid, but it sees no zone ${name}. Nothing was changed.`, {
    hint: `In Cloudflare's dashboard under My Profile → API Tokens, give the token Zone → DNS → Edit and Zone → Zone → Read for ${name}; or correct dns.zone in the playbook.`,
  })
}

async function readName(cloudflare: Cloudflare, zoneName: string, zoneId: string, name: string): Promise<readonly DnsRecord[]> {
  const found: DnsRecord[] = []
  try {
    const pages = cloudflare.dns.records.list({ zone_id: zoneId, name: { exact: name }, per_page: 100 })
    for await (const record of pages) {
      const known = toDnsRecord(record as CloudflareRecord)
      // The filter is Cloudflare's; a server that ignored it must not widen what is changed.
      if (known !== undefined && known.name === name) found.push(known)
    }
  } catch (error) {
    throw cloudflareError(error, zoneName, `read the records of ${name}`)
  }
  return found
}

/** Sends all changes as one database transaction on Cloudflare's side. Returns the error when the answer was lost. */
async function sendBatch(
  cloudflare: Cloudflare,
  zoneName: string,
  zoneId: string,
  body: ReturnType<typeof batchBody>,
  signal: AbortSignal | undefined,
): Promise<MigrateError | undefined> {
  try {
    await cloudflare.dns.records.batch({ zone_id: zoneId, ...body }, signal === undefined ? {} : { signal })
    return undefined
  } catch (error) {
    signal?.throwIfAborted()
    const known = cloudflareError(error, zoneName, 'change the records')
    if (answerLost(error)) return known
    throw known
  }
}

function readBack(
  changes: readonly RecordChange[],
  current: readonly DnsRecord[],
  zone: string,
  lost: MigrateError | undefined,
): void {
  const missing = outstanding(changes, current)
  if (missing.length === 0) return
  if (lost !== undefined) throw lost
  throw new MigrateError(
    'dns-failed',
    `Cloudflare accepted the changes to ${zone}, but ${missing.length} of ${changes.length} don't stand when read back.`,
    {
      hint: 'Run again: what stands is left alone and the rest is made.',
      retrySafe: true,
    },
  )
}

function refuseTooMany(changes: readonly RecordChange[], zone: string): void {
  if (changes.length <= BATCH_LIMIT) return
  throw new MigrateError(
    'dns-failed',
    `${changes.length} records of ${zone} would change; Cloudflare takes at most ${BATCH_LIMIT} in one transaction. Nothing was changed.`,
    {
      hint: 'Move the names in several runs, the ones that customers use most in one.',
    },
  )
}

function zoneFindings({ status, permissions }: Zone, zone: string, apex: readonly DnsRecord[]): readonly Finding[] {
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

const toFinding = (error: MigrateError): Finding => ({
  severity: 'error',
  code: error.code,
  message: error.message,
  hint: error.hint,
})
