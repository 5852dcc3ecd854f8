import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost } from '../../src/files/port.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { errorOf } from '../contract/files-kit.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { FTP_UID, type Ftpd, ftpdMissing, startPureFtpd } from '../servers/ftpd.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { fillShop, type Move, startMove } from './moving-files.ts'

const between = (from: FileHost, to: FileHost) => {
  const world = testWorld({ old: { files: from }, new: { files: to } })
  return {
    snapshot: () => snapshotFilesKind.create(snapshotFilesKind.options.parse(undefined), testContext(world, 'snapshot-files')),
    restore: () => restoreFilesKind.create(restoreFilesKind.options.parse(undefined), testContext(world, 'restore-files')),
  }
}

describe('a disk or a quota that is full in the middle', () => {
  let move: Move
  beforeEach(async () => {
    move = await startMove()
    fillShop(move.old.site)
  })
  afterEach(() => move.stop())

  it.each([true, false])('is called so, and what has arrived is kept (as a quota: %s)', async (quota) => {
    await perform(move.snapshot(), move.run)
    Object.assign(move.new.faults, { diskFullAfterBytes: 150_000, quota })
    const error = await errorOf(perform(move.restore(), move.run))
    expect(error.code).toBe('files-disk-full')
    expect(error.message).toContain('could not be written')
    const arrived = move.new.site.image().filter((line) => !line.includes('.migrate-part'))
    move.new.faults.diskFullAfterBytes = undefined
    await perform(move.restore(), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
    expect(arrived.filter((line) => line.includes(' 644 ')).every((line) => move.new.site.image().includes(line))).toBe(true)
    expect(await move.restore().plan(move.run)).toEqual([])
  })
})

const title = ftpdMissing === null ? 'a right' : `a right (skipped: ${ftpdMissing})`
describe.skipIf(ftpdMissing !== null)(title, () => {
  let folder: string
  let server: Ftpd
  let served: SiteFolder
  let other: SiteFolder
  let host: FileHost
  let run: TestRun
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'migrate-midway-'))
    chmodSync(folder, 0o755)
    server = await startPureFtpd({ site: folder })
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  beforeEach(() => {
    ;[served, other] = [siteFolder(folder), siteFolder()]
    chmodSync(served.path, 0o755)
    chownSync(served.path, FTP_UID, FTP_UID)
    const { address, port, user, password } = server
    const login = { host: address, port, user, password: new Secret(password), root: `/${basename(served.path)}` }
    host = openFtp({ ...login, tls: 'none', connections: 2 })
    run = new TestRun(mkdtempSync(join(tmpdir(), 'migrate-run-')))
  })
  afterEach(async () => {
    await host.close()
    for (const site of [served, other]) site.remove()
    rmSync(run.directory, { recursive: true, force: true })
  })

  it('to one file that the old host doesn’t give is told by name; once it does, only what is missing is fetched', async () => {
    for (let index = 0; index < 30; index += 1) served.put(`pages/${index}.html`, Buffer.from(`page ${index}`))
    chmodSync(join(served.path, 'pages/29.html'), 0o600)
    const { snapshot } = between(host, openLocal(other.path))
    const error = await errorOf(perform(snapshot(), run))
    expect(error).toMatchObject({ code: 'file-permission-denied', message: expect.stringContaining('pages/29.html') })
    expect(error.hint).toContain('run again')
    chmodSync(join(served.path, 'pages/29.html'), 0o644)
    const [rest] = await snapshot().plan(run)
    expect(rest).toMatchObject({ files: 30 })
    expect(Number(Reflect.get(Object(rest), 'fetchFiles'))).toBeLessThan(30)
    await perform(snapshot(), run)
    expect(await snapshot().plan(run)).toEqual([])
  })

  it('that is taken away on the new host while files arrive is told by name; given back, the rest arrives', async () => {
    for (const name of ['a', 'z'])
      for (let index = 0; index < 20; index += 1) other.put(`${name}/${index}`, Buffer.from(`${name} ${index}`), 0o644)
    const write = host.write.bind(host)
    let written = 0
    host.write = async (...args) => {
      const result = await write(...args)
      // Folders are filled side by side: either may be done first.
      if (args[0].startsWith('z/')) written += 1
      if (written === 5) {
        chownSync(join(served.path, 'z'), 0, 0)
        chmodSync(join(served.path, 'z'), 0o755)
      }
      return result
    }
    const { snapshot, restore } = between(openLocal(other.path), host)
    await perform(snapshot(), run)
    const error = await errorOf(perform(restore(), run))
    expect(error).toMatchObject({ code: 'file-permission-denied', message: expect.stringMatching(/write "z\/\d+"/) })
    const arrived = served.paths().filter((path) => /^[az]\/\d+$/.test(path))
    expect(arrived.length).toBeGreaterThanOrEqual(5)
    const inodes = arrived.map((path) => statSync(join(served.path, path)).ino)
    chownSync(join(served.path, 'z'), FTP_UID, FTP_UID)
    await perform(restore(), run)
    expect(served.image()).toEqual(other.image())
    expect(arrived.map((path) => statSync(join(served.path, path)).ino)).toEqual(inodes)
    expect(await restore().plan(run)).toEqual([])
  })
})
