import { fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { luck } from '../../../src/demo/customers-luck.ts'
import type { PostgresServer } from '../../../src/demo/postgres-server.ts'
import { writeSite } from '../../../src/demo/shop-site.ts'
import { createShopTables } from '../../../src/demo/shop-tables.ts'
import { postgresPrograms } from '../../servers/postgres.ts'
import { startCopiedPostgres } from '../../servers/postgres-copies.ts'
import type { Sshd } from '../../servers/sshd.ts'

const SHOP = fileURLToPath(new URL('./shop-process.ts', import.meta.url))

/** A host as a customer of it has it: an address, SSH, a database server, the shop's program, a log. */
export interface Host {
  readonly address: string
  readonly site: string
  readonly log: string
  readonly databaseUrl: string
  readonly ssh: Sshd
  readonly certificate: { readonly chain: string; readonly key: string; readonly pidFile: string }
  /** Rotates its log in the middle of a line. */
  rotateLog(): void
  stop(): Promise<void>
}

interface Database {
  readonly server: PostgresServer
  readonly url: string
}

export async function startDatabase(folder: string, side: 'old' | 'new', host: string): Promise<Database> {
  const binaries = postgresPrograms()
  const server = await startCopiedPostgres({
    directory: join(folder, `${side}-database`),
    host,
    ...(binaries === undefined ? {} : { binaries }),
  })
  const url = await server.createDatabase('shop', { user: `shop_${side}`, password: `p@ss "${side}"/word` })
  return { server, url }
}

interface Opening {
  readonly folder: string
  readonly side: 'old' | 'new'
  readonly address: string
  readonly port: number
  readonly pair: { readonly cert: string; readonly key: string }
}

/** The old host gets a shop in trade; the new one is empty, with its shop's program waiting for a site. */
export async function openHost(
  { folder, side, address, port, pair }: Opening,
  { server, url }: Database,
  ssh: Sshd,
): Promise<Host> {
  const own = join(folder, side)
  const paths = { chain: join(own, 'chain.pem'), key: join(own, 'key.pem'), pidFile: join(own, 'shop.pid') }
  const [root, log] = [join(own, 'site'), join(own, 'logs', 'access.log')]
  for (const path of [root, join(own, 'logs')]) mkdirSync(path, { recursive: true })
  writeFileSync(paths.chain, pair.cert)
  writeFileSync(paths.key, pair.key)
  if (side === 'old') {
    await writeSite(root, url)
    await onDatabase(url, (database) => createShopTables(database, luck(side.length)))
  }
  const child = fork(SHOP, [JSON.stringify({ address, port, root, log, ...paths })], { execArgv: [], stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await Promise.race([
    new Promise((resolve) => child.once('message', resolve)),
    ended.then(() => Promise.reject(new Error(`the ${side} shop ended`))),
  ])
  return {
    ...{ address, site: root, log, databaseUrl: url, ssh, certificate: paths },
    rotateLog: () => {
      child.kill('SIGUSR2')
    },
    async stop() {
      child.kill('SIGKILL')
      await ended
      await Promise.all([ssh.stop(), server.stop()])
    },
  }
}

export async function onDatabase<T>(url: string, work: (database: pg.Client) => Promise<T>): Promise<T> {
  const database = new pg.Client({ connectionString: url })
  await database.connect()
  try {
    return await work(database)
  } finally {
    await database.end()
  }
}
