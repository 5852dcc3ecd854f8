import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { batch, createRecord, deleteRecord, editRecord, listRecords, type Outcome, refusal } from './cloudflare-records.ts'
import type { ZoneStore } from './zone-store.ts'

/** What a bearer token may do; zones by name. */
export interface TokenRights {
  readonly read: readonly string[]
  readonly edit: readonly string[]
}

/** Faults to play, one for each coming request that fits; then all is well again. */
export type Fault =
  /** The request is carried out, and the connection cut before the answer. */
  | { readonly kind: 'lost-answer'; readonly writesOnly?: boolean }
  /** The connection is cut before anything is done. */
  | { readonly kind: 'cut'; readonly writesOnly?: boolean }
  | { readonly kind: 'rate-limited'; readonly retryAfterSeconds: number; readonly writesOnly?: boolean }
  /** HTTP 200 with `"success": false`. */
  | { readonly kind: 'false-success'; readonly writesOnly?: boolean }
  | { readonly kind: 'server-error'; readonly writesOnly?: boolean; readonly onceWritten?: boolean }
  /** The request is carried out, and answered with status 502 and a page in HTML, as a server on the way would. */
  | { readonly kind: 'server-error-after'; readonly writesOnly?: boolean }
  /** Records are read as they stood before the last write. */
  | { readonly kind: 'stale-read' }

export interface CloudflareApi {
  /** `http://127.0.0.1:4711/client/v4`, for the playbook's `dns.api`. */
  readonly url: URL
  readonly faults: Fault[]
  /** "POST /zones/…/dns_records/batch", in order: what was asked of it. */
  readonly requests: string[]
  close(): Promise<void>
}

export interface CloudflareApiOptions {
  readonly address?: string
  readonly zones: readonly ZoneStore[]
  readonly tokens: Readonly<Record<string, TokenRights>>
  /** What the API tells of every zone besides. */
  readonly zoneFacts?: { readonly plan?: string; readonly nameServers?: readonly string[]; readonly status?: string }
}

const PREFIX = '/client/v4'

/** An HTTP API in the shape of Cloudflare's (v4: zones, DNS records, batch, token verification) over zones of our own. */
export async function startCloudflareApi(options: CloudflareApiOptions): Promise<CloudflareApi> {
  const faults: Fault[] = []
  const requests: string[] = []
  const before = new Map<ZoneStore, ReturnType<ZoneStore['records']>>()
  const server = createServer((request, response) => {
    serve(request, response, options, { faults, requests, before }).catch((error: unknown) => {
      send(response, { status: 500, body: refusal(10_001, String(error)) })
    })
  })
  const address = options.address ?? '127.0.0.1'
  await listen(server, address)
  const bound = server.address()
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0
  return {
    url: new URL(`http://${address}:${port}${PREFIX}`),
    faults,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const listen = (server: Server, address: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address, resolve)
  })

interface Play {
  readonly faults: Fault[]
  readonly requests: string[]
  /** The records of each zone as they stood before the last write. */
  readonly before: Map<ZoneStore, ReturnType<ZoneStore['records']>>
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: CloudflareApiOptions,
  { faults, requests, before }: Play,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://api')
  const method = request.method ?? 'GET'
  const path = url.pathname.slice(PREFIX.length)
  const body = await readBody(request)
  requests.push(`${method} ${path}`)
  const index = faults.findIndex((fault) => fits(fault, method, path, requests))
  const fault = index < 0 ? undefined : faults.splice(index, 1)[0]
  if (fault?.kind === 'cut') return void request.socket.destroy()
  if (fault?.kind === 'rate-limited') {
    response.setHeader('retry-after', String(fault.retryAfterSeconds))
    return send(response, {
      status: 429,
      body: refusal(10_429, 'Rate limited. Please wait and consider throttling your request speed'),
    })
  }
  if (fault?.kind === 'server-error') return send(response, { status: 503, body: refusal(10_001, 'Service unavailable') })
  if (fault?.kind === 'false-success')
    return send(response, { status: 200, body: refusal(7003, 'Could not route to the request') })
  const outcome = await route(
    { method, path, query: url.searchParams, body, authorization: request.headers.authorization ?? '' },
    fault?.kind === 'stale-read' ? { ...options, zones: options.zones.map((zone) => asBefore(zone, before)) } : options,
    before,
  )
  if (fault?.kind === 'lost-answer') return void request.socket.destroy()
  if (fault?.kind === 'server-error-after') {
    response.writeHead(502, { 'content-type': 'text/html' })
    return void response.end(BAD_GATEWAY)
  }
  send(response, outcome)
}

