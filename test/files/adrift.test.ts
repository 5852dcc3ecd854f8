import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { partPath } from '../../src/files/paths.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { Receiver } from '../../src/files/sftp/receiver.ts'
import { wholeContent } from '../../src/files/whole.ts'
import { listed } from '../contract/files-kit.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { atWork } from '../servers/programs.ts'
import { siteFolder } from '../servers/site-folder.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'

const options = { mode: 0o640, mtimeSeconds: 1_250_000_000 }

describe.skipIf(sshdMissing !== null)(
  `a program on the host that is heard of no more${sshdMissing ? ` (skipped: ${sshdMissing})` : ''}`,
  () => {
    const files = Array.from({ length: 60 }, (_, index) => `folder ${index % 3}/${index}`)
    const ofAll = (host: FileHost, text: string): Promise<readonly PromiseSettledResult<unknown>[]> =>
      Promise.allSettled(files.map((path) => host.write(path, wholeContent(Buffer.from(text)), options)))

    /** Files are with a Perl that is held up in the midst of them when the connection to it is cut; it goes on when they were written once more. */
    async function heldUp(killed: boolean): Promise<void> {
      const site = siteFolder()
      const sshd = await startSshd()
      const line = await startFaultProxy({ host: sshd.address, port: sshd.port })
      const { address, port, user, key, fingerprint } = sshd
      const open = (at: { readonly host: string; readonly port: number }): FileHost =>
        openSftp({ host: at.host, port: at.port, user, key, fingerprint, root: site.path, connections: 1 })
      const first = open(line)
      const last = killed ? open({ host: address, port }) : first
      const given = vi.spyOn(Receiver.prototype, 'receive')
      const areAllGiven = (): boolean => given.mock.calls.length === files.length
      let pid = 0
      const isOver = (): boolean => !atWork(site.path, 'sysread').includes(pid)
      try {
        const all = async (): Promise<boolean> => {
          given.mockClear()
          await ofAll(first, 'first')
          return areAllGiven()
        }
        await vi.waitUntil(all, { timeout: 60_000 })
        pid = atWork(site.path, 'sysread')[0] ?? 0
        process.kill(pid, 'SIGSTOP')
        given.mockClear()
        const older = ofAll(first, 'older')
        await vi.waitUntil(areAllGiven, { timeout: 20_000 })
        // What was sent after it on the same connection is answered: the host has it.
        for (let asked = 0; asked < 5; asked += 1) await first.stat('folder 0')
        line.cut(0)
        if (!killed) line.mend()
        expect(new Set((await older).map(({ status }) => status))).toEqual(new Set([killed ? 'rejected' : 'fulfilled']))
        await listed(last)
        await ofAll(last, 'newer')
        process.kill(pid, 'SIGCONT')
        await vi.waitUntil(isOver, { timeout: 20_000 })
        await last.sweep?.()
        expect(new Set(files.map((path) => site.read(path)?.toString()))).toEqual(new Set(['newer']))
        expect(site.paths().filter((path) => path.includes('.migrate-'))).toEqual([])
      } finally {
        vi.restoreAllMocks()
        if (!isOver()) process.kill(pid, 'SIGCONT')
        await Promise.all([first.close(), last.close()])
        await line.close()
        await sshd.stop()
        site.remove()
      }
    }

    it('gives no file a name after that was written otherwise', () => heldUp(false))

    it('gives none either when this program was killed, and another one goes on', () => heldUp(true))

    it('nor does the rename of an earlier try that the server comes to late move what is on its way now', async () => {
      const site = siteFolder()
      const sshd = await startSshd()
      const { address, port, user, key, fingerprint } = sshd
      const host = openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 1 })
      const late = (): void => renameSync(join(site.path, partPath('file')), join(site.path, 'file'))
      const content = async function* (): AsyncGenerator<Buffer> {
        yield Buffer.alloc(1000, 'half')
        await vi.waitUntil(() => site.paths().some((path) => path.endsWith('.migrate-part')), { timeout: 20_000 })
        expect(late).toThrow('ENOENT')
        yield Buffer.alloc(1000, 'half')
      }
      try {
        site.put(partPath('file'), Buffer.from('whole, of an earlier try'))
        await host.write('file', Readable.from(content(), { objectMode: false }), options)
        expect(site.paths()).toEqual(['file'])
        expect(site.read('file')?.length).toBe(2000)
      } finally {
        await host.close()
        await sshd.stop()
        site.remove()
      }
    })
  },
)
