import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Secret } from '../../src/base/secret.ts'
import { startSftpServer } from '../../src/demo/sftp-server.ts'
import type { SftpFaults } from '../../src/demo/sftp-session.ts'
import { type FtpOptions, openFtp } from '../../src/files/ftp/index.ts'
import { nameBytes } from '../../src/files/raw-names.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { type FilesUnderTest, faultsOf, type Truth } from '../contract/files-kit.ts'
import type { OnALine } from '../contract/files-on-bad-lines.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { FTP_UID, type Ftpd, startProftpd } from '../servers/ftpd.ts'
import { startIisFtpd } from '../servers/iis-ftpd.ts'
import { freePorts } from '../servers/ports.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import type { Sshd } from '../servers/sshd.ts'

const password = new Secret('correct horse')

/**
 * The server of this program's own demo, in this process. `seed`: everything comes in pieces, some of them late. `limitMs`: after so long a
 * silence the host is given up; it takes what it takes by itself when absent, here as below.
 */
export async function inProcess({ seed, limitMs }: { readonly seed?: number; readonly limitMs?: number } = {}): Promise<OnALine> {
  const site = siteFolder()
  const faults: SftpFaults = {}
  const users = [
    { name: 'shop', password: 'correct horse' },
    { name: 'guest', password: 'correct horse', readOnly: true },
  ]
  const { address, port, fingerprint, close } = await startSftpServer({ folder: site.path, address: '127.0.0.1', users, faults })
  const proxy = await startFaultProxy({ host: address, port })
  if (seed !== undefined) proxy.shred(seed)
  const login = { host: proxy.host, port: proxy.port, root: '/', password, fingerprint, connections: 2 }
  const open = (user: string, silenceMs = limitMs ?? 60_000) => openSftp({ ...login, silenceMs, user })
  const [host, readOnly, impatient] = [open('shop'), open('guest'), open('shop', 400)]
  return {
    host,
    readOnly,
    impatient,
    proxy,
    sealed: true,
    truth: site,
    lacks: ['raw names'],
    deny: (path) => {
      faults.denied = path
    },
    fill: (afterBytes) => {
      faults.diskFullAfterBytes = afterBytes
    },
    ...faultsOf(proxy, seed),
    stop: async () => {
      await Promise.all([host.close(), readOnly.close(), impatient.close()])
      await proxy.close()
      await close()
      site.remove()
    },
  }
}

/** Debian's sshd; `reading` lets nobody write. */
export async function bySshd(writing: Sshd, reading: Sshd, limitMs = 30_000): Promise<OnALine> {
  const site = siteFolder()
  const proxy = await startFaultProxy({ host: writing.address, port: writing.port })
  const open = ({ address, user, key, fingerprint }: Sshd, port: number, keepaliveMs = limitMs / 3) =>
    openSftp({ keepaliveMs, host: address, port, user, root: site.path, key, fingerprint, connections: 3 })
  const host = open(writing, proxy.port)
  const readOnly = open(reading, reading.port)
  const impatient = open(writing, proxy.port, 150)
  return {
    host,
    readOnly,
    impatient,
    proxy,
    sealed: true,
    truth: site,
    ...faultsOf(proxy),
    stop: async () => {
      await Promise.all([host.close(), readOnly.close(), impatient.close()])
      await proxy.close()
      site.remove()
    },
  }
}

/** As IIS speaks. */
export async function asIis(limitMs = 30_000): Promise<OnALine> {
  const site = siteFolder()
  const server = await startIisFtpd(site.path)
  const proxy = await startFaultProxy({ host: server.address, port: server.port }, { ftp: true })
  const login = { host: proxy.host, port: proxy.port, password, root: '/', tls: 'none', connections: 3 } as const
  const open = (user: string, timeoutMs = limitMs) => openFtp({ ...login, user, timeoutMs })
  const [host, readOnly, impatient] = [open('shop'), open('guest'), open('shop', 600)]
  return {
    host,
    readOnly,
    impatient,
    proxy,
    sealed: false,
    truth: { ...site, remove: (path) => rmSync(join(site.path, path), { force: true }) },
    lacks: ['links', 'modes', 'line breaks', 'backslashes', 'sight of line breaks', 'raw names', 'all but Windows'],
    isSlow: true,
    deny: (path) => {
      server.denied = path
    },
    fill: (afterBytes) => {
      server.room = afterBytes ?? Number.POSITIVE_INFINITY
    },
    ...faultsOf(proxy),
    stop: async () => {
      await Promise.all([host.close(), readOnly.close(), impatient.close()])
      await proxy.close()
      await server.close()
      site.remove()
    },
  }
}

