import type { Json, JsonObject } from '../base/json.ts'
import type { Database } from '../databases/port.ts'
import { BEFORE_KEY, REPLACED_KEY } from '../steps/restore-method.ts'
import type { World } from '../steps/world.ts'
import type { DatabaseSettings, DnsSettings, FilesSettings, HostSettings, Playbook } from './model.ts'
import type { Value } from './source.ts'

type Endpoints = Readonly<Record<string, string>>

const SCHEMES = { sftp: ['sftp', 22], none: ['ftp', 21], explicit: ['ftps', 21], implicit: ['ftps', 990] } as const

/** Where files live, for messages and comparison: no password. */
export function filesLabel(files: FilesSettings): string {
  if (files.protocol === 'local') return files.root
  const [scheme, usual] = SCHEMES[files.protocol === 'sftp' ? 'sftp' : files.tls]
  const port = files.port === usual ? '' : `:${files.port}`
  return `${scheme}://${files.user}@${hostText(files.host)}${port}${files.root.startsWith('/') ? files.root : `/${files.root}`}`
}

/** Where a database lives, for comparison: no password. */
export function databaseUrl(database: DatabaseSettings): string {
  const instance = database.instance === undefined ? '' : `?instance=${database.instance}`
  return `${database.engine}://${database.user}@${hostText(database.host)}${database.port === undefined ? '' : `:${database.port}`}/${database.database}${instance}`
}

const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** Every endpoint of the playbook, `old.database` → `mssql://shop@old.example.com:1433/shop`. */
export function endpoints(playbook: Playbook): Endpoints {
  const { site, dns } = playbook
  return {
    ...hostEndpoints('old', playbook.old),
    ...hostEndpoints('new', playbook.new),
    ...(site === undefined ? {} : { site: site.href }),
    ...(dns === undefined ? {} : { dns: `${dns.provider} ${dns.zone}${publisher(dns)}` }),
  }
}

function publisher(dns: DnsSettings): string {
  if (dns.provider === 'rfc2136') return ` at ${hostText(dns.server.host)}:${dns.server.port}`
  return dns.provider === 'cloudflare' && dns.api !== undefined ? ` at ${dns.api.href}` : ''
}

const hostEndpoints = (side: string, host: HostSettings): Endpoints => ({
  ...(host.files === undefined ? {} : { [`${side}.files`]: filesLabel(host.files) }),
  ...(host.database === undefined ? {} : { [`${side}.database`]: databaseUrl(host.database) }),
  ...(host.site === undefined ? {} : { [`${side}.site`]: host.site.href }),
})

/** What a run is bound to besides its endpoints: everything that decides what it does, and no secret. */
export function boundPlaybook(playbook: Playbook): Json {
  return {
    name: playbook.name,
    records: playbook.dns?.records.map(({ name, type, to }) => ({ name, type, to })) ?? [],
    tables: Object.fromEntries([...playbook.tables].map(([name, rules]) => [name, { ...rules } as JsonObject])),
    references: playbook.references.map((each) => `${each.table}.${each.column} -> ${each.parent}.${each.parentColumn}`),
    steps: playbook.steps.map((group) => group.map((step) => ({ [step.id]: masked(step.written) }))),
  }
}

const PRIVATE = /pass|secret|token|credential|authorization|cookie|api-?key/i

/** Options as the playbook has them, `${…}` not filled in, without what is written out under a key that speaks of a secret. */
function masked(value: Value): Json {
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value as Json
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      PRIVATE.test(key) && typeof inner === 'string' && !inner.includes('${') ? '***' : masked(inner),
    ]),
  )
}

/**
 * What a run of this playbook is bound to (law 3). The databases say who they are (`old.database identity`), so that another one
 * under the same address is noticed; one that can't be reached now is taken to be the one it was.
 *
 * @param known the endpoints that an earlier part of the run was bound to; `undefined` for a new run
 * @param recall what the run remembers: a restore of its own may have replaced the new database as a whole
 */
export async function bindingOf(
  playbook: Playbook,
  world: World,
  known: Endpoints | undefined,
  recall: (key: string) => Json | undefined = () => undefined,
): Promise<{ readonly playbook: Json; readonly endpoints: Endpoints }> {
  const identities = await Promise.all([identityOf('old', world, known), identityOf('new', world, known, recall)])
  return { playbook: boundPlaybook(playbook), endpoints: Object.assign({}, endpoints(playbook), ...identities) }
}

async function identityOf(
  side: 'old' | 'new',
  world: World,
  known: Endpoints | undefined,
  recall: (key: string) => Json | undefined = () => undefined,
): Promise<Endpoints> {
  const name = `${side}.database identity`
  const before = known?.[name]
  const database = world[side].database
  if (database === undefined || (known !== undefined && before === undefined)) return {}
  const fingerprint = await database.info().then(
    (info) => info.fingerprint,
    // Whoever needs the database says what is wrong with it.
    () => before,
  )
  if (fingerprint === undefined) return {}
  const ours = before !== undefined && fingerprint !== before && replacedByRun(database, fingerprint, recall)
  return { [name]: ours ? before : fingerprint }
}

/** True when the database is another one than before because this run restored it as a whole, or was about to when it was cut off. */
function replacedByRun(database: Database, fingerprint: string, recall: (key: string) => Json | undefined): boolean {
  const replaced = recall(REPLACED_KEY)
  if (typeof replaced === 'string') return replaced === fingerprint
  return database.native?.replaces === true && Array.isArray(recall(BEFORE_KEY))
}
