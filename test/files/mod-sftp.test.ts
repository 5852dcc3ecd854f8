import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { openLocal } from '../../src/files/local.ts'
import { nameFrom } from '../../src/files/raw-names.ts'
import { openSftp, type SftpHost } from '../../src/files/sftp/index.ts'
import { bytesOf, from, plainly, sha256 } from '../contract/files-kit.ts'
import { perform, TestRun } from '../fakes/step-run.ts'
import { type Ftpd, ftpdMissing, startProftpdSftp } from '../servers/ftpd.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { between } from './between.ts'

describe.skipIf(ftpdMissing !== null)(
  `a host with SFTP alone, proftpd's mod_sftp${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`,
  () => {
    let [site, old]: SiteFolder[] = []
    let server: Ftpd
    let host: SftpHost
    beforeAll(async () => {
      ;[site, old] = [siteFolder(), siteFolder()]
      server = await startProftpdSftp({ site: site.path })
      const { address, port, user, fingerprint } = server
      const password = new Secret(server.password)
      host = openSftp({ host: address, port, user, password, fingerprint, root: '/', connections: 2 })
    })
    afterAll(async () => {
      await host.close()
      await server.stop()
      for (const each of [site, old]) each?.remove()
    })

    it('hashes its files itself, asked for in the session', async () => {
      const bytes = randomBytes(2_000_000)
      const names = ['large', `it's "odd"\n`, nameFrom(Buffer.from('caf\xe9', 'latin1'))]
      for (const name of names) site?.put(name, Buffer.concat([Buffer.from(name), bytes]))
      site?.put('empty', Buffer.alloc(0))
      site?.folder('folder')
      expect(await host.powers()).toMatchObject({ hash: 'check-file over SFTP', flushes: 'large', copies: false })
      const wanted = names.map((name) => sha256(site?.read(name) ?? Buffer.alloc(0)))
      expect(await host.hashes([...names, 'nowhere', 'folder'])).toEqual([...wanted, null, null])
      expect([null, sha256(Buffer.alloc(0))]).toContain((await host.hashes(['empty']))[0])
      expect(await host.sha256('large')).toBe(wanted[0])
    })

    it('is not kept hashing for so long that it would be taken for lost: a huge file is to be read back', async () => {
      site?.put('huge', Buffer.alloc(0))
      site?.put('large', Buffer.alloc(2_000_000))
      truncateSync(join(site?.path ?? '', 'huge'), 2 ** 30 + 1)
      const [huge, large] = await host.hashes(['huge', 'large'])
      rmSync(join(site?.path ?? '', 'huge'))
      expect([huge, large]).toEqual([null, sha256(Buffer.alloc(2_000_000))])
    })

    it('is brought files to, reads them back, and proves them without sending them', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'migrate-mod-sftp-run-'))
      try {
        for (let index = 0; index < 30; index += 1) old?.put(`f${index}`, randomBytes(100 + index))
        old?.put('picture.jpg', randomBytes(1_500_000))
        const [run, steps] = [new TestRun(directory), between(openLocal(old?.path ?? ''), host)]
        await perform(steps.snapshot(), run)
        await perform(steps.restore(), run)
        expect(await steps.restore().verify(run)).toMatchObject([
          { code: 'restored-files-hashed', message: expect.stringMatching(/^31 files.*check-file/) },
        ])
        expect((await bytesOf(host.read('picture.jpg'))).equals(old?.read('picture.jpg') ?? Buffer.alloc(0))).toBe(true)
        await host.write('f1', from('new'), plainly)
        expect((await host.hashes(['f1']))[0]).toBe(sha256(Buffer.from('new')))
      } finally {
        rmSync(directory, { recursive: true })
      }
    })
  },
)
