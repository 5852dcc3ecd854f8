import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { type StoredRecord, storedRecord, type ZoneStore } from './zone-store.ts'

export interface Outcome {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** An error in Cloudflare's shape; `beneath` says what is really wrong. */
export const refusal = (code: number, message: string, beneath?: { code: number; message: string }): Outcome['body'] => ({
  success: false,
  errors: [{ code, message, ...(beneath === undefined ? {} : { error_chain: [beneath] }) }],
  messages: [],
  result: null,
})

const success = (result: unknown): Outcome => ({ status: 200, body: { success: true, errors: [], messages: [], result } })

const recordBody = z.object({
  name: z.string().min(1),
  type: z.string(),
  content: z.string().min(1),
  ttl: z.number().int().min(1).max(86_400),
  proxied: z.boolean().default(false),
  comment: z.string().nullish(),
  tags: z.array(z.string()).default([]),
})
const patchBody = z.object({
  name: z.string().min(1),
  type: z.string(),
  content: z.string().min(1).optional(),
  ttl: recordBody.shape.ttl,
  proxied: z.boolean().optional(),
  comment: z.string().nullish(),
  tags: z.array(z.string()).optional(),
})
const batchBody = z.object({
  deletes: z.array(z.object({ id: z.string() })).default([]),
  patches: z.array(patchBody.extend({ id: z.string() })).default([]),
  puts: z.array(recordBody.extend({ id: z.string() })).default([]),
  posts: z.array(recordBody).default([]),
})

type NewRecord = z.infer<typeof recordBody>
type Patch = z.infer<typeof patchBody>

const MOST_AT_ONCE = 200
const MOST_A_PAGE = 100

/** For zones that are not on the Enterprise plan ("Time to Live (TTL)" in Cloudflare's DNS documentation). */
const LEAST_TTL_SECONDS = 60

const INVALID: Outcome = { status: 400, body: refusal(1004, 'DNS Validation Error') }
const invalid = (code: number, message: string): Outcome => ({
  status: 400,
  body: refusal(1004, 'DNS Validation Error', { code, message }),
})
const MISSING: Outcome = { status: 404, body: refusal(81_044, 'Record does not exist.') }
const DUPLICATE: Outcome = { status: 400, body: refusal(81_058, 'An identical record already exists.') }
const RIVAL: Outcome = { status: 400, body: refusal(81_054, 'A CNAME record with that host already exists.') }

const shown = (record: StoredRecord): Record<string, unknown> => ({
  ...record,
  ttl: record.proxied ? 1 : record.ttl,
  proxiable: true,
  meta: {},
  settings: {},
})

/** `GET dns_records`, with the filters `name`, `name.exact` and `type`, and pages. */
export function listRecords(zone: ZoneStore, query: URLSearchParams): Outcome {
  const name = query.get('name.exact') ?? query.get('name')
  const type = query.get('type')
  const perPage = Math.min(MOST_A_PAGE, Number(query.get('per_page') ?? MOST_A_PAGE))
  const page = Number(query.get('page') ?? 1)
  const all = zone
    .records()
    .filter((record) => (name === null || record.name === name) && (type === null || record.type === type))
  const result = all.slice((page - 1) * perPage, page * perPage).map(shown)
  return {
    status: 200,
    body: {
      success: true,
      errors: [],
      messages: [],
      result,
      result_info: {
        page,
        per_page: perPage,
        count: result.length,
        total_count: all.length,
        total_pages: Math.ceil(all.length / perPage),
      },
    },
  }
}

export async function createRecord(zone: ZoneStore, body: unknown): Promise<Outcome> {
  const parsed = recordBody.safeParse(body)
  if (!parsed.success) return INVALID
  const record = fresh(parsed.data)
  return (await commit(zone, [...zone.records(), record])) ?? success(shown(record))
}

/** PATCH keeps what the body leaves out; PUT sets it to its default. */
export async function editRecord(zone: ZoneStore, id: string, body: unknown, whole: boolean): Promise<Outcome> {
  const parsed = (whole ? recordBody : patchBody).safeParse(body)
  if (!parsed.success) return INVALID
  const old = zone.records().find((record) => record.id === id)
  if (old === undefined) return MISSING
  const next = whole ? { ...fresh(recordBody.parse(body)), id } : patched(old, parsed.data)
  const refused = await commit(
    zone,
    zone.records().map((record) => (record.id === id ? next : record)),
  )
  return refused ?? success(shown(next))
}

export async function deleteRecord(zone: ZoneStore, id: string): Promise<Outcome> {
  if (!zone.records().some((record) => record.id === id)) return MISSING
  const refused = await commit(
    zone,
    zone.records().filter((record) => record.id !== id),
  )
  return refused ?? success({ id })
}

/** Deletes, patches, puts, posts, in that order, all or none ("Batch DNS Records" in Cloudflare's API reference). */
export async function batch(zone: ZoneStore, body: unknown): Promise<Outcome> {
  const parsed = batchBody.safeParse(body)
  if (!parsed.success) return INVALID
  const { deletes, patches, puts, posts } = parsed.data
  if (deletes.length + patches.length + puts.length + posts.length > MOST_AT_ONCE)
    return invalid(9999, `A batch may have at most ${MOST_AT_ONCE} records on this plan.`)
  let records = zone.records()
  for (const { id } of [...deletes, ...patches, ...puts]) if (!records.some((record) => record.id === id)) return MISSING
  records = records.filter((record) => !deletes.some(({ id }) => id === record.id))
  for (const patch of patches) records = records.map((record) => (record.id === patch.id ? patched(record, patch) : record))
  for (const put of puts) records = records.map((record) => (record.id === put.id ? { ...fresh(put), id: put.id } : record))
  records = [...records, ...posts.map(fresh)]
  const refused = await commit(zone, records)
  return refused ?? success({ deletes, patches, puts, posts })
}

const fresh = ({ name, type, content, ttl, proxied, comment, tags }: NewRecord): StoredRecord =>
  storedRecord({
    id: randomUUID().replaceAll('-', ''),
    name: name.toLowerCase(),
    type,
    content,
    ttl,
    proxied,
    comment: comment ?? '',
    tags,
  })

const patched = (old: StoredRecord, patch: Patch): StoredRecord => ({
  ...old,
  name: patch.name.toLowerCase(),
  type: patch.type,
  ttl: patch.ttl,
  content: patch.content ?? old.content,
  proxied: patch.proxied ?? old.proxied,
  comment: patch.comment === undefined ? old.comment : (patch.comment ?? ''),
  tags: patch.tags ?? old.tags,
})

/** Keeps the records if they may stand together; otherwise says why not and keeps the old ones. */
async function commit(zone: ZoneStore, next: readonly StoredRecord[]): Promise<Outcome | undefined> {
  const least = zone.minimumTtlSeconds ?? LEAST_TTL_SECONDS
  if (next.some((record) => record.ttl !== 1 && record.ttl < least && !zone.records().includes(record)))
    return invalid(9021, `TTL must be between ${least} and 86400 seconds, or 1 for Automatic.`)
  const seen = new Set<string>()
  for (const record of next) {
    const key = `${record.name} ${record.type} ${record.content}`
    if (seen.has(key)) return DUPLICATE
    seen.add(key)
    const rivals = next.filter(
      (other) => other !== record && other.name === record.name && ['A', 'AAAA', 'CNAME'].includes(other.type),
    )
    if (record.type === 'CNAME' && rivals.length > 0) return RIVAL
  }
  await zone.replace(next)
  return undefined
}
