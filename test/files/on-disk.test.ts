import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openLocal } from '../../src/files/local.ts'
import { SftpChannel } from '../../src/files/sftp/channel.ts'
import { openSftp, type SftpHost } from '../../src/files/sftp/index.ts'
import { wholeContent } from '../../src/files/whole.ts'
import { from, plainly } from '../contract/files-kit.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

let site: SiteFolder
let tools: string
const ends: (() => unknown)[] = []
beforeEach(() => {
  site = siteFolder()
  tools = mkdtempSync(join(tmpdir(), 'migrate-tools-'))
  // Tells what it was asked, and does it.
  writeFileSync(join(tools, 'sync'), `#!/bin/sh\necho "$@" >>${tools}/asked\nexec /bin/sync "$@"\n`)
  chmodSync(join(tools, 'sync'), 0o755)
  writeFileSync(join(tools, 'asked'), '')
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  site.remove()
  rmSync(tools, { recursive: true })
})

const asked = (): string => readFileSync(join(tools, 'asked'), 'utf8')
const isLinux = process.platform === 'linux'
const noDisk = userInfo().uid === 0 ? null : 'only root can mount a disk'

/** A disk of its own for a folder of the site. */
function mountBelow(path: string): string {
  const disk = join(site.path, path)
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk])
  ends.push(() => execFileSync('umount', ['-l', disk]))
  return disk
}

describe('files on this machine', () => {
  /** Which of the paths were brought to the disk, each time. */
  const watched = async (): Promise<() => number> => {
    const handle = await open(site.path)
    const sync = vi.spyOn(Object.getPrototypeOf(handle), 'sync')
    await handle.close()
    ends.push(() => sync.mockRestore())
    return () => {
      const { length } = sync.mock.calls
      sync.mockClear()
      return length
    }
  }

  it('are on the disk, with their names, once what was written settles, and not each by itself', async () => {
    const host = openLocal(site.path)
    const synced = await watched()
    for (const path of ['a/1', 'a/2', 'b/3']) await host.write(path, from(path), plainly)
    expect(synced()).toBe(0)
    await host.sweep?.()
    expect(synced()).toBe(5)
    await host.sweep?.()
    expect(synced()).toBe(0)
  })

  it('are on the disk before they replace another', async () => {
    const host = openLocal(site.path)
    site.put('web.config', Buffer.from('old'))
    const synced = await watched()
    await host.write('web.config', from('new'), plainly)
    expect(synced()).toBe(1)
  })

  it.skipIf(!isLinux)(
    `are brought there by one command when they are many${isLinux ? '' : ' (skipped: not Linux)'}`,
    async () => {
      vi.stubEnv('PATH', `${tools}:${process.env.PATH}`)
      ends.push(() => vi.unstubAllEnvs())
      const host = openLocal(site.path)
      const synced = await watched()
      await Promise.all(Array.from({ length: 300 }, (_, index) => host.write(`f${index}`, from('x'), plainly)))
      await host.sweep?.()
      expect([asked(), synced()]).toEqual([`-f ${site.path}\n`, 0])
    },
  )

  it.skipIf(noDisk !== null)(
    `are brought to each disk that they lie on${noDisk === null ? '' : ` (skipped: ${noDisk})`}`,
    async () => {
      vi.stubEnv('PATH', `${tools}:${process.env.PATH}`)
      ends.push(() => vi.unstubAllEnvs())
      const disk = mountBelow('uploads')
      const host = openLocal(site.path)
      const paths = Array.from({ length: 300 }, (_, index) => (index % 2 === 0 ? `f${index}` : `uploads/sub/f${index}`))
      await Promise.all(paths.map((path) => host.write(path, from('x'), plainly)))
      await host.sweep?.()
      expect(asked()).toBe(`-f ${site.path} ${disk}/sub\n`)
    },
  )
})

describe.skipIf(sshdMissing !== null)(`files at Debian's sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
  const open = async (config: readonly string[]): Promise<SftpHost> => {
    const sshd: Sshd = await startSshd({ config })
    ends.push(() => sshd.stop())
    const { address, port, user, key, fingerprint } = sshd
    const host = openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 2 })
    ends.push(() => host.close())
    return host
  }
  const flush = () => {
    const spy = vi.spyOn(SftpChannel.prototype, 'flush')
    ends.push(() => spy.mockRestore())
    return spy
  }
  const manySmall = (host: SftpHost): Promise<unknown> =>
    Promise.all(Array.from({ length: 40 }, (_, index) => host.write(`f${index}`, wholeContent(Buffer.from('x')), plainly)))

  it('are brought to the disk by one command where there is a shell, none by itself', async () => {
    const host = await open([`SetEnv PATH=${tools}:/usr/bin:/bin`])
    await host.powers()
    const flushed = flush()
    await host.write('large', from(Buffer.alloc(3_000_000)), plainly)
    await manySmall(host)
    expect(asked()).toBe('')
    await host.sweep?.()
    await host.sweep?.()
    expect(asked()).toBe(`-f ${site.path}\n`)
    expect(flushed).not.toHaveBeenCalled()
    expect(host.remarks?.()).toEqual([])
  })

  it.skipIf(noDisk !== null)(
    `are brought by it to each disk that is mounted below the folder${noDisk === null ? '' : ` (skipped: ${noDisk})`}`,
    async () => {
      const host = await open([`SetEnv PATH=${tools}:/usr/bin:/bin`])
      const disk = mountBelow('the uploads')
      await host.write('file', from('x'), plainly)
      await host.sweep?.()
      expect(asked()).toBe(`-f ${site.path}\n-f ${disk}\n`)
      expect(host.remarks?.()).toEqual([])
    },
  )

  it('are brought there by it also when the connection broke while the host was asked whether it has one', async () => {
    const host = await open([`SetEnv PATH=${tools}:/usr/bin:/bin`])
    await host.stat('file')
    const broken = vi.spyOn(SftpChannel.prototype, 'stat').mockImplementationOnce(function (this: SftpChannel) {
      this.lose(new Error('cut'))
      return Promise.reject(new Error('cut'))
    })
    ends.push(() => broken.mockRestore())
    await expect(host.write('file', from('x'), plainly)).rejects.toMatchObject({ code: 'files-connection-lost' })
    await host.write('file', from('x'), plainly)
    await host.sweep?.()
    expect(asked()).toBe(`-f ${site.path}\n`)
  })

  it('are told about when that command fails', async () => {
    writeFileSync(join(tools, 'sync'), '#!/bin/sh\necho no such luck >&2\nexit 1\n')
    const host = await open([`SetEnv PATH=${tools}:/usr/bin:/bin`])
    await host.write('file', from('x'), plainly)
    await host.sweep?.()
    expect(host.remarks?.()).toEqual([expect.stringContaining('(sync: no such luck)')])
  })

  it('are brought there by themselves where there is none, large ones and single ones, but not many small ones', async () => {
    const host = await open(['ForceCommand internal-sftp'])
    const flushed = flush()
    await host.write('single', from('x'), plainly)
    expect(flushed).toHaveBeenCalledTimes(1)
    await host.write('large', from(Buffer.alloc(3_000_000)), plainly)
    expect(flushed).toHaveBeenCalledTimes(2)
    await manySmall(host)
    expect(flushed.mock.calls.length).toBeLessThan(10)
    await host.sweep?.()
    expect(host.remarks?.()).toEqual([])
    expect(site.paths()).toHaveLength(42)
  })
})
