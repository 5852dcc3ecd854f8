import { execFileSync } from 'node:child_process'
import { renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Beside } from '../../src/files/sftp/beside.ts'
import { SftpChannel } from '../../src/files/sftp/channel.ts'
import { openSftp, type SftpHost, type SftpOptions } from '../../src/files/sftp/index.ts'
import { Receiver } from '../../src/files/sftp/receiver.ts'
import { SmallFiles } from '../../src/files/sftp/small-files.ts'
import { wholeContent } from '../../src/files/whole.ts'
import { type DelayProxy, startDelayProxy } from '../servers/delay-proxy.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

/** What ssh2 sends by; its types leave it out. */
type Sending = Record<'subsystem' | 'channelData' | 'openssh_hostKeysProve', (...args: readonly unknown[]) => void>
const { prototype: protocol }: { readonly prototype: Sending } = createRequire(import.meta.url)('ssh2/lib/protocol/Protocol.js')

/** So long that whatever else a machine does meanwhile weighs little beside it. */
const ROUND_TRIP_MS = 400

describe.skipIf(sshdMissing !== null)(
  `a far host, Debian's sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`,
  () => {
    let sshd: Sshd
    let site: SiteFolder
    let host: SftpHost
    const at = (more: Partial<SftpOptions> = {}): SftpOptions => {
      const { address, port, user, key, fingerprint } = sshd
      return { host: address, port, user, key, fingerprint, root: site.path, connections: 1, ...more }
    }
    beforeAll(async () => {
      sshd = await startSshd({ config: ['PubkeyAcceptedAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256'] })
    })
    beforeEach(() => {
      site = siteFolder()
      host = openSftp(at())
    })
    afterEach(async () => {
      vi.restoreAllMocks()
      await host.close()
      site.remove()
    })
    afterAll(() => sshd?.stop())

    it('lets a key of RSA in, signed as this server wants it', async () => {
      const key = join(site.path, 'rsa')
      execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', key])
      const authorized = join(sshd.key, '..', 'authorized_keys')
      execFileSync('sh', ['-c', 'cat "$1" >>"$2"', 'sh', `${key}.pub`, authorized])
      const other = openSftp(at({ key }))
      expect(await other.stat('rsa')).toMatchObject({ kind: 'file' })
      await other.close()
    })

    it('is asked once what it can do, by however many want to know at the same moment', async () => {
      const asked = vi.spyOn(SftpChannel.prototype, 'realPath')
      site.put('shirt.png', Buffer.from('x'))
      const found = await Promise.all(Array.from({ length: 50 }, () => host.powers()))
      expect(new Set(found).size).toBe(1)
      expect(asked).toHaveBeenCalledTimes(1)
    })

    it('is asked to begin with SFTP in the same turn in which it is asked for it, and for the proof of no other key', async () => {
      const events: string[] = []
      const subsystem = protocol.subsystem
      vi.spyOn(protocol, 'subsystem').mockImplementation(function (this: object, ...args: readonly unknown[]) {
        events.push('asked for')
        setImmediate(() => events.push('next turn'))
        Reflect.apply(subsystem, this, args)
      })
      const channelData = protocol.channelData
      vi.spyOn(protocol, 'channelData').mockImplementation(function (this: object, ...args: readonly unknown[]) {
        events.push('begun')
        Reflect.apply(channelData, this, args)
      })
      const proof = vi.spyOn(protocol, 'openssh_hostKeysProve')
      site.put('shirt.png', Buffer.from('x'))
      expect(await host.stat('shirt.png')).toMatchObject({ size: 1 })
      expect(events.slice(0, 2)).toEqual(['asked for', 'begun'])
      expect(proof).not.toHaveBeenCalled()
    })

    it('has programs begun while it is only listed, which write nothing, and take in what is written then', async () => {
      const commands = vi.spyOn(ssh2.Client.prototype, 'exec')
      const begun = (): number => commands.mock.calls.filter(([command]) => String(command).includes('exec perl')).length
      site.put('shirt.png', Buffer.from('x'))
      const before = site.image()
      const shown = vi.spyOn(Receiver.prototype, 'enter')
      const prepared = vi.spyOn(SmallFiles.prototype, 'prepare')
      host.prepare?.('list-to-write', 1000)
      await vi.waitUntil(() => begun() === 1, 20_000)
      await host.powers()
      expect(shown).not.toHaveBeenCalled()
      expect(site.image()).toEqual(before)
      host.prepare?.('write', 1000)
      await vi.waitUntil(() => prepared.mock.results.length === 2)
      await Promise.all(prepared.mock.results.map(({ value }) => value))
      const names = Array.from({ length: 100 }, (_, index) => `f${index}`)
      const put = (name: string): Promise<unknown> =>
        host.write(name, wholeContent(Buffer.from(name)), { mode: 0o644, mtimeSeconds: 1_200_000_000 })
      await Promise.all(names.map(put))
      await host.sweep?.()
      expect(site.paths()).toEqual([...names, 'shirt.png'].toSorted())
      expect(names.map((name) => site.read(name)?.toString())).toEqual(names)
      expect([begun(), shown.mock.calls.length]).toEqual([1, 1])
    })

    it('has no folder made for a program that is there only when all is written', async () => {
      const prepared = vi.spyOn(SmallFiles.prototype, 'prepare')
      const exec: unknown = Reflect.get(ssh2.Client.prototype, 'exec')
      let release = (): void => undefined
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      vi.spyOn(ssh2.Client.prototype, 'exec').mockImplementation(function (this: ssh2.Client, ...args: readonly unknown[]) {
        const begin = (): unknown => (typeof exec === 'function' ? Reflect.apply(exec, this, args) : undefined)
        if (String(args[0]).includes('exec perl')) void held.then(begin)
        else begin()
        return this
      })
      host.prepare?.('write', 1000)
      await host.write('shirt.png', wholeContent(Buffer.from('x')), { mode: 0o644, mtimeSeconds: 1_200_000_000 })
      await host.sweep?.()
      release()
      await Promise.all(prepared.mock.results.map(({ value }) => value))
      expect(prepared).toHaveBeenCalledTimes(1)
      expect(site.paths()).toEqual(['shirt.png'])
    })

    describe('listed a second time', () => {
      const listed = async (from: SftpHost): Promise<readonly string[]> => {
        const entries: string[] = []
        for await (const { path, kind, size } of from.list()) entries.push(`${kind} ${path} ${size}`)
        return entries
      }

      it('shows what has come, changed and gone since, whatever it was before', async () => {
        for (const name of ['a/b/c/deep', 'a/one', 'gone/file', 'link-later/file', 'file-later/x'])
          site.put(name, Buffer.from('x'))
        await listed(host)
        const full = (path: string): string => join(site.path, path)
        rmSync(full('gone'), { recursive: true })
        for (const path of ['link-later', 'file-later']) rmSync(full(path), { recursive: true })
        site.link('link-later', '/etc')
        site.put('file-later', Buffer.from('now a file'))
        renameSync(full('a/b/c'), full('a/b/d'))
        site.put('a/one', Buffer.from('longer'))
        site.put('new/folder/file', Buffer.from('x'))
        const fresh = openSftp(at())
        const expected = await listed(fresh)
        await fresh.close()
        expect(await listed(host)).toEqual(expected)
        expect(expected).toContain('link link-later 0')
        expect(expected.filter((each) => each.includes('link-later/'))).toEqual([])
      })

      it('shows a folder that came right after it was not found yet', async () => {
        site.put('cache/page', Buffer.from('x'))
        await listed(host)
        const open = SftpChannel.prototype.openFolder
        let isFirst = true
        vi.spyOn(SftpChannel.prototype, 'openFolder').mockImplementation(function (this: SftpChannel, path: string) {
          if (!isFirst || !path.endsWith('/cache')) return Reflect.apply(open, this, [path])
          isFirst = false
          return Promise.reject(Object.assign(new Error('No such file'), { code: 2 }))
        })
        expect(await listed(host)).toEqual(['folder cache 0', 'file cache/page 1'])
        expect(isFirst).toBe(false)
      })
    })

    it('gives many small files by a program that was begun while it was listed, none by itself', async () => {
      const way: DelayProxy = await startDelayProxy({ host: sshd.address, port: sshd.port }, { roundTripMs: ROUND_TRIP_MS })
      const far = openSftp(at({ host: way.host, port: way.port, connections: 2 }))
      const opened = vi.spyOn(SftpChannel.prototype, 'open')
      for (let index = 0; index < 200; index += 1) site.put(`f${index}`, Buffer.from(`${index}`))
      far.prepare?.('read')
      const entries = []
      for await (const entry of far.list()) entries.push(entry)
      const read = await Promise.all(
        entries.map(async (entry) => {
          let text = ''
          for await (const bytes of await far.read(entry.path, { entry })) text += String(bytes)
          return text
        }),
      )
      expect(read).toEqual(entries.map(({ path }) => path.slice(1)))
      expect(opened).not.toHaveBeenCalled()
      await far.close()
      await way.close()
    })
  },
)

describe('files that may go by themselves while a program starts', () => {
  it('wait for it at first, and then go no more at once than there are places', async () => {
    const beside = new Beside(() => 0)
    let show: () => void = () => undefined
    const program = new Promise<void>((resolve) => {
      show = resolve
    })
    const ends: (() => void)[] = []
    let [waited, running] = [0, 0]
    const file = async (): Promise<void> => {
      while (!(await beside.mayGo(program))) waited += 1
      running += 1
      await beside.run(() => new Promise<void>((resolve) => ends.push(resolve)))
    }
    const all = Promise.all(Array.from({ length: 500 }, file))
    await vi.waitUntil(() => ends.length === 192, 20_000)
    expect([running, waited]).toEqual([192, 500])
    while (running < 500 || ends.length > 0) {
      ends.shift()?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await all
    show()
    beside.close()
  })
})
