import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { runProgram } from '../../src/base/program.ts'
import { Secret } from '../../src/base/secret.ts'
import type { MysqlNativeOptions } from '../../src/databases/mysql/native.ts'
import { freePort } from '../servers/ports.ts'

const SERVER = '/usr/sbin/mariadbd'
export const hasMariadb = existsSync(SERVER) && existsSync('/usr/bin/mariadb-install-db') && existsSync('/usr/bin/mariadb-dump')

/** A private MariaDB, reached by its command-line client alone. It ends with `stop`, and with this process. */
export interface NativeMariadb {
  readonly host: string
  readonly port: number
  /** Runs statements as root by the client; rows, every value as text. NULL is read as such. */
  sql(text: string, database?: string): Promise<readonly (readonly (string | null)[])[]>
  /** Options of an account for a database. */
  options(database: string, account: { readonly user: string; readonly password: string }): MysqlNativeOptions
  stop(): Promise<void>
}

const VALUE = (text: string): string | null =>
  text === 'NULL' ? null : text.replace(/\\([nt0\\])/g, (_, char: string) => ({ n: '\n', t: '\t', 0: '\0' })[char] ?? char)

export async function startNativeMariadb(host: string): Promise<NativeMariadb> {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-mariadb-'))
  const data = join(directory, 'data')
  const user = userInfo().username
  const installed = spawnSync(
    '/usr/bin/mariadb-install-db',
    ['--no-defaults', `--datadir=${data}`, `--user=${user}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    { encoding: 'utf8' },
  )
  if (installed.status !== 0) throw new Error(`mariadb-install-db: ${installed.stdout}${installed.stderr}`)
  const port = await freePort(host)
  const stopped = new AbortController()
  const socket = join(directory, 'socket')
  const words: string[] = []
  const server = runProgram({
    program: SERVER,
    args: [
      '--no-defaults',
      `--datadir=${data}`,
      `--user=${user}`,
      `--bind-address=${host}`,
      `--port=${port}`,
      `--socket=${socket}`,
    ],
    signal: stopped.signal,
    line: (text) => words.push(text),
  })
  const ended = server.then(
    () => true,
    () => true,
  )
  const sql = async (text: string, database = ''): Promise<readonly (readonly (string | null)[])[]> => {
    const chunks: Buffer[] = []
    const client = await runProgram({
      program: '/usr/bin/mariadb',
      args: [
        '--no-defaults',
        `--socket=${socket}`,
        '--user=root',
        '--batch',
        '--skip-column-names',
        '--default-character-set=utf8mb4',
        database,
      ],
      signal: new AbortController().signal,
      input: once(Buffer.from(text)),
      output: async (stream) => {
        for await (const chunk of stream) chunks.push(chunk)
      },
    })
    if (client.exit !== 0) throw new Error(client.stderr)
    const lines = Buffer.concat(chunks).toString('utf8').split('\n').slice(0, -1)
    return lines.map((line) => line.split('\t').map(VALUE))
  }
  for (;;) {
    const up = await sql('SELECT 1').then(
      () => true,
      () => false,
    )
    if (up) break
    if (await Promise.race([ended, wait(50, false)])) throw new Error(`mariadbd ended: ${words.join('\n')}`)
  }
  return {
    host,
    port,
    sql,
    options: (database, account) => ({
      host,
      port,
      user: account.user,
      password: new Secret(account.password),
      database,
      label: `test database ${database}`,
    }),
    stop: async () => {
      stopped.abort()
      await ended
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
