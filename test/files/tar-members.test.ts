import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { openSftp } from '../../src/files/sftp/index.ts'
import { TarMembers } from '../../src/files/sftp/tar-members.ts'
import { wholeOf } from '../../src/files/whole.ts'
import { bytesOf, listed } from '../contract/files-kit.ts'
import { siteFolder } from '../servers/site-folder.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'

const MOST = 8000
const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'migrate-tar-'))
  ends.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** What is taken of an archive that comes in pieces of this length. */
function taken(archive: Buffer, length: number): ReadonlyMap<string, Buffer | null> {
  const found = new Map<string, Buffer | null>()
  const members = new TarMembers(MOST, ({ name, bytes }) =>
    found.set(name.toString(), bytes === null ? null : Buffer.from(bytes)),
  )
  for (let at = 0; at < archive.length; at += length) members.push(archive.subarray(at, at + length))
  return found
}

describe('an archive of GNU tar', () => {
  it.each([1, 511, 512, 513, 100_000])(
    'gives plain files alone, in pieces of %i bytes: no link, device, folder, nor what is too large',
    (length) => {
      const root = folder()
      const [plain, long] = [randomBytes(700), `${'a'.repeat(120)}/${'b'.repeat(120)}`]
      writeFileSync(join(root, 'plain'), plain)
      writeFileSync(join(root, 'empty'), '')
      writeFileSync(join(root, 'large'), randomBytes(MOST + 1))
      mkdirSync(join(root, 'a'.repeat(120)))
      writeFileSync(join(root, long), 'long')
      symlinkSync('/etc/passwd', join(root, 'link'))
      linkSync(join(root, 'plain'), join(root, 'same'))
      execFileSync('mkfifo', [join(root, 'pipe')])
      const names = ['plain', 'link', 'same', 'pipe', 'a'.repeat(120), long, 'large', 'empty']
      const archive = execFileSync('tar', ['-cf', '-', '--format=gnu', '--no-recursion', ...names], { cwd: root })
      const found = taken(archive, length)
      expect([...found.keys()].map((name) => name.replace(/\/$/, ''))).toEqual(names)
      expect(found.get('plain')?.equals(plain)).toBe(true)
      expect(found.get('empty')).toHaveLength(0)
      expect(found.get(long)?.toString()).toBe('long')
      for (const name of ['link', 'same', 'pipe', `${'a'.repeat(120)}/`, 'large']) expect(found.get(name), name).toBeNull()
    },
  )

  it('that isn’t one is refused, and so is one with a bit turned over in a header', () => {
    expect(() => taken(Buffer.from('Welcome to this host!\n'.repeat(50)), 512)).toThrow('no tar archive')
    const root = folder()
    writeFileSync(join(root, 'plain'), 'x')
    const archive = execFileSync('tar', ['-cf', '-', 'plain'], { cwd: root })
    archive[3] = (archive[3] ?? 0) ^ 1
    expect(() => taken(archive, 512)).toThrow('no tar archive')
  })
})

describe.skipIf(sshdMissing !== null)(`a host whose tar${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
  const COUNT = 60
  const hostWith = async (script: string) => {
    const site = siteFolder()
    const programs = folder()
    writeFileSync(join(programs, 'tar'), `#!/bin/sh\n${script}\n`)
    chmodSync(join(programs, 'tar'), 0o755)
    const sshd = await startSshd({ config: [`SetEnv PATH=${programs}:/usr/bin:/bin`] })
    const { address, port, user, key, fingerprint } = sshd
    const host = openSftp({ host: address, port, user, key, fingerprint, root: site.path, connections: 2 })
    ends.push(
      () => site.remove(),
      () => sshd.stop(),
      () => host.close(),
    )
    const contents = new Map(Array.from({ length: COUNT }, (_, index) => [`f${index}`, randomBytes(50 + index)]))
    for (const [path, bytes] of contents) site.put(path, bytes)
    return { host, contents }
  }

  it.each([
    ['gives files that nobody asked for', (evil: string) => `/usr/bin/tar -cf - -C ${evil} f1 intruder`],
    ['gives links in the place of files', (evil: string) => `/usr/bin/tar -cf - -C ${evil} f2 f3`],
  ])('%s gets no wrong byte in, and what it was asked for arrives', async (_title, before) => {
    const evil = folder()
    // Of another length than the one that is asked for.
    writeFileSync(join(evil, 'f1'), 'another f1')
    writeFileSync(join(evil, 'intruder'), 'nobody asked for it')
    symlinkSync('/etc/passwd', join(evil, 'f2'))
    symlinkSync('f2', join(evil, 'f3'))
    const marker = join(evil, 'was-here')
    // Only a command for reading is answered so: one that writes unpacks.
    const script = `case "$*" in *--create*) touch ${marker}; ${before(evil)};; esac\nexec /usr/bin/tar "$@"`
    const { host, contents } = await hostWith(script)
    const entries = (await listed(host)).filter(({ kind }) => kind === 'file')
    host.prepare?.('read')
    let byTar = 0
    await vi.waitUntil(
      async () => {
        const streams = await Promise.all(entries.map((entry) => host.read(entry.path, { entry })))
        byTar = streams.filter((stream) => wholeOf(stream) !== undefined).length
        for (const [index, { path }] of entries.entries()) {
          const stream = streams[index]
          if (stream === undefined) throw new Error('no stream')
          expect((await bytesOf(Promise.resolve(stream))).equals(contents.get(path) ?? Buffer.alloc(0)), path).toBe(true)
        }
        return execFileSync('ls', [evil], { encoding: 'utf8' }).includes('was-here')
      },
      { timeout: 60_000 },
    )
    expect(byTar).toBe(COUNT)
  })
})
