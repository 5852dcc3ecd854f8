import { resolve } from 'node:path'
import { z } from 'zod'
import { certificateOf, fingerprintOf } from './fingerprints.ts'
import { checked, checkedParts, isMapping, keyHint } from './issues.ts'
import { readLogs } from './logs.ts'
import type { DatabaseSettings, FilesSettings, FtpFiles, HostSettings, SftpFiles } from './model.ts'
import { absolute, home, kept, passwordOf, type Reading, urlAt } from './reading.ts'
import { databaseOptionsSchema, filesOptionsSchema, hostShape } from './schema.ts'
import type { Path, Source, Value } from './source.ts'
import { type HostUrl, hasScheme, parseHostUrl } from './url.ts'

const DEFAULT_CONNECTIONS = 4
// Files and database are read by functions of their own.
const looseHostShape = { ...hostShape, files: z.unknown().optional(), database: z.unknown().optional() }

/** `old:` or `new:`; what is wrong is complained of and left out. */
export function readHost(value: Value, path: Path, reading: Reading): HostSettings {
  const { source } = reading
  const host = checkedParts(looseHostShape, value, path, source)
  const parts = isMapping(value) ? value : {}
  const files = parts.files === undefined ? undefined : readFiles(parts.files, [...path, 'files'], reading)
  return {
    files,
    logs: host.logs === undefined ? [] : readLogs(host.logs, files, path, reading),
    database: parts.database === undefined ? undefined : readDatabase(parts.database, [...path, 'database'], reading),
    site: host.site === undefined ? undefined : readSite(host.site, [...path, 'site'], source),
    connections: host.connections ?? DEFAULT_CONNECTIONS,
  }
}

/** A web address: http or https, no user in it. Taken apart like the others, so that no part of a variable is read as another part. */
export function readSite(text: string, path: Path, source: Source): URL | undefined {
  const parts = parseHostUrl(source.entry(path)?.pieces ?? [{ text, literal: true }])
  const isPlain = !('fault' in parts) && /^https?$/.test(parts.scheme) && parts.user === undefined && parts.password === undefined
  if (isPlain && URL.canParse(text)) return new URL(text)
  return source.complain(
    path,
    `${source.name(path)} is no web address.`,
    'Write it like https://shop.example, without user and password.',
  )
}

function readFiles(value: Value, path: Path, reading: Reading): FilesSettings | undefined {
  const { value: mapping, at } = spelledOut(value, path)
  const options = checkedParts(filesOptionsSchema.shape, mapping, path, reading.source)
  if (options.url === undefined || reading.source.broken(at)) return undefined
  if (!hasScheme(options.url)) return localFiles(options.url, mapping, path, reading)
  const url = urlAt(options.url, at, reading.source)
  if (!url) return undefined
  const complain = (message: string, hint: string): undefined =>
    reading.source.complain(at, `${reading.source.name(path)} ${message}`, hint)
  const keys = FILES_KEYS.get(url.scheme)
  if (keys === undefined)
    return complain("has a kind of URL that files can't have.", 'It may be sftp://user@host/path or the path of a local folder.')
  if (url.user === undefined) return complain('names no user.', 'Write it like sftp://user@host/path.')
  if (url.query.size > 0) complain('has a URL with an option that files don’t have.', 'Write options as keys beside url:.')
  refuseForeign(keys, `uses ${url.scheme}://`, 'Remove it.', mapping, path, reading.source)
  return (url.scheme === 'sftp' ? sftpFiles : ftpFiles)(url, url.user, options, path, reading)
}

type FilesOptions = ReturnType<typeof checkedParts<typeof filesOptionsSchema.shape>>

/** Keys beside `url:` that mean nothing to this kind of files are mistakes, told where they stand. */
function refuseForeign(own: readonly string[], what: string, hint: string, given: Value, path: Path, source: Source): void {
  for (const key of Object.keys(filesOptionsSchema.shape)) {
    if (own.includes(key) || !isMapping(given) || !Object.hasOwn(given, key)) continue
    source.complain([...path, key], `${source.name(path)} ${what}, which has no ${key}.`, hint, 'key')
  }
}

