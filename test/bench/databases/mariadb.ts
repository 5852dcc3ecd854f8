import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../servers/ports.ts'
import { type BenchEngine, type Data, type Job, PARALLEL, type Place, type Tool, tableNames } from './engine.ts'
import { Meter } from './measure.ts'

const SERVER = '/usr/sbin/mariadbd'
const CLIENT = '/usr/bin/mariadb'
const HOST = '127.0.0.1'

const TABLES: Readonly<Record<Exclude<Data, 'tables'>, (rows: number) => string>> = {
  narrow: (rows) => `
    CREATE TABLE narrow (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, placed datetime(3) NOT NULL, total decimal(12,2) NOT NULL,
      status varchar(10) NOT NULL, KEY narrow_customer (customer_id));
    INSERT INTO narrow (customer_id, placed, total, status)
    SELECT seq % 500000, '2026-01-01' + INTERVAL seq SECOND, (seq * 7919 % 100000) / 100, ELT(1 + seq % 3, 'open', 'paid', 'sent') FROM seq_1_to_${rows};
    ANALYZE TABLE narrow`,
  wide: (rows) => `
    CREATE TABLE wide (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, email varchar(120) NOT NULL, name varchar(80), street varchar(120), city varchar(80),
      country char(2) NOT NULL, phone varchar(40), born date, created datetime(3) NOT NULL, changed datetime(3), visits int NOT NULL, balance decimal(19,4) NOT NULL,
      discount decimal(5,2), score double, active bit(1) NOT NULL, note text, description text NOT NULL, token varbinary(64) NOT NULL, a int, b int, c bigint,
      d smallint, KEY wide_email (email));
    INSERT INTO wide (email, name, street, city, country, phone, born, created, changed, visits, balance, discount, score, active, note, description, token, a, b, c, d)
    SELECT concat('customer', seq, '@example.com'), concat('Åsa Customer ', seq), concat('Street ', seq % 900), concat('Malmö ', seq % 70), 'SE', concat('+46 40 ', seq),
      date '1950-01-01' + INTERVAL seq % 20000 DAY, '2026-01-01' + INTERVAL seq SECOND, if(seq % 3 = 0, '2026-06-01' + INTERVAL seq SECOND, NULL),
      seq % 1000, (seq * 7919 % 1000000) / 10000, if(seq % 5 = 0, 12.5, NULL), sqrt(seq), seq % 2,
      if(seq % 4 = 0, concat('please ring\\ntwice, ', md5(seq)), NULL), repeat(concat(md5(seq), ' '), 14), unhex(repeat(md5(seq), 4)),
      seq, nullif(seq % 7, 0), seq * 1000003, seq % 30000 FROM seq_1_to_${rows};
    ANALYZE TABLE wide`,
}

const small = (name: string): string =>
  `CREATE TABLE ${name} (id int PRIMARY KEY, name varchar(40) NOT NULL, price decimal(12,2));
   INSERT INTO ${name} SELECT seq, concat('${name} ', seq), seq * 1.01 FROM seq_1_to_10;`

/** Debian's MariaDB, private, with durability as a fresh install has it; `undefined` where it isn't installed. `settings` as options. */
export async function mariadbBench(settings: readonly string[] = []): Promise<BenchEngine | undefined> {
  if (!existsSync(SERVER) || !existsSync(CLIENT)) return undefined
  const root = { user: 'root', password: randomBytes(12).toString('hex') }
  const server = await startServer(root.password, settings)
  const at = (database: string): Place => ({ host: HOST, port: server.port, database, ...root })
  const sql = (place: Place, text: string): Promise<string> => new Meter().run(client(place, ['-N', '-B', '-e', text]))
  const [version = ''] = (await sql(at('mysql'), 'SELECT version()')).trim().split('-')
  let count = 0
  return {
    name: `MariaDB ${version}`,
    adapter: 'mysql',
    pid: server.pid,
    peers: [mydumper(false), mydumper(true), mariadbDump],
    create: async () => {
      count += 1
      await sql(at('mysql'), `CREATE DATABASE bench_${count} CHARACTER SET utf8mb4`)
      return at(`bench_${count}`)
    },
    fill: async (place, data, amount) => {
      if (data !== 'tables') await sql(place, TABLES[data](amount))
      else {
        // A hundred at a time: all of them are more than a command may be told.
        const names = tableNames(data, amount)
        for (let at = 0; at < names.length; at += 100)
          await sql(
            place,
            names
              .slice(at, at + 100)
              .map(small)
              .join('\n'),
          )
      }
    },
    fingerprint: async (place, data, amount) =>
      // Over the rows as the server holds them ("CHECKSUM TABLE"): both ends are the same server and have the same columns.
      (
        await sql(
          place,
          tableNames(data, amount)
            .map((name) => `SELECT '${name}', count(*) FROM ${name}; CHECKSUM TABLE ${name};`)
            .join('\n'),
        )
      ).replaceAll(`${place.database}.`, ''),
    drop: async (place) => {
      await sql(at('mysql'), `DROP DATABASE ${place.database}`)
    },
    stop: server.stop,
  }
}

