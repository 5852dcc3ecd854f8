import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { partPath } from '../../src/files/paths.ts'
import type { FileHost } from '../../src/files/port.ts'
import { nameFrom } from '../../src/files/raw-names.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { wholeContent, wholeOf } from '../../src/files/whole.ts'
import { bytesOf, listed } from '../contract/files-kit.ts'
import { atWork } from '../servers/programs.ts'
import { siteFolder } from '../servers/site-folder.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

const NAMES = [
  'plain',
  '-begins-with-a-dash',
  'two\nlines',
  'quote\'s "and" \\backslash',
  'x'.repeat(200),
  'größe',
  ' spaces ',
  '*?[a]',
]
const MANY = 120
const contents = new Map(
  Array.from({ length: MANY }, (_, index) => {
    const name = NAMES[index % NAMES.length] ?? ''
    return [
      `folder ${index % 5}/${index < NAMES.length ? '' : index}${name}`,
      randomBytes(index === 3 ? 0 : 1 + ((index * 997) % 40_000)),
    ]
  }),
)

const options = { mode: 0o640, mtimeSeconds: 1_250_000_000 }

const isAtWork = (folder: string, words: string): boolean => atWork(folder, words).length > 0

/** A folder with programs of these names that only say that they are not for this account. */
function refusingPrograms(...names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-programs-'))
  for (const name of names) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho '${name}: not for this account' >&2\nexit 2\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return folder
}

const WAYS = [
  { way: 'Perl', lacks: [], words: 'sysread' },
  { way: 'tar, on a host without Perl', lacks: ['perl'], words: 'while read' },
] as const

describe.skipIf(sshdMissing !== null).each(WAYS)(
  `many small files at once, by $way${sshdMissing ? ` (skipped: ${sshdMissing})` : ''}`,
  ({ lacks, words }) => {
    const site = siteFolder()
    const programs = refusingPrograms(...lacks)
    let sshd: Sshd
    let host: FileHost
    beforeAll(async () => {
      // An environment that has Perl take for text what it reads and writes.
      sshd = await startSshd({ config: [`SetEnv PATH=${programs}:/usr/bin:/bin PERL_UNICODE=SAD`] })
      const { address, port, user, key, fingerprint } = sshd
      host = openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 2 })
    })
    afterAll(async () => {
      await host.close()
      await sshd.stop()
      site.remove()
      rmSync(programs, { recursive: true })
    })

    const writeAll = (): Promise<unknown> =>
      Promise.all([...contents].map(([path, bytes]) => host.write(path, wholeContent(bytes), options)))

    it('arrive whole under their names, with modes and times, and leave nothing beside them', async () => {
      // Nothing waits for tar: those that come before it is ready go one by one.
      await vi.waitUntil(
        async () => {
          await writeAll()
          return isAtWork(site.path, words)
        },
        { timeout: 60_000 },
      )
      await writeAll()
      for (const [path, bytes] of contents) expect(site.read(path)?.equals(bytes), path).toBe(true)
      const files = (await listed(host)).filter(({ kind }) => kind === 'file')
      expect(files.map(({ path }) => path).sort()).toEqual([...contents.keys()].sort())
      expect(new Set(files.map(({ mode, mtimeSeconds }) => `${mode} ${mtimeSeconds}`))).toEqual(new Set([`${0o640} 1250000000`]))
    })

    it('leave no folder that one who was killed had made for them, when asked to sweep', async () => {
      site.put('.migrate-part-0123456789ab/0', Buffer.from('left by a kill'))
      site.put('.migrate-part-of-the-shop', Buffer.from('another’s'))
      await Promise.all([writeAll(), host.sweep?.()])
      await host.sweep?.()
      for (const [path, bytes] of contents) expect(site.read(path)?.equals(bytes), path).toBe(true)
      expect(readdirSync(site.path).filter((name) => name.startsWith('.'))).toEqual(['.migrate-part-of-the-shop'])
      await host.remove('.migrate-part-of-the-shop')
    })

    it('leave nothing of what one who was killed had sent of them by SFTP', async () => {
      for (const path of contents.keys()) site.put(partPath(path), Buffer.from('left by a kill'))
      await writeAll()
      await host.sweep?.()
      expect([...site.paths()].filter((path) => path.includes('.migrate-part'))).toEqual([])
      for (const [path, bytes] of contents) expect(site.read(path)?.equals(bytes), path).toBe(true)
    })

    it('arrive under names that are no UTF-8, replace what stands there, and one that can’t is told by name', async () => {
      const raw = nameFrom(Buffer.from('folder 1/caf\xe9', 'latin1'))
      const pipe = 'folder 1/a folder of the shop'
      await host.makeFolder(pipe, 0o755)
      site.put(`${pipe}/kept`, Buffer.from('kept'))
      const several = writeAll()
      await Promise.all([host.write(raw, wholeContent(Buffer.from('coffee')), options), several])
      const others = writeAll()
      const refused = host.write(pipe, wholeContent(Buffer.from('no')), options)
      await expect(refused).rejects.toMatchObject({ message: expect.stringContaining(pipe) })
      await others
      await host.sweep?.()
      expect((await bytesOf(host.read(raw))).toString()).toBe('coffee')
      expect(site.read(`${pipe}/kept`)?.toString()).toBe('kept')
      expect([...site.paths()].filter((path) => path.includes('.migrate-part'))).toEqual([])
      await host.remove(raw)
      await host.remove(`${pipe}/kept`)
      await host.removeFolder(pipe)
    })

    it('are read byte for byte, and one that is gone meanwhile is missed by name', async () => {
      const files = (await listed(host)).filter(({ kind }) => kind === 'file')
      const gone = {
        ...files[7],
        path: 'folder 2/was here',
        kind: 'file',
        size: 5,
        mode: 0o644,
        mtimeSeconds: 0,
        target: null,
      } as const
      const missed = Promise.all(files.slice(0, 60).map((entry) => host.read(entry.path, { entry }))).then(() =>
        host.read(gone.path, { entry: gone }),
      )
      await expect(missed).rejects.toMatchObject({ code: 'file-missing' })
      await vi.waitUntil(
        async () => {
          let wasAtWork = false
          const look = setInterval(() => {
            wasAtWork ||= isAtWork(site.path, '--files-from')
          }, 10)
          await Promise.all(files.map((entry) => bytesOf(host.read(entry.path, { entry }))))
          clearInterval(look)
          return wasAtWork
        },
        { timeout: 60_000 },
      )
      const streams = await Promise.all(files.map((entry) => host.read(entry.path, { entry })))
      expect(streams.filter((stream) => wholeOf(stream) !== undefined).length).toBe(MANY - 1) // all but the empty one
      for (const [index, entry] of files.entries()) {
        const stream = streams[index]
        if (stream === undefined) throw new Error('no stream')
        expect((await bytesOf(Promise.resolve(stream))).equals(contents.get(entry.path) ?? Buffer.alloc(0)), entry.path).toBe(
          true,
        )
      }
      await host.close()
      expect(readdirSync(site.path).filter((name) => name.startsWith('.migrate-part'))).toEqual([])
    })
  },
)