function localFiles(url: string, given: Value, path: Path, reading: Reading): FilesSettings {
  refuseForeign(['url'], 'is a local folder', 'Remove it, or write url: sftp://user@host/path.', given, path, reading.source)
  return { protocol: 'local', root: resolve(reading.directory, home(url)) }
}

function sftpFiles(url: HostUrl, user: string, options: FilesOptions, path: Path, reading: Reading): SftpFiles {
  const beside = (file: string): string => absolute(file, reading.directory)
  const password = passwordOf(url, options.password, path, reading)
  return {
    protocol: 'sftp',
    host: url.host,
    port: url.port ?? 22,
    user,
    root: rootOf(url.path),
    password,
    key: keyFileOf(options, path, reading),
    passphrase: options.passphrase === undefined ? undefined : kept(options.passphrase, reading.redactor),
    agent: agentOf(options, password !== undefined, path, reading),
    fingerprint: fingerprintOf(options, path, reading.source),
    knownHosts: options.knownHosts === undefined ? undefined : beside(options.knownHosts),
  }
}

/** The key's own text in place of its file's name would be told wherever that name is. */
function keyFileOf({ key }: FilesOptions, path: Path, { source, directory }: Reading): string | undefined {
  if (key === undefined || !/[\r\n]|PRIVATE KEY/.test(key)) return key === undefined ? undefined : absolute(key, directory)
  return source.complain(
    [...path, 'key'],
    'This is a private key itself, where the name of its file belongs.',
    'Put it into a file that nobody else may read (chmod 600), and name that: key: ~/.ssh/shop',
  )
}

/** Keys beside `url:` by its scheme. */
const FILES_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['sftp', ['url', 'password', 'key', 'passphrase', 'agent', 'fingerprint', 'hostKey', 'knownHosts']],
  ['ftp', ['url', 'password']],
  ['ftps', ['url', 'password', 'fingerprint', 'ca']],
])
const IMPLICIT_PORT = 990

/** `ftps://` encrypts on the usual port after AUTH TLS, and from the first byte on port 990. */
function ftpFiles(url: HostUrl, user: string, options: FilesOptions, path: Path, reading: Reading): FtpFiles {
  const isImplicit = url.port === IMPLICIT_PORT
  return {
    protocol: 'ftp',
    host: url.host,
    port: url.port ?? 21,
    user,
    root: rootOf(url.path),
    tls: url.scheme === 'ftp' ? 'none' : isImplicit ? 'implicit' : 'explicit',
    password: passwordOf(url, options.password, path, reading),
    ca: options.ca === undefined ? undefined : absolute(options.ca, reading.directory),
    fingerprint: certificateOf(options, path, reading.source),
  }
}

/** `/~/site` and no path at all are below the account's home. */
const rootOf = (path: string): string => (path === '' ? '~' : path === '/~' || path.startsWith('/~/') ? path.slice(1) : path)

/** With neither password nor key, an agent that runs is used without being asked for. */
function agentOf(
  options: FilesOptions,
  hasPassword: boolean,
  path: Path,
  { source, directory, env }: Reading,
): string | undefined {
  if (typeof options.agent === 'string') return absolute(options.agent, directory)
  const socket = env.SSH_AUTH_SOCK === '' ? undefined : env.SSH_AUTH_SOCK
  if (options.agent === true && socket === undefined) {
    source.complain(
      [...path, 'agent'],
      'No SSH agent runs here: SSH_AUTH_SOCK is not set.',
      'Start one with  eval $(ssh-agent); ssh-add  or give key: or password:.',
    )
  }
  const wanted = options.agent ?? (!hasPassword && options.key === undefined)
  return wanted ? socket : undefined
}

