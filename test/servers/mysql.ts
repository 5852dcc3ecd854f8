import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import mysql, { type Connection } from 'mysql2/promise'
import { Secret } from '../../src/base/secret.ts'
import type { MysqlOptions } from '../../src/databases/mysql/index.ts'
import { copyOf, dataRoom } from './copies.ts'
import { installMysql } from './mysql-install.ts'
import { type MysqlPrograms, privateSettings, programs, READ_ROUTINES } from './mysql-programs.ts'
import { freePort } from './ports.ts'

export interface MysqlAccount {
  readonly user: string
  readonly password: string
}

/** A server, started for one test on a free port with its own data folder. */
export interface TestMysql {
  readonly host: string
  readonly port: number
  readonly pid: number
  readonly root: MysqlAccount
  /** An empty database, and an account that may do everything in it and nothing elsewhere. */
  database(prefix?: string): Promise<TestMysqlDatabase>
  /** Runs statements as root; the last one's rows, every value as text. */
  rootSql(text: string, database?: string): Promise<readonly TextValues[]>
  /** A clean shutdown, and the same server again on its port. */
  restart(): Promise<void>
  /** Stops the server and removes its folder. */
  stop(): Promise<void>
}

type TextValues = readonly (string | null)[]

export interface TestMysqlDatabase {
  readonly name: string
  readonly owner: MysqlAccount
  readonly host: string
  readonly port: number
  /** `mysql://…`, with the password in it. */
  readonly url: string
  urlOf(account: MysqlAccount): string
  /** Options for openMysql; as the owner unless another account is given. */
  options(change?: Partial<MysqlOptions> & { readonly account?: MysqlAccount }): MysqlOptions
  /** Runs statements as the owner on a connection of its own; the last one's rows, every value as text. */
  sql(text: string, values?: readonly (string | null)[]): Promise<readonly TextValues[]>
  rootSql(text: string): Promise<readonly TextValues[]>
  /** A connection of the owner's, every value as text. */
  connect(account?: MysqlAccount): Promise<Connection>
  /** An account that may connect and read all that is there, definitions too, and nothing else. */
  readOnlyAccount(): Promise<MysqlAccount>
}

let accounts = 0

/** `host`: a loopback address, one for each test file keeps ports apart. `settings` as mariadbd's options, without `--`. */
export async function startTestMysql(
  options: {
    readonly host?: string
    readonly settings?: Readonly<Record<string, string>>
    /** Other than the suites run on. */
    readonly programs?: MysqlPrograms
  } = {},
): Promise<TestMysql> {
  const own = options.programs ?? programs
  const host = options.host ?? '127.0.0.1'
  const folder = await mkdtemp(join(dataRoom, 'migrate-mysql-'))
  const user = userInfo().uid === 0 ? 'mysql' : userInfo().username
  await chmod(folder, 0o755)
  // Servers name their temporary tables by process: of two that share a folder one may remove the other's.
  const temporary = join(folder, 'tmp')
  await mkdir(temporary)
  if (userInfo().uid === 0) for (const each of [folder, temporary]) await chown(each, idOf('-u'), idOf('-g'))
  const root = { user: 'admin', password: randomBytes(12).toString('hex') }
  const init = join(folder, 'init.sql')
  await writeFile(
    init,
    `CREATE USER IF NOT EXISTS 'admin'@'%' IDENTIFIED BY '${root.password}';\nGRANT ALL ON *.* TO 'admin'@'%' WITH GRANT OPTION;\n`,
    { mode: 0o644 },
  )
  const data = join(folder, 'data')
  const letters = options.settings?.['lower-case-table-names']
  const kept = letters === undefined ? [] : [`--lower-case-table-names=${letters}`]
  await copyOf(['mysql', own.server, ...kept].join(' '), data, async (made) =>
    installMysql(made, { programs: own, temporary, user, kept }),
  )
  const settings = { ...privateSettings(own), user, datadir: data, 'init-file': init, ...options.settings }
  let launched = await launch(own.server, host, settings, folder)
  const { port } = launched
  const rootSql = (text: string, database?: string): Promise<readonly TextValues[]> =>
    runSql({ host, port, ...root, ...(database === undefined ? {} : { database }) }, text)
  return {
    host,
    port,
    get pid() {
      return launched.pid
    },
    root,
    rootSql,
    database: async (prefix = 'shop') => {
      accounts += 1
      const name = `${prefix}_${accounts}`
      const owner = { user: `owner_${accounts}`, password: `secret-${accounts}-of-the-owner` }
      await rootSql(`CREATE DATABASE \`${name}\`; CREATE USER '${owner.user}'@'%' IDENTIFIED BY '${owner.password}';
        GRANT ALL ON \`${name.replaceAll('_', '\\_')}\`.* TO '${owner.user}'@'%'`)
      return describeDatabase({ host, port, name, owner, rootSql: (text) => rootSql(text, name) })
    },
    restart: async () => {
      await launched.stop()
      launched = await launch(own.server, host, settings, folder, port)
    },
    stop: async () => {
      await launched.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const idOf = (flag: string): number => Number(spawnSync('id', [flag, 'mysql'], { encoding: 'utf8' }).stdout.trim())

// The shell waits for its standard input to end, which happens when this process closes it or dies in any way, SIGKILL included, and
// then asks the server for a clean shutdown.
const GUARD = `"$@" </dev/null >/dev/null & server=$!
exec 2>/dev/null
echo "$server"
read -r line
kill -TERM "$server"
wait "$server"`

interface Launched {
  readonly pid: number
  readonly port: number
  /** A clean shutdown, as a host's administrator does it. */
  stop(): Promise<void>
}

/** `samePort`: a free one when absent. */
async function launch(
  program: string,
  host: string,
  settings: Readonly<Record<string, string>>,
  folder: string,
  samePort?: number,
): Promise<Launched> {
  for (let attempt = 1; ; attempt += 1) {
    const port = samePort ?? (await freePort(host))
    const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
    const places = [
      `--socket=${join(folder, 'socket')}`,
      `--pid-file=${join(folder, 'pid')}`,
      `--tmpdir=${join(folder, 'tmp')}`,
      `--bind-address=${host}`,
      `--port=${port}`,
    ]
    const shell = spawn('/bin/sh', ['-c', GUARD, 'sh', program, '--no-defaults', ...places, ...flags], { detached: true })
    const closed = new Promise<void>((resolve) => shell.on('close', () => resolve()))
    let pid = ''
    shell.stdout.on('data', (chunk: Buffer) => {
      pid += chunk.toString()
    })
    const stop = async (): Promise<void> => {
      shell.stdin.end()
      await closed
    }
    const log = await untilReady(shell)
    if (log === null) return { pid: Number(pid.trim()), port, stop }
    await stop()
    // Another process may take a port between finding it and listening on it.
    if (attempt === 5 || !/Address already in use/.test(log)) throw new Error(`${program} did not start:\n${log}`)
  }
}

/** `null` once it takes connections, else what it said before it ended. */
function untilReady(child: ChildProcess): Promise<string | null> {
  let words = ''
  let isReady = false
  return new Promise((resolve) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      if (isReady) return
      words += chunk.toString()
      isReady = words.includes('ready for connections')
      if (isReady) resolve(null)
    })
    child.on('error', (error) => resolve(error.message))
    // The shell waits on; what the server wrote last says why it ended.
    child.stderr?.on('close', () => resolve(words))
  })
}

