import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost } from '../../src/files/port.ts'
import { ANY_TIME } from '../../src/files/times.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { filesContract } from '../contract/files.ts'
import { bytesOf, errorOf, from, listed, plainly } from '../contract/files-kit.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { type IisFtpd, type IisManner, startIisFtpd } from '../servers/iis-ftpd.ts'
import { notRecorded } from '../servers/iis-replies.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { asIis } from './networked.ts'

const open = (server: { readonly host: string; readonly port: number }, user = 'shop', timeoutMs = 30_000): FileHost =>
  openFtp({ ...server, user, password: new Secret('correct horse'), root: '/', tls: 'none', connections: 3, timeoutMs })

/** What has arrived of the file that is on its way, bytes. */
const largest = (folder: string): number =>
  Math.max(0, ...readdirSync(folder).map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0))

filesContract('FTP, as IIS speaks it (recorded answers)', () => asIis())

describe('what IIS is made to say', () => {
  it('is from sessions that people published, but for what none of them shows', () => {
    expect(notRecorded()).toEqual({
      without: [],
      documented: [
        'structure',
        'noop',
        'siteHelp',
        'time',
        'restart',
        'idle',
        'broken',
        'full',
        'inUse',
        'badName',
        'noFolder',
        'other',
      ],
    })
  })
})

const MANNERS: readonly (readonly [string, IisManner])[] = [
  ['IIS 6, which knows neither EPSV nor UTF-8', { version: 6 }],
  ['IIS that tells errors in detail', { inDetail: true }],
  ['IIS whose site has UTF-8 turned off', { utf8: false }],
  ['IIS at a shared host that greets by itself', { welcome: 'HostingPartner.nl' }],
]

describe.each(MANNERS)('%s', (_title, manner) => {
  it('is listed, read, written and refused by as any other', async () => {
    const site = siteFolder()
    const server = await startIisFtpd(site.path, manner)
    const login = { host: server.address, port: server.port }
    const [host, guest] = [open(login), open(login, 'guest')]
    try {
      for (const [path, text] of [
        ['Default.aspx', 'old'],
        ['images/a b.gif', 'picture'],
      ] as const)
        site.put(path, Buffer.from(text), 0o644, 1_111_111_111)
      expect(
        (await listed(host)).map(({ path, size, mtimeSeconds }) => `${path} ${size} ${mtimeSeconds > 1_111_111_000}`),
      ).toEqual(['Default.aspx 3 true', 'images 0 true', 'images/a b.gif 7 true'])
      expect((await bytesOf(host.read('images/a b.gif'))).toString()).toBe('picture')
      expect((await bytesOf(host.read('images/a b.gif', { offset: 3 }))).toString()).toBe('ture')
      await host.write('Default.aspx', from('new'), plainly)
      await host.write('made/below/x.txt', from('x'), plainly)
      expect(site.read('Default.aspx')?.toString()).toBe('new')
      expect(site.read('made/below/x.txt')?.toString()).toBe('x')
      expect(await host.stat('nothing.txt')).toBeUndefined()
      expect(await errorOf(bytesOf(host.read('nothing.txt')))).toMatchObject({ code: 'file-missing' })
      expect(await errorOf(listed(host, 'nowhere'))).toMatchObject({ code: 'file-missing' })
      expect(await errorOf(guest.write('Default.aspx', from('bad'), plainly))).toMatchObject({ code: 'file-permission-denied' })
      server.room = 10
      expect(await errorOf(host.write('large', from(Buffer.alloc(50_000)), plainly))).toMatchObject({ code: 'files-disk-full' })
      server.denied = 'images'
      expect(await errorOf(listed(host))).toMatchObject({ code: 'file-permission-denied' })
      server.denied = undefined
      await host.removeFolder('made')
      for (const path of ['made/below/x.txt']) await host.remove(path)
      for (const path of ['made/below', 'made']) await host.removeFolder(path)
      expect(site.paths()).toEqual(['Default.aspx', 'images', 'images/a b.gif'])
      expect(server.commands.includes('PASV')).toBe(manner.version === 6)
      // One that was dropped at rest without a word.
      server.drop()
      expect(await host.stat('Default.aspx')).toMatchObject({ size: 3 })
    } finally {
      await Promise.all([host.close(), guest.close()])
      await server.close()
      site.remove()
    }
  })
})