const BAD_GATEWAY = `<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>${'<p>cloudflare</p>'.repeat(80)}</body></html>`

function fits(fault: Fault, method: string, path: string, requests: readonly string[]): boolean {
  if (fault.kind === 'stale-read') return method === 'GET' && path.endsWith('/dns_records')
  if (fault.kind === 'server-error' && fault.onceWritten === true)
    return method === 'GET' && requests.some((request) => !request.startsWith('GET'))
  return fault.writesOnly !== true || method !== 'GET'
}

const asBefore = (zone: ZoneStore, before: Play['before']): ZoneStore => {
  const records = before.get(zone)
  return records === undefined ? zone : { ...zone, records: () => records }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  const text = Buffer.concat(chunks).toString('utf8')
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

function send(response: ServerResponse, { status, body }: Outcome): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
  readonly authorization: string
}

async function route(call: Call, options: CloudflareApiOptions, before: Play['before']): Promise<Outcome> {
  const token = /^Bearer (.+)$/.exec(call.authorization)?.[1]
  const rights = token === undefined ? undefined : options.tokens[token]
  if (rights === undefined) return { status: 401, body: refusal(1000, 'Invalid API Token') }
  if (call.path === '/user/tokens/verify') {
    return { status: 200, body: { success: true, errors: [], messages: [], result: { id: 'token', status: 'active' } } }
  }
  if (call.path === '/zones') return { status: 200, body: listZones(call.query, rights, options) }
  const match = /^\/zones\/([^/]+)\/dns_records(?:\/([^/]+))?$/.exec(call.path)
  const zone = options.zones.find((each) => zoneId(each) === match?.[1])
  if (zone === undefined || !rights.read.includes(zone.zone)) {
    return { status: 403, body: refusal(10_000, 'Authentication error') }
  }
  if (call.method !== 'GET' && !rights.edit.includes(zone.zone))
    return { status: 403, body: refusal(10_000, 'Authentication error') }
  if (call.method !== 'GET') before.set(zone, zone.records())
  return routeRecords(call, zone, match?.[2])
}

function routeRecords(call: Call, zone: ZoneStore, id: string | undefined): Promise<Outcome> | Outcome {
  if (call.method === 'GET' && id === undefined) return listRecords(zone, call.query)
  if (call.method === 'POST' && id === undefined) return createRecord(zone, call.body)
  if (call.method === 'POST' && id === 'batch') return batch(zone, call.body)
  if ((call.method === 'PATCH' || call.method === 'PUT') && id !== undefined)
    return editRecord(zone, id, call.body, call.method === 'PUT')
  if (call.method === 'DELETE' && id !== undefined) return deleteRecord(zone, id)
  return { status: 405, body: refusal(10_405, 'Method not allowed for this endpoint') }
}

/** Stable, and unlike a name. */
export const zoneId = (zone: ZoneStore): string => Buffer.from(zone.zone).toString('hex').padEnd(32, '0').slice(0, 32)

function listZones(query: URLSearchParams, rights: TokenRights, { zones, zoneFacts }: CloudflareApiOptions): Outcome['body'] {
  const name = query.get('name')
  const perPage = Number(query.get('per_page') ?? 20)
  const page = Number(query.get('page') ?? 1)
  const seen = zones.filter((zone) => rights.read.includes(zone.zone) && (name === null || zone.zone === name))
  const result = seen.slice((page - 1) * perPage, page * perPage).map((zone) => ({
    id: zoneId(zone),
    name: zone.zone,
    status: zoneFacts?.status ?? 'active',
    ...(zoneFacts?.plan === undefined ? {} : { plan: { legacy_id: zoneFacts.plan } }),
    ...(zoneFacts?.nameServers === undefined ? {} : { name_servers: zoneFacts.nameServers }),
    permissions: ['#zone:read', '#dns_records:read', ...(rights.edit.includes(zone.zone) ? ['#dns_records:edit'] : [])],
  }))
  return {
    success: true,
    errors: [],
    messages: [],
    result,
    result_info: { page, per_page: perPage, count: result.length, total_count: seen.length },
  }
}
