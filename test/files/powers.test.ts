import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { startSftpServer } from '../../src/demo/sftp-server.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { errorOf, overriding } from '../contract/files-kit.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { type Ftpd, ftpdMissing, startProftpd, startVsftpd } from '../servers/ftpd.ts'
import { startIisFtpd } from '../servers/iis-ftpd.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'

const password = new Secret('correct horse')
let [site, other]: SiteFolder[] = []
let run: TestRun
const ends: (() => unknown)[] = []
beforeEach(() => {
  ;[site, other] = [siteFolder(), siteFolder()]
  run = new TestRun(mkdtempSync(join(tmpdir(), 'migrate-powers-')))
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  for (const each of [site, other]) each?.remove()
  rmSync(run.directory, { recursive: true })
})

const local = (): FileHost => openLocal(other?.path ?? '')
const opened = (host: FileHost): FileHost => {
  ends.push(() => host.close())
  return host
}

/** What `check` says of a host that it brings files to, or from. */
async function told(old: FileHost, fresh: FileHost): Promise<readonly string[]> {
  const world = testWorld({ old: { files: old }, new: { files: fresh } })
  const findings = await restoreFilesKind.create(restoreFilesKind.options.parse(undefined), testContext(world, 'r')).check(run)
  return findings.map(({ code }) => code).sort()
}

async function iis(lacks: readonly string[] = []): Promise<FileHost> {
  const server = await startIisFtpd(site?.path ?? '', { lacks })
  ends.push(() => server.close())
  const proxy = await startFaultProxy({ host: server.address, port: server.port }, { ftp: true })
  ends.push(() => proxy.close())
  const host = openFtp({ host: proxy.host, port: proxy.port, user: 'shop', password, root: '/', tls: 'none', connections: 2 })
  return opened(Object.assign(host, { cut: (bytes: number) => proxy.cut(bytes), mend: () => proxy.mend() }))
}

async function ftp(start: (options: { site: string }) => Promise<Ftpd>): Promise<FileHost> {
  chmodSync(site?.path ?? '', 0o755)
  const server = await start({ site: site?.path ?? '' })
  ends.push(() => server.stop())
  const { address, port, user } = server
  return opened(openFtp({ host: address, port, user, password, root: '/', tls: 'none', connections: 2 }))
}

async function sshd(config: readonly string[]): Promise<FileHost> {
  const server = await startSshd({ config })
  ends.push(() => server.stop())
  const { address, port, user, key, fingerprint } = server
  return opened(openSftp({ host: address, port, user, key, fingerprint, root: site?.path ?? '', connections: 2 }))
}

async function plainSftp(): Promise<FileHost> {
  const users = [{ name: 'shop', password: 'correct horse' }]
  const server = await startSftpServer({ folder: site?.path ?? '', address: '127.0.0.1', users })
  ends.push(() => server.close())
  const { address, port, fingerprint } = server
  return opened(openSftp({ host: address, port, fingerprint, user: 'shop', password, root: '/', connections: 2 }))
}

describe('what a new host can’t do is said beforehand', () => {
  it('of IIS', async () => {
    expect(await told(local(), await iis())).toEqual([
      'files-in-the-clear',
      'files-no-modes',
      'files-no-times',
      'files-read-back',
      'files-replaced-in-two-steps',
      'files-room-unknown',
      'files-unflushed',
    ])
  })

  it('of SFTP without extensions', async () => {
    const host = await plainSftp()
    expect(await host.powers()).toMatchObject({ flushes: 'nothing', copies: false, timeSeconds: 1 })
    expect(await told(local(), host)).toEqual([
      'files-read-back',
      'files-replaced-in-two-steps',
      'files-room-unknown',
      'files-unflushed',
    ])
  })

  describe.skipIf(ftpdMissing !== null)(ftpdMissing === null ? 'over FTP' : `over FTP (skipped: ${ftpdMissing})`, () => {
    it('of proftpd, which hashes', async () => {
      expect(await told(local(), await ftp(startProftpd))).toEqual([
        'files-hashed-there',
        'files-room-unknown',
        'files-unflushed',
      ])
    })

    it('of vsftpd, which takes no modes', async () => {
      const codes = await told(local(), await ftp(startVsftpd))
      expect(codes).toEqual(expect.arrayContaining(['files-no-modes', 'files-read-back', 'files-room-unknown']))
      expect(codes).not.toContain('files-no-times')
    })
  })

  describe.skipIf(sshdMissing !== null)(`of Debian's sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
    it('nothing, where it gives a shell', async () => {
      const host = await sshd([])
      expect(await host.powers()).toMatchObject({ flushes: 'all', copies: true, timeSeconds: 1, freeSpace: true })
      expect(await told(local(), host)).toEqual(['files-hashed-there'])
    })

    it('without one, that it doesn’t hash, and brings only large files to the disk', async () => {
      const host = await sshd(['ForceCommand internal-sftp'])
      expect(await host.powers()).toMatchObject({ flushes: 'large', copies: true })
      expect(await told(local(), host)).toEqual(['files-read-back', 'files-unflushed'])
    })
  })

  it('that it takes names for one that differ in how an accent is written', async () => {
    for (const form of ['NFC', 'NFD']) other?.put(`caf\u00e9.jpg`.normalize(form), Buffer.from(form))
    const host = openLocal(site?.path ?? '')
    const pairs = async (powers: object): Promise<readonly string[]> => {
      const given = await host.powers()
      const target = overriding(host, { powers: async () => ({ ...given, ...powers }) })
      const world = testWorld({ old: { files: local() }, new: { files: target } })
      const step = restoreFilesKind.create(restoreFilesKind.options.parse(undefined), testContext(world, 'r'))
      return (await step.check(run)).flatMap(({ severity, code, message }) =>
        severity === 'info' ? [] : [`${severity} ${code} ${message}`],
      )
    }
    const [apple] = await pairs({ foldsCase: true, names: 'unicode' })
    expect(apple).toMatch(/^error file-names-differ-in-case .*an accent is a character of its own/)
    expect(await pairs({ foldsCase: true, names: 'windows' })).toEqual([])
    expect(await pairs({ foldsCase: false })).toEqual([])
  })
})

describe('what an old host can’t do is said beforehand', () => {
  it('that it begins every file anew, and so it does', async () => {
    const bytes = randomBytes(9_000_000)
    site?.put('large.bak', bytes)
    const host = await iis(['REST'])
    expect(await told(host, local())).toContain('files-begin-anew')
    const world = testWorld({ old: { files: host }, new: { files: local() } })
    const make = () => snapshotFilesKind.create(snapshotFilesKind.options.parse(undefined), testContext(world, 's'))
    Reflect.get(host, 'cut')(7_000_000)
    expect((await errorOf(perform(make(), run))).code).toBe('files-connection-lost')
    Reflect.get(host, 'mend')()
    await perform(make(), run)
    const restore = restoreFilesKind.create(restoreFilesKind.options.parse(undefined), testContext(world, 'r'))
    await perform(restore, run)
    expect(other?.read('large.bak')?.equals(bytes)).toBe(true)
  })

  it('that it tells times roughly, where a listing alone tells them', async () => {
    expect(await told(await iis(['MDTM']), local())).toContain('files-times-rough')
    expect(await told(await iis(), local())).not.toContain('files-times-rough')
  })
})