const MSSQL_ONLY = ['encrypt', 'trustServerCertificate', 'instance', 'domain', 'applicationIntent'] as const
const SSLMODE_ONLY = ['sslmode'] as const
const ENGINES: Readonly<
  Record<string, { readonly engine: DatabaseSettings['engine']; readonly port: number; readonly foreign: readonly string[] }>
> = {
  mssql: { engine: 'mssql', port: 1433, foreign: SSLMODE_ONLY },
  mysql: { engine: 'mysql', port: 3306, foreign: MSSQL_ONLY },
  mariadb: { engine: 'mysql', port: 3306, foreign: MSSQL_ONLY },
  postgres: { engine: 'postgres', port: 5432, foreign: MSSQL_ONLY },
  postgresql: { engine: 'postgres', port: 5432, foreign: MSSQL_ONLY },
}
const queryShape = databaseOptionsSchema.omit({ url: true, password: true })

function readDatabase(value: Value, path: Path, reading: Reading): DatabaseSettings | undefined {
  const { source } = reading
  const { value: mapping, at } = spelledOut(value, path)
  const options = checkedParts(databaseOptionsSchema.shape, mapping, path, source)
  const url = options.url === undefined || source.broken(at) ? undefined : urlAt(options.url, at, source)
  if (!url) return undefined
  const complain = (message: string, hint: string): undefined => source.complain(at, `${source.name(path)} ${message}`, hint)
  const engine = ENGINES[url.scheme]
  if (!engine)
    return complain(
      "has a kind of URL that a database can't have.",
      'It may be mssql://user@host/database, and likewise mysql://, mariadb:// or postgres://.',
    )
  if (url.user === undefined) return complain('names no user.', `Write it like ${url.scheme}://user@host/database.`)
  const database = url.path.replace(/^\//, '')
  if (database === '' || database.includes('/'))
    return complain('names no database.', `Write it like ${url.scheme}://user@host/database.`)
  const extra = {
    ...checked(queryShape, queryValues(url, at, source), at, source, `The query of ${source.name(path)}`),
    ...given(options),
  }
  for (const key of engine.foreign) {
    if (Object.hasOwn(extra, key))
      source.complain([...path, key], `${source.name([...path, key])} means nothing to ${engine.engine}.`, 'Remove it.', 'key')
  }
  return {
    engine: engine.engine,
    host: url.host,
    port: url.port ?? (extra.instance === undefined ? engine.port : undefined),
    user: url.user,
    password: passwordOf(url, options.password, path, reading),
    database,
    encrypt: extra.encrypt,
    trustServerCertificate: extra.trustServerCertificate,
    instance: extra.instance,
    domain: extra.domain,
    applicationIntent: extra.applicationIntent,
    sslmode: extra.sslmode,
    ca: extra.ca === undefined ? undefined : absolute(extra.ca, reading.directory),
    connectTimeoutMs: extra.connectTimeout,
    statementTimeoutMs: extra.statementTimeout,
  }
}

/** Without members that are `undefined`. */
const given = <T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }

/** The query's options as the schema wants them. A name that isn't one is complained of here: it has no key of its own in the file. */
function queryValues(url: HostUrl, at: Path, source: Source): Value {
  const known = Object.keys(queryShape.shape)
  const values: Record<string, Value> = {}
  for (const [key, text] of url.query) {
    if (!known.includes(key)) source.complain(at, 'The URL has an option that migrate doesn’t know.', keyHint(key, known))
    else values[key] = text === 'true' ? true : text === 'false' ? false : text
  }
  return values
}

/** A part given as a URL alone reads like a mapping with `url:`; `at` is where the URL stands. */
function spelledOut(value: Value, path: Path): { readonly value: Value; readonly at: Path } {
  return typeof value === 'string' ? { value: { url: value }, at: path } : { value, at: [...path, 'url'] }
}
