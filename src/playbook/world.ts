import type { Clock } from '../base/clock.ts'
import type { Database } from '../databases/port.ts'
import type { DnsProvider } from '../dns/port.ts'
import type { FileHost, Shell } from '../files/port.ts'
import type { LogPlace } from '../logs/tail.ts'
import { directly, type Effects } from '../run/step.ts'
import type { DnsTarget, Host, World } from '../steps/world.ts'
import { filesLabel } from './binding.ts'
import { buildMail } from './mail-world.ts'
import type { DatabaseSettings, DnsSettings, FilesSettings, HostSettings, Playbook } from './model.ts'
import { defaultRules } from './tables.ts'

const POSTGRES_PORT = 5432
const MYSQL_PORT = 3306

export interface WorldOptions {
  readonly clock: Clock
  /** For simulations; the effect itself when absent. */
  readonly effects?: Effects
}

/** The hosts, the zone and the resolvers that a playbook names. Nothing connects before it is used. */
export async function buildWorld(playbook: Playbook, options: WorldOptions): Promise<World> {
  const { isIntercepted, resolversFor } = await import('../dns/resolvers.ts')
  const [old, destination] = await Promise.all([buildHost('old', playbook.old), buildHost('new', playbook.new)])
  const dns = playbook.dns && (await buildDns(playbook.dns, options.clock))
  const mail = await buildMail(playbook, options.clock)
  const notifiers = await Promise.all(playbook.notify.map(async ({ name, on, open }) => ({ name, on, notifier: await open() })))
  const logs = [old, destination].flatMap((host) => host.logs ?? []).map(({ files }) => files)
  const open = [
    old.files,
    old.database,
    destination.files,
    destination.database,
    dns?.provider,
    ...logs,
    ...notifiers.map(({ notifier }) => notifier),
  ].filter((each) => each !== undefined)
  return {
    name: playbook.name,
    old,
    new: destination,
    ...(playbook.site === undefined ? {} : { site: playbook.site }),
    ...(dns === undefined ? {} : { dns }),
    ...(mail === undefined ? {} : { mail }),
    notifiers,
    resolvers: (spec) => resolversFor(spec, options.clock),
    isIntercepted: (name, signal) => isIntercepted(name, options.clock, signal),
    tables: playbook.tables,
    defaults: defaultRules,
    references: playbook.references,
    noReferences: playbook.noReferences,
    where: (path) => {
      const { line, column } = playbook.position(path, 'key')
      return `${playbook.file}:${line}:${column}`
    },
    effects: options.effects ?? directly,
    close: async () => {
      await Promise.allSettled([...new Set(open)].map((each) => each.close()))
    },
  }
}

async function buildHost(side: 'old' | 'new', settings: HostSettings): Promise<Host> {
  const files = settings.files && (await buildFiles(settings.files, settings.connections))
  const logs = await buildLogs(settings, files?.files)
  const database = settings.database && (await buildDatabase(side, settings.database, settings.connections))
  return {
    side,
    ...files,
    ...(logs.length === 0 ? {} : { logs }),
    ...(database === undefined ? {} : { database }),
    ...(settings.database === undefined ? {} : { databaseEnvironment: environmentOf(settings.database) }),
    ...(settings.site === undefined ? {} : { site: settings.site }),
    connections: settings.connections,
  }
}

/** Logs outside the files' folder are read over a connection of their own. */
async function buildLogs({ logs }: HostSettings, site: FileHost | undefined): Promise<readonly LogPlace[]> {
  const places: LogPlace[] = []
  for (const { files, ...place } of logs) {
    const host = files === undefined ? site : (await buildFiles(files, 1)).files
    if (host !== undefined) places.push({ ...place, files: host })
  }
  return places
}

const environmentOf =
  ({ host, port, user, password, database }: DatabaseSettings) =>
  (): Readonly<Record<string, string>> => ({
    MIGRATE_HOST: host,
    MIGRATE_PORT: String(port ?? ''),
    MIGRATE_USER: user,
    MIGRATE_PASSWORD: password?.reveal() ?? '',
    MIGRATE_DATABASE: database,
  })