describe('a host that is IIS', () => {
  let [site, other]: SiteFolder[] = []
  let server: IisFtpd
  let host: FileHost
  let run: TestRun
  beforeEach(async () => {
    ;[site, other] = [siteFolder(), siteFolder()]
    server = await startIisFtpd(site.path)
    host = open({ host: server.address, port: server.port })
    run = new TestRun(mkdtempSync(join(tmpdir(), 'migrate-iis-')))
  })
  afterEach(async () => {
    await host.close()
    await server.close()
    for (const each of [site, other]) each?.remove()
    rmSync(run.directory, { recursive: true, force: true })
  })
  const steps = (old: FileHost, fresh: FileHost) => {
    const world = testWorld({ old: { files: old }, new: { files: fresh } })
    return {
      snapshot: snapshotFilesKind.create(snapshotFilesKind.options.parse(undefined), testContext(world, 'snapshot-files')),
      restore: restoreFilesKind.create(restoreFilesKind.options.parse(undefined), testContext(world, 'restore-files')),
    }
  }

  it('is known as such: names fold case, times can’t be set, a file is replaced in two steps', async () => {
    site?.put('Default.aspx', Buffer.from('1'))
    expect(await host.powers()).toEqual({
      atomicReplace: false,
      links: false,
      modes: false,
      freeSpace: false,
      times: false,
      hash: null,
      foldsCase: true,
      names: 'windows',
      lineBreaks: false,
      offsets: true,
      timeSeconds: 1,
      timeRange: ANY_TIME,
      flushes: 'nothing',
      copies: false,
      sealed: false,
    })
    await host.write('DEFAULT.ASPX', from('2'), plainly)
    expect(site?.paths()).toHaveLength(1)
  })

  it('is asked about a new file alone before it is written, not for all that its folder holds', async () => {
    for (let index = 0; index < 5; index += 1) await host.write(`new-${index}`, from('x'), { ...plainly, replaces: null })
    expect(server.commands.filter((command) => command === 'LIST')).toEqual([])
    expect(await errorOf(host.write('new-0', from('y'), { ...plainly, replaces: null }))).toMatchObject({
      code: 'file-changed-meanwhile',
    })
  })

  it('may hang up on connections that rest: the next task gets another', async () => {
    site?.put('file', Buffer.from('here'))
    await Promise.all([host.stat('file'), host.stat('file'), host.stat('file')])
    for (const task of [() => host.stat('file'), () => bytesOf(host.read('file')), () => host.write('new', from('x'), plainly)]) {
      server.hangUp()
      expect(await task()).toBeDefined()
    }
  })

  it('may hang up while a file is on its way: what has come is gone on with', async () => {
    const bytes = randomBytes(6_000_000)
    const again = (): Readable => Readable.from([bytes.subarray(0, 5_000_000), bytes.subarray(5_000_000)])
    const interrupted = Readable.from(
      (async function* () {
        yield bytes.subarray(0, 5_000_000)
        await vi.waitUntil(() => largest(site?.path ?? '') > 1_000_000, { timeout: 60_000 })
        server.hangUp()
        yield bytes.subarray(5_000_000)
      })(),
    )
    const error = await errorOf(host.write('large', interrupted, { ...plainly, again }))
    expect(error).toMatchObject({ code: 'files-connection-lost', retrySafe: true })
    expect(site?.read('large')).toBeUndefined()
    const written = await host.write('large', again(), { ...plainly, again })
    expect(written.resumedAt).toBeGreaterThan(1_000_000)
    expect(site?.read('large')?.equals(bytes)).toBe(true)
  })

  it('is copied whole to a new host, with its exact times', async () => {
    for (const [path, text] of [
      ['web.config', '<configuration/>'],
      ['Bin/Shop.dll', 'MZ'],
      ['images/größe & preis.jpg', 'é'],
      ['images/empty.gif', ''],
    ] as const)
      site?.put(path, Buffer.from(text), 0o644, 1_234_567_891)
    const { snapshot, restore } = steps(host, openLocal(other?.path ?? ''))
    await perform(snapshot, run)
    await perform(restore, run)
    expect(other?.image()).toEqual(site?.image())
    expect(await snapshot.plan(run)).toEqual([])
    expect(await restore.plan(run)).toEqual([])
  })

  it('as the new host is told before anything is written which names it won’t take', async () => {
    for (const path of ['a:b', 'CON', 'dot.', 'Images/x', 'images/y', 'fine.txt']) other?.put(path, Buffer.from('1'))
    const findings = await steps(openLocal(other?.path ?? ''), host).restore.check(run)
    const faults = findings.filter(({ severity }) => severity === 'error')
    expect(faults.map(({ code }) => code).sort()).toEqual(['file-name-not-windows', 'file-names-differ-in-case'])
    expect(faults.map(({ message }) => message).join()).toContain('Images and images')
    expect(faults.map(({ message }) => message).join()).toContain('"dot." (ends with a dot)')
    expect(site?.paths()).toEqual([])
    expect(server.commands.filter((each) => ['STOR', 'APPE', 'MKD', 'DELE', 'RMD', 'RNTO'].includes(each))).toEqual([])
  })
})
