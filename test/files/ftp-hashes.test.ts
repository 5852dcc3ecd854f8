import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { connect } from '../../src/files/ftp/connection.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import { serverHash } from '../../src/files/ftp/powers.ts'
import { openLocal } from '../../src/files/local.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { ftpdMissing, startProftpd } from '../servers/ftpd.ts'
import { siteFolder } from '../servers/site-folder.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

describe.skipIf(ftpdMissing !== null)(
  `an FTP host that hashes${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`,
  () => {
    const started = async () => {
      const site = siteFolder()
      chmodSync(site.path, 0o755)
      const server = await startProftpd({ site: site.path })
      const { address, port, user } = server
      const options = { host: address, port, user, password: new Secret(server.password), root: '/', tls: 'none' } as const
      ends.push(
        () => site.remove(),
        () => server.stop(),
      )
      return { site, options: { ...options, connections: 2 } }
    }

    it('is asked by XSHA256, or by HASH where it has no other, for the same hash', async () => {
      const { site, options } = await started()
      const bytes = randomBytes(100_000)
      site.put('picture.jpg', bytes)
      const connection = await connect(options)
      ends.push(() => connection.client.close())
      const by = (...features: readonly string[]) => serverHash({ ...connection, features: new Set(features) }, '/picture.jpg')
      for (const command of ['XSHA256', 'HASH']) {
        expect(connection.features).toContain(command)
        const count = connection.answers.count
        expect(await by(command), command).toBe(createHash('sha256').update(bytes).digest('hex'))
        expect(connection.answers.count).toBeGreaterThan(count)
      }
      expect(await by('SIZE')).toBeUndefined()
    })

    it('is asked for a file whose name has spaces, and not for a part of the one that its first word names', async () => {
      const { site, options } = await started()
      site.put('file', Buffer.from('0123456789'))
      site.put('file 0 5', Buffer.from('another'))
      site.put('a "quoted" name', Buffer.from('another'))
      const connection = await connect(options)
      ends.push(() => connection.client.close())
      const by = (command: string, path: string) => serverHash({ ...connection, features: new Set([command]) }, path)
      const right = createHash('sha256').update('another').digest('hex')
      for (const command of ['XSHA256', 'HASH']) expect(await by(command, '/file 0 5'), command).toBe(right)
      expect(await by('HASH', '/a "quoted" name')).toBe(right)
      expect(await by('XSHA256', '/a "quoted" name')).toBeUndefined()
    })

    it('proves what was restored to it by its own hashes, without giving a byte back, and a single wrong bit is found', async () => {
      const [old, { site, options }] = [siteFolder(), await started()]
      const run = new TestRun(mkdtempSync(join(tmpdir(), 'migrate-ftp-hashes-')))
      const host = openFtp(options)
      const reads: string[] = []
      const read = host.read.bind(host)
      host.read = (path, given) => {
        reads.push(path)
        return read(path, given)
      }
      ends.push(
        () => old.remove(),
        () => rmSync(run.directory, { recursive: true, force: true }),
        () => host.close(),
      )
      for (let index = 0; index < 20; index += 1) old.put(`images/${index} ä.jpg`, randomBytes(1000 + index))
      const world = testWorld({ old: { files: openLocal(old.path) }, new: { files: host } })
      const restore = () =>
        restoreFilesKind.create(restoreFilesKind.options.parse(undefined), testContext(world, 'restore-files'))
      await perform(
        snapshotFilesKind.create(snapshotFilesKind.options.parse(undefined), testContext(world, 'snapshot-files')),
        run,
      )
      await perform(restore(), run)
      expect(await restore().verify(run)).toMatchObject([
        { code: 'restored-files-hashed', message: expect.stringMatching(/^20 files.*XSHA256/) },
      ])
      expect(reads).toEqual([])
      const at = join(site.path, 'images/7 ä.jpg')
      const { mtimeMs } = statSync(at)
      const bytes = site.read('images/7 ä.jpg') ?? Buffer.alloc(0)
      bytes[500] = (bytes[500] ?? 0) ^ 1
      writeFileSync(at, bytes)
      utimesSync(at, mtimeMs / 1000, mtimeMs / 1000)
      const wrong = { code: 'restored-files-differ', severity: 'error', message: expect.stringContaining('images/7 ä.jpg') }
      expect(await restore().verify(run)).toContainEqual(expect.objectContaining(wrong))
    })
  },
)
