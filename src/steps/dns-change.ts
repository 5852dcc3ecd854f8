import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { describeChange, diffRecords, namesToRead } from '../dns/diff.ts'
import { type DnsRecord, type RecordChange, recordChangeSchema } from '../dns/port.ts'
import { inverse, outstanding } from '../dns/standing.ts'
import type { StepRun } from '../run/step.ts'
import { type DnsTarget, missingPart, type World } from './world.ts'

/** Record changes that are made together, with what stood there before. */
export const dnsChangeSchema = z.object({ kind: z.literal('dns'), records: z.array(recordChangeSchema).readonly() }).readonly()
export type DnsChange = z.infer<typeof dnsChangeSchema>

/** What `lower-ttl` did, for those who must wait until the old answers have left every cache. */
export const LOWERED_KEY = 'ttl-lowered'
export const loweredSchema = z
  .object({
    /** Milliseconds since 1970: when the last record had its new TTL. */
    at: z.number(),
    oldTtlSeconds: z.number(),
    /** False from before the change until it was read back. */
    done: z.boolean(),
    /** What is to be raised again when all is over; the report names it. TTLs in seconds. */
    ttls: z.array(z.object({ name: z.string(), type: z.string(), from: z.number(), to: z.number() }).readonly()).default([]),
  })
  .readonly()
export type Lowered = z.infer<typeof loweredSchema>

/** When DNS moved, for the watch. */
export const CUTOVER_KEY = 'cutover-dns'
export const cutoverSchema = z
  .object({
    /** Milliseconds since 1970. */
    at: z.number(),
    /** Longest TTL of the records as they stood before, seconds. */
    ttlSeconds: z.number(),
  })
  .readonly()
export type Cutover = z.infer<typeof cutoverSchema>

export const recallLowered = (run: StepRun): Lowered | undefined =>
  loweredSchema.nullish().parse(run.recall(LOWERED_KEY)) ?? undefined
export const recallCutover = (run: StepRun): Cutover | undefined =>
  cutoverSchema.nullish().parse(run.recall(CUTOVER_KEY)) ?? undefined

/** What "automatic" (1) amounts to at Cloudflare, seconds. */
const AUTOMATIC_TTL_SECONDS = 300
export const effectiveTtl = (record: DnsRecord): number => (record.ttlSeconds === 1 ? AUTOMATIC_TTL_SECONDS : record.ttlSeconds)

/** The DNS part of the playbook; throws MigrateError `playbook-part-missing`. */
export function dnsOf(world: World, step: string): DnsTarget {
  if (world.dns !== undefined) return world.dns
  const { code, message, hint } = missingDns(step)
  throw new MigrateError(code, message, hint === undefined ? {} : { hint })
}

export const missingDns = (step: string): Finding =>
  missingPart(
    step,
    'dns',
    'dns: { provider: manual, zone: shop.example, records: [{ name: shop.example, type: A, to: 198.51.100.20 }] }',
  )

export const currentRecords = (dns: DnsTarget, signal?: AbortSignal): Promise<readonly DnsRecord[]> =>
  dns.provider.records(namesToRead(dns.records, dns.zone), signal)

/** The playbook's records held against what the provider says now. */
export async function currentDiff(
  dns: DnsTarget,
  signal?: AbortSignal,
): Promise<ReturnType<typeof diffRecords> & { readonly current: readonly DnsRecord[] }> {
  const current = await currentRecords(dns, signal)
  return { ...diffRecords(dns.records, current, dns.zone, dns.provider.flattensApex), current }
}

/**
 * Has the provider make the changes; a provider that is a person is told what to do and waited for. Returns once they stand.
 * Without a terminal a manual change ends the command as `waiting`, unless it was made already.
 */
export async function makeChanges(dns: DnsTarget, changes: readonly RecordChange[], run: StepRun): Promise<void> {
  if (changes.length === 0) return
  if (dns.provider.manual) await askPerson(dns, changes, run)
  await dns.provider.apply(changes, run.signal, (message) => run.emit({ event: 'note', message }))
}

export const takeBack = (dns: DnsTarget, changes: readonly RecordChange[], run: StepRun): Promise<void> =>
  makeChanges(dns, [...changes].reverse().map(inverse), run)

async function askPerson(dns: DnsTarget, changes: readonly RecordChange[], run: StepRun): Promise<void> {
  const left = outstanding(changes, await currentRecords(dns, run.signal), 'by-hand')
  if (left.length === 0) return
  const count = left.length === 1 ? 'this record' : `these ${left.length} records`
  run.emit({ event: 'note', message: `Change ${count} where the zone ${dns.zone} is published:` })
  for (const change of left) run.emit({ event: 'note', message: describeChange(change) })
  const question = `Have you changed ${count} of ${dns.zone}? ${left.map(describeChange).join('; ')}`
  const said = await run.confirm(
    question,
    'Make the change where the domain is managed, then run again: it goes on once the zone’s name servers say so.',
  )
  if (!said) {
    throw new MigrateError(
      'dns-change-awaited',
      `The records of ${dns.zone} are not changed yet: ${left.map(describeChange).join('; ')}.`,
      {
        ending: 'waiting',
        hint: 'Make the change where the domain is managed, then run again: it goes on once the zone’s name servers say so.',
      },
    )
  }
  run.emit({ event: 'note', message: `Waiting until all name servers of ${dns.zone} say so.` })
}