async function buildFiles(
  settings: FilesSettings,
  connections: number,
): Promise<{ readonly files: FileHost; readonly shell?: Shell }> {
  if (settings.protocol === 'local') {
    const { openLocal } = await import('../files/local.ts')
    return { files: openLocal(settings.root, settings.root) }
  }
  if (settings.protocol === 'ftp') {
    const { openFtp } = await import('../files/ftp/index.ts')
    const { host, port, user, root, tls, password, ca, fingerprint } = settings
    const where = { host, port, user, root, tls, connections, label: filesLabel(settings) }
    return { files: openFtp({ ...where, ...(password && { password }), ...(ca && { ca }), ...(fingerprint && { fingerprint }) }) }
  }
  const { openSftp } = await import('../files/sftp/index.ts')
  const { host, port, user, root, password, key, passphrase, agent, knownHosts, fingerprint } = settings
  const files = openSftp({
    host,
    port,
    user,
    root,
    connections,
    label: filesLabel(settings),
    ...(password && { password }),
    ...(key && { key }),
    ...(passphrase && { passphrase }),
    ...(agent && { agent }),
    ...(knownHosts && { knownHosts }),
    ...(fingerprint && { fingerprint }),
  })
  return { files, shell: files.shell }
}

async function buildDatabase(side: 'old' | 'new', settings: DatabaseSettings, connections: number): Promise<Database> {
  const { host, user, password, database, connectTimeoutMs, statementTimeoutMs } = settings
  const common = {
    host,
    user,
    password,
    database,
    connectTimeoutMs,
    statementTimeoutMs,
    connections,
    label: `${side} database ${database} on ${host}`,
  }
  switch (settings.engine) {
    case 'postgres': {
      const { openPostgres } = await import('../databases/postgres/index.ts')
      return openPostgres({ ...common, port: settings.port ?? POSTGRES_PORT, sslmode: settings.sslmode, ca: settings.ca })
    }
    case 'mysql': {
      const { openMysql } = await import('../databases/mysql/index.ts')
      return openMysql({ ...common, port: settings.port ?? MYSQL_PORT, sslmode: settings.sslmode, ca: settings.ca })
    }
    case 'mssql': {
      const { openMssql } = await import('../databases/mssql/index.ts')
      const { port, encrypt, trustServerCertificate, domain, instance, ca } = settings
      const readOnlyIntent = settings.applicationIntent === 'ReadOnly'
      return openMssql({ ...common, port, encrypt, trustServerCertificate, domain, instanceName: instance, ca, readOnlyIntent })
    }
  }
}

async function buildDns(settings: DnsSettings, clock: Clock): Promise<DnsTarget> {
  const { authoritativeServers } = await import('../dns/authoritative.ts')
  const { zone, records } = settings
  const nameservers = settings.nameservers.length === 0 ? undefined : settings.nameservers
  const servers = authoritativeServers({ zone, nameservers, clock })
  return { provider: await buildProvider(settings, servers.authoritative, clock), zone, records, ...servers }
}

async function buildProvider(
  settings: DnsSettings,
  authoritative: DnsTarget['authoritative'],
  clock: Clock,
): Promise<DnsProvider> {
  const { zone } = settings
  if (settings.provider === 'manual') {
    const { manualProvider } = await import('../dns/manual.ts')
    return manualProvider({ zone, authoritative, clock })
  }
  if (settings.provider === 'rfc2136') {
    const { rfc2136Provider } = await import('../dns/rfc2136.ts')
    const { server, key, records } = settings
    return rfc2136Provider({ zone, server, key, records, clock })
  }
  const { cloudflareProvider } = await import('../dns/cloudflare.ts')
  return cloudflareProvider({ zone, token: settings.token, api: settings.api, clock })
}
