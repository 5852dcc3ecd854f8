import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { type FtpOptions, openFtp } from '../../src/files/ftp/index.ts'
import type { FileHost } from '../../src/files/port.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { errorOf, listed } from '../contract/files-kit.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { type Ftpd, ftpdMissing, startProftpd, startPureFtpd, startVsftpd } from '../servers/ftpd.ts'
import { siteFolder } from '../servers/site-folder.ts'

const title = (text: string): string => (ftpdMissing === null ? text : `${text} (skipped: ${ftpdMissing})`)

describe.skipIf(ftpdMissing !== null)(title('logging in over FTP'), () => {
  const ends: (() => Promise<void> | void)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  const site = () => {
    const folder = siteFolder()
    ends.push(() => folder.remove())
    chmodSync(folder.path, 0o755)
    folder.put('index.html', Buffer.from('welcome'))
    return folder
  }
  const started = async (server: Promise<Ftpd>): Promise<Ftpd> => {
    const found = await server
    ends.push(() => found.stop())
    return found
  }
  const open = (server: Ftpd, change: Partial<FtpOptions>): FileHost => {
    const { address: host, port, user, password } = server
    const files = openFtp({ host, port, user, password: new Secret(password), root: '/', tls: 'none', connections: 2, ...change })
    ends.push(() => files.close())
    return files
  }

  it('encrypts from the first byte or after AUTH TLS, and trusts what the playbook names', async () => {
    for (const tls of ['implicit', 'explicit'] as const) {
      const server = await started(startProftpd({ site: site().path, tls }))
      const trusting = [{ ca: server.certificate }, { fingerprint: server.fingerprint }]
      for (const trust of trusting)
        expect((await listed(open(server, { tls, ...trust }))).map(({ path }) => path)).toEqual(['index.html'])
      const doubtful = await errorOf(open(server, { tls }).stat('index.html'))
      expect(doubtful).toMatchObject({ code: 'files-login-failed' })
      expect(doubtful.hint).toContain('fingerprint')
      const other = await errorOf(open(server, { tls, fingerprint: 'ab'.repeat(32) }).stat('index.html'))
      expect(other).toMatchObject({ code: 'files-host-key-changed' })
      expect(other.message).toContain(server.fingerprint)
    }
  })

  it('says what is wrong: the password, the way in, the folder, the certificates, nobody there', async () => {
    const server = await started(startProftpd({ site: site().path, tls: 'explicit' }))
    const trusted = { tls: 'explicit', ca: server.certificate } as const
    const wrong = await errorOf(open(server, { ...trusted, password: new Secret('battery staple') }).stat('x'))
    expect(wrong).toMatchObject({ code: 'files-login-failed' })
    expect(JSON.stringify(wrong)).not.toContain('battery')
    const clear = await errorOf(open(server, {}).stat('x'))
    expect(clear).toMatchObject({ code: 'files-login-failed' })
    expect(clear.hint).toContain('ftps://')
    expect(await open(server, { ...trusted, root: '/nowhere' }).check('read')).toMatchObject([{ code: 'files-root-missing' }])
    const unread = await errorOf(open(server, { tls: 'explicit', ca: '/nowhere.pem' }).stat('x'))
    expect(unread.message).toContain('/nowhere.pem')
    expect((await errorOf(open({ ...server, port: 1 }, {}).stat('x'))).code).toBe('files-unreachable')
  })

  it('warns of a password in the clear where the host could encrypt, and only there', async () => {
    const plain = await started(startVsftpd({ site: site().path }))
    expect(await open(plain, {}).check('read')).toEqual([])
    const able = await started(startPureFtpd({ site: site().path }))
    expect(await open(able, {}).check('read')).toMatchObject([{ severity: 'warning', code: 'files-in-the-clear' }])
  })

  it('finds a folder below the one in which a login begins', async () => {
    const folder = site()
    folder.put('shop/web.config', Buffer.from('<x/>'))
    const server = await started(startProftpd({ site: folder.path }))
    for (const root of ['~/shop', '/shop', '/shop/'])
      expect((await listed(open(server, { root }))).map(({ path }) => path)).toEqual(['web.config'])
  })

  it('moves a site from an FTP host to a folder here, names, times and bytes', async () => {
    const [old, fresh] = [site(), siteFolder()]
    ends.push(() => fresh.remove())
    const large = Buffer.alloc(3_000_000, 'picture ')
    old.put('images/Tröja 1.jpg', large, 0o640, 1_111_111_111)
    for (let index = 0; index < 60; index += 1)
      old.put(`cache/${index % 3}/${index}`, Buffer.from(`${index}`), 0o600, 1_200_000_000 + index)
    const [from, to] = [await started(startProftpd({ site: old.path })), await started(startProftpd({ site: fresh.path }))]
    const directory = mkdtempSync(join(tmpdir(), 'migrate-ftp-run-'))
    ends.push(() => rmSync(directory, { recursive: true, force: true }))
    const world = testWorld({ old: { files: open(from, { user: from.guest }) }, new: { files: open(to, {}) } })
    const run = new TestRun(directory)
    await perform(snapshotFilesKind.create(snapshotFilesKind.options.parse(undefined), testContext(world, 'snapshot-files')), run)
    const restore = restoreFilesKind.create(restoreFilesKind.options.parse(undefined), testContext(world, 'restore-files'))
    await perform(restore, run)
    expect((await restore.verify(run)).filter(({ severity }) => severity !== 'info')).toEqual([])
    expect(fresh.image()).toEqual(old.image())
    expect(await restore.plan(run)).toEqual([])
  })
})