describe.skipIf(sshdMissing !== null)(`hosts that have neither${sshdMissing ? ` (skipped: ${sshdMissing})` : ''}`, () => {
  it('go one by one where the host’s tar turns out not to do it, which is said once, with what it said', async () => {
    const programs = refusingPrograms('perl', 'tar')
    const refusing = await startSshd({ config: [`SetEnv PATH=${programs}:/usr/bin:/bin`] })
    const other = siteFolder()
    const { address, port, user, key, fingerprint } = refusing
    const without = openSftp({ host: address, port, user, key, fingerprint, root: other.path, connections: 2 })
    try {
      // Until it is known whether tar can be used they go one by one, too: written and read until it was tried.
      const remarks: string[] = []
      const both = async (): Promise<boolean> => {
        await Promise.all([...contents].map(([path, bytes]) => without.write(path, wholeContent(bytes), options)))
        const files = (await listed(without)).filter(({ kind }) => kind === 'file')
        await Promise.all(files.map(async (entry) => bytesOf(without.read(entry.path, { entry }))))
        remarks.push(...(without.remarks?.() ?? []))
        return remarks.length >= 2
      }
      await vi.waitUntil(both, { timeout: 60_000 })
      for (const [path, bytes] of contents) expect(other.read(path)?.equals(bytes), path).toBe(true)
      expect(remarks.map((remark) => /for (\w+) small files/.exec(remark)?.[1]).sort()).toEqual(['reading', 'writing'])
      expect(remarks.join('\n')).toContain('tar: not for this account')
      await both()
      expect(remarks).toHaveLength(2)
    } finally {
      await without.close()
      await refusing.stop()
      other.remove()
      rmSync(programs, { recursive: true })
    }
  })
})
