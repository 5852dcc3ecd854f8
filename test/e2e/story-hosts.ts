import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCloudflareApi } from '../../src/demo/cloudflare-api.ts'
import { storedRecord, type ZoneStore } from '../../src/demo/zone-store.ts'
import { bindMissing, bindZone, startBind, zoneLines } from '../servers/bind.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'
import { startUnbound, type Unbound, unboundMissing } from '../servers/unbound.ts'
import type { StoryDatabase, StoryEngine } from './engine.ts'
import { killAll, type MigrateProcess, type MigrateRun, startMigrate } from './migrate-process.ts'
import { startSite, writeSite } from './site.ts'

/** Why the story can't be told here; `null` when it can. */
export const storyMissing: string | null = bindMissing ?? unboundMissing ?? sshdMissing

export const ZONE = 'shop.example'
export const OLD_ADDRESS = '127.0.32.1'
export const NEW_ADDRESS = '127.0.32.2'
const TOKEN = 'token-that-may-edit-0123456789'
const READ_TOKEN = 'token-that-may-only-read-01234'
const OTHER_TOKEN = 'token-of-another-zone-0123456789'

export interface StoryHosts {
  readonly old: StoryDatabase
  readonly new: StoryDatabase
  readonly oldSite: string
  readonly newSite: string
  readonly zone: ZoneStore
  /** Customers' resolver: caches as long as the record's TTL says. */
  readonly resolver: Unbound
  readonly playbook: string
  readonly env: Readonly<Record<string, string>>
  /** What the playbook's files are reached by; `look` leads to the new host, without the right to write. */
  readonly ssh: { readonly old: Sshd; readonly new: Sshd; readonly look: Sshd }
  /** The text of a playbook for these hosts. */
  text(change?: PlaybookChange): string
  /** Rewrites the playbook; `steps` replaces the list of steps. */
  write(change?: PlaybookChange): Promise<void>
  start(command: string, ...args: readonly string[]): MigrateProcess
  run(command: string, ...args: readonly string[]): Promise<MigrateRun>
  /** All that is on the new host's disk, in DNS and the API's log of writes: to compare before and after. */
  picture(): Promise<unknown>
  stop(): Promise<void>
}

export interface PlaybookChange {
  readonly readOnly?: boolean
  readonly steps?: string
  readonly tables?: string
}

/** The steps of the story. */
export const STEPS = `
  - check
  - lower-ttl: { ttl: 2s }
  - [snapshot-files, snapshot-database]
  - [restore-files, restore-database]
  - bump-identities
  - rewrite-config:
      - { file: web.config, replace: { "old-sql.example.com": "new-sql.example.com" } }
  - smoke-test: { paths: ["/", "/checkout"], assets: true }
  - carry-files
  - cutover-dns
  - watch-propagation: { resolvers: ["\${RESOLVER}"], quiet: 3s, every: 500ms, orders: Orders }
  - [carry-files, reconcile]
  - report
`