/** An FTP server for many tests: each has a folder of its own in the one that it serves. */
export interface Served {
  readonly server: Ftpd
  readonly folder: string
  readonly passivePorts?: readonly number[]
}

/** Where the proxy before an encrypted server listens: on the same ports as the server's data connections, so not on its address. */
const PROXY_ADDRESS = '127.0.0.2'

export async function serve(start: (site: string) => Promise<Ftpd>): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-ftp-'))
  chmodSync(folder, 0o755)
  return { server: await start(folder), folder }
}

export async function serveEncrypted(tls: 'explicit' | 'implicit'): Promise<Served> {
  const passivePorts = await freePorts(['127.0.0.1', PROXY_ADDRESS], 12)
  return { ...(await serve((site) => startProftpd({ site, tls, passivePorts }))), passivePorts }
}

export async function stopServing({ server, folder }: Served): Promise<void> {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

/** What a kind of FTP server needs to be tested. */
export interface FtpKind {
  readonly lacks: NonNullable<FilesUnderTest['lacks']>
  readonly guest?: boolean
  readonly asRoot?: boolean
  readonly tls?: FtpOptions['tls']
  /** Everything comes in pieces, some of them late, by this seed. */
  readonly seed?: number | undefined
}

export const FTP_KINDS = {
  proftpd: { lacks: ['links', 'line breaks'], guest: true, asRoot: true },
  explicit: { lacks: ['links', 'line breaks'], guest: true, asRoot: true, tls: 'explicit', seed: 5 },
  implicit: { lacks: ['links', 'line breaks'], guest: true, asRoot: true, tls: 'implicit' },
  vsftpd: { lacks: ['links', 'modes', 'line breaks'] },
  pure: { lacks: ['links', 'line breaks', 'backslashes', 'sight of line breaks'], seed: 7 },
} as const satisfies Readonly<Record<string, FtpKind>>

export async function overFtp({ server, folder, passivePorts }: Served, kind: FtpKind, limitMs = 30_000): Promise<OnALine> {
  const site = siteFolder(folder)
  chmodSync(site.path, 0o755)
  if (kind.asRoot !== true) chownSync(site.path, FTP_UID, FTP_UID)
  const proxy = await startFaultProxy(
    { host: server.address, port: server.port },
    passivePorts === undefined ? { ftp: true } : { listen: PROXY_ADDRESS, passivePorts },
  )
  if (kind.seed !== undefined) proxy.shred(kind.seed)
  const { tls = 'none' } = kind
  const trust = tls === 'none' ? {} : { fingerprint: server.fingerprint }
  const login = { host: proxy.host, port: proxy.port, root: `/${basename(site.path)}`, tls, ...trust, connections: 3 }
  const open = (user: string, timeoutMs = limitMs) =>
    openFtp({ ...login, user, password: new Secret(server.password), timeoutMs })
  const [host, impatient] = [open(server.user), open(server.user, 600)]
  const readOnly = kind.guest === true ? open(server.guest) : undefined
  return {
    host,
    impatient,
    proxy,
    sealed: tls !== 'none',
    ...(readOnly === undefined ? {} : { readOnly }),
    truth:
      kind.asRoot === true ? { ...site, remove: (path: string) => rmSync(join(site.path, path), { force: true }) } : owned(site),
    lacks: kind.lacks,
    isSlow: true,
    ...(kind.asRoot === true ? {} : { deny: (path: string) => denied(join(site.path, path)) }),
    ...faultsOf(proxy, kind.seed),
    stop: async () => {
      await Promise.all([host.close(), readOnly?.close(), impatient.close()])
      await proxy.close()
      site.remove()
    },
  }
}

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

function denied(path: string): void {
  chownSync(path, 0, 0)
  chmodSync(path, 0o700)
}
