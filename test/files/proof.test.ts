import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLocal } from '../../src/files/local.ts'
import type { FileHost, FilePowers } from '../../src/files/port.ts'
import { nameFrom } from '../../src/files/raw-names.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { errorOf, overriding } from '../contract/files-kit.ts'
import { perform, TestRun } from '../fakes/step-run.ts'
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts'
import { ftpdMissing, startProftpd } from '../servers/ftpd.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { sshdMissing, startSshd } from '../servers/sshd.ts'
import { between, overFtp } from './between.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

let old: SiteFolder
let fresh: SiteFolder
let run: TestRun
beforeEach(() => {
  ;[old, fresh] = [siteFolder(), siteFolder()]
  const directory = mkdtempSync(join(tmpdir(), 'migrate-proof-'))
  run = new TestRun(directory)
  ends.push(
    () => old.remove(),
    () => fresh.remove(),
    () => rmSync(directory, { recursive: true, force: true }),
  )
})

describe.skipIf(sshdMissing !== null)(`files at Debian's sshd${sshdMissing === null ? '' : ` (skipped: ${sshdMissing})`}`, () => {
  let proxy: FaultProxy
  const open = async (root: string): Promise<FileHost> => {
    const sshd = await startSshd()
    ends.push(() => sshd.stop())
    proxy = await startFaultProxy({ host: sshd.address, port: sshd.port })
    ends.push(() => proxy.close())
    const { user, key, fingerprint } = sshd
    const host = openSftp({ host: proxy.host, port: proxy.port, user, key, fingerprint, root, connections: 2 })
    ends.push(() => host.close())
    return host
  }

  it('are hashed by the host itself where it has a program for that, and a single wrong bit is found', async () => {
    for (let index = 0; index < 300; index += 1) old.put(`f${index % 7}/it's ${index}\n`, randomBytes(100 + index))
    old.put('large', randomBytes(3_000_000))
    const host = await open(fresh.path)
    expect(await host.powers()).toMatchObject({
      hash: 'sha256sum over SSH',
      freeSpace: true,
      atomicReplace: true,
      foldsCase: false,
    })
    const steps = between(openLocal(old.path), host)
    await perform(steps.snapshot(), run)
    await perform(steps.restore(), run)
    const found = await steps.restore().verify(run)
    expect(found).toMatchObject([{ code: 'restored-files-hashed', message: expect.stringMatching(/^301 files.*sha256sum/) }])
    const at = join(fresh.path, 'large')
    const { mtimeMs } = statSync(at)
    const bytes = fresh.read('large') ?? Buffer.alloc(0)
    bytes[2_000_000] = (bytes[2_000_000] ?? 0) ^ 1
    writeFileSync(at, bytes)
    utimesSync(at, mtimeMs / 1000, mtimeMs / 1000)
    const wrong = { code: 'restored-files-differ', severity: 'error', message: expect.stringContaining('large') }
    expect(await steps.restore().verify(run)).toContainEqual(expect.objectContaining(wrong))
  })

  it('go on at the byte when the old host breaks off, and arrive whole', async () => {
    const bytes = randomBytes(16_000_000)
    old.put('large.bak', bytes)
    const host = await open(old.path)
    await host.stat('large.bak')
    const offsets: (number | undefined)[] = []
    const watched = overriding(host, {
      read: (path, options) => {
        offsets.push(options?.offset)
        return host.read(path, options)
      },
    })
    const steps = between(watched, openLocal(fresh.path))
    proxy.cut(14_000_000)
    expect((await errorOf(perform(steps.snapshot(), run))).code).toBe('files-connection-lost')
    proxy.mend()
    await perform(steps.snapshot(), run)
    expect(offsets).toEqual([0, expect.any(Number)])
    expect(offsets[1]).toBeGreaterThan(500_000)
    await perform(steps.restore(), run)
    expect(fresh.read('large.bak')?.equals(bytes)).toBe(true)
  })

  it('begin anew when the old host has another file under the name since', async () => {
    old.put('large.bak', randomBytes(9_000_000))
    const host = await open(old.path)
    await host.stat('large.bak')
    const steps = between(host, openLocal(fresh.path))
    proxy.cut(8_000_000)
    await errorOf(perform(steps.snapshot(), run))
    proxy.mend()
    const other = randomBytes(9_000_000)
    old.put('large.bak', other) // of the same size and time
    await perform(steps.snapshot(), run)
    await perform(steps.restore(), run)
    expect(fresh.read('large.bak')?.equals(other)).toBe(true)
  })
})

describe.skipIf(ftpdMissing !== null)(`files over plain FTP${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`, () => {
  it('are not kept when a bit was changed on the way, and are fetched anew', async () => {
    chmodSync(old.path, 0o755)
    const { host, line, end } = await overFtp(await startProftpd({ site: old.path }))
    ends.push(end)
    const bytes = randomBytes(400_000)
    old.put('picture.jpg', bytes)
    const steps = between(host, openLocal(fresh.path))
    line.corrupt(100_000, 'down')
    expect(await errorOf(perform(steps.snapshot(), run))).toMatchObject({ code: 'file-changed-on-the-way', retrySafe: true })
    expect(line.corrupted).toBe(1)
    await perform(steps.snapshot(), run)
    await perform(steps.restore(), run)
    expect(fresh.read('picture.jpg')?.equals(bytes)).toBe(true)
  })
})