/** Two hosts with everything that the story has, each on an address of its own; nothing between them and migrate is a fake. */
export async function startStory(engine: StoryEngine): Promise<StoryHosts> {
  const folder = await mkdtemp(join(tmpdir(), `migrate-e2e-${engine.name}-`))
  const sites = { old: join(folder, 'old-site'), new: join(folder, 'new-site') }
  await writeSite(sites.old, 40)
  await mkdir(sites.new)
  const records = [
    storedRecord({ id: 'a'.repeat(32), name: ZONE, type: 'A', content: OLD_ADDRESS, ttl: 5 }),
    storedRecord({ id: 'b'.repeat(32), name: `www.${ZONE}`, type: 'CNAME', content: ZONE, ttl: 5 }),
    storedRecord({ id: 'c'.repeat(32), name: `mail.${ZONE}`, type: 'A', content: '127.0.32.9', ttl: 300 }),
  ]
  // named listens only on addresses that an interface carries.
  const bind = await startBind({ zone: ZONE, records: zoneLines(records) })
  const zone: ZoneStore = { ...bindZone(bind, ZONE, records), minimumTtlSeconds: 1 }
  const [resolver, api, oldSsh, newSsh, lookSsh, oldSite, newSite, servers] = await Promise.all([
    startUnbound({ address: '127.0.32.4', zone: ZONE, upstream: bind }),
    startCloudflareApi({
      address: '127.0.32.5',
      zones: [zone],
      tokens: {
        [TOKEN]: { read: [ZONE], edit: [ZONE] },
        [READ_TOKEN]: { read: [ZONE], edit: [] },
        [OTHER_TOKEN]: { read: [], edit: [] },
      },
    }),
    startSshd({ address: OLD_ADDRESS, readOnly: true }),
    startSshd({ address: NEW_ADDRESS }),
    startSshd({ address: NEW_ADDRESS, readOnly: true }),
    startSite(sites.old, OLD_ADDRESS),
    startSite(sites.new, NEW_ADDRESS),
    engine.start(),
  ])
  const playbook = join(folder, 'story.yml')
  const env = {
    OLD_DB: servers.old.url,
    NEW_DB: servers.new.url,
    LOOK_OLD_DB: servers.old.readOnlyUrl,
    LOOK_NEW_DB: servers.new.readOnlyUrl,
    DNS_TOKEN: TOKEN,
    LOOK_TOKEN: READ_TOKEN,
    OTHER_TOKEN,
    RESOLVER: resolver.endpoint,
  }
  const text = (change: PlaybookChange = {}): string =>
    playbookText({
      oldSsh,
      newSsh: change.readOnly ? lookSsh : newSsh,
      sites,
      oldSite: oldSite.url,
      newSite: newSite.url,
      api: api.url.href,
      nameserver: bind.endpoint,
      connections: engine.connections ?? 4,
      change,
    })
  const write = (change?: PlaybookChange): Promise<void> => writeFile(playbook, text(change))
  await write()
  const start = (command: string, ...args: readonly string[]): MigrateProcess => startMigrate([command, playbook, ...args], env)
  return {
    old: servers.old,
    new: servers.new,
    oldSite: sites.old,
    newSite: sites.new,
    zone,
    resolver,
    playbook,
    env,
    ssh: { old: oldSsh, new: newSsh, look: lookSsh },
    text,
    write,
    start,
    run: (command, ...args) => start(command, ...args).ended,
    picture: async () => ({
      old: await treeOf(sites.old),
      new: await treeOf(sites.new),
      records: zone.records(),
      writes: api.requests.filter((request) => !request.startsWith('GET')),
    }),
    async stop() {
      killAll()
      await Promise.all([oldSsh, newSsh, lookSsh, resolver, servers, bind].map((each) => each.stop()))
      await Promise.all([api, oldSite, newSite].map((each) => each.close()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface PlaybookParts {
  readonly oldSsh: Sshd
  readonly newSsh: Sshd
  readonly sites: { readonly old: string; readonly new: string }
  readonly oldSite: string
  readonly newSite: string
  readonly api: string
  readonly nameserver: string
  readonly connections: number
  readonly change: PlaybookChange
}

const playbookText = (parts: PlaybookParts): string => {
  const look = parts.change.readOnly ? 'LOOK_' : ''
  const files = (ssh: Sshd, folder: string): string =>
    `{ url: "sftp://${ssh.user}@${ssh.address}:${ssh.port}${folder}", key: ${ssh.key}, fingerprint: "${ssh.fingerprint}" }`
  return `
name: story
old:
  files: ${files(parts.oldSsh, parts.sites.old)}
  database: \${${look}OLD_DB}
  site: ${parts.oldSite}
new:
  files: ${files(parts.newSsh, parts.sites.new)}
  database: \${${look}NEW_DB}
  site: ${parts.newSite}
  connections: ${parts.connections}
site: http://${ZONE}
dns:
  provider: cloudflare
  zone: ${ZONE}
  token: \${${parts.change.readOnly ? 'LOOK' : 'DNS'}_TOKEN}
  api: ${parts.api}
  nameservers: [${parts.nameserver}]
  records:
    - { name: ${ZONE}, type: A, to: ${NEW_ADDRESS} }
tables:${parts.change.tables ?? '\n  Orders: { headroom: 1500 }\n  Sessions: skip'}
steps:${parts.change.steps ?? STEPS}`
}

/** Every file below a folder with its content, mode and time. */
async function treeOf(folder: string): Promise<readonly (readonly [string, string])[]> {
  const names = await readdir(folder, { recursive: true })
  return Promise.all(
    names.sort().map(async (name) => {
      const path = join(folder, name)
      const found = await stat(path)
      const about = `${found.mode.toString(8)} ${Math.floor(found.mtimeMs / 1000)}`
      return [name, found.isDirectory() ? 'folder' : `${about} ${await readFile(path, 'base64')}`] as const
    }),
  )
}