const client = ({ host, port, user, password, database }: Place, args: readonly string[]) => ({
  file: CLIENT,
  args: ['--no-defaults', '-h', host, '-P', String(port), '-u', user, ...args, database],
  env: { MYSQL_PWD: password },
})

const login = ({ host, port, user, password }: Place): readonly string[] => [
  '-h',
  host,
  '-P',
  String(port),
  '-u',
  user,
  '-p',
  password,
]

/** As it comes, a table is one file, loaded by one thread; in parts, every thread has two of them to save and to load. */
const mydumper = (inParts: boolean): Tool => ({
  name: `mydumper, myloader, ${PARALLEL} threads${inParts ? ', tables in parts' : ''}`,
  missing: existsSync('/usr/bin/mydumper') && existsSync('/usr/bin/myloader') ? null : 'mydumper is not installed',
  move: async ({ from, to, data, amount, folder, run }: Job) => {
    const common = ['-t', String(PARALLEL), '-v', '1']
    const parts = inParts && data !== 'tables' ? ['-r', String(Math.ceil(amount / (2 * PARALLEL)))] : []
    const dump = join(folder, 'dump')
    await run('dump', { file: '/usr/bin/mydumper', args: [...login(from), '-B', from.database, '-o', dump, ...parts, ...common] })
    await run('load', { file: '/usr/bin/myloader', args: [...login(to), '-B', to.database, '-d', dump, ...common] })
    return undefined
  },
})

const mariadbDump: Tool = {
  name: 'mariadb-dump | mariadb',
  missing: existsSync('/usr/bin/mariadb-dump') ? null : 'mariadb-client is not installed',
  move: async ({ from, to, run }: Job) => {
    const { host, port, user, password, database } = from
    const args = ['--no-defaults', '-h', host, '-P', String(port), '-u', user, '--single-transaction', '--quick', database]
    await run('dump and load', { file: '/usr/bin/mariadb-dump', args, env: { MYSQL_PWD: password } }, client(to, []))
    return undefined
  },
}

interface PrivateServer {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

async function startServer(password: string, more: readonly string[]): Promise<PrivateServer> {
  const folder = await mkdtemp(join(tmpdir(), 'migrate-bench-mariadb-'))
  await chmod(folder, 0o755)
  const isRoot = userInfo().uid === 0
  const user = isRoot ? 'mysql' : userInfo().username
  if (isRoot) await chown(folder, idOf('-u'), idOf('-g'))
  const init = join(folder, 'init.sql')
  await writeFile(
    init,
    `CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '${password}';\nGRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n`,
  )
  const data = `--datadir=${join(folder, 'data')}`
  const made = spawnSync('mariadb-install-db', ['--no-defaults', data, `--user=${user}`, '--skip-test-db'], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`mariadb-install-db failed:\n${made.stdout}${made.stderr}`)
  const port = await freePort(HOST)
  const places = [data, `--socket=${join(folder, 'socket')}`, `--pid-file=${join(folder, 'pid')}`, `--init-file=${init}`]
  const settings = [
    '--innodb-buffer-pool-size=512M',
    '--innodb-log-file-size=512M',
    '--max-allowed-packet=64M',
    '--skip-name-resolve',
    ...more,
  ]
  const child = spawn(
    SERVER,
    ['--no-defaults', `--user=${user}`, `--bind-address=${HOST}`, `--port=${port}`, ...places, ...settings],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  await ready(child)
  return {
    port,
    pid: child.pid ?? 0,
    stop: async () => {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      child.kill('SIGTERM')
      await ended
      process.removeListener('exit', kill)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const idOf = (flag: string): number => Number(spawnSync('id', [flag, 'mysql'], { encoding: 'utf8' }).stdout.trim())

function ready(child: ChildProcess): Promise<void> {
  let words = ''
  let isReady = false
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      if (isReady) return
      words += chunk.toString()
      isReady = words.includes('ready for connections')
      if (isReady) resolve()
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`mariadbd did not start:\n${words}`)))
  })
}