describe('restored files', () => {
  it('are compared as far as the playbook says, which the finding says too', async () => {
    for (let index = 0; index < 200; index += 1) old.put(`f${index}`, Buffer.from(`${index}`))
    const steps = between(openLocal(old.path), openLocal(fresh.path))
    await perform(steps.snapshot(), run)
    await perform(steps.restore(), run)
    const codes = async (verify: string) => (await steps.restore({ verify }).verify(run)).map(({ code }) => code)
    expect(await codes('all')).toEqual(['restored-files-read-back'])
    expect(await codes('sample')).toEqual(['restored-files-read-back', 'restored-files-sized'])
    expect(await codes('sizes')).toEqual(['restored-files-sized'])
    fresh.put('f7', Buffer.from('longer'))
    expect(await codes('sizes')).toContain('restored-files-differ')
  })
})

describe('check', () => {
  const faultsOn = async (powers: Partial<FilePowers>) => {
    const host = openLocal(fresh.path)
    const target = overriding(host, { powers: async () => ({ ...(await host.powers()), ...powers }) })
    const findings = await between(openLocal(old.path), target).restore().check(run)
    return findings.filter(({ severity }) => severity !== 'info')
  }

  it('names both paths that a host which folds case would take for one', async () => {
    for (const path of ['Images/a.jpg', 'images/b.jpg', 'x/Größe', 'x/GRÖßE', 'y/größe']) old.put(path, Buffer.from(path))
    expect(await faultsOn({ foldsCase: false })).toEqual([])
    const [finding] = await faultsOn({ foldsCase: true })
    expect(finding).toMatchObject({ severity: 'error', code: 'file-names-differ-in-case' })
    for (const pair of ['Images and images', 'x/GRÖßE and x/Größe']) expect(finding?.message).toContain(pair)
    expect(await faultsOn({ foldsCase: null })).toMatchObject([{ severity: 'warning', code: 'file-names-differ-in-case' }])
  })

  it('names both paths that differ in how an accent is written alone, also where case matters', async () => {
    for (const path of ['caf\u00e9', 'cafe\u0301', 'Case', 'case']) old.put(path, Buffer.from(path))
    const [finding, ...more] = await faultsOn({ foldsCase: false, names: 'unicode' })
    expect(finding).toMatchObject({
      severity: 'error',
      message: expect.stringMatching(/^1 file would be one .*an accent is a character/),
    })
    expect(more).toEqual([])
  })

  it('names what the new host can’t hold: links, line breaks, names that aren’t UTF-8; and what fits goes on', async () => {
    old.put('real', Buffer.from('1'))
    old.link('link', 'real')
    old.put('new\nline', Buffer.from('2'))
    old.put(nameFrom(Buffer.from('caf\xe9', 'latin1')), Buffer.from('é in Latin-1'))
    const all = await faultsOn({ links: false, lineBreaks: false, names: 'unicode' })
    expect(all.map(({ code, severity }) => `${code} ${severity}`).sort()).toEqual([
      'file-name-line-break error',
      'file-name-not-utf8 error',
      'files-no-links error',
    ])
    expect(all.find(({ code }) => code === 'file-name-not-utf8')?.message).toContain('caf\\xE9')
    expect(await faultsOn({})).toEqual([])
  })

  it('names what Windows takes under no name, and why', async () => {
    const bad = ['a:b', 'what?', 'CON', 'sub/lpt1.txt', 'dot.', 'space ', 'back\\slash', 'tab\there']
    for (const path of [...bad, 'console', 'con-1.txt', '.htaccess', 'ok.txt']) old.put(path, Buffer.from('1'))
    const [finding, ...more] = (await faultsOn({ names: 'windows' })).filter(({ code }) => code === 'file-name-not-windows')
    expect(more).toEqual([])
    expect(finding?.severity).toBe('error')
    expect(finding?.message).toMatch(/^8 files have names that Windows doesn’t take/)
    for (const part of ['"CON" (is the name of a device)', '"a:b" (holds :)', '"dot." (ends with a dot)'])
      expect(finding?.message).toContain(part)
    expect(await faultsOn({})).toEqual([])
  })

  it('says nothing of names that aren’t UTF-8 where they fit, and they arrive byte for byte, undone too', async () => {
    const name = nameFrom(Buffer.from('Stra\xdfe/caf\xe9.jpg', 'latin1'))
    old.put(name, Buffer.from('é in Latin-1'))
    old.put('plain', Buffer.from('1'))
    const steps = between(openLocal(old.path), openLocal(fresh.path))
    await perform(steps.snapshot(), run)
    await perform(steps.restore(), run)
    expect(fresh.image()).toEqual(old.image())
    expect(await steps.restore().plan(run)).toEqual([])
  })

  it('tells of a file that is listed and never found under its name, rather than pass over it', async () => {
    old.put('plain', Buffer.from('1'))
    const listing = overriding(openLocal(old.path), {
      list: async function* () {
        yield* openLocal(old.path).list()
        yield { path: 'zz?', kind: 'file', size: 1, mode: 0o644, mtimeSeconds: 1, target: null } as const
      },
    })
    const steps = between(listing, openLocal(fresh.path))
    await perform(steps.snapshot(), run)
    const [finding] = (await steps.snapshot().verify(run)).filter(({ severity }) => severity !== 'info')
    expect(finding).toMatchObject({
      severity: 'warning',
      code: 'file-not-found-by-name',
      message: expect.stringContaining('zz?'),
    })
  })
})
