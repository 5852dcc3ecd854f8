import type { Clock } from '../base/clock.ts'
import { type Finding, MigrateError } from '../base/errors.ts'
import { type ClientOptions, type CloudflareClient, openClient } from './cloudflare-client.ts'
import { answerLost, cloudflareError, lostError, overLimits } from './cloudflare-errors.ts'
import { allPages } from './cloudflare-pages.ts'
import { batchBody, type CloudflareRecord, toDnsRecord } from './cloudflare-records.ts'
import { textPower } from './cloudflare-texts.ts'
import { batchLimit, type CloudflareZone, leastTtl, lookUpZone, zoneFindings } from './cloudflare-zone.ts'
import { canonicalName } from './names.ts'
import type { DnsProvider, DnsRecord, RecordChange } from './port.ts'
import { namesIn, outstanding, ReadBack } from './standing.ts'

export interface CloudflareOptions extends ClientOptions {
  readonly zone: string
  readonly clock: Clock
}

/**
 * A zone on Cloudflare, through the official SDK. Requests are never repeated by the SDK: its retries would send a batch twice.
 * A write whose answer was lost is re-read instead. "Too many requests" is waited over for as long as Cloudflare asks.
 */
export function cloudflareProvider(options: CloudflareOptions): DnsProvider {
  const zoneName = canonicalName(options.zone)
  const { clock } = options
  let client: Promise<CloudflareClient> | undefined
  let zone: Promise<CloudflareZone> | undefined

  const connected = (): Promise<CloudflareClient> => {
    client ??= openClient(options)
    return client
  }
  const call = async <T>(
    task: string,
    work: (cloudflare: CloudflareClient) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> => {
    const cloudflare = await connected()
    try {
      return await overLimits(clock, signal, () => work(cloudflare))
    } catch (error) {
      signal?.throwIfAborted()
      throw cloudflareError(error, zoneName, task)
    }
  }
  const findZone = (signal?: AbortSignal): Promise<CloudflareZone> => {
    zone ??= call(`look up the zone ${zoneName}`, (cloudflare) => lookUpZone(cloudflare, zoneName), signal).catch(
      (error: unknown) => {
        zone = undefined
        throw error
      },
    )
    return zone
  }
  const read = async (names: readonly string[], signal?: AbortSignal): Promise<readonly DnsRecord[]> => {
    const { id } = await findZone(signal)
    const found: DnsRecord[] = []
    for (const name of new Set(names.map(canonicalName)))
      found.push(...(await call(`read the records of ${name}`, (cloudflare) => readName(cloudflare, id, name, signal), signal)))
    return found
  }

  const seen = new ReadBack(zoneName)

  return {
    label: `Cloudflare zone ${zoneName}`,
    manual: false,
    check: async (signal) => {
      try {
        return zoneFindings(await findZone(signal), zoneName, await read([zoneName], signal))
      } catch (error) {
        if (error instanceof MigrateError) return [toFinding(error)]
        throw error
      }
    },
    records: read,
    leastTtlSeconds: async (signal) => leastTtl(await findZone(signal)),
    nameServers: async (signal) => (await findZone(signal)).nameServers,
    flattensApex: true,
    texts: textPower(async (task, work, signal) => {
      const { id } = await findZone(signal)
      return await call(task, (cloudflare) => work(cloudflare, id), signal)
    }),
    apply: async (changes, signal) =>
      apply(changes, {
        clock,
        zoneName,
        signal,
        seen,
        read: (names) => read(names, signal),
        send: async (todo, current) => {
          const target = await findZone(signal)
          refuseTooMany(todo, batchLimit(target), zoneName)
          return await sendBatch(await connected(), { clock, zoneName, id: target.id }, batchBody(todo, current), signal)
        },
      }),
    close: () => Promise.resolve(),
  }
}

async function readName(
  cloudflare: CloudflareClient,
  zoneId: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<readonly DnsRecord[]> {
  const options = signal === undefined ? {} : { signal }
  const all = await allPages(cloudflare.dns.records.list({ zone_id: zoneId, name: { exact: name }, per_page: 100 }, options))
  return all.flatMap((record) => {
    const known = toDnsRecord(record as CloudflareRecord)
    // The filter is Cloudflare's; a server that ignored it must not widen what is changed.
    return known !== undefined && known.name === name ? [known] : []
  })
}

interface BatchTarget {
  readonly clock: Clock
  readonly zoneName: string
  readonly id: string
}

/** Sends all changes as one database transaction on Cloudflare's side. Returns the error when the answer was lost. */
async function sendBatch(
  cloudflare: CloudflareClient,
  { clock, zoneName, id }: BatchTarget,
  body: ReturnType<typeof batchBody>,
  signal: AbortSignal | undefined,
): Promise<MigrateError | undefined> {
  const options = signal === undefined ? {} : { signal }
  try {
    // Refused for their number, requests have had no effect.
    await overLimits(clock, signal, () => cloudflare.dns.records.batch({ zone_id: id, ...body }, options))
    return undefined
  } catch (error) {
    signal?.throwIfAborted()
    if (answerLost(error)) return lostError(error, zoneName)
    throw cloudflareError(error, zoneName, 'change the records')
  }
}

interface Applying {
  readonly clock: Clock
  readonly zoneName: string
  readonly signal: AbortSignal | undefined
  readonly seen: ReadBack
  read(names: readonly string[]): Promise<readonly DnsRecord[]>
  /** Returns the error when the answer was lost; throws when the changes were refused. */
  send(todo: readonly RecordChange[], current: readonly DnsRecord[]): Promise<MigrateError | undefined>
}

async function apply(changes: readonly RecordChange[], applying: Applying): Promise<void> {
  const { seen, send } = applying
  const names = namesIn(changes)
  const read = () => seen.read(() => applying.read(names))
  const current = await read()
  seen.settled()
  const todo = outstanding(changes, current)
  if (todo.length === 0) return
  const lost = await send(todo, current)
  seen.sent()
  await readBack(changes, read, lost, applying)
  seen.settled()
}

const LOOKS = 6
const FIRST_REST_MS = 500

/**
 * Returns once the changes stand. What was written may take a moment until a reader sees it, and an answer may be lost before the work
 * is done: so it is looked again for some seconds, and nothing is sent again.
 */
async function readBack(
  changes: readonly RecordChange[],
  read: () => Promise<readonly DnsRecord[]>,
  lost: MigrateError | undefined,
  { clock, zoneName, signal }: Applying,
): Promise<void> {
  let missing = changes
  for (let look = 0; look < LOOKS; look += 1) {
    if (look > 0) await clock.sleep(FIRST_REST_MS * 2 ** (look - 1), signal)
    const current = await readUnlessAway(read, look === LOOKS - 1)
    if (current !== undefined) missing = outstanding(changes, current)
    if (missing.length === 0) return
  }
  if (lost !== undefined) throw lost
  throw new MigrateError(
    'dns-failed',
    `Cloudflare accepted the changes to ${zoneName}, but ${missing.length} of ${changes.length} don't stand when read back.`,
    {
      hint: 'Run again: what stands is left alone and the rest is made.',
      retrySafe: true,
    },
  )
}

/** What lost the answer to the batch may lose this one too. */
async function readUnlessAway(
  read: () => Promise<readonly DnsRecord[]>,
  isLast: boolean,
): Promise<readonly DnsRecord[] | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof MigrateError && error.retrySafe && !isLast) return undefined
    throw error
  }
}

function refuseTooMany(changes: readonly RecordChange[], limit: number, zone: string): void {
  if (changes.length <= limit) return
  throw new MigrateError(
    'dns-failed',
    `${changes.length} records of ${zone} would change; Cloudflare takes at most ${limit} in one transaction on this plan. Nothing was changed.`,
    {
      hint: 'Move the names in several runs, the ones that customers use most in one.',
    },
  )
}

const toFinding = (error: MigrateError): Finding => ({
  severity: 'error',
  code: error.code,
  message: error.message,
  hint: error.hint,
})
