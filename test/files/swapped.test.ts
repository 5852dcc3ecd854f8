import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { bytesOf, errorOf } from '../contract/files-kit.ts'
import { perform } from '../fakes/step-run.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'
import { startMove } from './moving-files.ts'

const LARGE = 3 * 1024 * 1024

/** A file of somebody else's on the same host, as long as the site's own. */
const elsewhere = mkdtempSync(join(tmpdir(), 'migrate-elsewhere-'))
const secret = join(elsewhere, 'secret')
const exchange = (site: SiteFolder, path: string, target: string, bytes: number): void => {
  writeFileSync(secret, Buffer.alloc(bytes, 'secret'))
  rmSync(join(site.path, path))
  symlinkSync(target, join(site.path, path))
}
afterAll(() => rmSync(elsewhere, { recursive: true }))

function readsNothingElse(use: () => { readonly host: FileHost; readonly site: SiteFolder }): void {
  it.each([
    ['a small file', 6],
    ['a large one', LARGE],
  ])('%s that is exchanged for a link that leads outside after it was listed is not read through it', async (_which, bytes) => {
    const { host, site } = use()
    site.put('folder/file', Buffer.alloc(bytes, 'own'))
    const entries = []
    for await (const entry of host.list()) entries.push(entry)
    const entry = entries.find(({ path }) => path === 'folder/file')
    if (entry === undefined) throw new Error('not listed')
    exchange(site, 'folder/file', secret, bytes)
    expect((await errorOf(bytesOf(host.read('folder/file', { entry })))).code).toBe('path-escapes-root')
    rmSync(join(site.path, 'folder/file'))
  })
}

describe('on this machine', () => {
  const site = siteFolder()
  afterAll(() => site.remove())
  readsNothingElse(() => ({ host: openLocal(site.path), site }))

  it.skipIf(process.platform === 'win32')('a file that is exchanged for a pipe holds nobody up', async () => {
    site.put('file', Buffer.from('own'))
    const host = openLocal(site.path)
    const entry = await host.stat('file')
    if (entry === undefined) throw new Error('not there')
    rmSync(join(site.path, 'file'))
    execFileSync('mkfifo', [join(site.path, 'file')])
    expect((await errorOf(bytesOf(host.read('file', { entry })))).code).toBe('files-failed')
    rmSync(join(site.path, 'file'))
  })
})

describe.skipIf(sshdMissing !== null)(`over SFTP${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
  const site = siteFolder()
  let sshd: Sshd
  let host: FileHost
  beforeAll(async () => {
    sshd = await startSshd()
    const { address, port, user, key, fingerprint } = sshd
    host = openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 1 })
  })
  afterAll(async () => {
    await host.close()
    await sshd.stop()
    site.remove()
  })
  readsNothingElse(() => ({ host, site }))

  it('a folder that is exchanged for such a link is seen to be one by the next listing', async () => {
    site.put('was/file', Buffer.from('own'))
    for await (const _entry of host.list());
    writeFileSync(join(elsewhere, 'file'), 'secret')
    rmSync(join(site.path, 'was'), { recursive: true })
    symlinkSync(elsewhere, join(site.path, 'was'))
    for await (const _entry of host.list());
    expect((await errorOf(bytesOf(host.read('was/file')))).code).toBe('path-escapes-root')
    rmSync(join(site.path, 'was'))
  })
})

describe('a file that is something else when it is looked at again', () => {
  it.each([
    'within one snapshot',
    'where the host gives what the link leads to, as over FTP',
    'when the snapshot is taken once more',
  ])('leaves the snapshot, %s', async (when) => {
    const move = await startMove()
    try {
      move.old.site.put('kept', Buffer.from('kept'))
      move.old.site.put('file', Buffer.from('own'))
      const isWithin = when !== 'when the snapshot is taken once more'
      if (!isWithin) await perform(move.snapshot(), move.run)
      const { host } = move.old
      const read = host.read.bind(host)
      let isExchanged = false
      const once = (): void => {
        if (!isExchanged) exchange(move.old.site, 'file', secret, 3)
        isExchanged = true
      }
      if (!isWithin) once()
      host.read = async (path, options) => {
        once()
        if (path === 'file' && when.startsWith('where')) return Readable.from([Buffer.from('sec')])
        return read(path, options)
      }
      move.run.named = true
      await perform(move.snapshot(), move.run)
      expect(await move.snapshot().verify(move.run)).toMatchObject([
        { message: expect.stringContaining('1 files') },
        { code: 'link-leads-outside', message: expect.stringMatching(/: file\.$/) },
      ])
      expect(await move.snapshot().plan(move.run)).toEqual([])
      await perform(move.restore(), move.run)
      expect(move.new.site.paths()).toEqual(['kept'])
    } finally {
      await move.stop()
    }
  })

  it.each([
    ['a small one', 3],
    ['a large one', LARGE],
  ])('is the folder that stands there by now, %s', async (_which, bytes) => {
    const move = await startMove()
    try {
      move.old.site.put('file', Buffer.alloc(bytes, 'own'))
      const { host, site } = move.old
      const read = host.read.bind(host)
      host.read = async (path, options) => {
        if (path === 'file') {
          rmSync(join(site.path, 'file'))
          site.put('file/within', Buffer.from('within'))
        }
        return read(path, options)
      }
      await perform(move.snapshot(), move.run)
      expect(await move.snapshot().plan(move.run)).toEqual([])
      await perform(move.restore(), move.run)
      expect(move.new.site.image()).toEqual(site.image())
    } finally {
      await move.stop()
    }
  })
})
