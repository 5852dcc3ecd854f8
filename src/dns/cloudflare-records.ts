import type { RecordBatchParams } from 'cloudflare/resources/dns/records'
import { MigrateError } from '../base/errors.ts'
import { canonicalContent } from './names.ts'
import type { DnsRecord, RecordChange } from './port.ts'
import { counterpart } from './standing.ts'

/** The fields of Cloudflare's DNS record that matter here ("DNS Records for a Zone" in its API reference). */
export interface CloudflareRecord {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly content?: string
  readonly ttl: number
  readonly proxied?: boolean
  readonly comment?: string | null
  readonly tags?: readonly string[]
}

/** `undefined` for types that a migration leaves alone. */
export function toDnsRecord(record: CloudflareRecord): DnsRecord | undefined {
  const { type } = record
  if (type !== 'A' && type !== 'AAAA' && type !== 'CNAME') return undefined
  const comment = record.comment ?? ''
  const tags = record.tags ?? []
  return {
    name: record.name.toLowerCase(),
    type,
    content: canonicalContent(type, record.content ?? ''),
    ttlSeconds: record.ttl,
    proxied: record.proxied ?? false,
    id: record.id,
    ...(comment === '' && tags.length === 0 ? {} : { extras: { comment, tags: [...tags] } }),
  }
}

type BatchBody = Omit<RecordBatchParams, 'zone_id'>
type Patch = NonNullable<BatchBody['patches']>[number]
type Post = NonNullable<BatchBody['posts']>[number]

/**
 * The body of a batch. A patch says name, type, ttl, content and proxied and nothing else, so that comment, tags and settings
 * stay; a record made again after its deletion gets back the comment and tags that were saved with it. Ids are those of `current`:
 * a record that was planned before it existed, or made again since, has another one by now.
 */
export function batchBody(changes: readonly RecordChange[], current: readonly DnsRecord[]): BatchBody {
  const deletes: { id: string }[] = []
  const patches: Patch[] = []
  const posts: Post[] = []
  for (const { before, after } of changes) {
    if (before !== null && after !== null) patches.push({ id: idOf(before, current), ...fields(after) })
    else if (before !== null) deletes.push({ id: idOf(before, current) })
    else if (after !== null) posts.push({ ...fields(after), ...extrasOf(after) })
  }
  return {
    ...(deletes.length > 0 ? { deletes } : {}),
    ...(patches.length > 0 ? { patches } : {}),
    ...(posts.length > 0 ? { posts } : {}),
  }
}

const fields = ({
  name,
  type,
  content,
  ttlSeconds,
  proxied,
}: DnsRecord): Pick<DnsRecord, 'name' | 'type' | 'content' | 'proxied'> & { ttl: number } => ({
  name,
  type,
  content,
  ttl: ttlSeconds,
  proxied,
})

function extrasOf({ extras }: DnsRecord): { comment?: string; tags?: string[] } {
  if (extras === undefined) return {}
  return {
    ...(extras.comment === '' ? {} : { comment: extras.comment }),
    ...(extras.tags.length === 0 ? {} : { tags: [...extras.tags] }),
  }
}

function idOf(record: DnsRecord, current: readonly DnsRecord[]): string {
  const id = counterpart(record, current)?.id
  if (typeof id === 'string') return id
  throw new MigrateError(
    'dns-failed',
    `The record ${record.type} ${record.name} is no longer in the zone. Nothing was changed.`,
    {
      hint: 'Run again: the plan is made anew from what stands.',
    },
  )
}
