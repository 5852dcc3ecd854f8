import { randomBytes, randomInt } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { codeOf, MigrateError } from '../base/errors.ts'
import type { Luck } from './customers-luck.ts'
import type { Closing } from './hosts-closing.ts'
import { startPostgres } from './postgres-server.ts'
import { type SftpServer, startSftpServer } from './sftp-server.ts'
import { startShop } from './shop.ts'
import { writeSite } from './shop-site.ts'
import { createShopTables } from './shop-tables.ts'

/** A shared host in small: an address, a folder behind SFTP, a database, and the shop's program over both. */
export interface DemoHost {
  readonly side: 'old' | 'new'
  readonly address: string
  /** `sftp://site@127.80.3.10:4022/`, the password beside it. */
  readonly filesUrl: string
  readonly filesPassword: string
  /** `SHA256:…` of the SFTP server's key. */
  readonly fingerprint: string
  /** With the password in it, as the shop's configuration has it. */
  readonly databaseUrl: string
}

export interface DemoHosts {
  readonly old: DemoHost
  readonly new: DemoHost
  /** The first three numbers of every address in this demo: `127.80.3`. */
  readonly network: string
  /** Both shops listen on it: an address in DNS has no room for a port. */
  readonly shopPort: number
}

export interface HostsOptions {
  /** A folder of the demo's own; other users must be able to pass through it. */
  readonly folder: string
  readonly luck: Luck
  /** Everything started is added to it. */
  readonly closing: Closing
}

const USER = 'shop'

/** Starts the old host with a shop in trade, and the new one, empty. Throws MigrateError `demo-server-failed`. */
export async function startHosts(options: HostsOptions): Promise<DemoHosts> {
  const network = `127.${randomInt(64, 127)}.${randomInt(1, 255)}`
  const [oldHost, newHost] = await Promise.all([
    startHost('old', `${network}.10`, options),
    startHost('new', `${network}.20`, options),
  ])
  await fillOldHost(oldHost, options)
  const shopPort = await openShops([oldHost, newHost], options)
  return { old: oldHost, new: newHost, network, shopPort }
}

const siteFolder = (folder: string, side: DemoHost['side']): string => join(folder, side, 'site')

async function startHost(side: DemoHost['side'], address: string, { folder, closing }: HostsOptions): Promise<DemoHost> {
  const site = siteFolder(folder, side)
  await mkdir(site, { recursive: true })
  const password = randomBytes(12).toString('hex')
  const sftp = await reachable(address, () => startSftpServer({ folder: site, address, users: [{ name: 'site', password }] }))
  closing.add(() => sftp.close())
  const server = await startPostgres({ directory: join(folder, side, 'postgres'), host: address })
  closing.add(() => server.stop())
  // The same login on both hosts: then only the server's name differs in the shop's configuration.
  const databaseUrl = await server.createDatabase('shop', { user: USER, password: 'a-shop-in-a-demo' })
  return {
    side,
    address,
    filesUrl: `sftp://site@${address}:${sftp.port}/`,
    filesPassword: password,
    fingerprint: sftp.fingerprint,
    databaseUrl,
  }
}

async function reachable(address: string, start: () => Promise<SftpServer>): Promise<SftpServer> {
  try {
    return await start()
  } catch (error) {
    if (codeOf(error) !== 'EADDRNOTAVAIL') throw error
    throw new MigrateError(
      'demo-server-failed',
      `This system doesn't let a program listen on ${address}, so two hosts can't be played.`,
      {
        hint: 'On Linux every 127.x.y.z address works. On macOS run the demo in a Linux container or machine.',
        cause: error,
      },
    )
  }
}

async function fillOldHost(host: DemoHost, { folder, luck }: HostsOptions): Promise<void> {
  await writeSite(siteFolder(folder, 'old'), host.databaseUrl)
  const database = new pg.Client({ connectionString: host.databaseUrl })
  await database.connect()
  try {
    await createShopTables(database, luck.branch('shop'))
  } finally {
    await database.end()
  }
}

const TRIES = 20

/** A port that is free for the old host's shop may be taken on the new host's address: then another one is tried. */
async function openShops([first, second]: readonly [DemoHost, DemoHost], { folder, closing }: HostsOptions): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const shop = await startShop({ root: siteFolder(folder, first.side), address: first.address, port: 0 })
    try {
      const other = await startShop({ root: siteFolder(folder, second.side), address: second.address, port: shop.port })
      closing.add(() => Promise.all([shop.stop(), other.stop()]))
      return shop.port
    } catch (error) {
      await shop.stop()
      if (codeOf(error) !== 'EADDRINUSE' || tries === TRIES) throw error
    }
  }
}
