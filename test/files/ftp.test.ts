import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type FtpOptions, openFtp } from '../../src/files/ftp/index.ts'
import { nameBytes } from '../../src/files/raw-names.ts'
import { filesContract } from '../contract/files.ts'
import { type FilesUnderTest, faultsOf, type Truth } from '../contract/files-kit.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { FTP_UID, type Ftpd, ftpdMissing, startProftpd, startPureFtpd, startVsftpd } from '../servers/ftpd.ts'
import { freePorts } from '../servers/ports.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'

/** Each test has a folder of its own in the one that a server serves. */
interface Served {
  readonly server: Ftpd
  readonly folder: string
  readonly passivePorts?: readonly number[]
}

/** Where the proxy before an encrypted server listens: on the same ports as the server's data connections, so not on its address. */
const PROXY_ADDRESS = '127.0.0.2'

async function serve(start: (site: string) => Promise<Ftpd>): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-ftp-'))
  chmodSync(folder, 0o755)
  return { server: await start(folder), folder }
}

async function serveEncrypted(): Promise<Served> {
  const passivePorts = await freePorts(['127.0.0.1', PROXY_ADDRESS], 12)
  return { ...(await serve((site) => startProftpd({ site, tls: 'explicit', passivePorts }))), passivePorts }
}

const optionsFor = (server: Ftpd, change: Partial<FtpOptions> = {}): FtpOptions => ({
  host: server.address,
  port: server.port,
  user: server.user,
  password: new Secret(server.password),
  root: '/',
  tls: 'none',
  connections: 3,
  ...change,
})

/** The server's account owns all that is put there. */
function owned(site: SiteFolder): Truth {
  const own = (path: string): void => {
    for (let at = path; at !== '.' && at !== ''; at = at.includes('/') ? at.slice(0, at.lastIndexOf('/')) : '')
      chownSync(nameBytes(join(site.path, at)), FTP_UID, FTP_UID)
  }
  return {
    ...site,
    put: (path, ...rest) => {
      site.put(path, ...rest)
      own(path)
    },
    folder: (path) => {
      site.folder(path)
      own(path)
    },
    remove: (path) => rmSync(join(site.path, path), { force: true }),
  }
}

interface How {
  readonly lacks: NonNullable<FilesUnderTest['lacks']>
  readonly guest?: boolean
  readonly asRoot?: boolean
  readonly change?: (server: Ftpd) => Partial<FtpOptions>
  /** Everything comes in pieces, some of them late, by this seed. */
  readonly seed?: number
}

function contractOn(use: () => Served, name: string, how: How): void {
  filesContract(name, async () => {
    const { server, folder, passivePorts } = use()
    const site = siteFolder(folder)
    chmodSync(site.path, 0o755)
    if (how.asRoot !== true) chownSync(site.path, FTP_UID, FTP_UID)
    const root = `/${basename(site.path)}`
    const proxy = await startFaultProxy(
      { host: server.address, port: server.port },
      passivePorts === undefined ? { ftp: true } : { listen: PROXY_ADDRESS, passivePorts },
    )
    if (how.seed !== undefined) proxy.shred(how.seed)
    const change = { ...how.change?.(server), host: proxy.host, port: proxy.port }
    const host = openFtp(optionsFor(server, { root, ...change }))
    const impatient = openFtp(optionsFor(server, { root, ...change, timeoutMs: 600 }))
    const readOnly = how.guest === true ? openFtp(optionsFor(server, { root, user: server.guest, ...change })) : undefined
    return {
      host,
      impatient,
      ...(readOnly === undefined ? {} : { readOnly }),
      truth:
        how.asRoot === true ? { ...site, remove: (path: string) => rmSync(join(site.path, path), { force: true }) } : owned(site),
      lacks: how.lacks,
      isSlow: true,
      ...(how.asRoot === true ? {} : { deny: (path: string) => denied(join(site.path, path)) }),
      ...faultsOf(proxy, how.seed),
      stop: async () => {
        await Promise.all([host.close(), readOnly?.close(), impatient.close()])
        await proxy.close()
        site.remove()
      },
    }
  })
}

function denied(path: string): void {
  chownSync(path, 0, 0)
  chmodSync(path, 0o700)
}

const title = (text: string): string => (ftpdMissing === null ? text : `${text} (skipped: ${ftpdMissing})`)

describe.skipIf(ftpdMissing !== null)(title('FTP'), () => {
  const served: Partial<Record<'proftpd' | 'tls' | 'vsftpd' | 'pure', Served>> = {}
  const use = (name: keyof typeof served) => (): Served => {
    const found = served[name]
    if (found === undefined) throw new Error(`${name} wasn't started`)
    return found
  }
  beforeAll(async () => {
    served.proftpd = await serve((site) => startProftpd({ site }))
    served.tls = await serveEncrypted()
    served.vsftpd = await serve((site) => startVsftpd({ site }))
    served.pure = await serve((site) => startPureFtpd({ site }))
  })
  afterAll(async () => {
    for (const each of Object.values(served)) {
      await each.server.stop()
      rmSync(each.folder, { recursive: true, force: true })
    }
  })

  contractOn(use('proftpd'), 'FTP, proftpd', { lacks: ['links', 'line breaks'], guest: true, asRoot: true })
  contractOn(use('tls'), 'FTPS, proftpd', {
    lacks: ['links', 'line breaks'],
    guest: true,
    asRoot: true,
    change: (server) => ({ tls: 'explicit', fingerprint: server.fingerprint }),
    seed: 5,
  })
  contractOn(use('vsftpd'), 'FTP, vsftpd', { lacks: ['links', 'modes', 'line breaks'] })
  contractOn(use('pure'), 'FTP, pure-ftpd', { lacks: ['links', 'line breaks', 'backslashes', 'sight of line breaks'], seed: 7 })
})