interface Described {
  readonly host: string
  readonly port: number
  readonly name: string
  readonly owner: MysqlAccount
  readonly rootSql: (text: string) => Promise<readonly TextValues[]>
}

function describeDatabase({ host, port, name, owner, rootSql }: Described): TestMysqlDatabase {
  const urlOf = (account: MysqlAccount): string =>
    `mysql://${encodeURIComponent(account.user)}:${encodeURIComponent(account.password)}@${host}:${port}/${name}`
  return {
    name,
    owner,
    host,
    port,
    url: urlOf(owner),
    urlOf,
    options: ({ account = owner, ...change } = {}) => ({
      host,
      port,
      user: account.user,
      password: new Secret(account.password),
      database: name,
      connections: 4,
      label: `test database ${name}`,
      ...change,
    }),
    sql: (text, values) => runSql({ host, port, ...owner, database: name }, text, values),
    rootSql,
    connect: (account = owner) => connectAsText({ host, port, ...account, database: name }),
    readOnlyAccount: async () => {
      accounts += 1
      const account = { user: `reader_${accounts}`, password: `secret-${accounts}-of-the-reader` }
      // What mysqldump needs to read definitions.
      await rootSql(`CREATE USER '${account.user}'@'%' IDENTIFIED BY '${account.password}';
        GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON \`${name.replaceAll('_', '\\_')}\`.* TO '${account.user}'@'%';
        GRANT ${READ_ROUTINES} TO '${account.user}'@'%'`)
      return account
    },
  }
}

export interface MysqlAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database?: string
}

export const connectAsText = (address: MysqlAddress): Promise<Connection> =>
  mysql.createConnection({
    ...address,
    multipleStatements: true,
    rowsAsArray: true,
    charset: 'utf8mb4',
    typeCast: (field) => field.string('utf8'),
  })

/** Runs statements on a connection of its own; the last one's rows, every value as text. */
export async function runSql(
  address: MysqlAddress,
  text: string,
  values: readonly (string | null)[] = [],
): Promise<readonly TextValues[]> {
  const connection = await connectAsText(address)
  try {
    const [answer] = await connection.query(text, [...values])
    // Rows alone, what a change did alone, or of several statements a list of both.
    const results: readonly unknown[] = Array.isArray(answer) ? answer : []
    const isList = results.some((each) => !Array.isArray(each))
    const last = isList ? results.at(-1) : results
    return Array.isArray(last) ? (last as TextValues[]) : []
  } finally {
    await connection.end()
  }
}
